"""Where the solids of a drawing stand: in a row, or as a U where skips join maps of the same resolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archdsl.diagrams.volumes.columns import Columns
from archdsl.diagrams.volumes.maps import Column, Map
from archdsl.diagrams.volumes.placed import Placed
from archdsl.diagrams.volumes.render import rendered
from archdsl.diagrams.volumes.scales import Scale, Scales, scale
from archdsl.diagrams.volumes.solids import Solid
from archdsl.diagrams.volumes.words import Word, label, narrow_label, shape_label
from archdsl.drawing import Scene
from archdsl.graph.network import Network
from archdsl.text.record import replace

#: In pixels: the largest map, of a row and of a U; the largest vector; the sum of all thicknesses; the thickest map.
TALLEST, TALLEST_IN_U, LONGEST_BAR, ALL_THICK, THICKEST = 190.0, 110.0, 150.0, 330.0, 60.0
#: The thickness of vectors and how far they go back; how far maps go back for each pixel of their width.
BAR, BAR_BACK, SLANT = 11.0, 5.0, 0.3
#: Between the solids of two columns, and between their labels, at least; around all.
GAP, LABEL_GAP, MARGIN = 26.0, 10.0, 16.0
#: For the dots in place of equal maps.
DOTS = 26.0
#: Between the rows of a U; and the width of one from which on its labels are in two lines.
ROW_GAP, WIDE = 22.0, 1200.0


def laid_out(network: Network, columns: Columns) -> Scene:
    """The drawing of columns."""
    levels = columns.levels
    scales = _scales(columns.columns, TALLEST_IN_U if levels else TALLEST)
    if levels:
        placed = _u(columns.columns, levels, scales, shape_label)
        if max(one.right for one in placed) > WIDE:
            placed = _u(columns.columns, levels, scales, narrow_label)
    else:
        placed = _row(columns.columns, scales)
    return rendered(network, columns, placed, scales, levels)


def _scales(columns: Sequence[Column], tallest: float) -> Scales:
    slices = [one for column in columns for i, one in enumerate(column.slices) if i not in column.hidden]
    maps, flat = [one for one in slices if not one.is_flat], [one for one in slices if one.is_flat]
    sides = scale([size for one in maps for size in one.shape.spatial], tallest) if maps else None
    units = scale([one.shape[0] for one in flat], LONGEST_BAR) if flat else None
    return Scales(sides, _channels(maps) if maps else None, units)


def _channels(maps: Sequence[Map]) -> Scale:
    """The scale of thicknesses: that of the thickest map, unless all together would be too wide."""
    counts = [one.shape[0] for one in maps]
    found = scale(counts, THICKEST)
    return Scale(found.rule, found.unit * min(1, ALL_THICK / sum(map(found, counts))))


def _solids(column: Column, scales: Scales) -> list[Solid]:
    """The solids of a column, from x = 0, around y = 0."""
    solids: list[Solid] = []
    x = 0.0
    for i, one in enumerate(column.slices):
        solid = _solid(one, x, scales)
        solids.append(replace(solid, thickness=0.0) if i in column.hidden else solid)
        x = solids[-1].right + (solid.back + DOTS if column.hidden and i + 1 == column.hidden.stop else 0)
    return solids


def _solid(one: Map, x: float, scales: Scales) -> Solid:
    shape = one.shape
    if one.is_flat:
        assert scales.units is not None
        thickness, height, back = BAR, scales.units(shape[0]), BAR_BACK
    else:
        assert scales.sides is not None
        assert scales.channels is not None
        wide = scales.sides(shape[2]) * SLANT if shape.rank == 2 else BAR_BACK
        thickness, height, back = scales.channels(shape[0]), scales.sides(shape[1]), wide
    total = sum(channels for _, channels in one.parts)
    parts = [(family, channels / total) for family, channels in one.parts] or [(one.family, 1.0)]
    return Solid(x, (back - height) / 2, thickness, height, back, parts, one.active)


def _row(columns: Sequence[Column], scales: Scales) -> list[Placed]:
    """All columns from left to right, around one axis."""
    placed: list[Placed] = []
    for column in columns:
        new = Placed(column, _solids(column, scales), label(column))
        placed.append(_beside(placed[-1] if placed else None, new))
    return placed


def _beside(last: Placed | None, new: Placed) -> Placed:
    """A column to the right of another one, on its axis."""
    return new.moved(MARGIN - new.left, 0) if last is None else new.moved(_apart(last, new), last.axis)


def _apart(last: Placed, new: Placed) -> float:
    """How far the new column has to move so that it stands to the right of the last one."""
    apart = max(last.solids_right + GAP - new.solids_left, last.words_right + LABEL_GAP - new.words_left)
    if last.solids_bottom - last.axis > new.solids_bottom - new.axis:
        return max(apart, last.solids_right + LABEL_GAP - new.words_left)
    return max(apart, last.words_right + LABEL_GAP - new.solids_left)


def _u(
    columns: Sequence[Column], levels: Sequence[int], scales: Scales, words: Callable[[Column], list[Word]]
) -> list[Placed]:
    """Each level in a row of its own; the next level begins above or below the last column of this one."""
    placed: list[Placed] = []
    ends: dict[int, Placed] = {}
    for i, (column, level) in enumerate(zip(columns, levels, strict=True)):
        new = Placed(column, _solids(column, scales), words(column))
        if i and level != levels[i - 1]:
            new = new.moved(placed[-1].solids_left - new.solids_left, 0)
            pushed = max(0, _apart(ends[level], new)) if level in ends else 0
            new, placed[-1] = new.moved(pushed, 0), placed[-1].moved(pushed, 0)
        else:
            new = _beside(placed[-1] if placed else None, new)
        placed.append(new)
        ends[level] = new
    return _rows(placed, levels)


def _rows(placed: Sequence[Placed], levels: Sequence[int]) -> list[Placed]:
    """The columns moved down to the rows of their levels, and right to the margin."""
    left = MARGIN - min(one.left for one in placed)
    axes, y = [], 0.0
    for level in range(max(levels) + 1):
        row = [one for one, at in zip(placed, levels, strict=True) if at == level]
        axes.append(y - min(one.top for one in row))
        y = axes[-1] + max(one.bottom for one in row) + ROW_GAP
    return [one.moved(left, axes[level]) for one, level in zip(placed, levels, strict=True)]
