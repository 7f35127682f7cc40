"""The layout of a whole picture: each frame by itself from the inside out, then every line through the frames.

Lengths are along the flow and breadths across it; `arrange` turns them into the page's x and y.
"""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.diagrams.flow.columns import wrap
from archdsl.diagrams.flow.items import Edge, Item, Level, Target, Thread
from archdsl.diagrams.flow.laid import INSIDE, OUTSIDE, PAD, TITLE, End, Laid
from archdsl.diagrams.flow.looks import Painter
from archdsl.diagrams.flow.place import place
from archdsl.diagrams.flow.ranks import FIRST, LAST, ranked
from archdsl.diagrams.flow.route import Point, set_along, simplified, snapped, ways
from archdsl.diagrams.flow.ushape import lay_columns, u_shape
from archdsl.diagrams.flow.visible import Box, Frame, Link, Net, Part, Visible
from archdsl.graph import Aux


class Arrangement:
    """The places of all parts and lines on the page: x, y of the upper left corner, and width and height."""

    def __init__(self, shown: Visible, painter: Painter, limit: float = 0, *, u: bool = True) -> None:
        self.shown, self.painter, self.limit = shown, painter, limit
        self.parents: dict[Part, Frame] = {}
        self.frames = _frames(shown.root, self.parents)
        self.threads: dict[Frame, dict[Net, tuple[End, dict[End, Link]]]] = {frame: {} for frame in self.frames}
        self.pieces = {link: self.through(link) for link in shown.links}
        self.order = {box: number for number, box in enumerate(shown.boxes)}
        self.columns = u_shape(shown.root.parts, self.threads[shown.root]) if u and not painter.right else None
        self.up = self.upwards()
        self.looks = {box: painter.look(box, up=box in self.up) for box in shown.boxes}
        #: The cuts into columns, each counted as often as there are frames around, and a half.
        self.cuts = 0.0
        self.laid: dict[Frame, Laid] = {}
        for frame in reversed(self.frames):
            self.laid[frame] = self.lay(frame)
        self.corners: dict[Part, Point] = {}
        self.settle()

    def above(self, part: Part) -> list[Part]:
        """A part and the frames around it, from the inside out."""
        found = [part]
        while found[-1] in self.parents:
            found.append(self.parents[found[-1]])
        return found

    def through(self, link: Link) -> list[tuple[Frame, End]]:
        """The frames that a line is in, with what it leads to in each; enters it into their threads."""
        source, target = self.above(link.source), self.above(link.target)
        while source[-2:-1] == target[-2:-1]:
            source.pop()
            target.pop()
        steps: list[tuple[Part, End, End]] = [(source[i + 1], source[i], OUTSIDE) for i in range(len(source) - 2)]
        steps.append((source[-1], source[-2], target[-2]))
        steps += [(target[i + 1], INSIDE, target[i]) for i in reversed(range(len(target) - 2))]
        found: list[tuple[Frame, End]] = []
        for frame, start, end in steps:
            assert isinstance(frame, Frame)
            ends = self.threads[frame].setdefault(link.net, (start, {}))[1]
            if end not in ends or link.main:
                ends[end] = link
            found.append((frame, end))
        return found

    # One frame

    def lay(self, frame: Frame) -> Laid:
        """Lay a frame out, whose parts are laid out already."""
        items = {part: self.item(part, number) for number, part in enumerate(frame.parts)}
        if frame is self.shown.root and self.columns is not None:
            return lay_columns(self.columns, items, self.threads[frame])
        laid = self.layered(frame, items)
        up = frame in self.up
        if up:
            laid.flip()
        if frame is not self.shown.root:
            laid.pad(frame, right=self.painter.right, up=up)
        return laid

    def layered(self, frame: Frame, items: dict[Part, Item]) -> Laid:
        """The parts of a frame in ranks, and in columns if there is a limit."""
        ports = self.ports(frame)
        ends: dict[End, Item] = {part: items[part] for part in frame.parts}
        threads = [self.thread(net, start, out, ends, ports) for net, (start, out) in self.threads[frame].items()]
        entering = [item for (_, end), item in ports.items() if end == INSIDE]
        leaving = [item for (_, end), item in ports.items() if end == OUTSIDE]
        level = ranked([*entering, *items.values(), *leaving], threads, self.forks(frame, items, threads))
        _spread(level, {items[part] for part in frame.parts if isinstance(part, Box)})
        breadth = place(level)
        length, tracks = set_along(level)
        if self.limit and not self.painter.right:
            limit = self.limit - (TITLE + PAD) * (len(self.above(frame)) - 1)
            length, breadth = wrap(level, tracks, length, breadth, limit)
            self.cuts += len(level.turns) * (len(self.above(frame)) - 0.5)
        lines = {
            (net, OUTSIDE if item.part is None else item.part): points
            for (net, item), points in ways(level, tracks).items()
        }
        laid = Laid(length, breadth, items, lines)
        for (net, end), item in ports.items():
            (laid.ins if end == INSIDE else laid.outs)[net] = item.across
        return laid

    def ports(self, frame: Frame) -> dict[tuple[Net, str], Item]:
        """Where tensors enter and leave a frame; lines across a U come from the left."""
        ports: dict[tuple[Net, str], Item] = {}
        for net, (start, ends) in sorted(self.threads[frame].items(), key=self.made):
            if start == INSIDE:
                is_across = frame in self.up and self.columns is not None and net in self.columns.nets
                ports[net, INSIDE] = Item("port", hint=FIRST - 1 if is_across else len(ports))
            if OUTSIDE in ends:
                ports[net, OUTSIDE] = Item("port", hint=len(ports))
        return ports

    def made(self, thread: tuple[Net, tuple[End, dict[End, Link]]]) -> tuple[int, int]:
        """When a tensor is made: its box, and the number of the output."""
        (_, number), (_, ends) = thread
        return self.order[next(iter(ends.values())).source], number

    def upwards(self) -> set[Part]:
        """Everything in the right column of a U."""
        found: set[Part] = set(self.columns.right) if self.columns is not None else set()
        for frame in self.frames:
            found |= set(frame.parts) if frame in found else set()
        return found

    def item(self, part: Part, number: int) -> Item:
        """A part as one item of the frame around it."""
        hint = number + (LAST if is_aux(part) else 0)
        if isinstance(part, Frame):
            laid = self.laid[part]
            item = Item("part", laid.length, laid.breadth, part, axis=laid.breadth / 2, hint=hint)
            item.ins, item.outs = laid.ins, laid.outs
            return item
        look = self.looks[part]
        size = (look.width, look.height) if self.painter.right else (look.height, look.width)
        return Item("part", *size, part, axis=look.axis, hint=hint, is_sign=look.is_sign, face=look.face)

    def thread(
        self,
        net: Net,
        start: End,
        ends: dict[End, Link],
        items: dict[End, Item],
        ports: dict[tuple[Net, str], Item],
    ) -> Thread:
        thread = Thread(net, ports[net, INSIDE] if start == INSIDE else items[start])
        for end, link in ends.items():
            item = ports[net, OUTSIDE] if end == OUTSIDE else items[end]
            side = link.side if end is link.target else "right"
            thread.targets.append(Target(item, link.main and not is_aux(end), side))
        return thread

    def forks(self, frame: Frame, items: dict[Part, Item], threads: Sequence[Thread]) -> dict[Item, Thread]:
        """For joins of branches in this frame, what the branches begin with."""
        by_net = {thread.net: thread for thread in threads}
        pairs = ((part, self.shown.axes.get(part)) for part in frame.parts if isinstance(part, Box))
        return {items[part]: by_net[net] for part, net in pairs if net in by_net}

    # The page

    def settle(self) -> None:
        """Set the place of every part, from the outside in."""
        self.corners[self.shown.root] = (0.0, 0.0)
        for frame in self.frames:
            along, across = self.corners[frame]
            for part, item in self.laid[frame].items.items():
                self.corners[part] = (along + item.along, across + item.across)

    def line(self, link: Link) -> list[Point]:
        """The points of a line, through all frames."""
        points: list[Point] = []
        for frame, end in self.pieces[link]:
            along, across = self.corners[frame]
            way = self.laid[frame].ways[link.net, end]
            points += [(along + a, across + b) for a, b in way]
        return [self.turned(point) for point in simplified(snapped(points))]

    def turned(self, point: Point) -> Point:
        """A point as x and y."""
        return point if self.painter.right else (point[1], point[0])

    def corner(self, part: Part) -> Point:
        return self.turned(self.corners[part])

    def size(self, part: Part) -> Point:
        if isinstance(part, Box):
            return self.looks[part].width, self.looks[part].height
        laid = self.laid[part]
        return (laid.length, laid.breadth) if self.painter.right else (laid.breadth, laid.length)


def _end(item: Item) -> End:
    return OUTSIDE if item.part is None else item.part


def is_aux(part: End) -> bool:
    """Whether a part is an auxiliary head, which stands beside the network."""
    scope = None if isinstance(part, str) else part.scope
    return scope is not None and isinstance(scope.node, Aux)


def _frames(root: Frame, parents: dict[Part, Frame]) -> list[Frame]:
    """All frames, outer ones first; notes which is around what."""
    found = [root]
    for frame in found:
        parents |= dict.fromkeys(frame.parts, frame)
        found += [part for part in frame.parts if isinstance(part, Frame)]
    return found


def _spread(level: Level, boxes: set[Item]) -> None:
    """Several lines into or out of a box lie beside each other; the main one is in the middle."""
    for number, edges in enumerate(level.gaps):
        for upper in (True, False):
            others = level.ranks[number + upper]
            places = {item: i for i, item in enumerate(others)}
            for item in level.ranks[number + (not upper)]:
                mine = [edge for edge in edges if (edge.upper if upper else edge.lower) is item]
                if item in boxes and not item.is_sign and len({edge.net for edge in mine}) > 1:
                    mine.sort(key=lambda edge: places[edge.lower if upper else edge.upper])
                    _spread_ports(item, mine, item.outs if upper else item.ins)


def _spread_ports(item: Item, edges: Sequence[Edge], ports: dict[Net, float]) -> None:
    nets = list(dict.fromkeys(edge.net for edge in edges if "axis" not in (edge.upper.kind, edge.lower.kind)))
    strongest = max(edges, key=lambda edge: edge.weight)
    middle = nets.index(strongest.net) if strongest.weight >= 3 and strongest.net in nets else (len(nets) - 1) / 2
    room = max(middle, len(nets) - 1 - middle, 0.5)
    step = min(22.0, (item.breadth / 2 - 8) / room)
    ports |= {net: item.axis + step * (i - middle) for i, net in enumerate(nets)}
