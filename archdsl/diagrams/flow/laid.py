"""A frame laid out by itself: what is in it from (0, 0), along and across the flow, and the room for its edge."""

from __future__ import annotations

from dataclasses import dataclass, field

from archdsl.diagrams.flow.items import Item
from archdsl.diagrams.flow.names import frame_title
from archdsl.diagrams.flow.route import Point
from archdsl.diagrams.flow.visible import Frame, Net, Part
from archdsl.drawing.widths import text_width

#: Inside a frame's edge, and the room for its title.
PAD, TITLE = 10.0, 20.0
TITLE_SIZE = 11.0
#: Where tensors enter and leave a frame, in place of a part.
INSIDE, OUTSIDE = "in", "out"
End = Part | str


@dataclass(slots=True, eq=False)
class Laid:
    """A frame laid out.

    ways       for each tensor and part that takes it, the points of the line inside the frame
    ins, outs  where tensors enter and leave, across
    title      where the frame's title begins
    """

    length: float
    breadth: float
    items: dict[Part, Item]
    ways: dict[tuple[Net, End], list[Point]]
    ins: dict[Net, float] = field(default_factory=dict)
    outs: dict[Net, float] = field(default_factory=dict)
    title: float = 8.0

    def flip(self) -> None:
        """Turn the flow around, so that it goes up."""
        for item in self.items.values():
            item.along = self.length - item.along - item.length
        for key, points in self.ways.items():
            self.ways[key] = [(self.length - along, across) for along, across in points]

    def move(self, along: float, across: float) -> None:
        """Move everything inside."""
        for item in self.items.values():
            item.along += along
            item.across += across
        for key, points in self.ways.items():
            self.ways[key] = [(a + along, b + across) for a, b in points]
        for ports in (self.ins, self.outs):
            ports |= {net: place + across for net, place in ports.items()}

    def pad(self, frame: Frame, *, right: bool, up: bool) -> None:
        """Make room for the edge of a frame, and for its title at the top of the page."""
        if right:
            self.length = max(self.length, text_width(frame_title(frame), TITLE_SIZE) + 16)
            self.move(0, PAD + TITLE)
            self.length += 0 if self.outs else PAD
            self.breadth += TITLE + 2 * PAD
            return
        aside = self.beside_title(frame, self.outs if up else self.ins)
        self.move(TITLE, PAD + aside)
        self.lead_through(up=up)
        self.length += TITLE + (0 if (self.ins if up else self.outs) else PAD)
        self.breadth += aside + 2 * PAD

    def beside_title(self, frame: Frame, ports: dict[Net, float]) -> float:
        """What a frame needs more in breadth so that no line goes through its title, which stands left or right."""
        width = text_width(frame_title(frame), TITLE_SIZE) + 18
        first = min(ports.values(), default=self.breadth) + PAD
        last = max(ports.values(), default=0) + PAD
        left, right = max(0.0, width - first), max(0.0, width + last - self.breadth - 2 * PAD)
        if left <= right:
            self.breadth = max(self.breadth, width - left - 2 * PAD)
            return left
        self.title = last + 10
        self.breadth += right
        return 0

    def lead_through(self, *, up: bool) -> None:
        """Lines go to the edge of the frame at the side of its title."""
        for (net, end), points in self.ways.items():
            if up and end == OUTSIDE:
                points.append((0.0, points[-1][1]))
            elif not up and net in self.ins and points:
                points.insert(0, (0.0, points[0][1]))
