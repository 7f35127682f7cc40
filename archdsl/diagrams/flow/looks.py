"""How a box looks: its size, its shapes from (0, 0), and where lines meet it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from archdsl.diagrams.flow.fuse import LIGHT, kind_of
from archdsl.diagrams.flow.names import caption, result
from archdsl.diagrams.flow.visible import Box
from archdsl.diagrams.flow.words import PLAIN, Section, Words, at_work, layer_words, sections
from archdsl.diagrams.labels import SIGNS, title
from archdsl.drawing.paths import extent
from archdsl.drawing.scene import Anchor, Circle, Group, Item, Line, Style, Text, flat
from archdsl.drawing.scene import Box as Rect
from archdsl.drawing.themes import FAMILIES
from archdsl.drawing.widths import text_width, wrapped
from archdsl.graph import Combined, LayerNode
from archdsl.graph.network import Network
from archdsl.text.record import replace

#: Sizes of text and the height of a line, in pixels.
SIZES = {"title": (12.0, 16.0), "text": (11.0, 14.0), "small": (9.5, 13.0)}
PAD_X, PAD_Y, CORNER = 9.0, 5.0, 5.0
#: A line of text is broken at this width.
WIDEST = 210.0
#: The radius of a sign, the lines to it, and how far a shortcut goes aside.
SIGN, STUB, ASIDE = 9.0, 14.0, 15.0
#: How far the boxes behind a repeated one stick out.
BEHIND = 4.0


class Look(NamedTuple):
    """A box as it is drawn.

    axis  where lines come from above, or from the left in a picture to the right
    face  where lines come from the side
    has_arrow  whether a line into it, which its shortcut leaves, is its own
    """

    width: float
    height: float
    items: Sequence[Item]
    axis: float
    face: float = 0
    is_sign: bool = False
    has_arrow: bool = False


class Painter:
    """Draws boxes. `width` is the least width of a box of layers, `right` whether the flow goes to the right."""

    def __init__(self, network: Network, width: float = 0, *, right: bool = False) -> None:
        self.network, self.width, self.right = network, width, right
        self.known: dict[tuple[Box, bool], Look] = {}

    def look(self, box: Box, *, up: bool = False) -> Look:
        """How a box looks; with `up`, where the flow goes up."""
        if (box, up) not in self.known:
            self.known[box, up] = self.drawn(box, up=up)
        return self.known[box, up]

    def drawn(self, box: Box, *, up: bool) -> Look:
        """A box as it is drawn for the first time."""
        match box.kind:
            case "input" | "output":
                return self.rectangle(self.end(box), box.kind, radius=13)
            case "sign":
                sign = self.sign(box)
                return _flipped(sign) if up and sign.is_sign else sign
            case "fold":
                return _flipped(self.folded(box)) if up else self.folded(box)
            case _:
                return self.rectangle(self.layer(box), colour(box), count=len(box.repeats))

    def layer(self, box: Box) -> list[Words]:
        below = " · ".join(part for part in (caption(box), str(result(box))) if part)
        return [*layer_words(box), (below, "small")]

    def end(self, box: Box) -> list[Words]:
        if box.kind == "input":
            return [(box.text, "title"), (str(self.network.inputs[box.text]), "small")]
        shapes = self.network.output_shapes
        return [(box.text, "title"), (str(shapes.get(box.text, self.network.output_shape)), "small")]

    # Boxes

    def rectangle(self, words: Sequence[Words], family: str, *, radius: float = CORNER, count: int = 0) -> Look:
        """A box with lines of text in the middle."""
        lines = broken(words)
        badge = f"×{count}" if count else ""
        width = max(self.width, breadth(lines) + 2 * PAD_X) + (text_width(badge, 12, bold=True) if badge else 0)
        height = tall(lines) + 2 * PAD_Y
        items = _rectangle(0, 0, width, height, family, radius, count)
        items += _lines(lines, width / 2, PAD_Y)
        if badge:
            items.append(Text(width - 5, 14, badge, 12, "end", bold=True))
        extra = BEHIND if badge else 0
        return Look(width + extra, height + extra, items, self.across(width, height) / 2)

    def across(self, width: float, height: float) -> float:
        return height if self.right else width

    def sign(self, box: Box) -> Look:
        """A circle with the sign of a join, and the layers after it in a box below."""
        op = box.ops[0]
        text = op.node.combinator.join.sign if isinstance(op.node, Combined) else SIGNS[op.node.kind]
        if len(text) > 1 or len(set(op.reads)) > 3:
            return self.pill(box, text)
        items = [Group(_circle(SIGN, SIGN, text))]
        return self.with_layers(box, Look(2 * SIGN, 2 * SIGN, items, SIGN, SIGN, is_sign=True))

    def with_layers(self, box: Box, sign: Look) -> Look:
        """A sign with the layers after it, such as the activation of a residual block."""
        words = ", ".join(title(op.node) for op in at_work(box.ops[1:]) if isinstance(op.node, LayerNode))
        if not words:
            return sign
        width, height, line = text_width(words, 11) + 2 * PAD_X, 20.0, 8.0
        across = max(height if self.right else width, 2 * SIGN)
        middle = across / 2
        start = 2 * SIGN + line
        turned = [(2 * SIGN, middle), (start, middle)]
        x, y = (start, middle - height / 2) if self.right else (middle - width / 2, start)
        moved = Group(sign.items, *((0, middle - SIGN) if self.right else (middle - SIGN, 0)))
        items: list[Item] = [
            moved,
            Line([self.turned(point) for point in turned], Style(stroke="line", width=1.3)),
            Group(
                [
                    *_rectangle(x, y, width, height, "activation", CORNER, 0),
                    Text(x + width / 2, y + height / 2 + 4, words, 11, "middle"),
                ]
            ),
        ]
        size = (start + width, across) if self.right else (across, start + height)
        return Look(*size, items, middle, SIGN, is_sign=True)

    def turned(self, point: tuple[float, float]) -> tuple[float, float]:
        """A point along and across the flow as x and y."""
        return point if self.right else (point[1], point[0])

    def pill(self, box: Box, text: str) -> Look:
        after = [title(op.node) for op in at_work(box.ops[1:]) if isinstance(op.node, LayerNode)]
        op = box.ops[0]
        words: list[Words] = [(", ".join([text, *after]), "text"), (str(result(box)), "small")]
        look = self.rectangle(words, "join", radius=9)
        wanted = 22.0 * len(set(op.reads)) + 24
        if self.right or look.width >= wanted:
            return look
        return Painter(self.network, wanted).rectangle(words, "join", radius=9)

    # Folded scopes

    def folded(self, box: Box) -> Look:
        """A scope in one box, or in one for each residual, with its shortcut around it."""
        assert box.scope is not None
        found = sections(box.scope)
        lines = [broken(section.lines) for section in found]
        lines[0] = [*broken([(caption(box), "title")]), *lines[0]]
        lines[-1] = [*lines[-1], (str(result(box)), "small")]
        aside = any(section.sign == "inside" for section in found)
        badge = text_width(f"×{len(box.repeats)}", 12, bold=True) + 8 if box.repeats else 0
        width = max(self.width, *(breadth(one) + 2 * PAD_X for one in lines)) + badge + (22 if aside else 0)
        return _Stack(self, box, width).draw(found, lines)


class _Stack:
    """The sections of a folded scope one after the other, along the flow."""

    def __init__(self, painter: Painter, box: Box, width: float) -> None:
        self.painter, self.box, self.width = painter, box, width
        self.right = painter.right
        self.along, self.beyond = 0.0, 0.0
        self.items: list[Item] = []

    def draw(self, found: Sequence[Section], lines: Sequence[Sequence[Words]]) -> Look:
        heights = [tall(one) + 2 * PAD_Y for one in lines]
        self.middle = (max(heights) if self.right else self.width) / 2
        for number, (section, words) in enumerate(zip(found, lines, strict=True)):
            if section.sign not in PLAIN:
                self.residual(section, words, number)
            else:
                if number:
                    self.line([(self.along, self.middle), (self.along + STUB, self.middle)])
                    self.along += STUB
                self.rectangle(section, words, number)
        breadth = max(2 * self.middle, self.beyond) + (BEHIND if self.box.repeats else 0)
        has_arrow = found[0].sign not in PLAIN
        length = self.along + (BEHIND if self.box.repeats and len(found) == 1 and not has_arrow else 0)
        size = (length, breadth) if self.right else (breadth, length)
        return Look(*size, self.items, self.middle, has_arrow=has_arrow)

    def rectangle(self, section: Section, words: Sequence[Words], number: int) -> None:
        """The box of a section, which begins at `along`."""
        height = tall(words) + 2 * PAD_Y
        x, y = (self.along, self.middle - height / 2) if self.right else (self.middle - self.width / 2, self.along)
        count = len(self.box.repeats) if not number else 0
        items = _rectangle(x, y, self.width, height, "scope", CORNER, count)
        inner = self.width - (22 if section.sign == "inside" else 0)
        items += _lines(words, x + inner / 2, y + PAD_Y)
        if section.sign == "inside":
            items += _mark(x + self.width - 17, y + height / 2)
        if count:
            items.append(Text(x + inner - 6, y + 15, f"×{count}", 12, "end", bold=True))
        self.items.append(Group(items))
        self.along += self.width if self.right else height

    def residual(self, section: Section, words: Sequence[Words], number: int) -> None:
        """A section with its shortcut from the line before to the sign after it."""
        start = self.along + 4
        self.line([(self.along, self.middle), (self.along + STUB, self.middle)])
        self.along += STUB
        self.rectangle(section, words, number)
        self.line([(self.along, self.middle), (self.along + STUB, self.middle)])
        meet = self.along + STUB + SIGN
        half = (tall(words) + 2 * PAD_Y if self.right else self.width) / 2
        aside = self.middle + half + ASIDE
        around = [(start, self.middle), (start, aside), (meet, aside), (meet, self.middle + SIGN)]
        self.line(around, dashed=bool(section.path))
        self.sign(meet, section.sign)
        self.along = meet + SIGN
        self.beyond = max(self.beyond, aside + 2)
        self.path(section.path, (start + meet) / 2, aside)

    def sign(self, along: float, sign: str) -> None:
        x, y = (along, self.middle) if self.right else (self.middle, along)
        self.items.append(Group(_circle(x, y, sign)))

    def path(self, path: str, along: float, aside: float) -> None:
        """The layers of a shortcut, beside its line."""
        if not path:
            return
        lines = wrapped(path, 64 if not self.right else 120, 9.5)
        top = (aside if self.right else along - 6.5 * len(lines)) + 10
        anchor: Anchor
        x, anchor = (along, "middle") if self.right else (aside + 5, "start")
        texts = [Text(x, top + 13 * i, line, 9.5, anchor, colour="soft") for i, line in enumerate(lines)]
        self.items.append(Group(texts))
        widest = max(text_width(line, 9.5) for line in lines)
        self.beyond = max(self.beyond, aside + (13 * len(lines) + 4 if self.right else widest + 7))

    def line(self, points: Sequence[tuple[float, float]], *, dashed: bool = False) -> None:
        turned = [point if self.right else (point[1], point[0]) for point in points]
        self.items.append(Line(turned, Style(stroke="line", width=1.3, dashed=dashed), arrow=True, corner=6))


def _flipped(look: Look) -> Look:
    """A look whose flow goes up: the same blocks of text, from the last one to the first."""
    items = [_mirrored(item, look.height) for item in look.items]
    return look._replace(items=items, face=look.height - look.face)


def _mirrored(item: Item, height: float) -> Item:
    """An item of a look that goes up; groups are moved as they are."""
    if isinstance(item, Line):
        return replace(item, points=[(x, height - y) for x, y in item.points])
    low, high = _reach(item)
    return Group([item], 0, height - low - high)


def _reach(item: Item) -> tuple[float, float]:
    """Where an item begins and ends, from the top."""
    found = [extent(shape) for shape in flat([item])]
    return min(one.top for one in found), max(one.bottom for one in found)


def _mark(x: float, y: float) -> list[Item]:
    """A small shortcut with its sign: there are some inside."""
    style = Style(stroke="line", width=1.2)
    return [
        Line([(x, y - 11), (x + 10, y - 11), (x + 10, y + 8), (x + 5, y + 8)], style, corner=5),
        Line([(x, y - 13), (x, y + 3)], style),
        Circle(x, y + 8, 5, Style(fill="join", stroke="join-edge")),
        Text(x, y + 11.5, "+", 9.5, "middle", bold=True),
    ]


def _circle(x: float, y: float, sign: str) -> list[Item]:
    circle = Circle(x, y, SIGN, Style(fill="join", stroke="join-edge"))
    return [circle, Text(x, y + 5, sign, 14, "middle", bold=True)]


def _rectangle(x: float, y: float, width: float, height: float, family: str, radius: float, count: int) -> list[Item]:
    """A box, with another one behind it if it repeats."""
    style = Style(fill=family, stroke=f"{family}-edge")
    behind: list[Item] = [Rect(x + BEHIND, y + BEHIND, width, height, style, radius)] if count else []
    return [*behind, Rect(x, y, width, height, style, radius)]


def _lines(lines: Sequence[Words], x: float, y: float) -> list[Item]:
    items: list[Item] = []
    for text, role in lines:
        size, height = SIZES[role]
        colour = "soft" if role == "small" else "ink"
        items.append(Text(x, y + height / 2 + 0.36 * size, text, size, "middle", role == "title", colour))
        y += height
    return items


def broken(words: Sequence[Words]) -> list[Words]:
    """Lines that are too long in several."""
    return [
        (part, role) for text, role in words for part in wrapped(text, WIDEST, SIZES[role][0], bold=role == "title")
    ]


def breadth(lines: Sequence[Words]) -> float:
    """The width of the longest line."""
    return max((text_width(text, SIZES[role][0], bold=role == "title") for text, role in lines), default=0)


def tall(lines: Sequence[Words]) -> float:
    """The height of lines."""
    return sum(SIZES[role][1] for _, role in lines)


def colour(box: Box) -> str:
    """The family of the layer that a box is named after."""
    kinds = [kind_of(op) for op in box.ops]
    head = next((kind for kind in kinds if kind not in LIGHT), kinds[0])
    return head if head in FAMILIES["light"] else "other"
