"""Whether a network takes an input: its steps run on shapes, or its spec expanded again."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from archdsl.diagnostics import Problem
from archdsl.diagnostics.codes.sizes import OtherWeights
from archdsl.elaborate.modules import Module, load_module
from archdsl.elaborate.run import Run, choose
from archdsl.graph.network import Network
from archdsl.graph.nodes import LayerNode
from archdsl.graph.replay import Expanded, Replay
from archdsl.shapes import Shape
from archdsl.text.record import Record
from archdsl.text.source import Source, Span


class Fault(Record):
    """Why a network does not take an input.

    part     the layer or combinator as the state_dict names it, or as it is written where that is not known
    kind     its type, if it is known
    span     its place
    problem  what is wrong
    """

    part: str
    kind: str
    span: Span | None
    problem: Problem


class Subject:
    """A network that is asked for other inputs.

    expands  whether its spec had to be expanded again, because its expressions read sizes
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.expands = False
        self._replay = Replay(network)

    def fault(self, inputs: Mapping[str, Shape]) -> Fault | None:
        """Why the network does not take these inputs with the same weights; None if it does.

        Raises:
            Refine, Opaque: the inputs are families of sizes, and the answer is not found for all at once.
        """
        try:
            found = self._replay.run(list(inputs.values()))
        except Expanded:
            self.expands = True
            return self._expanded(inputs)
        if found is None:
            return None
        node, problem = found
        kind = node.layer.kind if isinstance(node, LayerNode) else node.kind
        return Fault(node.name, kind, node.span, problem)

    def at(self, inputs: Mapping[str, Shape]) -> Network:
        """The spec expanded for inputs that the network takes."""
        return self._run(inputs).network

    @cached_property
    def _module(self) -> Module:
        path = Path(self.network.path or "<string>")
        return load_module(Source(self.network.path, self.network.spec), path)

    def _run(self, inputs: Mapping[str, Shape]) -> Run:
        sizes = dict(inputs) if self.network.named_inputs else next(iter(inputs.values()))
        settings = self.network.settings
        run = Run(self._module, choose(self._module, self.network.name, settings), sizes, settings)
        run.elaborator.most_errors = 1
        run.elaborator.state = self.network.state
        return run

    def _expanded(self, inputs: Mapping[str, Shape]) -> Fault | None:
        run = self._run(inputs)
        other = run.network
        if run.diagnostics:
            first = run.diagnostics[0]
            return Fault(_written(first.span), "", first.span, first.problem)
        gone = self.network.state.keys() - other.state.keys()
        if gone:
            key = min(gone)
            return Fault(key, "", None, OtherWeights(key, "nothing", str(self.network.state[key].shape)))
        return None


def _written(span: Span | None) -> str:
    return "" if span is None else span.text.partition("\n")[0][:40]
