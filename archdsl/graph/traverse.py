"""Walking a graph: the children of a node, all nodes inside one, a copy with changes, comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from archdsl.graph.nodes import (
    AnyNode,
    Aux,
    Dense,
    Group,
    Inception,
    LayerNode,
    Node,
    Residual,
    Scale,
    Split,
    Sum,
    Use,
)
from archdsl.text.record import replace
from archdsl.text.stack import deep

N = TypeVar("N", bound=Node)


def children(node: AnyNode) -> tuple[AnyNode, ...]:
    """The nodes inside a node, in execution order (a residual's body comes before its shortcut)."""
    match node:
        case LayerNode() | Use():
            return ()
        case Group():
            return node.body
        case Residual():
            return (node.body,) if node.shortcut is None else (node.body, node.shortcut)
        case Inception() | Sum() | Split():
            return node.branches
        case Dense():
            return node.items
        case Scale() | Aux():
            return (node.body,)


def rebuilt(node: N, change: Callable[[Any], Any], /, **changes: Any) -> N:
    """A copy of a node with other values in some fields, and each of its children replaced by `change(child)`."""
    new = replace(node, **changes)
    inside = vars(new)
    match node:
        case Group():
            inside["body"] = tuple([change(child) for child in node.body])
        case Dense():
            inside["items"] = tuple([change(child) for child in node.items])
        case Inception() | Sum() | Split():
            inside["branches"] = tuple([change(child) for child in node.branches])
        case Residual():
            inside["body"] = change(node.body)
            inside["shortcut"] = None if node.shortcut is None else change(node.shortcut)
        case Scale() | Aux():
            inside["body"] = change(node.body)
    return new


def walk(node: AnyNode) -> Iterator[AnyNode]:
    """The node and everything inside it, in execution order."""
    ahead = [node]
    while ahead:
        node = ahead.pop()
        yield node
        ahead += reversed(children(node))


def layer_nodes(node: AnyNode) -> Iterator[LayerNode]:
    """The layers inside a node, in execution order, shared ones each time they run."""
    return (inner for inner in walk(node) if isinstance(inner, LayerNode))


@deep
def same_graph(one: object, other: object) -> bool:
    """Whether two graphs compute the same under the same names, wherever and in whatever blocks they are written."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same_graph, one, other))
    if not isinstance(one, Node):
        return one == other
    names = [name for name in one._fields if name not in {"span", "chain", "block"}]
    return type(one) is type(other) and all(same_graph(getattr(one, name), getattr(other, name)) for name in names)
