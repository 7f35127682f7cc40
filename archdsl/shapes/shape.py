"""Shapes without the batch axis, and the arithmetic of sliding windows, in integers only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import ClassVar, NamedTuple


class Shape(tuple[int, ...]):
    """The sizes of a tensor without its batch axis: channels first, then the spatial axes.

    dtype  the type of its elements by PyTorch's name
    """

    __slots__ = ()

    dtype: ClassVar[str] = "float32"

    @property
    def channels(self) -> int:
        return self[0]

    @property
    def spatial(self) -> Shape:
        return Shape(self[1:])

    @property
    def rank(self) -> int:
        """The number of spatial axes: 2 for an image, 0 for a vector."""
        return max(len(self) - 1, 0)

    @property
    def numel(self) -> int:
        return prod(self)

    def with_channels(self, channels: int) -> Shape:
        return self.like((channels, *self[1:]))

    def __str__(self) -> str:
        return self.sizes

    @property
    def sizes(self) -> str:
        """The sizes alone, as `3x224x224`."""
        return "x".join(map(str, self)) or "scalar"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"

    def like(self, sizes: Iterable[int]) -> Shape:
        """Other sizes with the same type of elements."""
        return type(self)(sizes)


class IntegerShape(Shape):
    """The sizes of a tensor of integers: class labels, the numbers of words. One integer for a sample has no axes."""

    __slots__ = ()

    dtype = "int64"

    # Equal sizes of another type are another shape; Python asks the subclass first.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, IntegerShape) and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((IntegerShape, tuple(self)))

    def __str__(self) -> str:
        return f"int64({', '.join(map(str, self))})" if self else "int64"

    def __repr__(self) -> str:
        return str(self)


#: The sizes of a network's input, or of its inputs by their names.
InputSizes = Sequence[int] | Mapping[str, Sequence[int]]
BYTES = {"float32": 4, "int64": 8, "bool": 1}


class Tensor(NamedTuple):
    """A parameter or buffer: its sizes and its dtype by PyTorch's name."""

    shape: Shape
    dtype: str = "float32"

    @property
    def numel(self) -> int:
        return self.shape.numel

    @property
    def nbytes(self) -> int:
        return self.numel * BYTES[self.dtype]


class Window(NamedTuple):
    """A window that slides along one axis. `before` and `after` are the padding on each side."""

    kernel: int
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1

    @property
    def span(self) -> int:
        """The size of the window with its dilation: d*(k - 1) + 1."""
        return self.dilation * (self.kernel - 1) + 1

    def output(self, size: int, *, ceil: bool = False) -> int:
        """The number of windows that fit: floor((n + p + q - d*(k - 1) - 1) / s) + 1, or rounded up as in PyTorch.

        With `ceil`, a last window that would start in the padding after the input is dropped
        (torch.nn.MaxPool2d, note on ceil_mode). The result is under 1 where no window fits.
        """
        free = size + self.before + self.after - self.span
        if not ceil:
            return free // self.stride + 1
        windows = -(-free // self.stride) + 1
        if (windows - 1) * self.stride >= size + self.before:
            windows -= 1
        return windows

    def transposed(self, size: int, output_padding: int = 0) -> int:
        """The output size of a transposed convolution: (n - 1)*s - p - q + d*(k - 1) + output_padding + 1."""
        return (size - 1) * self.stride - self.before - self.after + self.span + output_padding


def broadcast(a: Shape, b: Shape) -> Shape | None:
    """The shape of a sum or product of two tensors with equally many axes; None where PyTorch rejects them."""
    if len(a) != len(b) or any(m != n and 1 not in (m, n) for m, n in zip(a, b, strict=True)):
        return None
    # Not max(m, n): an axis of size 1 becomes 0 beside one of size 0.
    return Shape(n if m == 1 else m for m, n in zip(a, b, strict=True))


def in_module_order(entries: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries in a state_dict's order: a module's own before those of the modules inside it."""
    own = {key: tensor for key, tensor in entries.items() if "." not in key}
    inner: dict[str, dict[str, Tensor]] = {}
    for key, tensor in entries.items():
        if key not in own:
            child, _, rest = key.partition(".")
            inner.setdefault(child, {})[rest] = tensor
    if not inner:
        return own
    parts = {child: in_module_order(inside) for child, inside in inner.items()}
    return own | {f"{child}.{key}": tensor for child, inside in parts.items() for key, tensor in inside.items()}
