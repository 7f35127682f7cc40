"""Columns: a long frame is cut where one line goes on alone, and its parts stand beside each other, as in a text."""

from __future__ import annotations

from typing import NamedTuple

from archdsl.diagrams.flow.items import Level, Turn
from archdsl.diagrams.flow.route import Tracks

#: Between two columns, in the middle of which a line goes up; and below a column, where it turns.
GUTTER, TURN = 48.0, 12.0


class _Column(NamedTuple):
    first: int
    last: int
    start: float
    end: float


def wrap(level: Level, tracks: Tracks, length: float, breadth: float, limit: float) -> tuple[float, float]:
    """Cut a level into columns of at most `limit`, where it can be; returns the new length and breadth."""
    columns = _columns(level, length, limit)
    if len(columns) < 2:
        return length, breadth
    longest = max(column.end - column.start for column in columns) + TURN
    across = 0.0
    shift = 0.0
    for number, column in enumerate(columns):
        low, high = _extent(level, column)
        before, shift = shift, across - low
        if number:
            above = columns[number - 1]
            turn = Turn(above.end - above.start + TURN, across - GUTTER / 2, shift - before)
            level.turns[above.last] = turn
            tracks[above.last] = {net: along - column.start for net, along in tracks[above.last].items()}
        _move(level, tracks, column, shift)
        across += high - low + GUTTER
    for item in level.ranks[-1]:
        if item.kind == "port":
            item.along = longest
    return longest, across - GUTTER


def _columns(level: Level, length: float, limit: float) -> list[_Column]:
    """The ranks of each column: as many as fit, up to a place where the level may be cut."""
    ends = [max(item.along + item.length for item in rank) for rank in level.ranks]
    ends[-1] = length
    cuts = [i for i in range(len(level.gaps)) if _is_cut(level, i)] + [len(level.ranks) - 1]
    columns: list[_Column] = []
    first, start = 0, 0.0
    for i, cut in enumerate(cuts):
        following = cuts[i + 1] if i + 1 < len(cuts) else None
        if following is None or ends[following] - start > limit:
            columns.append(_Column(first, cut, start, ends[cut]))
            first, start = cut + 1, ends[cut]
    return columns


def _is_cut(level: Level, number: int) -> bool:
    """Whether one tensor alone goes from a rank of boxes to the next."""
    edges = [edge for edge in level.gaps[number] if "axis" not in (edge.upper.kind, edge.lower.kind)]
    nets = {edge.net for edge in edges}
    ports = any(item.kind == "port" for item in (*level.ranks[number], *level.ranks[number + 1]))
    return len(nets) == 1 and all(edge.upper.kind == "part" for edge in edges) and not ports


def _extent(level: Level, column: _Column) -> tuple[float, float]:
    """How far a column reaches across."""
    items = [item for rank in level.ranks[column.first : column.last + 1] for item in rank]
    return min(item.across for item in items), max(item.across + item.breadth for item in items)


def _move(level: Level, tracks: Tracks, column: _Column, shift: float) -> None:
    """Put a column beside the others."""
    for number in range(column.first, column.last + 1):
        for item in level.ranks[number]:
            item.along -= column.start
            item.across += shift
        if number < min(column.last, len(tracks)):
            tracks[number] = {net: along - column.start for net, along in tracks[number].items()}
