"""The picture of a network as SVG: boxes for its parts from top to bottom, lines for the tensors between them.

Scopes nested deeper than `depth` are one box. Everything is laid out in one pass from the graph, without torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import assert_never

from archdsl.combinators import Scheme
from archdsl.graph import AnyNode, Aux, Combined, Cut, Group, LayerNode, Use, layer_nodes
from archdsl.graph.network import Network
from archdsl.text.stack import deep
from archdsl.view.rows import humanised

#: Sizes in pixels.
BOX_WIDTH, BOX_HEIGHT, GAP, MARGIN, SIDE = 190, 34, 22, 16, 26
FRAME_TITLE = 18
MAX_TITLE = 28

#: A fill for each family of layers; the frame's is the page's own.
FILLS = {
    "conv": "#cfe2f9",
    "linear": "#d9d2f0",
    "pool": "#f9d9d4",
    "norm": "#dcefd9",
    "join": "#f4e6c3",
    "scope": "#e6e9ee",
    "other": "#f3f4f6",
}
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1c2733; }
.small { font-size: 10.5px; fill: #55606d; }
.box { stroke: #8793a1; rx: 5px; }
.frame { fill: none; stroke: #b7c0ca; stroke-dasharray: 4 3; rx: 8px; }
.line { fill: none; stroke: #68737f; marker-end: url(#arrow); }
.plain { fill: none; stroke: #68737f; }
"""


@dataclass(slots=True)
class _Drawing:
    """A part laid out from (0, 0): its size, the place where its lines enter and leave, and its elements."""

    width: float
    height: float
    axis: float
    elements: list[str] = field(default_factory=list)

    def at(self, x: float, y: float) -> str:
        """The elements moved to a place."""
        return f'<g transform="translate({x:g} {y:g})">{"".join(self.elements)}</g>'


def draw_network(network: Network, depth: int = 2) -> str:
    """An SVG document of the network; scopes deeper than `depth` are one box each."""
    parts = [_beside_each_other([_label_box(name, str(shape), "scope") for name, shape in network.inputs.items()])]
    parts += [_draw(node, depth) for node in network.root.nodes]
    outputs = ", ".join(str(shape) for shape in network.output_shapes.values())
    parts.append(_label_box("output", outputs, "scope"))
    body = _stack(parts)
    width, height = body.width + 2 * MARGIN, body.height + 2 * MARGIN
    arrow = (
        '<marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#68737f"/></marker>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(network.name)}">'
        f"<style>{STYLE}</style><defs>{arrow}</defs>{body.at(MARGIN, MARGIN)}</svg>"
    )


@deep
def _draw(node: AnyNode, depth: int) -> _Drawing:
    """A node with its children, or one box where it is nested too deeply."""
    if isinstance(node, LayerNode):
        return _layer_box(node)
    if node.label is not None and depth <= 1:
        box = _scope_box(node)
        return _aside(box) if isinstance(node, Aux) else box
    inner = depth if node.label is None else depth - 1
    drawing = _inside(node, inner)
    if node.label is None or isinstance(node, Aux):
        return drawing
    kept = "".join(f" → {tap.name}" for tap in node.taps)
    return _framed(drawing, f"{node.label}: {node.kind}{kept}")


def _inside(node: AnyNode, depth: int) -> _Drawing:
    match node:
        case LayerNode():
            return _layer_box(node)
        case Use():
            return _label_box(f"use {node.tap.name}", str(node.output), "join")
        case Group():
            return _stack([_draw(inner, depth) for inner in node.nodes])
        case Combined():
            return _combined(node, [_draw(inner, depth) for inner in node.nodes])
        case Cut():
            names = ", ".join(tap.name for tap in node.parts)
            return _label_box(f"chunk → {names}", str(node.output), "join")
        case Aux():
            return _aside(_framed(_draw(node.body, depth), f"{node.output_name}: in training only"))
        case _:
            assert_never(node)


def _combined(node: Combined, parts: Sequence[_Drawing]) -> _Drawing:
    """The parts of a combinator with the lines that split and join them."""
    sign = node.combinator.join.sign
    match node.combinator.scheme:
        case Scheme.BODY:
            return _beside(parts[0], parts[1] if len(parts) > 1 else None, sign)
        case Scheme.BRANCHES | Scheme.PARTS:
            return _branches(parts, sign)
        case Scheme.CHAIN:
            return _stack([_beside(part, None, sign) for part in parts])
        case _:
            assert_never(node.combinator.scheme)


# Boxes


def _layer_box(node: LayerNode) -> _Drawing:
    name = node.name.rpartition(".")[2]
    title = node.kind if name.isdigit() else f"{name}: {node.kind}"
    taken = "".join(f" ← {tap.name}" for tap in node.operands)
    kept = "".join(f" → {tap.name}" for tap in node.taps)
    return _label_box(title + taken, f"{node.output}{kept}", _family(node.kind))


def _family(kind: str) -> str:
    for word in ("conv", "linear", "pool", "norm"):
        if word in kind:
            return word
    return "join" if kind in {"concat", "add", "mul"} else "other"


def _scope_box(node: AnyNode) -> _Drawing:
    params = sum(tensor.numel for layer in layer_nodes(node) for tensor in layer.weights.values())
    figures = f"{node.output} · {humanised(params)} parameters" if params else str(node.output)
    kept = "".join(f" → {tap.name}" for tap in node.taps)
    return _label_box(f"{node.label}: {node.kind}", figures + kept, "scope")


def _label_box(title: str, below: str, family: str) -> _Drawing:
    short = title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE - 1]}…"
    middle = BOX_WIDTH / 2
    elements = [
        f'<g><title>{escape(title)} {escape(below)}</title><rect class="box" width="{BOX_WIDTH}" '
        f'height="{BOX_HEIGHT}" fill="{FILLS[family]}"/>',
        f'<text x="{middle}" y="14" text-anchor="middle">{escape(short)}</text>',
        f'<text class="small" x="{middle}" y="28" text-anchor="middle">{escape(below)}</text></g>',
    ]
    return _Drawing(BOX_WIDTH, BOX_HEIGHT, middle, elements)


# Layout


def _stack(parts: Sequence[_Drawing]) -> _Drawing:
    """One below the other, their axes in one line."""
    parts = [part for part in parts if part.height]
    if not parts:
        return _Drawing(0, 0, 0)
    axis = max(part.axis for part in parts)
    width = axis + max(part.width - part.axis for part in parts)
    elements, y = [], 0.0
    for number, part in enumerate(parts):
        if number:
            elements.append(_line([(axis, y), (axis, y + GAP)]))
            y += GAP
        elements.append(part.at(axis - part.axis, y))
        y += part.height
    return _Drawing(width, y, axis, elements)


def _beside_each_other(parts: Sequence[_Drawing]) -> _Drawing:
    """Side by side; the line goes on from the first one."""
    first = parts[0]
    elements, x = [], 0.0
    for part in parts:
        elements.append(part.at(x, 0))
        x += part.width + GAP
    return _Drawing(x - GAP, max(part.height for part in parts), first.axis, elements)


def _beside(body: _Drawing, shortcut: _Drawing | None, sign: str) -> _Drawing:
    """A body with a line past it, or another path, and the sign where the two meet."""
    top, bottom = GAP * 0.75, GAP * 1.4
    right = body.width + SIDE + (shortcut.axis if shortcut else 0)
    height = top + max(body.height, shortcut.height if shortcut else 0) + bottom
    meet = height - 9
    elements = [
        _line([(body.axis, 0), (body.axis, top)]),
        body.at(0, top),
        _line([(body.axis, top + body.height), (body.axis, meet - 9)]),
        _line([(body.axis, top / 2), (right, top / 2), (right, top)], arrow=shortcut is not None),
    ]
    foot = top
    if shortcut:
        elements.append(shortcut.at(right - shortcut.axis, top))
        foot = top + shortcut.height
    elements += [_line([(right, foot), (right, meet), (body.axis + 10, meet)]), _sign(body.axis, meet, sign)]
    width = right + (shortcut.width - shortcut.axis if shortcut else MARGIN)
    return _Drawing(width, height, body.axis, elements)


def _branches(parts: Sequence[_Drawing], sign: str) -> _Drawing:
    """Side by side, from one line into one sign."""
    top, bottom = GAP, GAP * 1.6
    tallest = max(part.height for part in parts)
    height = top + tallest + bottom
    width = sum(part.width for part in parts) + GAP * (len(parts) - 1)
    axis, meet = width / 2, height - 9
    elements, x = [], 0.0
    for part in parts:
        middle = x + part.axis
        elements += [
            _line([(axis, 0), (axis, top / 2), (middle, top / 2), (middle, top)]),
            part.at(x, top),
            _line([(middle, top + part.height), (middle, meet - 12), (axis, meet - 12), (axis, meet - 9)], arrow=False),
        ]
        x += part.width + GAP
    return _Drawing(width, height, axis, [*elements, _sign(axis, meet, sign)])


def _aside(body: _Drawing) -> _Drawing:
    """A body to the right of the main line: its result is an output of the model."""
    left = 2 * SIDE
    elements = [
        _line([(0, 0), (0, body.height + GAP)], arrow=False),
        _line([(0, GAP / 2), (left + body.axis, GAP / 2), (left + body.axis, GAP)]),
        body.at(left, GAP),
    ]
    return _Drawing(left + body.width, body.height + GAP, 0, elements)


def _framed(inner: _Drawing, title: str) -> _Drawing:
    """A dashed frame with the scope's name around a drawing."""
    width = max(inner.width, 7 * len(title)) + 2 * MARGIN
    height = inner.height + FRAME_TITLE + 2 * MARGIN
    left = (width - inner.width) / 2
    axis = left + inner.axis
    top = FRAME_TITLE + MARGIN
    elements = [
        f'<rect class="frame" width="{width:g}" height="{height:g}"/>',
        f'<text class="small" x="8" y="14">{escape(title)}</text>',
        _line([(axis, 0), (axis, top)], arrow=False),
        inner.at(left, top),
        _line([(axis, top + inner.height), (axis, height)], arrow=False),
    ]
    return _Drawing(width, height, axis, elements)


def _line(points: Sequence[tuple[float, float]], *, arrow: bool = True) -> str:
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f'<polyline class="{"line" if arrow else "plain"}" points="{path}"/>'


def _sign(x: float, y: float, sign: str) -> str:
    if len(sign) == 1:
        shape = f'<circle class="box" cx="{x:g}" cy="{y:g}" r="9" fill="{FILLS["join"]}"/>'
    else:
        shape = f'<rect class="box" x="{x - 26:g}" y="{y - 9:g}" width="52" height="18" fill="{FILLS["join"]}"/>'
    return f'{shape}<text x="{x:g}" y="{y + 4:g}" text-anchor="middle">{sign}</text>'
