"""The errors for networks that are not drawn to scale."""

from __future__ import annotations

from archdsl.diagnostics import Diagnostic, Help, SpecError
from archdsl.diagnostics.codes.drawings import NoChain, TooManyVolumes
from archdsl.graph import AnyNode
from archdsl.graph.network import Network


def not_a_chain(network: Network, reason: str, node: AnyNode | None = None) -> SpecError:
    """The error (E856) for a network whose tensors do not run through one chain of maps."""
    helps = (Help("`archdsl draw network` draws every network, as boxes and arrows"),)
    place = {"span": node.span, "chain": node.chain} if node is not None else {"path": network.path}
    return SpecError([Diagnostic(NoChain(network.name, reason), helps=helps, **place)])


def too_many(network: Network, count: int, most: int, depth: int) -> SpecError:
    """The error (E857) for a network with more volumes than a picture has room for."""
    helps = (Help("fold scopes with a smaller --depth, or draw the network with `archdsl draw network`"),)
    return SpecError([Diagnostic(TooManyVolumes(network.name, count, most, depth), helps=helps, path=network.path)])
