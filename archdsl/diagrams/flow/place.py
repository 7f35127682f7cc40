"""Places across the flow: lines that matter are straight, everything else is as close to its neighbours as it can be.

Items that are joined by straight lines move together, as the blocks of Brandes and Köpf 2002, "Fast and simple
horizontal coordinate assignment", do.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from graphlib import TopologicalSorter

from archdsl.diagrams.flow.items import AXIS, Edge, Item, Level

#: Between two parts, a part and a line, two lines.
BOX_GAP, LANE_GAP, LINE_GAP = 24, 15, 11
SIGN_GAP = 12
ROUNDS = 12


class _Block:
    """Items in one straight line: their starts are `at` and what `shift` adds."""

    def __init__(self, item: Item) -> None:
        self.at = 0.0
        self.shift = {item: 0.0}
        self.before: list[tuple[_Block, float]] = []
        self.after: list[tuple[_Block, float]] = []
        self.pulls: list[tuple[_Block, float, int]] = []

    @property
    def low(self) -> float:
        return max((block.at + space for block, space in self.before), default=float("-inf"))

    @property
    def high(self) -> float:
        return min((block.at - space for block, space in self.after), default=float("inf"))

    def settle(self) -> None:
        """Move to where the lines to other blocks are straight, on average, as far as there is room."""
        weight = sum(weight for _, _, weight in self.pulls)
        if weight:
            wanted = sum((block.at + offset) * one for block, offset, one in self.pulls) / weight
            self.at = max(self.low, min(wanted, self.high))


def place(level: Level) -> float:
    """Set where each item is across the flow, beginning with 0; returns the breadth of all."""
    blocks = _blocks(level)
    of = {item: block for block in blocks for item in block.shift}
    _keep_apart(level, of)
    _pull(level, of)
    order = list(TopologicalSorter({block: {one for one, _ in block.before} for block in blocks}).static_order())
    for block in order:
        block.at = max(0.0, block.low)
    anchor = max(blocks, key=lambda block: len(block.shift))
    for number in range(ROUNDS):
        for block in order if number % 2 else reversed(order):
            if block is not anchor:
                block.settle()
    for item, block in of.items():
        item.across = block.at + block.shift[item]
    return _to_zero(of)


def _to_zero(items: Iterable[Item]) -> float:
    low = min(item.across for item in items)
    for item in items:
        item.across -= low
    return max(item.across + item.breadth for item in items)


def _blocks(level: Level) -> list[_Block]:
    """Straight lines through the ranks, the weightiest first; none crosses another."""
    of = {item: _Block(item) for rank in level.ranks for item in rank}
    straight = [_straight(edges, level.ranks[i], level.ranks[i + 1]) for i, edges in enumerate(level.gaps)]
    for edge in (edge for edges in straight for edge in edges):
        block, other = of[edge.upper], of[edge.lower]
        step = block.shift[edge.upper] + _step(edge, level.gaps[edge.upper.rank])
        block.shift |= {item: shift + step for item, shift in other.shift.items()}
        of |= dict.fromkeys(other.shift, block)
    return list(dict.fromkeys(of.values()))


def _step(edge: Edge, edges: Sequence[Edge]) -> float:
    """How far aside the lower end of an edge begins: on average, where several lines go the same way."""
    same = [one for one in edges if one.upper is edge.upper and one.lower is edge.lower]
    return sum(one.upper.exit(one.net) - one.lower.entry(one.net) for one in same) / len(same)


def _straight(edges: Sequence[Edge], upper: Sequence[Item], lower: Sequence[Item]) -> list[Edge]:
    above, below = ({item: i for i, item in enumerate(rank)} for rank in (upper, lower))
    chosen: list[Edge] = []
    for edge in sorted(edges, key=lambda edge: -edge.weight):
        i, j = above[edge.upper], below[edge.lower]
        ends = [(above[one.upper], below[one.lower]) for one in chosen]
        if all((i - a) * (j - b) > 0 for a, b in ends):
            chosen.append(edge)
    return chosen


def _keep_apart(level: Level, of: dict[Item, _Block]) -> None:
    for rank in level.ranks:
        for left, right in itertools.pairwise(rank):
            one, other = of[left], of[right]
            space = one.shift[left] + left.breadth + _gap(left, right) - other.shift[right]
            one.after.append((other, space))
            other.before.append((one, space))


def _gap(left: Item, right: Item) -> float:
    parts = [item for item in (left, right) if item.kind == "part"]
    if left.kind == "axis" or right.kind == "axis":
        return BOX_GAP / 2 if parts else LINE_GAP / 2
    if any(item.kind == "side" for item in (left, right)) and any(item.is_sign for item in parts):
        return SIGN_GAP
    return (LINE_GAP, LANE_GAP, BOX_GAP)[len(parts)]


def _pull(level: Level, of: dict[Item, _Block]) -> None:
    """What moves blocks: their lines to others."""
    for edge in (edge for edges in level.gaps for edge in edges):
        one, other = of[edge.upper], of[edge.lower]
        if one is not other:
            offset = one.shift[edge.upper] + edge.upper.exit(edge.net)
            offset -= other.shift[edge.lower] + edge.lower.entry(edge.net)
            weight = edge.weight * (4 if edge.weight == AXIS else 1)
            other.pulls.append((one, offset, weight))
            one.pulls.append((other, -offset, weight))
