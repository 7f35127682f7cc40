"""The checked graph: nodes, and walks over them. `archdsl.graph.network` adds the figures."""

from archdsl.graph.nodes import AnyNode, Aux, Combined, Cut, Group, LayerNode, Node, Tap, Use
from archdsl.graph.traverse import N, layer_nodes, rebuilt, same_graph, walk

__all__ = [
    "AnyNode",
    "Aux",
    "Combined",
    "Cut",
    "Group",
    "LayerNode",
    "N",
    "Node",
    "Tap",
    "Use",
    "layer_nodes",
    "rebuilt",
    "same_graph",
    "walk",
]
