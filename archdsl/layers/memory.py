"""The memory that a layer needs besides its input and output."""

from collections.abc import Sequence
from typing import NamedTuple

from archdsl.shapes import Shape, Tensor


class Memory(NamedTuple):
    """What PyTorch's module of a layer holds for one sample besides its input and its output.

    saves   what its backward pass reads of "input", "output" and "operands"
    kept    what its backward pass reads besides: the positions of maxima, masks, attention weights
    inside  other tensors in eval mode, at most at one time

    Tensors of "float32" have the type of the activations, whichever that is. Statistics of a whole batch are left out.
    """

    saves: Sequence[str] = ("input",)
    kept: Sequence[Tensor] = ()
    inside: Sequence[Tensor] = ()


def numbers(count: int, dtype: str = "float32") -> Tensor:
    """So many numbers, in any shape."""
    return Tensor(Shape((count,)), dtype)
