"""The primitives of a drawing, in pixels from the upper left corner, y downwards.

Colours are names of roles, such as `ink` or `conv`, which a theme gives their values (`drawing.themes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, assert_never

from archdsl.text.record import Record, replace

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]


class Style(Record):
    """How a shape is filled and drawn. `fill` and `stroke` are colour names; None leaves them out.

    `width` is that of the stroke in pixels, `opacity` that of the fill.
    """

    fill: str | None = None
    stroke: str | None = None
    width: float = 1
    dashed: bool = False
    opacity: float = 1


class Box(Record):
    """A rectangle, with rounded corners of `radius`."""

    x: float
    y: float
    width: float
    height: float
    style: Style
    radius: float = 0


class Polygon(Record):
    """A closed shape with straight sides."""

    points: Sequence[Point]
    style: Style


class Line(Record):
    """Straight lines from point to point, with corners rounded by `corner`, and an arrow head at the last point."""

    points: Sequence[Point]
    style: Style
    arrow: bool = False
    corner: float = 0


class Curve(Record):
    """Cubic Bézier curves one after the other: a start, then two control points and an end for each."""

    points: Sequence[Point]
    style: Style
    arrow: bool = False


class Circle(Record):
    """A circle around (x, y)."""

    x: float
    y: float
    radius: float
    style: Style


class Text(Record):
    """One line of text. (x, y) is the start, middle or end of its baseline; `angle` turns it around that point,
    in degrees counter-clockwise.
    """

    x: float
    y: float
    text: str
    size: float = 12
    anchor: Anchor = "start"
    bold: bool = False
    colour: str = "ink"
    angle: float = 0


class Group(Record):
    """Items moved to (x, y) together.

    In SVG `id` and `data` (written as `data-KEY`) let pages and scripts find the group, and `title` is its tooltip.
    """

    items: Sequence[Item]
    x: float = 0
    y: float = 0
    id: str | None = None
    data: Mapping[str, str] = {}
    title: str | None = None


Shape = Box | Polygon | Line | Curve | Circle | Text
Item = Shape | Group


class Scene(Record):
    """A drawing of a size in pixels. `title` and `description` are read out by screen readers."""

    width: float
    height: float
    items: Sequence[Item]
    title: str
    description: str = ""

    @property
    def shapes(self) -> Iterator[Shape]:
        """All shapes where they are drawn, without the groups."""
        return flat(self.items)


def flat(items: Iterable[Item], x: float = 0, y: float = 0) -> Iterator[Shape]:
    """The shapes of items and of the groups among them, moved by (x, y)."""
    ahead = [(item, x, y) for item in items][::-1]
    while ahead:
        item, x, y = ahead.pop()
        if isinstance(item, Group):
            ahead += [(inner, x + item.x, y + item.y) for inner in reversed(item.items)]
        else:
            yield moved(item, x, y)


def moved(shape: Shape, x: float, y: float) -> Shape:
    """The shape moved by (x, y)."""
    match shape:
        case Box() | Circle() | Text():
            return replace(shape, x=shape.x + x, y=shape.y + y)
        case Polygon() | Line() | Curve():
            return replace(shape, points=[(a + x, b + y) for a, b in shape.points])
        case _:
            assert_never(shape)
