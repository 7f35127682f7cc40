"""The picture of a network's flow: boxes for its layers and blocks, and a line wherever a tensor goes."""

from archdsl.diagrams.flow.picture import Direction, draw_network, flow_scene

__all__ = ["Direction", "draw_network", "flow_scene"]
