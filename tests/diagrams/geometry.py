"""What lies where in a drawing of a network's flow, read from its shapes alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from archdsl.drawing.paths import Extent, extent
from archdsl.drawing.scene import Box, Circle, Group, Item, Line, Scene, Shape, Text, flat


class Placed(NamedTuple):
    """A group with data, and its shapes where they are drawn."""

    data: dict[str, str]
    shapes: list[Shape]

    @property
    def extent(self) -> Extent:
        found = [extent(shape) for shape in self.shapes]
        return Extent(
            min(one.left for one in found),
            min(one.top for one in found),
            max(one.right for one in found),
            max(one.bottom for one in found),
        )

    @property
    def solids(self) -> list[Extent]:
        return [extent(shape) for shape in self.shapes if isinstance(shape, Box | Circle)]

    @property
    def texts(self) -> list[Extent]:
        return [extent(shape) for shape in self.shapes if isinstance(shape, Text)]


def groups(items: Sequence[Item], x: float = 0, y: float = 0) -> Iterator[Placed]:
    """All groups with data."""
    for item in items:
        if isinstance(item, Group):
            if item.data:
                yield Placed(dict(item.data), list(flat(item.items, x + item.x, y + item.y)))
            yield from groups(item.items, x + item.x, y + item.y)


class Picture:
    """The boxes, frames and lines of a drawing."""

    def __init__(self, scene: Scene) -> None:
        self.page = Extent(0, 0, scene.width, scene.height)
        found = list(groups(scene.items))
        self.boxes = [one for one in found if "box" in one.data]
        self.frames = [one for one in found if "frame" in one.data]
        self.lines = [one for one in found if "from" in one.data]

    def faults(self) -> list[str]:
        """Everything that is not as it should be."""
        return [*self._outside(), *self._overlaps(), *self._loose_texts(), *self._crossed(), *self._ends()]

    def _outside(self) -> Iterator[str]:
        for one in (*self.boxes, *self.frames, *self.lines):
            if not self.page.contains(one.extent):
                yield f"{one.data} is not on the page"

    def _overlaps(self) -> Iterator[str]:
        placed = sorted(((one.extent, one.data["box"]) for one in self.boxes), key=lambda one: one[0].top)
        for i, (one, name) in enumerate(placed):
            for other, other_name in placed[i + 1 :]:
                if other.top >= one.bottom:
                    break
                if one.overlaps(other):
                    yield f"{name} and {other_name} overlap"
        for frame in self.frames:
            for box in self.boxes:
                if frame.solids[0].overlaps(box.extent) and not frame.solids[0].contains(box.extent):
                    yield f"{box.data['box']} lies across the edge of {frame.data['frame']}"
                if frame.texts[0].overlaps(box.extent):
                    yield f"{box.data['box']} lies over the title of {frame.data['frame']}"

    def _loose_texts(self) -> Iterator[str]:
        """Texts that are neither inside a shape of their box nor outside all of them."""
        for box in (*self.boxes, *self.frames):
            for text in box.texts:
                if any(solid.contains(text) for solid in box.solids):
                    continue
                if any(solid.overlaps(text) for solid in box.solids):
                    yield f"a text of {box.data} overflows"

    def _crossed(self) -> Iterator[str]:
        """Lines through boxes or the titles of frames."""
        solid = [(one, box.data["box"]) for box in self.boxes for one in (*box.solids, *box.texts)]
        solid += [(frame.texts[0], f"the title of {frame.data['frame']}") for frame in self.frames]
        for line in self.lines:
            for piece in pieces(line):
                for there, name in solid:
                    if there.overlaps(piece, -1.5):
                        yield f"{line.data} goes through {name}"

    def _ends(self) -> Iterator[str]:
        """Lines that do not begin at their box, or on a line of the same tensor, or do not end at their box."""
        boxes = {box.data["box"]: box for box in self.boxes}
        for line in self.lines:
            [shape] = [shape for shape in line.shapes if isinstance(shape, Line)]
            start, end = (Extent(x, y, x, y) for x, y in (shape.points[0], shape.points[-1]))
            if not touches(boxes[line.data["to"]].extent, end):
                yield f"{line.data} does not end there"
            others = (one for one in self.lines if one.data["from"] == line.data["from"] and one is not line)
            begins = touches(boxes[line.data["from"]].extent, start)
            if not begins and not any(touches(piece, start) for one in others for piece in pieces(one)):
                yield f"{line.data} does not begin there"


def pieces(line: Placed) -> Iterator[Extent]:
    """The straight pieces of a line."""
    for shape in line.shapes:
        if isinstance(shape, Line):
            for (a, b), (c, d) in pairwise(shape.points):
                yield Extent(min(a, c), min(b, d), max(a, c), max(b, d))


def touches(one: Extent, other: Extent) -> bool:
    return one.overlaps(other, 1)
