"""A network drawn to scale: its feature maps as blocks of their sizes, as papers print it. Made without torch."""

from __future__ import annotations

from archdsl.diagrams.volumes.columns import columns_of
from archdsl.diagrams.volumes.layout import laid_out
from archdsl.drawing import Scene
from archdsl.graph.network import Network

__all__ = ["draw_volumes"]


def draw_volumes(network: Network, depth: int | None = None) -> Scene:
    """The drawing of a network's feature maps to scale.

    Args:
        network: a network whose tensors run through one chain of maps, with shortcuts and skips past parts of it.
        depth: scopes nested more deeply than this are one block; by default as deep as fits a slide.

    Raises:
        SpecError: the network is no such chain (E856), or has more maps than a picture has room for (E857).
    """
    return laid_out(network, columns_of(network, depth))
