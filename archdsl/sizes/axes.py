"""The axes of a network's inputs whose size may be another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from archdsl.graph.network import Network
from archdsl.layers.base import AXES
from archdsl.shapes import IntegerShape, Shape


class Axis(NamedTuple):
    """One axis of an input, or several that change together.

    name    `height`; with several inputs `image.height`; `height = width` for several axes
    size    the size that the network was checked with
    places  the inputs and the positions in their shapes
    """

    name: str
    size: int
    places: tuple[tuple[str, int], ...]

    def resized(self, inputs: dict[str, Shape], size: int) -> dict[str, Shape]:
        """The inputs with another size on this axis."""
        changed = dict(inputs)
        for name, position in self.places:
            shape = changed[name]
            changed[name] = shape.like((*shape[:position], size, *shape[position + 1 :]))
        return changed


def axes_of(network: Network) -> list[Axis]:
    """The axes of all inputs, then those of equal sizes that are usually changed together: height and width."""
    axes = [axis for name, shape in network.inputs.items() for axis in _own(name, shape, len(network.inputs) > 1)]
    squares = {name: shape for name, shape in network.inputs.items() if shape.rank >= 2 and shape[-1] == shape[-2]}
    for side in dict.fromkeys(shape[-1] for shape in squares.values()):
        names = [name for name, shape in squares.items() if shape[-1] == side]
        places = tuple((name, len(squares[name]) + i) for name in names for i in (-2, -1))
        axes.append(_together(axes, places, side))
    lines = {name: shape for name, shape in network.inputs.items() if len(_positions(shape)) == 1}
    for side in dict.fromkeys(shape[-1] for shape in lines.values()):
        names = [name for name, shape in lines.items() if shape[-1] == side]
        if len(names) > 1:
            axes.append(_together(axes, tuple((name, len(lines[name]) - 1) for name in names), side))
    return axes


def _positions(shape: Shape) -> Sequence[int]:
    return range(len(shape)) if isinstance(shape, IntegerShape) else range(1, len(shape))


def _own(name: str, shape: Shape, several: bool) -> list[Axis]:
    positions = _positions(shape)
    labels = AXES.get(len(positions), tuple(f"axis {i}" for i in positions))
    before = f"{name}." if several else ""
    return [Axis(f"{before}{label}", shape[i], ((name, i),)) for label, i in zip(labels, positions, strict=True)]


def _together(axes: Sequence[Axis], places: tuple[tuple[str, int], ...], size: int) -> Axis:
    names = [axis.name for axis in axes if axis.places[0] in places]
    return Axis(" = ".join(names), size, places)
