"""Walks over a graph: all nodes inside one, a copy with changes, comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from archdsl.graph.nodes import AnyNode, LayerNode, Node
from archdsl.text.record import replace
from archdsl.text.stack import deep

N = TypeVar("N", bound=Node)


def rebuilt(node: N, change: Callable[[Any], Any], /, **changes: Any) -> N:
    """A copy of a node with other values in some fields, and each node inside replaced by `change(inner)`."""
    return replace(node, nodes=tuple([change(inner) for inner in node.nodes]), **changes)


def walk(node: AnyNode) -> Iterator[AnyNode]:
    """The node and everything inside it, in execution order."""
    ahead = [node]
    while ahead:
        node = ahead.pop()
        yield node
        ahead += reversed(node.nodes)


def layer_nodes(node: AnyNode) -> Iterator[LayerNode]:
    """The layers inside a node, in execution order, shared ones each time they run."""
    return (inner for inner in walk(node) if isinstance(inner, LayerNode))


def prefixes(name: str) -> Iterator[str]:
    """`a`, `a.b` and `a.b.c` of `a.b.c`."""
    parts = name.split(".") if name else []
    return (".".join(parts[: i + 1]) for i in range(len(parts)))


@deep
def same_graph(one: object, other: object) -> bool:
    """Whether two graphs compute the same under the same names, wherever and in whatever blocks they are written."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same_graph, one, other))
    if not isinstance(one, Node):
        return one == other
    names = [name for name in one._fields if name not in {"span", "chain", "block"}]
    return type(one) is type(other) and all(same_graph(getattr(one, name), getattr(other, name)) for name in names)
