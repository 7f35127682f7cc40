"""Networks that go down in resolution and up again: down on the left, up on the right, with lines across.

They are recognised by their form: a chain of parts, and lines from its first half to its second, each inside the one
before and at a lower resolution.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from archdsl.diagrams.flow.items import Item
from archdsl.diagrams.flow.laid import End, Laid
from archdsl.diagrams.flow.route import SIGN, Point
from archdsl.diagrams.flow.visible import Box, Frame, Link, Net, Part

#: Between two parts of a column; below one that a line across leaves; from a line across to the part that it enters.
GAP, BRANCH, ARROW = 22.0, 34.0, 14.0
#: Below a part, where a line goes across; between two such lines.
BELOW, NEXT = 10.0, 8.0
#: From a part to where the line to the next one turns.
SHORT = 8.0
#: The least room between the columns, and around a part between them.
MIDDLE, ROOM = 150.0, 40.0
_Edge = tuple[Net, Part, Part]
Threads = Mapping[Net, tuple[End, Mapping[End, Link]]]


class Across(NamedTuple):
    """Lines from the left column to the right, of one tensor or several; `between` is a part on the way."""

    nets: list[Net]
    start: Part
    end: Part
    between: Part | None = None
    after: Net | None = None


class Row(NamedTuple):
    """Parts one after the other, with the tensors that they take."""

    start: Part
    parts: list[Part]
    nets: list[Net]


class UShape(NamedTuple):
    """The columns from the input to the output, and the lines across from the highest to the lowest resolution.

    heads  parts in rows on the right, from a part of the columns to an output
    """

    left: list[Part]
    right: list[Part]
    across: list[Across]
    heads: list[Row]

    @property
    def nets(self) -> set[Net]:
        """The tensors that come from the left column."""
        return {net for one in self.across for net in (one.nets if one.after is None else [one.after])}


def u_shape(parts: Sequence[Part], threads: Threads) -> UShape | None:
    """The two columns of a network, if it has that form."""
    edges: list[_Edge] = []
    for net, (start, ends) in threads.items():
        for end in ends:
            if isinstance(start, str) or isinstance(end, str):
                return None
            edges.append((net, start, end))
    chain = _longest_chain(parts, [(start, end) for _, start, end in edges])
    number = {part: i for i, part in enumerate(chain)}
    aside = [part for part in parts if part not in number]
    heads = [row for part in aside if (row := _row(part, edges, number)) is not None]
    in_heads = {part for row in heads for part in row.parts}
    across = _across(edges, number, [part for part in aside if part not in in_heads])
    if across is None or not _is_nested([(number[one.start], number[one.end]) for one in across]):
        return None
    turn = number[across[-1].end]
    lowest = number[across[-1].start]
    if not _narrows(across) or any(number[row.start] <= lowest for row in heads):
        return None
    return UShape(chain[:turn], chain[turn:], across, heads)


def _row(part: Part, edges: Sequence[_Edge], number: Mapping[Part, int]) -> Row | None:
    """The parts from one beside the chain to an output, one after the other; None where they are not just that."""
    ins = [(net, start) for net, start, end in edges if end is part]
    if len(ins) != 1 or ins[0][1] not in number:
        return None
    parts, nets = [part], [ins[0][0]]
    while outs := [(net, end) for net, start, end in edges if start is parts[-1]]:
        net, end = outs[0]
        if len(outs) > 1 or end in number or sum(other is end for _, _, other in edges) > 1:
            return None
        parts.append(end)
        nets.append(net)
    boxes = all(isinstance(one, Box) and one.kind in {"layer", "output"} for one in parts)
    return Row(ins[0][1], parts, nets) if boxes else None


def _across(edges: Sequence[_Edge], number: Mapping[Part, int], between: Sequence[Part]) -> list[Across] | None:
    """The lines across, by where they begin; None where a part between the columns is not just on one of them."""
    found: dict[tuple[Part, Part, Part | None], Across] = {}
    for net, start, end in edges:
        if start in number and end in number and number[end] != number[start] + 1:
            found.setdefault((start, end, None), Across([], start, end)).nets.append(net)
    for part in between:
        ins = [(net, start) for net, start, end in edges if end is part]
        outs = [(net, end) for net, start, end in edges if start is part]
        if len(ins) != 1 or len(outs) != 1 or ins[0][1] not in number or outs[0][1] not in number:
            return None
        start, end = ins[0][1], outs[0][1]
        found[start, end, part] = Across([ins[0][0]], start, end, part, outs[0][0])
    return sorted(found.values(), key=lambda one: number[one.start])


def _longest_chain(parts: Sequence[Part], edges: Sequence[tuple[Part, Part]]) -> list[Part]:
    """The longest way through the parts, which are in execution order."""
    before: dict[Part, list[Part]] = {}
    for start, end in edges:
        before.setdefault(end, []).append(start)
    ways: dict[Part, list[Part]] = {}
    for part in parts:
        longest = max((ways[one] for one in before.get(part, ()) if one in ways), key=len, default=[])
        ways[part] = [*longest, part]
    return max(ways.values(), key=len)


def _is_nested(pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether there are two lines across at least, each one inside the one before."""
    nested = all(a < c and d < b for (a, b), (c, d) in itertools.pairwise(pairs))
    return len(pairs) > 1 and nested and pairs[-1][0] < pairs[-1][1]


def _narrows(across: Sequence[Across]) -> bool:
    """Whether the resolution is lower in each line across than in the one before."""
    sizes = [_pixels(one.nets[0]) for one in across]
    return all(a > b for a, b in itertools.pairwise(sizes))


def _pixels(net: Net) -> int:
    op, number = net
    return op.makes[number].shape.spatial.numel if op is not None else 0


@dataclass(slots=True, eq=False)
class _Columns:
    """The layout of the two columns: along is down the page."""

    shape: UShape
    items: Mapping[Part, Item]
    main: Mapping[Part, Net]
    foot: float = -1e9

    def lay(self, threads: Threads) -> Laid:
        levels = self.levels()
        self.place_left(levels)
        self.place_right(levels)
        centre = self.place_across()
        low = min(item.along for item in self.items.values())
        for item in self.items.values():
            item.along -= low
        self.place_between([level - low for level in levels], centre)
        ways = self.ways([level - low for level in levels], threads)
        for number, row in enumerate(sorted(self.shape.heads, key=self.side)):
            ways |= self.place_row(number, row)
        length = max(item.along + item.length for item in self.items.values()) + ARROW
        breadth = max(item.across + item.breadth for item in self.items.values())
        return Laid(length, breadth, dict(self.items), ways)

    # Down the page

    def levels(self) -> list[float]:
        """Where the lines across are, from the top."""
        left, right = self.shape.left, self.shape.right
        starts = [left.index(one.start) for one in self.shape.across]
        ends = [right.index(one.end) for one in self.shape.across]
        first = self.stack(left[: starts[0] + 1]) + BELOW
        above = self.stack(right[ends[0] :]) - self.offset(0)
        found = [max(first, above)]
        for i in range(1, len(starts)):
            down = BRANCH + self.extra(i - 1) + self.stack(left[starts[i - 1] + 1 : starts[i] + 1])
            up = ARROW + self.extra(i - 1) + self.stack(right[ends[i] : ends[i - 1]]) - self.offset(i)
            found.append(found[-1] + max(down, up, self.room(i)))
        return found

    def stack(self, parts: Sequence[Part]) -> float:
        """The length of parts one after the other."""
        return sum(self.items[part].length for part in parts) + GAP * max(0, len(parts) - 1)

    def extra(self, i: int) -> float:
        return NEXT * (len(self.shape.across[i].nets) - 1)

    def offset(self, i: int) -> float:
        """From a line across to the lower end of the part that it enters."""
        item = self.items[self.shape.across[i].end]
        return item.length - item.face if item.is_sign else -ARROW

    def room(self, i: int) -> float:
        """What parts between the columns need."""
        parts = [one.between for one in self.shape.across[i - 1 : i + 1] if one.between is not None]
        return sum(self.items[part].length for part in parts) / 2 + GAP if parts else 0

    def place_left(self, levels: Sequence[float]) -> None:
        left = self.shape.left
        first = 0
        for one, level in zip(self.shape.across, levels, strict=True):
            last = left.index(one.start)
            self.upwards(left[first : last + 1][::-1], level - BELOW)
            first = last + 1
        along = levels[-1] - BELOW + BRANCH + self.extra(len(levels) - 1)
        for part in left[first:]:
            self.items[part].along = along
            along += self.items[part].length + GAP

    def place_right(self, levels: Sequence[float]) -> None:
        right = self.shape.right
        ends = [right.index(one.end) for one in self.shape.across]
        for i, level in enumerate(levels):
            following = ends[i - 1] if i else len(right)
            self.upwards(right[ends[i] : following], level + self.offset(i))

    def upwards(self, parts: Sequence[Part], end: float) -> None:
        """Place parts one above the other, the first one down to `end`."""
        for part in parts:
            item = self.items[part]
            item.along = end - item.length
            end = item.along - GAP

    # Across the page

    def place_across(self) -> float:
        """Put each column in one line; returns the middle between them."""
        self.align(self.shape.left)
        self.align(self.shape.right)
        edge = _high(self.items, self.shape.left)
        between = [self.items[one.between].breadth for one in self.shape.across if one.between is not None]
        room = max([MIDDLE, *(breadth + 2 * ROOM for breadth in between)])
        low = min(self.items[part].across for part in self.shape.right)
        for part in self.shape.right:
            self.items[part].across += edge + room - low
        return edge + room / 2

    def align(self, parts: Sequence[Part]) -> None:
        """Place parts with their middles, or those of a frame's lines, in one line."""
        for part in parts:
            item = self.items[part]
            ports = [*item.ins.values(), *item.outs.values()] if isinstance(part, Frame) else []
            item.across = -(min(ports) + max(ports)) / 2 if ports else -item.axis
        low = min(self.items[part].across for part in parts)
        for part in parts:
            self.items[part].across -= low

    def place_between(self, levels: Sequence[float], centre: float) -> None:
        for one, level in zip(self.shape.across, levels, strict=True):
            if one.between is not None:
                item = self.items[one.between]
                item.along, item.across = level - item.length / 2, centre - item.breadth / 2

    def side(self, row: Row) -> float:
        """Where a row leaves its column, from the top: above a part on the right, below one on the left."""
        item = self.items[row.start]
        return item.along - SHORT if row.start in self.shape.right else item.along + item.length + BELOW

    def place_row(self, number: int, row: Row) -> dict[tuple[Net, End], list[Point]]:
        """Place parts beside the right column, below the rows before; returns their lines."""
        start, level = self.items[row.start], self.side(row)
        length = max(self.items[part].length for part in row.parts)
        self.foot = max(self.foot + GAP / 2, level - length / 2) + length
        middle = self.foot - length / 2
        across = _high(self.items, self.shape.right) + ROOM + NEXT * number
        begin = start.along if row.start in self.shape.right else start.along + start.length
        out = start.across + start.exit(row.nets[0])
        points = [(begin, out), (level, out), (level, across - ROOM / 2), (middle, across - ROOM / 2)]
        found: dict[tuple[Net, End], list[Point]] = {}
        for part, net in zip(row.parts, row.nets, strict=True):
            item = self.items[part]
            item.along, item.across = middle - item.length / 2, across
            found[net, part] = [*points, (middle, across)]
            across += item.breadth
            points = [(middle, across)]
            across += GAP
        return found

    # Lines

    def ways(self, levels: Sequence[float], threads: Threads) -> dict[tuple[Net, End], list[Point]]:
        found: dict[tuple[Net, End], list[Point]] = {}
        chain = [*self.shape.left, *self.shape.right]
        for i, (start, end) in enumerate(itertools.pairwise(chain)):
            found[self.main[end], end] = self.step(self.main[end], start, end, i + 1 - len(self.shape.left))
        for one, level in zip(self.shape.across, levels, strict=True):
            for number, net in enumerate(one.nets):
                point = self.leave(net, one.start)
                turn = level + NEXT * number
                begin = [point, (turn, point[1])]
                if one.between is None or one.after is None:
                    found[net, one.end] = [*begin, *self.enter(net, one.end, turn)]
                    continue
                item = self.items[one.between]
                found[net, one.between] = [*begin, (turn, item.across)]
                leaving = (turn, item.across + item.breadth)
                found[one.after, one.end] = [leaving, *self.enter(one.after, one.end, turn)]
        return found

    def step(self, net: Net, start: Part, end: Part, side: int) -> list[Point]:
        """The line from one part to the next: down on the left (`side` < 0), below from left to right, up."""
        one, other = self.items[start], self.items[end]
        begin = (one.along + one.length if side <= 0 else one.along, one.across + one.exit(net))
        finish = (other.along if side < 0 else other.along + other.length, other.across + other.entry(net))
        turn = begin[0] + (-SHORT if side > 0 else ARROW if side == 0 else SHORT)
        return [begin, (turn, begin[1]), (turn, finish[1]), finish]

    def leave(self, net: Net, part: Part) -> Point:
        item = self.items[part]
        return item.along + item.length, item.across + item.exit(net)

    def enter(self, net: Net, part: Part, turn: float) -> list[Point]:
        """The end of a line across: from below, or from the side into a sign."""
        item = self.items[part]
        if item.is_sign:
            return [(turn, item.across + item.axis - SIGN)]
        across = item.across + item.entry(net)
        return [(turn, across), (item.along + item.length, across)]


def _high(items: Mapping[Part, Item], parts: Sequence[Part]) -> float:
    return max(items[part].across + items[part].breadth for part in parts)


def lay_columns(shape: UShape, items: Mapping[Part, Item], threads: Threads) -> Laid:
    """The two columns from (0, 0)."""
    chain = [*shape.left, *shape.right]
    main: dict[Part, Net] = {}
    for start, end in itertools.pairwise(chain):
        main[end] = next(net for net, (begin, ends) in threads.items() if begin is start and end in ends)
    for one in shape.across:
        item = items[one.end]
        nets = [one.after] if one.after is not None else one.nets
        if isinstance(one.end, Box) and not item.is_sign:
            item.ins |= {net: item.axis - NEXT * 2 * (i + 1) for i, net in enumerate(nets)}
    return _Columns(shape, items, main).lay(threads)
