"""Which entries of one network's checkpoint fit another, by the rules of `torch.nn.Module.load_state_dict`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from archdsl.shapes import Shape, Tensor

Verdict = Literal["loads", "loads with strict=False", "does not load"]


class Fit(NamedTuple):
    """The entries of a checkpoint, and of the network that is to load it, by their keys.

    kept         in both, with the same shape
    missing      of the network only
    unexpected   of the checkpoint only
    other_shape  in both: the shape in the checkpoint, and that in the network
    """

    kept: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    other_shape: Mapping[str, tuple[Shape, Shape]]

    @property
    def verdict(self) -> Verdict:
        """What `load_state_dict` does: another shape is an error, whatever `strict` is."""
        if self.other_shape:
            return "does not load"
        return "loads with strict=False" if self.missing or self.unexpected else "loads"


def fit(checkpoint: Mapping[str, Tensor], network: Mapping[str, Tensor]) -> Fit:
    """Compare the state of the network that saved a checkpoint with that of the one to load it."""
    both = {key: (tensor.shape, network[key].shape) for key, tensor in checkpoint.items() if key in network}
    return Fit(
        kept=tuple(key for key, shapes in both.items() if _can_copy(*shapes)),
        missing=tuple(key for key in network if key not in checkpoint),
        unexpected=tuple(key for key in checkpoint if key not in network),
        other_shape={key: shapes for key, shapes in both.items() if not _can_copy(*shapes)},
    )


def _can_copy(old: Shape, new: Shape) -> bool:
    """Whether the shapes are equal. PyTorch also takes a vector of one element for a scalar."""
    return old == new or (new, old) == ((), (1,))
