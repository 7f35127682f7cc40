"""The checked graph: nodes, and walks over them. `archdsl.graph.network` adds the figures."""

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
    Tap,
    Use,
)
from archdsl.graph.traverse import N, children, layer_nodes, rebuilt, same_graph, walk

__all__ = [
    "AnyNode",
    "Aux",
    "Dense",
    "Group",
    "Inception",
    "LayerNode",
    "N",
    "Node",
    "Residual",
    "Scale",
    "Split",
    "Sum",
    "Tap",
    "Use",
    "children",
    "layer_nodes",
    "rebuilt",
    "same_graph",
    "walk",
]
