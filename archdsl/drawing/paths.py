"""Shapes as paths of moves, lines and cubic curves, which every writer has; and their extents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import cos, hypot, radians, sin
from typing import NamedTuple, assert_never

from archdsl.drawing.scene import Box, Circle, Curve, Line, Point, Polygon, Shape, Style, Text
from archdsl.drawing.widths import text_width
from archdsl.text.record import replace

#: The distance of the control points from the ends of a quarter of a circle with radius 1.
QUARTER = 0.5523
#: Length and half of the width of an arrow head, for a stroke of width 1 and for each further pixel.
HEAD, SPREAD, GROWTH = 7.5, 3.2, 2.2
#: Above and below the baseline, in parts of the size of a text.
ASCENT, DESCENT = 0.76, 0.24


class Command(NamedTuple):
    """M moves to a point, L draws a line to it, C a curve (two control points and the end); Z closes the path."""

    letter: str
    points: tuple[Point, ...] = ()


class Extent(NamedTuple):
    """The smallest upright rectangle around a shape."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Extent, margin: float = 0) -> bool:
        """Whether the two have a common inside; with `margin`, also where they are closer than that."""
        apart_x = self.right + margin <= other.left or other.right + margin <= self.left
        return not (apart_x or self.bottom + margin <= other.top or other.bottom + margin <= self.top)

    def contains(self, other: Extent, slack: float = 0.01) -> bool:
        in_x = self.left - slack <= other.left and other.right <= self.right + slack
        return in_x and self.top - slack <= other.top and other.bottom <= self.bottom + slack


def with_heads(line: Line | Curve) -> Iterator[Line | Curve | Polygon]:
    """A line without its arrow head, shortened to where the head begins, and the head."""
    if not line.arrow:
        yield line
        return
    (x, y), (before_x, before_y) = line.points[-1], _before_last(line.points)
    length = hypot(x - before_x, y - before_y) or 1
    dx, dy = (x - before_x) / length, (y - before_y) / length
    growth = GROWTH * (line.style.width - 1)
    head, spread = HEAD + growth, SPREAD + growth / 2
    foot_x, foot_y = x - dx * head, y - dy * head
    end = (x - dx * head * 0.8, y - dy * head * 0.8)
    yield replace(line, points=[*line.points[:-1], end], arrow=False)
    sides = [(foot_x - dy * spread, foot_y + dx * spread), (foot_x + dy * spread, foot_y - dx * spread)]
    yield Polygon([(x, y), *sides], Style(fill=line.style.stroke))


def _before_last(points: Sequence[Point]) -> Point:
    """The last point that is not the end itself."""
    return next((point for point in points[-2::-1] if point != points[-1]), points[0])


def path(shape: Line | Curve | Polygon | Box | Circle) -> list[Command]:
    """The outline of a shape; arrow heads are shapes of their own (`with_heads`)."""
    match shape:
        case Polygon():
            return [*_polyline(shape.points), Command("Z")]
        case Line():
            return _rounded(shape.points, shape.corner) if shape.corner else _polyline(shape.points)
        case Curve():
            first, *rest = shape.points
            ends = range(0, len(rest), 3)
            return [Command("M", (first,)), *(Command("C", (rest[i], rest[i + 1], rest[i + 2])) for i in ends)]
        case Box():
            return _box(shape)
        case Circle():
            r = shape.radius
            return _box(Box(shape.x - r, shape.y - r, 2 * r, 2 * r, shape.style, r))
        case _:
            assert_never(shape)


def _polyline(points: Sequence[Point]) -> list[Command]:
    first, *rest = points
    return [Command("M", (first,)), *(Command("L", (point,)) for point in rest)]


def _rounded(points: Sequence[Point], corner: float) -> list[Command]:
    """Lines whose corners are curves; a corner is smaller where the lines are short."""
    commands = [Command("M", (points[0],))]
    for before, at, after in zip(points, points[1:], points[2:], strict=False):
        start, end = _towards(at, before, corner), _towards(at, after, corner)
        controls = (_between(start, at, QUARTER), _between(end, at, QUARTER))
        commands += [Command("L", (start,)), Command("C", (*controls, end))]
    return [*commands, Command("L", (points[-1],))]


def _towards(start: Point, end: Point, distance: float) -> Point:
    """The point at a distance from `start` on the way to `end`, at most half of the way."""
    length = hypot(end[0] - start[0], end[1] - start[1])
    return _between(start, end, min(0.5, distance / length)) if length else start


def _between(start: Point, end: Point, part: float) -> Point:
    return start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1])


def _box(box: Box) -> list[Command]:
    x, y, right, bottom = box.x, box.y, box.x + box.width, box.y + box.height
    r = min(box.radius, box.width / 2, box.height / 2)
    if not r:
        return [*_polyline([(x, y), (right, y), (right, bottom), (x, bottom)]), Command("Z")]
    c = r * (1 - QUARTER)
    return [
        Command("M", ((x + r, y),)),
        Command("L", ((right - r, y),)),
        Command("C", ((right - c, y), (right, y + c), (right, y + r))),
        Command("L", ((right, bottom - r),)),
        Command("C", ((right, bottom - c), (right - c, bottom), (right - r, bottom))),
        Command("L", ((x + r, bottom),)),
        Command("C", ((x + c, bottom), (x, bottom - c), (x, bottom - r))),
        Command("L", ((x, y + r),)),
        Command("C", ((x, y + c), (x + c, y), (x + r, y))),
        Command("Z"),
    ]


def extent(shape: Shape) -> Extent:
    """The extent of a shape without the width of its stroke; of a curve, that of its control points."""
    points = _corners(shape) if isinstance(shape, Text) else [p for one in path(shape) for p in one.points]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return Extent(min(xs), min(ys), max(xs), max(ys))


def _corners(text: Text) -> list[Point]:
    width = text_width(text.text, text.size, bold=text.bold)
    left = {"start": 0.0, "middle": -width / 2, "end": -width}[text.anchor]
    turn = radians(text.angle)
    box = [(x, y) for x in (left, left + width) for y in (-ASCENT * text.size, DESCENT * text.size)]
    return [(text.x + x * cos(turn) + y * sin(turn), text.y - x * sin(turn) + y * cos(turn)) for x, y in box]
