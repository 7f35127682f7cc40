"""The text of a box: what it computes, the layers that follow in it, its name and its output shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from archdsl.combinators import Scheme
from archdsl.diagrams import labels
from archdsl.diagrams.flow.fuse import HEADS, LIGHT, kind_of
from archdsl.diagrams.flow.program import Op, Scope
from archdsl.diagrams.flow.visible import Box
from archdsl.graph import AnyNode, Aux, Combined, Group, LayerNode, layer_nodes, walk
from archdsl.text.stack import deep

#: `title` says what is computed, `text` what else, `small` name and shape.
Role = Literal["title", "text", "small"]
Words = tuple[str, Role]
#: A folded scope lists its layers up to this number of lines.
LISTED = 6
#: A space at which no line ends.
NO_BREAK = "\u00a0"
#: The signs of sections that are not a residual: none, and that of shortcuts inside.
PLAIN = frozenset({"", "inside"})


class Section(NamedTuple):
    """A part of a folded scope: lines of text, and the sign and path of the shortcut around them, if there is one."""

    lines: list[Words]
    sign: str = ""
    path: str = ""


def layer_words(box: Box) -> list[Words]:
    """The lines of a box of layers: light ones before and after the one that it is named after."""
    ops = at_work(box.ops) or box.ops
    names = [_title(op) for op in ops]
    head = next((i for i, op in enumerate(ops) if kind_of(op) not in LIGHT), 0)
    if all(kind_of(op) in LIGHT for op in ops):
        return [(", ".join(names), "title")]
    before, after = ", ".join(names[:head]), ", ".join(names[head + 1 :])
    lines: list[Words] = [(before, "text"), (names[head], "title"), (after, "text")]
    return [line for line in lines if line[0]]


def at_work(ops: Sequence[Op]) -> list[Op]:
    """The operations without dropouts that drop nothing."""
    return [op for op in ops if not (isinstance(op.node, LayerNode) and getattr(op.node.layer, "p", 1) == 0)]


def _title(op: Op) -> str:
    if isinstance(op.node, LayerNode):
        return labels.title(op.node)
    return f"split in {len(op.makes)}" if op.step.op == "split" else op.step.op


def sections(scope: Scope) -> list[Section]:
    """What a folded scope says of its inside: its layers in order, those of a residual in a part of their own."""
    assert scope.node is not None
    found: list[Section] = []
    for node in _flat(scope.node):
        if isinstance(node, Combined) and node.combinator.shortcut and len(found) < 5:
            found.append(_residual(node))
        elif found and found[-1].sign in PLAIN:
            sign = found[-1].sign or _inner_sign(node)
            found[-1] = Section([*found[-1].lines, *_texts(_listed(node))], sign)
        else:
            found.append(Section(_texts(_listed(node)), _inner_sign(node)))
    found = [one for one in map(_merged, found) if one.lines or one.sign]
    signs = sum(one.sign not in PLAIN for one in found)
    if sum(len(one.lines) for one in found) > LISTED or signs > 2:
        return [Section(_texts(_counted(scope)), _inner_sign(scope.node))]
    return found or [Section([])]


def _residual(node: Combined) -> Section:
    body, *path = node.nodes
    lines = _listed(body) or ["identity"]
    return Section(_texts(lines), node.combinator.join.sign, " → ".join(_path(path)))


def _path(nodes: Sequence[AnyNode]) -> list[str]:
    return [line for node in nodes for line in _listed(node)] or (["projection"] if nodes else [])


def _flat(node: AnyNode) -> Iterator[AnyNode]:
    """What a scope runs one after the other, without the groups around."""
    for inner in node.nodes if isinstance(node, Group | Aux) else [node]:
        if isinstance(inner, Group) and inner.label is None:
            yield from _flat(inner)
        else:
            yield inner


@deep
def _listed(node: AnyNode) -> list[str]:
    """The layers with weights, and pools, in a line each; branches in a line each."""
    if isinstance(node, LayerNode):
        kind = labels.family(node)
        return [labels.title(node)] if kind in HEADS | {"pool", "resample", "recurrent"} else []
    inner = [_listed(one) for one in node.nodes]
    if isinstance(node, Combined) and node.combinator.scheme in {Scheme.BRANCHES, Scheme.PARTS, Scheme.CHAIN}:
        return _counted_lines([_path_text(lines) for lines in inner if lines])
    if isinstance(node, Combined) and not node.combinator.shortcut and node.combinator.scheme is Scheme.BODY:
        return [f"{node.combinator.join.sign} {_gate(node, inner[0])}"]
    return _counted_lines([line for lines in inner for line in lines])


def _path_text(lines: Sequence[str]) -> str:
    """Layers one after the other in a line that breaks only between them; of several, convolutions in few words."""
    if len(lines) == 1:
        return lines[0]
    return " → ".join(line.replace(" conv, ", ", ").replace(" ", NO_BREAK) for line in lines)


def _counted_lines(lines: Sequence[str]) -> list[str]:
    """Equal lines one after the other as one with their number."""
    return [_times(len(list(run)), line) for line, run in groupby(lines)]


def _times(count: int, line: str) -> str:
    """A line that is there several times; it may say a number already."""
    if count == 1:
        return line
    number, sign, rest = line.partition(" × ")
    if sign and number.isdigit():
        return f"{count * int(number)} × {rest}"
    return f"{count} × ({line})" if "→" in line else f"{count} × {line}"


def _gate(node: Combined, lines: Sequence[str]) -> str:
    """What multiplies a tensor, in few words."""
    if lines:
        return _path_text(lines) if len(lines) <= 3 else f"({len(lines)} layers)"
    return ", ".join([layer.kind for layer in layer_nodes(node)][:2])


def _counted(scope: Scope) -> list[str]:
    """The parts of a folded scope by their number: scopes of the same block, or layers of the same type."""
    inner = scope.scopes
    while len(inner) == 1 and not any(isinstance(item, Op) for item in scope.items):
        scope, inner = inner[0], inner[0].scopes
    kinds: dict[str, int] = {}
    if len(inner) > 1:
        for one in inner:
            kind = one.node.kind if one.node is not None else ""
            kinds[kind] = kinds.get(kind, 0) + 1
        if len(kinds) <= 3 and "group" not in kinds:
            return [f"{count} × {kind}" if count > 1 else kind for kind, count in kinds.items()]
    nodes = [op.node for op in scope.ops if isinstance(op.node, LayerNode)]
    wanted = [node.kind for node in nodes if labels.family(node) in HEADS | {"pool"}]
    counts = {kind: wanted.count(kind) for kind in dict.fromkeys(wanted)}
    most = sorted(counts, key=lambda kind: -counts[kind])[:3]
    return [", ".join(f"{counts[kind]} {kind}" for kind in most)] if most else [f"{len(nodes)} layers"]


def _inner_sign(node: AnyNode) -> str:
    """A mark of shortcuts somewhere inside."""
    return "inside" if any(map(_is_shortcut, walk(node))) else ""


def _is_shortcut(node: AnyNode) -> bool:
    """Whether a node adds an earlier tensor: a residual, or `add` with a tap."""
    if isinstance(node, Combined):
        return node.combinator.shortcut
    return isinstance(node, LayerNode) and node.kind == "add" and bool(node.operands)


def _texts(lines: Sequence[str]) -> list[Words]:
    return [(line, "text") for line in lines]


def _merged(section: Section) -> Section:
    """A section whose equal lines are one."""
    return section._replace(lines=_texts(_counted_lines([line for line, _ in section.lines])))
