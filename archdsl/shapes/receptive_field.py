"""The receptive field: the region of the input that one position of a tensor depends on.

The recursion is the usual one (Araujo, Norris, Sim: "Computing Receptive Fields of Convolutional Neural
Networks", Distill 2019): r += (k - 1)*d*j and j *= s for each window, with j the distance of neighbouring
positions in input positions. It is the theoretical field: padding is counted, so that it may exceed the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from archdsl.shapes.shape import Shape, Window


class ReceptiveField(NamedTuple):
    """The field on each spatial axis of the model's input.

    size    positions of the input that one position of this tensor depends on
    jump    distance of two neighbours of this tensor in the input (an integer, until an upsampling divides it)
    extent  size of this tensor on that axis
    axes    for each axis of this tensor, the input axes that it runs along
    """

    size: tuple[float, ...]
    jump: tuple[float, ...]
    extent: tuple[int, ...]
    axes: tuple[frozenset[int], ...]

    @classmethod
    def of_input(cls, shape: Shape) -> ReceptiveField:
        rank = shape.rank
        one = (1,) * rank
        axes = (frozenset(), *(frozenset({i}) for i in range(rank))) if shape else ()
        return cls(one, one, tuple(shape.spatial), axes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The field as integers, one for each spatial axis of the input."""
        # Upsampling divides the jumps; its rounding errors must not count as a position.
        return tuple(ceil(size - 1e-6) for size in self.size)

    def slide(self, windows: Sequence[Window], output: Sequence[int]) -> ReceptiveField:
        """The field after one window for each spatial axis; `output` are the resulting sizes."""
        size, jump, extent = list(self.size), list(self.jump), list(self.extent)
        for window, length, axes in zip(windows, output, self.axes[1:], strict=True):
            for axis in axes:
                size[axis] += (window.span - 1) * jump[axis]
                jump[axis] *= window.stride
                extent[axis] = length
        return ReceptiveField(tuple(size), tuple(jump), tuple(extent), self.axes)

    def upsample(self, factors: Sequence[float], reach: Sequence[int], output: Sequence[int]) -> ReceptiveField:
        """The field after resampling by `factors` to the sizes `output`, which reads `reach` neighbours."""
        size, jump, extent = list(self.size), list(self.jump), list(self.extent)
        for factor, near, length, axes in zip(factors, reach, output, self.axes[1:], strict=True):
            for axis in axes:
                size[axis] += (near - 1) * jump[axis]
                jump[axis] /= factor
                extent[axis] = length
        return ReceptiveField(tuple(size), tuple(jump), tuple(extent), self.axes)

    def mix(self, axis: int) -> ReceptiveField:
        """The field after a layer whose outputs depend on all of one axis (a linear layer's last axis)."""
        size, extent = list(self.size), list(self.extent)
        for i in self.axes[axis]:
            size[i] += (extent[i] - 1) * self.jump[i]
            extent[i] = 1
        return ReceptiveField(tuple(size), self.jump, tuple(extent), self.axes)

    def arrange(self, axes: Sequence[frozenset[int]]) -> ReceptiveField:
        """The same field on a tensor with other axes (flatten, permute, squeeze)."""
        return self._replace(axes=tuple(axes))

    def join(self, other: ReceptiveField) -> ReceptiveField:
        """The field after a sum, product or concatenation of two tensors: the larger on each axis."""
        size = tuple(map(max, self.size, other.size))
        jump = tuple(map(max, self.jump, other.jump))
        extent = tuple(map(max, self.extent, other.extent))
        axes = tuple(one | another for one, another in zip(self.axes, other.axes, strict=True))
        return ReceptiveField(size, jump, extent, axes)

    def nothing(self, rank: int) -> ReceptiveField:
        """The field of a tensor with `rank` axes that does not depend on the input."""
        none = (0,) * len(self.size)
        return ReceptiveField(none, self.jump, (1,) * len(self.extent), (frozenset(),) * rank)
