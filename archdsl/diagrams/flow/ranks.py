"""Ranks: each item of a level after all that it depends on, long lines in lanes beside the items they pass.

The layout is that of Sugiyama, Tagawa and Toda 1981, "Methods for visual understanding of hierarchical system
structures": ranks, then the order in each rank with few crossings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archdsl.diagrams.flow.items import AXIS, LANE, MAIN, WEAK, Edge, Item, Level, Target, Thread, crossings

SWEEPS = 8
#: The hint of lines that pass to the left and to the right of everything else.
FIRST, LAST = -1.0, 1e6


def ranked(items: Sequence[Item], threads: Sequence[Thread], forks: Mapping[Item, Thread]) -> Level:
    """The level of items in execution order. `forks` are the tensors that the branches of a join begin with."""
    _set_ranks(items, threads)
    ranks: list[list[Item]] = [[] for _ in range(max(item.rank for item in items) + 1)]
    for item in items:
        ranks[item.rank].append(item)
    gaps: list[list[Edge]] = [[] for _ in ranks[1:]]
    for thread in threads:
        _lead(thread, ranks, gaps)
    for join, thread in forks.items():
        _add_axis(join, thread, ranks, gaps)
    _order(ranks, gaps)
    _to_sides(ranks, threads, gaps)
    return Level(ranks, gaps, list(threads))


def _set_ranks(items: Sequence[Item], threads: Sequence[Thread]) -> None:
    """Each item one rank after the last that it depends on; what only gives, directly before what takes it."""
    leads: dict[Item, list[Item]] = {item: [] for item in items}
    fed = set()
    for thread in threads:
        leads[thread.source] += [target.item for target in thread.targets]
        fed |= {target.item for target in thread.targets}
    starts = [item for item in items if item not in fed and item.kind == "part" and not _is_input(item)]
    enters = any(item.kind == "port" and item not in fed for item in items)
    for item in items:
        item.rank = max(item.rank, int(enters and item.kind == "part"))
        for other in leads[item]:
            other.rank = max(other.rank, item.rank + 1)
    for item in starts:
        if leads[item]:
            item.rank = min(other.rank for other in leads[item]) - 1
    leaving = [item for item in items if item.kind == "port" and item in fed]
    last = max(item.rank for item in items if item not in leaving)
    for item in leaving:
        item.rank = last + 1


def _is_input(item: Item) -> bool:
    return getattr(item.part, "kind", "") == "input"


def _lead(thread: Thread, ranks: list[list[Item]], gaps: list[list[Edge]]) -> None:
    """Add the lanes of a tensor, which all that take it share, and the pieces between ranks."""
    lanes = [thread.source]
    for target in sorted(thread.targets, key=lambda one: one.item.rank):
        way: list[Item] = []
        while len(lanes) <= target.item.rank - thread.source.rank - 1:
            lane = Item("lane", hint=FIRST if target.side == "left" else LAST, rank=thread.source.rank + len(lanes))
            ranks[lane.rank].append(lane)
            weight = MAIN if target.side == "left" and target.main else LANE
            gaps[lane.rank - 1].append(Edge(thread.net, lanes[-1], lane, weight))
            lanes.append(lane)
        way = lanes[1 : target.item.rank - thread.source.rank]
        target.way = [*way, target.item]
        upper = way[-1] if way else thread.source
        weight = MAIN if target.main else WEAK
        gaps[target.item.rank - 1].append(Edge(thread.net, upper, target.item, weight))


def _add_axis(join: Item, thread: Thread, ranks: list[list[Item]], gaps: list[list[Edge]]) -> None:
    """Keep the start and the end of an even number of branches in the middle of them; of an odd one, on its middle."""
    source = thread.source
    first = [edge for edge in gaps[source.rank] if edge.upper is source] if source.rank < len(gaps) else []
    if len(first) < 2 or join.rank <= source.rank + 1:
        return
    first.sort(key=lambda edge: edge.lower.hint)
    middle = len(first) // 2
    if len(first) % 2:
        first[middle].weight = AXIS
        _weigh_middle(join, gaps)
        return
    hint = (first[middle - 1].lower.hint + first[middle].lower.hint) / 2
    upper = source
    for rank in range(source.rank + 1, join.rank):
        lane = Item("axis", hint=hint, rank=rank)
        ranks[rank].append(lane)
        gaps[rank - 1].append(Edge(thread.net, upper, lane, AXIS))
        upper = lane
    gaps[join.rank - 1].append(Edge(thread.net, upper, join, AXIS))


def _weigh_middle(join: Item, gaps: list[list[Edge]]) -> None:
    last = sorted((edge for edge in gaps[join.rank - 1] if edge.lower is join), key=lambda edge: edge.upper.hint)
    if len(last) % 2:
        last[len(last) // 2].weight = AXIS


# The order inside ranks


def _order(ranks: list[list[Item]], gaps: list[list[Edge]]) -> None:
    """Begin with the order of the spec; sweep down and up while that leaves fewer crossings."""
    ranks[0].sort(key=lambda item: item.hint)
    for number, edges in enumerate(gaps):
        _sort(ranks[number + 1], _neighbours(edges, ranks[number], up=True), by_hint=True)
    best, fewest = [list(rank) for rank in ranks], _crossings(ranks, gaps)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        _sweep(ranks, gaps, down=bool(sweep % 2))
        found = _crossings(ranks, gaps)
        if found < fewest:
            best, fewest = [list(rank) for rank in ranks], found
    ranks[:] = best


def _sweep(ranks: list[list[Item]], gaps: list[list[Edge]], *, down: bool) -> None:
    numbers = range(len(gaps)) if down else reversed(range(len(gaps)))
    for number in numbers:
        fixed, moved = (number, number + 1) if down else (number + 1, number)
        _sort(ranks[moved], _neighbours(gaps[number], ranks[fixed], up=down), by_hint=False)


def _crossings(ranks: list[list[Item]], gaps: list[list[Edge]]) -> int:
    return sum(crossings(edges, ranks[i], ranks[i + 1]) for i, edges in enumerate(gaps))


def _neighbours(edges: Sequence[Edge], rank: Sequence[Item], *, up: bool) -> dict[Item, list[tuple[int, int]]]:
    """For each item the places of its neighbours in the rank before or after it, with the weights."""
    places = {item: i for i, item in enumerate(rank)}
    found: dict[Item, list[tuple[int, int]]] = {}
    for edge in edges:
        item, other = (edge.lower, edge.upper) if up else (edge.upper, edge.lower)
        found.setdefault(item, []).append((places[other], edge.weight))
    return found


def _sort(rank: list[Item], neighbours: Mapping[Item, Sequence[tuple[int, int]]], *, by_hint: bool) -> None:
    """Order items by their neighbours; those without any keep their place."""
    keys = {}
    for i, item in enumerate(rank):
        found = neighbours.get(item, ())
        strong = [place for place, weight in found if weight >= MAIN] if by_hint else []
        places = strong or [place for place, _ in found]
        mean = sum(places) / len(places) if places else i
        keys[item] = (mean, item.hint if by_hint else i)
    rank.sort(key=keys.__getitem__)


# Lines into signs


def _to_sides(ranks: list[list[Item]], threads: Sequence[Thread], gaps: list[list[Edge]]) -> None:
    """Lead all but one line of a sign to its left and right."""
    taken: dict[Item, list[tuple[Thread, Target]]] = {}
    for thread in threads:
        for target in thread.targets:
            if target.item.is_sign:
                taken.setdefault(target.item, []).append((thread, target))
    for sign, entering in taken.items():
        _sides(sign, entering, ranks, gaps)


def _sides(sign: Item, entering: list[tuple[Thread, Target]], ranks: list[list[Item]], gaps: list[list[Edge]]) -> None:
    above = {item: i for i, item in enumerate(ranks[sign.rank - 1])}
    edges = {edge.net: edge for edge in gaps[sign.rank - 1] if edge.lower is sign and edge.upper.kind != "axis"}
    entering.sort(key=lambda one: above[edges[one[0].net].upper])
    top = _top(entering)
    others = [one for i, one in enumerate(entering) if i != top]
    for i, (thread, target) in enumerate(others):
        before = i == 0 if len(others) > 1 else top is not None and entering.index(others[0]) < top
        end = Item("side", rank=sign.rank, hint=-1 if before else 1)
        place = ranks[sign.rank].index(sign)
        ranks[sign.rank].insert(place if before else place + 1, end)
        target.way.insert(-1, end)
        edges[thread.net].lower = end
        edges[thread.net].weight = max(LANE, edges[thread.net].weight)


def _top(entering: Sequence[tuple[Thread, Target]]) -> int | None:
    """Which of the lines into a sign comes from above: the main one, or the middle one of three."""
    main = next((i for i, (_, target) in enumerate(entering) if target.main), None)
    return 1 if main is None and len(entering) == 3 else main
