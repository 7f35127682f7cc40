"""The text of a box: what it computes, the layers that follow in it, its name and its output shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from archdsl.combinators import Scheme
from archdsl.diagrams import labels
from archdsl.diagrams.flow.fuse import HEADS, LIGHT, kind_of
from archdsl.diagrams.flow.program import Op, Scope
from archdsl.diagrams.flow.visible import Box
from archdsl.graph import AnyNode, Aux, Combined, Group, LayerNode, layer_nodes
from archdsl.text.stack import deep

#: `title` says what is computed, `text` what else, `small` name and shape.
Role = Literal["title", "text", "small"]
Words = tuple[str, Role]
#: A folded scope lists its layers up to this number of lines.
LISTED = 6


class Section(NamedTuple):
    """A part of a folded scope: lines of text, and the sign and path of the shortcut around them, if there is one."""

    lines: list[Words]
    sign: str = ""
    path: str = ""


def layer_words(box: Box) -> list[Words]:
    """The lines of a box of layers: light ones before and after the one that it is named after."""
    names = [_title(op) for op in box.ops]
    head = next((i for i, op in enumerate(box.ops) if kind_of(op) not in LIGHT), 0)
    if all(kind_of(op) in LIGHT for op in box.ops):
        return [(", ".join(names), "title")]
    before, after = ", ".join(names[:head]), ", ".join(names[head + 1 :])
    lines: list[Words] = [(before, "text"), (names[head], "title"), (after, "text")]
    return [line for line in lines if line[0]]


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
        elif found and not found[-1].sign:
            found[-1].lines.extend((line, "text") for line in _listed(node))
        else:
            found.append(Section([(line, "text") for line in _listed(node)]))
    found = [one for one in found if one.lines or one.sign]
    signs = sum(bool(one.sign) for one in found)
    if sum(len(one.lines) for one in found) > LISTED or signs > 2:
        return [Section([(line, "text") for line in _counted(scope)], "inside" if signs else _inner_sign(scope))]
    return found or [Section([])]


def _residual(node: Combined) -> Section:
    body, *path = node.nodes
    lines = _listed(body) or ["identity"]
    return Section([(line, "text") for line in lines], node.combinator.join.sign, " → ".join(_path(path)))


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
    if isinstance(node, Combined) and node.combinator.scheme in {Scheme.BRANCHES, Scheme.PARTS}:
        return [" → ".join(lines) for lines in inner if lines]
    if isinstance(node, Combined) and not node.combinator.shortcut and node.combinator.scheme is Scheme.BODY:
        return [f"{node.combinator.join.sign} {_gate(node, inner[0])}"]
    return [line for lines in inner for line in lines]


def _gate(node: Combined, lines: Sequence[str]) -> str:
    """What multiplies a tensor, in few words."""
    return node.label or (lines[0] if len(lines) == 1 else f"({len(lines)} layers)")


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


def _inner_sign(scope: Scope) -> str:
    """A mark of shortcuts somewhere inside."""
    inside = any(isinstance(op.node, Combined) and op.node.combinator.shortcut for op in scope.ops)
    return "inside" if inside else ""


def parameters(box: Box) -> int:
    """The parameters of what a box stands for, once if it repeats."""
    nodes = [op.node for op in box.ops if isinstance(op.node, LayerNode) and not op.node.shared]
    return sum(tensor.numel for node in nodes for layer in layer_nodes(node) for tensor in layer.weights.values())
