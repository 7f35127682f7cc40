"""The names of boxes: in their text, and for pages and programs that look for them."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.diagrams.flow.program import Op, Scope
from archdsl.diagrams.flow.visible import Box, Frame, Part, Visible
from archdsl.graph import AnyNode, Aux, LayerNode, layer_nodes
from archdsl.shapes import Shape


def result(box: Box) -> Shape:
    """The shape of what a box makes."""
    if box.kind == "fold" and box.scope is not None and box.scope.node is not None:
        return box.scope.node.output
    return box.ops[-1].makes[0].shape if box.ops[-1].makes else box.ops[-1].node.output


def caption(box: Box) -> str:
    """The name of a layer or scope in its box; a number alone is left out where there is more to say."""
    if box.scope is None:
        node = head(box).node
        name = node.name.rpartition(".")[2]
        names = [*([] if name.isdigit() else [name]), *(["shared weights"] if _is_shared(node) else [])]
        return ", ".join(names)
    return described(box.scope, box.repeats, with_kind=box.kind == "fold")


def described(scope: Scope, repeats: Sequence[Scope], *, with_kind: bool = True) -> str:
    """A scope by its label and block: `layer1: stage`; of several, `1 to 3: bottleneck`."""
    node = scope.node
    if isinstance(node, Aux):
        return f"{scope.label}: in training only"
    name = f"{scope.label} to {repeats[-1].last_label}" if repeats else scope.label
    text = f"{name}: {scope.kind}" if with_kind and scope.kind not in {"", "group"} else name
    return f"{text}, shared weights" if node is not None and _is_shared(node) else text


def head(box: Box) -> Op:
    """The operation that a box is named after: the first one with weights."""
    return next((op for op in box.ops if isinstance(op.node, LayerNode) and _has_matrix(op.node)), box.ops[0])


def _has_matrix(node: LayerNode) -> bool:
    return any(len(tensor.shape) > 1 for tensor in node.weights.values())


def _is_shared(node: AnyNode) -> bool:
    """Whether a layer or scope runs on the weights of an earlier one."""
    layers = [layer for layer in layer_nodes(node) if layer.weights]
    return bool(layers) and all(layer.shared for layer in layers)


def frame_title(frame: Frame) -> str:
    """The text at the top of a frame."""
    text = described(frame.scope, frame.repeats)
    return f"{text}  ×{len(frame.repeats)}" if frame.repeats else text


def identify(shown: Visible) -> None:
    """Give each box a name of its own: that of its layer or scope, with what tells it from others of that name."""
    taken: dict[str, int] = {}
    for box in shown.boxes:
        name = _base(box)
        taken[name] = taken.get(name, 0) + 1
        box.id = name if taken[name] == 1 else f"{name}#{taken[name]}"


def _base(box: Box) -> str:
    if box.kind in {"input", "output"}:
        return f"{box.kind} {box.text}" if box.text != box.kind else box.kind
    if box.scope is not None:
        return box.scope.name
    op = head(box)
    if isinstance(op.node, LayerNode):
        return op.node.name or op.node.kind
    return ".".join(part for part in (op.scope.name, op.step.op) if part)


def data(part: Part) -> dict[str, str]:
    """What a page finds of a box or frame: its name, the prefix of its weights, its type, and its line in the spec.

    `layers` are those of a box by their names, `scopes` all that a box or frame stands for, if it repeats; pairs have
    a `+` between their names.
    """
    named = {"box": part.id} if isinstance(part, Box) else {"frame": part.scope.name}
    if isinstance(part, Box) and not part.ops:
        return named
    node = part.scope.node if part.scope is not None else head(part).node if isinstance(part, Box) else None
    if isinstance(part, Box) and part.kind == "output":
        return named
    found = named if node is None else {**named, "prefix": node.name, "kind": node.kind, "line": str(node.span.line)}
    if isinstance(part, Box) and part.kind != "fold":
        found["layers"] = " ".join(op.node.name for op in part.ops if isinstance(op.node, LayerNode))
    if part.repeats:
        found["scopes"] = " ".join(scope.name for scope in part.repeats)
    return found


def tooltip(box: Box) -> str:
    """The full name, type and output shape of what a box stands for."""
    if box.kind in {"input", "output"}:
        return box.id
    node = box.scope.node if box.scope is not None else head(box).node
    kind = node.kind if node is not None else ""
    return f"{box.id}: {kind}, {result(box)}"
