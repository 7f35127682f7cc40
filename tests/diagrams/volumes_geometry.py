"""What lies where in a drawing to scale, read from its shapes alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

from archdsl.drawing import Curve, Group, Item, Line, Point, Polygon, Scene, Text
from archdsl.drawing.paths import Extent, extent
from archdsl.drawing.scene import Shape, flat


class Volume(NamedTuple):
    """A map as it is drawn: its number, name and shape as the drawing says, and its faces."""

    number: int
    name: str
    shape: tuple[int, ...]
    faces: list[Polygon]

    @property
    def extent(self) -> Extent:
        found = [extent(face) for face in self.faces]
        return Extent(
            min(one.left for one in found),
            min(one.top for one in found),
            max(one.right for one in found),
            max(one.bottom for one in found),
        )

    @property
    def height(self) -> float:
        """The height of its right face, which is the last."""
        points = self.faces[-1].points
        return points[-1][1] - points[0][1]

    @property
    def back(self) -> float:
        points = self.faces[-1].points
        return points[1][0] - points[0][0]

    @property
    def thickness(self) -> float:
        return self.faces[-1].points[0][0] - min(x for x, _ in self.faces[0].points)


class Volumes:
    """The maps, texts and lines of a drawing."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.maps = [_volume(group, x, y) for group, x, y in _groups(scene.items) if "map" in group.data]
        shapes = list(scene.shapes)
        self.texts = [one for one in shapes if isinstance(one, Text)]
        self.lines = [one for one in shapes if isinstance(one, Line | Curve)]

    def faults(self) -> list[str]:
        """Everything that is not as it should be."""
        return [*self._outside(), *self._texts(), *self._crossed(), *self._solids()]

    def _outside(self) -> Iterator[str]:
        page = Extent(0, 0, self.scene.width, self.scene.height)
        yield from (f"{one} leaves the page" for one in self.scene.shapes if not page.contains(extent(one)))

    def _texts(self) -> Iterator[str]:
        for one, other in combinations(self.texts, 2):
            if extent(one).overlaps(extent(other)):
                yield f"the text {one.text!r} overlaps {other.text!r}"
        for text in self.texts:
            hit = [volume for volume in self.maps if volume.extent.overlaps(extent(text))]
            yield from (f"the text {text.text!r} overlaps the map {volume.number}" for volume in hit)

    def _crossed(self) -> Iterator[str]:
        extents = [(text.text, extent(text)) for text in self.texts]
        for line in self.lines:
            points = _along(line)
            hit = [text for text, box in extents if any(_inside(point, box) for point in points)]
            yield from (f"a line crosses the text {text!r}" for text in hit)

    def _solids(self) -> Iterator[str]:
        """Maps that overlap, unless the left one is behind the right one, which touches it."""
        for one, other in combinations(self.maps, 2):
            touches = other is self.maps[self.maps.index(one) + 1] and abs(_right(one) - other.extent.left) < 0.01
            is_near = any(abs(_right(a) - b.extent.left) < 0.01 for a, b in _between(self.maps, one, other))
            if one.extent.overlaps(other.extent) and not (touches or is_near):
                yield f"the maps {one.number} and {other.number} overlap"


def _between(maps: Sequence[Volume], one: Volume, other: Volume) -> Iterator[tuple[Volume, Volume]]:
    """The pairs of neighbours from one map to another, if all of them touch."""
    inside = [volume for volume in maps if one.number <= volume.number <= other.number]
    pairs = list(pairwise(inside))
    if all(abs(_right(a) - b.extent.left) < 0.01 for a, b in pairs):
        yield from pairs


def _right(volume: Volume) -> float:
    """Where the front of a map ends."""
    return volume.faces[-1].points[0][0]


def _groups(items: Sequence[Item], x: float = 0, y: float = 0) -> Iterator[tuple[Group, float, float]]:
    for item in items:
        if isinstance(item, Group):
            yield item, x + item.x, y + item.y
            yield from _groups(item.items, x + item.x, y + item.y)


def _volume(group: Group, x: float, y: float) -> Volume:
    number = int(group.data["map"])
    shape = tuple(int(size) for size in group.data["shape"].split("x"))
    faces: list[Shape] = list(flat(group.items, x, y))
    return Volume(number, group.data["name"], shape, [face for face in faces if isinstance(face, Polygon)])


def _along(line: Line | Curve) -> list[Point]:
    """Points on a line, close together."""
    if isinstance(line, Line):
        ends = list(zip(line.points, line.points[1:], strict=False))
        return [(a + t * (c - a), b + t * (d - b)) for (a, b), (c, d) in ends for t in _steps()]
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = line.points
    return [
        (
            (1 - t) ** 3 * ax + 3 * (1 - t) ** 2 * t * bx + 3 * (1 - t) * t**2 * cx + t**3 * dx,
            (1 - t) ** 3 * ay + 3 * (1 - t) ** 2 * t * by + 3 * (1 - t) * t**2 * cy + t**3 * dy,
        )
        for t in _steps()
    ]


def _steps(count: int = 100) -> list[float]:
    return [i / count for i in range(count + 1)]


def _inside(point: Point, box: Extent) -> bool:
    return box.left < point[0] < box.right and box.top < point[1] < box.bottom
