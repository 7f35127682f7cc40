"""The part of a network that some of its inner tensors need: a graph with these tensors as outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from archdsl.graph.lower import Program, lower
from archdsl.graph.network import Network, receptive_fields
from archdsl.graph.nodes import AnyNode, Aux, Cut, Group, LayerNode, Tap, Use
from archdsl.graph.traverse import walk
from archdsl.shapes.receptive_field import ReceptiveField
from archdsl.text.record import replace
from archdsl.text.stack import deep


class Features(NamedTuple):
    """A graph that ends with the last of the wanted tensors, its steps, and these tensors by name."""

    root: Group
    program: Program
    outputs: tuple[Tap, ...]

    @property
    def fields(self) -> dict[str, ReceptiveField]:
        """The receptive field of each tensor, in the first input that it depends on."""
        fields = dict(receptive_fields(self.program))
        return {
            tap.name: fields[value.source] for tap, value in zip(self.outputs, self.program.outputs[1:], strict=True)
        }


def features_of(network: Network, names: Mapping[str, str]) -> Features:
    """The graph that computes the tensors `names`, each under the name that it is mapped to.

    A name is that of a layer or a part, whose output in its first run is meant, or of a tap; see `feature_names`.
    """
    nodes = {node.name: node for node in reversed(_inner(network.root))}
    taps = {tap.name: tap for node in reversed([network.root, *_inner(network.root)]) for tap in _defined(node)}
    added: dict[int, Tap] = {}
    outputs = []
    for number, (name, output) in enumerate(names.items()):
        if name in nodes:
            tap = Tap(-1 - number, output, nodes[name].output)
            added[id(nodes[name])] = tap
        else:
            tap = dataclasses.replace(taps[name], name=output)
        outputs.append(tap)
    root = _tapped(network.root, added)
    needed = {tap.id for tap in outputs}
    kept = _needed(root, needed, current=False)
    assert isinstance(kept, Group)
    return Features(kept, lower(kept, outputs, network.named_inputs), tuple(outputs))


def feature_names(network: Network) -> list[str]:
    """The names that `features_of` takes: parts and layers in execution order, then the taps."""
    inner = _inner(network.root)
    names = [node.name for node in inner] + [tap.name for node in [network.root, *inner] for tap in _defined(node)]
    return list(dict.fromkeys(names))


def _inner(root: Group) -> list[AnyNode]:
    """The nodes with a name of their own, in execution order. Auxiliary heads run in training only: they have none."""
    found: list[AnyNode] = []
    ahead: list[AnyNode] = list(reversed(root.nodes))
    while ahead:
        node = ahead.pop()
        if not isinstance(node, Aux):
            found += [node] if isinstance(node, LayerNode) or node.label is not None else []
            ahead += reversed(node.nodes)
    return found


def _defined(node: AnyNode) -> tuple[Tap, ...]:
    return (*node.taps, *node.parts) if isinstance(node, Cut) else node.taps


@deep
def _tapped(node: AnyNode, added: Mapping[int, Tap]) -> AnyNode:
    """The node with a tap more where there is one for it, and without auxiliary heads."""
    inner = tuple(_tapped(one, added) for one in node.nodes if not isinstance(one, Aux))
    own = (added[id(node)],) if id(node) in added else ()
    return replace(node, nodes=inner, taps=(*node.taps, *own))


@deep
def _needed(node: AnyNode, needed: set[int], *, current: bool) -> AnyNode:
    """What of a node is needed for the taps `needed`, and where `current` for its output; adds the taps that it reads.

    Only sequences are cut: of a combinator all items are kept.
    """
    if not isinstance(node, Group):
        needed |= {tap.id for one in walk(node) for tap in _read(one)}
        return node
    current = current or any(tap.id in needed for tap in node.taps)
    kept: list[AnyNode] = []
    for inner in reversed(node.nodes):
        if current or any(tap.id in needed for one in walk(inner) for tap in _defined(one)):
            kept.append(_needed(inner, needed, current=current))
            current = not isinstance(inner, Use)
    kept.reverse()
    return replace(node, nodes=tuple(kept), output=kept[-1].output if kept else node.input)


def _read(node: AnyNode) -> tuple[Tap, ...]:
    if isinstance(node, Use):
        return (node.tap,)
    return node.operands if isinstance(node, LayerNode) else ()
