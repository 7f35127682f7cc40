"""One level of a picture before it is laid out: the parts of a frame, and the tensors between them.

Lengths are measured along the flow and breadths across it, so that the same layout runs down or to the right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from archdsl.diagrams.flow.visible import Net, Part, Side

#: part  a box, sign or frame      lane  a line that passes        side  the end of a line beside a sign
#: port  where a tensor enters or leaves the frame                 axis  the invisible middle of branches
Kind = Literal["part", "lane", "side", "port", "axis"]
#: How strongly the two ends of a line should be in one line.
WEAK, LANE, MAIN, AXIS = 1, 2, 3, 4


@dataclass(slots=True, eq=False)
class Item:
    """Something with a place in a rank.

    axis       the middle across, from the item's own start: where tensors enter and leave
    ins, outs  where single tensors do, if not there
    face       where lines from the side meet a sign, along the flow, from the item's own start
    hint       the place among items that follow the same one
    """

    kind: Kind
    length: float = 0
    breadth: float = 0
    part: Part | None = None
    axis: float = 0
    ins: dict[Net, float] = field(default_factory=dict)
    outs: dict[Net, float] = field(default_factory=dict)
    hint: float = 0
    rank: int = 0
    is_sign: bool = False
    face: float = 0
    along: float = 0
    across: float = 0

    def entry(self, net: Net) -> float:
        """Where a tensor enters, from the item's own start."""
        return self.ins.get(net, self.axis)

    def exit(self, net: Net) -> float:
        return self.outs.get(net, self.axis)


@dataclass(slots=True, eq=False)
class Thread:
    """A tensor in one level: from the item that gives it to those that take it."""

    net: Net
    source: Item
    targets: list[Target] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Target:
    """An item that takes a tensor. `way` are the lanes and the item itself, rank by rank."""

    item: Item
    main: bool
    side: Side = "right"
    way: list[Item] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Edge:
    """A piece of a thread from one rank to the next."""

    net: Net
    upper: Item
    lower: Item
    weight: int


@dataclass(slots=True, eq=False)
class Level:
    """The items of a frame by ranks, and the pieces of lines between each rank and the next.

    turns  where the level is cut into columns: after a rank, the way to the next column
    """

    ranks: list[list[Item]]
    gaps: list[list[Edge]]
    threads: list[Thread]
    turns: dict[int, Turn] = field(default_factory=dict)


class Turn(NamedTuple):
    """The way of a line from the end of a column to the beginning of the next one.

    bottom  where it turns below the column      gutter  where it goes back along the flow
    shift   how far aside the next column is
    """

    bottom: float
    gutter: float
    shift: float

    def way(self, start: tuple[float, float]) -> list[tuple[float, float]]:
        """The points of a line from an item to the top of the next column."""
        across = start[1]
        bottom, gutter = self.bottom, self.gutter
        return [start, (bottom, across), (bottom, gutter), (0.0, gutter), (0.0, across + self.shift)]


def crossings(edges: Iterable[Edge], upper: list[Item], lower: list[Item]) -> int:
    """How often the pieces between two ranks cross."""
    above = {item: i for i, item in enumerate(upper)}
    below = {item: i for i, item in enumerate(lower)}
    ends = sorted((above[edge.upper], below[edge.lower]) for edge in edges)
    return sum(a < c and b > d for i, (a, b) in enumerate(ends) for c, d in ends[i + 1 :])
