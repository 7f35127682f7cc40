"""Solids in oblique projection: the front is channels by height, the width goes back to the upper right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archdsl.drawing import Item, Line, Point, Polygon, Style
from archdsl.text.record import Record

#: The part of a solid's thickness that shows the activation after the operation, and its limits in pixels.
BAND, BAND_LIMITS = 0.3, (2.0, 9.0)


class Solid(Record):
    """A block from its front's upper left corner: thickness, height, and how far it goes back on both axes.

    `parts` are the families of the sections of its front, with the share of each.
    """

    x: float
    y: float
    thickness: float
    height: float
    back: float
    parts: Sequence[tuple[str, float]]
    active: bool = False

    @property
    def right(self) -> float:
        """Where the front ends."""
        return self.x + self.thickness

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> float:
        """The height of the middle of the solid."""
        return self.y + (self.height - self.back) / 2

    def on_right(self, depth: float, height: float) -> Point:
        """A point on the face to the right, in shares of its depth and height."""
        return self.right + depth * self.back, self.y + height * self.height - depth * self.back

    def on_left(self, depth: float, height: float) -> Point:
        """A point on the face to the left, which is hidden."""
        return self.x + depth * self.back, self.y + height * self.height - depth * self.back


def faces(solid: Solid) -> Iterator[Item]:
    """The faces that are seen."""
    x = solid.x
    for family, share in solid.parts:
        end = x + share * solid.thickness
        yield from _section(solid, x, end, family)
        x = end
    if solid.active:
        low, high = BAND_LIMITS
        width = min(max(low, BAND * solid.thickness), high, solid.thickness / 2)
        last = solid.parts[-1][0]
        yield _front(solid, solid.right - width, solid.right, f"{last}-band", f"{last}-edge")
        yield _top(solid, solid.right - width, solid.right, last, f"{last}-edge")
    last = solid.parts[-1][0]
    corners = [solid.on_right(u, v) for u, v in ((0, 0), (1, 0), (1, 1), (0, 1))]
    yield Polygon(corners, Style(fill=f"{last}-dark", stroke=f"{last}-edge", width=STROKE))


STROKE = 0.8


def _section(solid: Solid, start: float, end: float, family: str) -> Iterator[Polygon]:
    yield _front(solid, start, end, family, f"{family}-edge")
    yield _top(solid, start, end, f"{family}-light", f"{family}-edge")


def _front(solid: Solid, start: float, end: float, fill: str, edge: str) -> Polygon:
    corners = [(start, solid.y), (end, solid.y), (end, solid.bottom), (start, solid.bottom)]
    return Polygon(corners, Style(fill=fill, stroke=edge, width=STROKE))


def _top(solid: Solid, start: float, end: float, fill: str, edge: str) -> Polygon:
    back = solid.back
    corners = [(start, solid.y), (end, solid.y), (end + back, solid.y - back), (start + back, solid.y - back)]
    return Polygon(corners, Style(fill=fill, stroke=edge, width=STROKE))


def window(solid: Solid, depth: float, height: float) -> tuple[Polygon, list[Point]]:
    """A window on the face to the right, of shares of its depth and height; and its corners."""
    left, right = (1 - depth) / 2, (1 + depth) / 2
    top, bottom = (1 - height) / 2, (1 + height) / 2
    corners = [solid.on_right(u, v) for u, v in ((left, top), (right, top), (right, bottom), (left, bottom))]
    return Polygon(corners, Style(fill="accent-soft", stroke="accent", width=1)), corners


def pyramid(corners: Sequence[Point], tip: Point) -> Iterator[Line]:
    """The lines from a window to the element that it gives."""
    return (Line([corner, tip], Style(stroke="accent", width=0.7)) for corner in corners)
