"""The levels of a U: how often the maps have become smaller before a column, and larger again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from archdsl.diagrams.volumes.maps import Column, Map, Skip

#: A map is on the next level where its sides are less than this share of those before it.
STEP = 0.75


def levels_of(columns: Sequence[Column], skips: Sequence[Skip]) -> list[int]:
    """The level of each column, 0 for the input; empty if the network is no U.

    A U has two skips or more, each from a level to the same one after the maps have been smaller.
    """
    levels = [0]
    for before, after in pairwise(columns):
        levels.append(levels[-1] + _step(before.slices[-1], after.maps[0]))
    column_of = {column.first + i: n for n, column in enumerate(columns) for i in range(len(column.slices))}
    ends = [(column_of[skip.start], column_of[skip.end]) for skip in skips]
    bridges = [(a, b) for a, b in ends if levels[a] == levels[b] and max(levels[a : b + 1]) > levels[a]]
    is_u = len(bridges) > 1 and len(bridges) == len(ends) and min(levels) == 0
    return levels if is_u and not any(column.tail for column in columns) else []


def _step(before: Map, after: Map) -> int:
    """1 where the map is smaller, -1 where it is larger."""
    if before.is_flat or after.is_flat:
        return 0
    ratio = after.shape[1] / before.shape[1]
    return 1 if ratio < STEP else -1 if ratio > 1 / STEP else 0
