"""Points in a plane as data, which a template writes as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from archdsl.report.charts import Scale, Tick, ticks

WIDTH, HEIGHT = 520, 400
LEFT, RIGHT, TOP, BOTTOM = 54, 10, 10, 44
#: The number of different colours; further classes repeat them.
COLOURS = 8


@dataclass(frozen=True)
class Point:
    """A point, its colour (`s1` ... `s8` of the style sheet), and what it is."""

    x: float
    y: float
    colour: str
    name: str = ""


@dataclass(frozen=True)
class Plane:
    """Points with their axes; `names` are the classes in the order of their colours."""

    points: Sequence[Point]
    x: Scale
    y: Scale
    x_title: str
    y_title: str
    names: Sequence[str] = ()
    diagonal: tuple[float, float] | None = None
    width, height, left, right, top, bottom = WIDTH, HEIGHT, LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM

    @property
    def x_ticks(self) -> list[Tick]:
        return ticks(self.x)

    @property
    def y_ticks(self) -> list[Tick]:
        return ticks(self.y)

    @property
    def label(self) -> str:
        return f"{len(self.points):,} points: {self.x_title} and {self.y_title}"


def plane(points: Sequence[Point], *, x: str, y: str, names: Sequence[str] = (), diagonal: bool = False) -> Plane:
    """The plane of some points; with `diagonal`, on equal scales with the line on which both are equal."""
    xs, ys = [point.x for point in points], [point.y for point in points]
    if diagonal:
        xs = ys = [*xs, *ys]
    across, up = _scale(xs, LEFT, WIDTH - RIGHT), _scale(ys, HEIGHT - BOTTOM, TOP)
    return Plane(points, across, up, x, y, names, (across.low, across.high) if diagonal else None)


def _scale(values: Sequence[float], start: float, end: float) -> Scale:
    low, high = min(values), max(values)
    margin = 0.04 * (high - low) or 0.5
    return Scale(low - margin, high + margin, start, end)


def points_of(points: Tensor, labels: Tensor, classes: Sequence[str]) -> list[Point]:
    """Points (N x 2) coloured by their classes."""
    found = zip(points.tolist(), labels.tolist(), strict=True)
    return [Point(x, y, str(label % COLOURS + 1), classes[label]) for (x, y), label in found]
