"""Places along the flow, and the way of each line: straight in its lane, across only between two ranks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from archdsl.diagrams.flow.items import Edge, Item, Level
from archdsl.diagrams.flow.visible import Net

#: Between two ranks; before the first track and after the last one; between two tracks.
GAP, BEFORE, AFTER, TRACK = 20.0, 10.0, 14.0, 8.0
#: What is nearer than this is in one line.
NEAR = 0.6
#: The radius of a sign.
SIGN = 9.0
#: Below a frame's edge, where nothing is but lines that enter.
EDGE = 10.0
Point = tuple[float, float]
#: Where a tensor goes across, along the flow, in the gap after each rank.
Tracks = list[dict[Net, float]]


def set_along(level: Level) -> tuple[float, Tracks]:
    """Set where each item is along the flow; returns the length of all, and the tracks."""
    along = 0.0
    tracks: Tracks = []
    for number, rank in enumerate(level.ranks):
        length = max((item.length for item in rank), default=0)
        for item in rank:
            centred = item.is_sign or item.kind == "side" or all(one.length < 3 * item.length for one in rank)
            item.along = along + ((length - item.length) / 2 if centred else 0)
        along += length
        if number < len(level.gaps):
            lines = _tracks(level.gaps[number])
            used = max(lines.values(), default=-1) + 1
            tracks.append({net: along + BEFORE + TRACK * line for net, line in lines.items()})
            along += _gap(rank, level.ranks[number + 1], used)
    return along, tracks


def _gap(upper: Sequence[Item], lower: Sequence[Item], tracks: int) -> float:
    """The room between two ranks: at least for an arrow, and for the lines across."""
    ports = any(item.kind == "port" for item in (*upper, *lower))
    if tracks:
        return BEFORE + TRACK * (tracks - 1) + AFTER
    return EDGE if ports else GAP


def _spans(edges: Iterable[Edge]) -> dict[Net, tuple[float, list[float]]]:
    """For each tensor that goes across, from where and to where."""
    found: dict[Net, tuple[float, list[float]]] = {}
    for edge in edges:
        if "axis" in (edge.upper.kind, edge.lower.kind):
            continue
        found.setdefault(edge.net, (edge.upper.across + edge.upper.exit(edge.net), []))[1].append(
            edge.lower.across + edge.lower.entry(edge.net)
        )
    return {net: (start, ends) for net, (start, ends) in found.items() if any(abs(end - start) > NEAR for end in ends)}


def _tracks(edges: Iterable[Edge]) -> dict[Net, int]:
    """A track for each tensor that goes across: no two that meet in one, and none over the end of another."""
    spans = _spans(edges)
    under = {net: [other for other in spans if other != net and _ends_over(spans[other], spans[net])] for net in spans}
    found: dict[Net, int] = {}
    waiting = sorted(spans, key=lambda net: _reach(spans[net]))
    while waiting:
        free = [net for net in waiting if all(other in found for other in under[net])]
        net = (free or waiting)[0]
        waiting.remove(net)
        least = max((found[other] + 1 for other in under[net] if other in found), default=0)
        taken = {found[other] for other in found if _meet(_reach(spans[net]), _reach(spans[other]))}
        found[net] = next(line for line in range(least, least + len(spans) + 1) if line not in taken)
    return found


def _ends_over(one: tuple[float, list[float]], other: tuple[float, list[float]]) -> bool:
    """Whether a line starts where another one ends, so that its track must come first."""
    return any(abs(one[0] - end) < 4 for end in other[1])


def _reach(span: tuple[float, list[float]]) -> tuple[float, float]:
    return min(span[0], *span[1]), max(span[0], *span[1])


def _meet(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] < other[1] + 6 and other[0] < one[1] + 6


def ways(level: Level, tracks: Tracks) -> Mapping[tuple[Net, Item], list[Point]]:
    """For each tensor and item that takes it, the points of the line as (along, across)."""
    found = {}
    for thread in level.threads:
        for target in thread.targets:
            points: list[Point] = []
            for upper, lower in pairwise([thread.source, *target.way]):
                points += _piece(thread.net, upper, lower, tracks, level)
            found[thread.net, target.item] = simplified(points)
    return found


def _piece(net: Net, upper: Item, lower: Item, tracks: Tracks, level: Level) -> list[Point]:
    """The line from one item to the next one."""
    if lower.is_sign and upper.kind == "side":
        height, right = lower.along + lower.face, upper.hint > 0
        return [(height, upper.across), (height, lower.across + lower.axis + (SIGN if right else -SIGN))]
    start = (upper.along + upper.length, upper.across + upper.exit(net))
    end = (lower.along + lower.face if lower.kind == "side" else lower.along, lower.across + lower.entry(net))
    turn = level.turns.get(upper.rank) if lower.rank > upper.rank else None
    before = [start] if turn is None else turn.way(start)
    from_ = before[-1][1]
    if abs(from_ - end[1]) <= NEAR:
        return [*before, (end[0], from_)]
    track = tracks[upper.rank][net]
    return [*before, (track, from_), (track, end[1]), end]


def snapped(points: Sequence[Point]) -> list[Point]:
    """The points with what is nearly straight made straight, in hundredths of a pixel."""
    found: list[Point] = []
    for along, across in points:
        before = found[-1] if found else (along, across)
        point = (
            before[0] if abs(along - before[0]) < NEAR else along,
            before[1] if abs(across - before[1]) < NEAR else across,
        )
        found.append((round(point[0], 2), round(point[1], 2)))
    return found


def simplified(points: Sequence[Point]) -> list[Point]:
    """The points where a line turns."""
    kept: list[Point] = []
    for point in points:
        if kept and point == kept[-1]:
            continue
        if len(kept) > 1 and any(abs(kept[-2][i] - kept[-1][i]) < 0.01 > abs(kept[-1][i] - point[i]) for i in (0, 1)):
            kept.pop()
        kept.append(point)
    return kept
