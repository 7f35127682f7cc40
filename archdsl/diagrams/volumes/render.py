"""The shapes of a drawing to scale, once the solids have their places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archdsl.diagrams.volumes.columns import Columns
from archdsl.diagrams.volumes.legend import legend
from archdsl.diagrams.volumes.maps import Map, Skip
from archdsl.diagrams.volumes.placed import BELOW, Placed
from archdsl.diagrams.volumes.scales import Scales
from archdsl.diagrams.volumes.solids import Solid, faces, pyramid, window
from archdsl.diagrams.volumes.words import LINE, description, tooltip
from archdsl.drawing import Circle, Curve, Group, Item, Line, Scene, Style, Text
from archdsl.graph.network import Network

#: Around the drawing; between an arrow and what it joins; the height of an arc above the solids, and of the next level.
MARGIN, CLEAR, ARC, LEVEL = 16.0, 3.0, 13.0, 7.0
#: The smallest side of a window, in pixels.
SMALLEST = 3.0
ARROW = Style(stroke="line", width=1.2)


def rendered(
    network: Network, columns: Columns, placed: Sequence[Placed], scales: Scales, levels: Sequence[int]
) -> Scene:
    """The scene of the columns at their places, with the legend below."""
    body = list(_solids_and_links(placed, levels))
    skips = _bridges(columns.skips, placed) if levels else _arcs(columns.skips, placed)
    body += skips
    return legend(network.name, description(columns), body, placed, columns, scales)


def _solids_and_links(placed: Sequence[Placed], levels: Sequence[int]) -> Iterator[Item]:
    """All columns, and what leads from each to the next, from left to right so that the right ones are in front."""
    for i, one in enumerate(placed):
        if i:
            is_step = bool(levels) and levels[i] != levels[i - 1]
            yield from _step(placed[i - 1], one) if is_step else _link(placed[i - 1], one)
        yield from _column(one)


def _column(placed: Placed) -> Iterator[Item]:
    for i, (one, solid) in enumerate(zip(placed.column.slices, placed.solids, strict=True)):
        if i in placed.column.hidden:
            continue
        if i and i == placed.column.hidden.stop:
            yield from _dots(placed.solids[i - 1], solid)
        number = str(placed.column.first + i)
        data = {"map": number, "shape": str(one.shape), "line": str(one.line), "name": one.name}
        loop = _loop(solid) if one.loops else ()
        yield Group([*faces(solid), *loop], data=data, title=tooltip(one))
    y = placed.solids_bottom + BELOW
    for i, word in enumerate(placed.words):
        yield Text(placed.centre, y + i * LINE, word.text, word.size, "middle", word.bold, word.colour)


def _dots(before: Solid, after: Solid) -> Iterator[Item]:
    """Three dots between two solids of a long row."""
    x = (before.right + before.back + after.x) / 2
    yield from (Circle(x + 6 * i, after.middle, 1.6, Style(fill="line")) for i in (-1, 0, 1))


# From one column to the next


def _link(before: Placed, after: Placed) -> Iterator[Item]:
    """The window and its pyramid where a window slides over the map before, else an arrow."""
    start, end = before.solids[-1], after.solids[0]
    of, to = before.column.slices[-1], after.column.maps[0]
    if to.windows and not of.is_flat and to.family != "resample":
        depth, height = _shares(of, to, start)
        face, corners = window(start, depth, height)
        yield Group([face, *pyramid(corners, end.on_left(0.5, 0.5))])
    else:
        x, y = start.on_right(0.5, 0.5)
        yield Line([(x, y), (end.x - CLEAR, y)], ARROW, arrow=True)


def _shares(of: Map, to: Map, solid: Solid) -> tuple[float, float]:
    """The window's share of the depth and height of a solid, not too small to be seen."""
    shares = [min(1.0, one.span / size) for one, size in zip(to.windows or (), of.shape.spatial, strict=True)]
    height, depth = (shares[0], shares[1]) if len(shares) > 1 else (shares[0], 1.0)
    least_depth, least_height = SMALLEST / max(solid.back, SMALLEST), SMALLEST / max(solid.height, SMALLEST)
    return min(1, max(depth, least_depth)), min(1, max(height, least_height))


def _step(before: Placed, after: Placed) -> Iterator[Item]:
    """An arrow to the row below or above, between the label of the upper one and the solids of the lower one."""
    x = (after.solids[0].x + after.solids[0].right + after.solids[0].back) / 2
    down = after.axis > before.axis
    upper, lower = (before, after) if down else (after, before)
    ends = [(x, upper.bottom + 2), (x, lower.top - CLEAR)]
    yield Line(ends if down else ends[::-1], ARROW, arrow=True)


# Past several columns


def _loop(solid: Solid) -> Iterator[Item]:
    """The small arc over a block that adds its input to its output."""
    back = solid.back / 2
    start, end = (solid.x + back, solid.y - back), (solid.right + back, solid.y - back)
    top = solid.y - solid.back - ARC * 0.75
    yield Curve([start, (start[0], top), (end[0], top), end], Style(stroke="line", width=1.1))


def _arcs(skips: Sequence[Skip], placed: Sequence[Placed]) -> Iterator[Item]:
    """The sums over the solids that they pass, higher where they pass others."""
    solids = [solid for one in placed for solid in one.solids]
    hidden = {one.column.first + i for one in placed for i in one.column.hidden}
    for skip in skips:
        if skip.start in hidden or skip.end in hidden:
            continue
        start, end = solids[skip.start], solids[skip.end]
        inside = [other for other in skips if other is not skip and skip.start <= other.start and other.end <= skip.end]
        highest = min(solid.y - solid.back for solid in solids[skip.start : skip.end + 1])
        top = highest - ARC - LEVEL * len(inside)
        style = Style(stroke="line", width=1.2, dashed=bool(skip.titles))
        points = [(one.right + one.back / 2, one.y - one.back / 2) for one in (start, end)]
        handles = [(x, y + (top - y) / 0.75) for x, y in points]
        yield Group([Curve([points[0], *handles, points[1]], style, arrow=True)], title=_skip_title(skip))


def _bridges(skips: Sequence[Skip], placed: Sequence[Placed]) -> Iterator[Item]:
    """The skips of a U: straight lines from the way down to the way up."""
    solids = [solid for one in placed for solid in one.solids]
    for skip in skips:
        start, end = solids[skip.start], solids[skip.end]
        x, y = start.on_right(0.5, 0.5)
        line = Line([(x, y), (end.x - CLEAR, y)], Style(stroke="line", width=1.2, dashed=bool(skip.titles)), arrow=True)
        yield Group([line], title=_skip_title(skip))


def _skip_title(skip: Skip) -> str:
    return ", ".join([*skip.titles, skip.join])
