"""Dataflow of a network: the taps that cross the boundaries of scopes."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from archdsl.graph import AnyNode, Aux, layer_nodes
from archdsl.graph.lower import Program, Step, Value, is_scope


@dataclass(frozen=True, slots=True)
class Interface:
    """The arguments and results of a scope besides the current tensor (auxiliary heads last).

    Arguments and results are taps, as the values of their `keep` steps. `modules` are names of modules outside the
    scope that run in it again, arguments too.
    """

    arguments: tuple[Value, ...] = ()
    results: tuple[Value, ...] = ()
    aux: tuple[Aux, ...] = ()
    modules: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        return not (self.arguments or self.results or self.aux or self.modules)


@dataclass(slots=True)
class _Contents:
    """The taps and auxiliary heads that a scope defines, and the taps that it reads, once for each time.

    `again` are the nodes with weights that run in it again.
    """

    name: str
    taps: list[Value] = field(default_factory=list)
    aux: list[Aux] = field(default_factory=list)
    uses: list[Value] = field(default_factory=list)
    again: list[AnyNode] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """Equal for two runs of a scope that define the same taps."""
        return self.name, tuple(tap.slot.name for tap in self.taps)

    def read(self, step: Step) -> None:
        """Add a step of this scope's own code."""
        if step.op == "keep":
            self.taps += step.outputs
        elif step.op == "use":
            self.uses += step.inputs
        elif step.op == "layer":
            self.uses += step.inputs[1:]
        elif step.op == "exit" and isinstance(step.node, Aux):
            self.aux.append(step.node)
        if step.op in ("layer", "exit") and step.node.shared and has_state(step.node):
            self.again.append(step.node)

    def extend(self, other: _Contents) -> None:
        self.taps += other.taps
        self.aux += other.aux
        self.uses += other.uses
        self.again += [one for one in other.again if not is_within(one.name, other.name)]

    @property
    def modules(self) -> tuple[str, ...]:
        """The names of the modules outside that run in it again, each once."""
        return tuple(dict.fromkeys(one.name for one in self.again if not is_within(one.name, self.name)))


def is_within(name: str, scope: str) -> bool:
    """Whether a part is in a scope, however deep."""
    return not scope or name.startswith(f"{scope}.")


def has_state(node: AnyNode) -> bool:
    """Whether a node has weights or buffers."""
    return any(layer.weights or layer.buffers for layer in layer_nodes(node))


class Interfaces:
    """The interface of every scope of a network.

    uses  how often each tap is read by layers, by `use` and as an output of the model
    """

    def __init__(self, program: Program) -> None:
        root, self._contents = _contents(program)
        self.uses = Counter([*root.uses, *program.outputs[1:]])
        self._shared = {step.node.name for step in program.steps if step.op == "enter" and step.node.shared}
        # A scope that runs more than once returns every tap that one of its runs has to.
        self._returned: dict[tuple[str, tuple[str, ...]], set[int]] = defaultdict(set)
        for inside in self._contents.values():
            own = Counter(inside.uses)
            needed = {i for i, tap in enumerate(inside.taps) if self.uses[tap] > own[tap]}
            self._returned[inside.key] |= needed

    def of(self, node: AnyNode) -> Interface:
        """The interface of a scope. A shared one has a parameter for each time it reads a tap."""
        inside = self._contents[id(node)]
        arguments = [tap for tap in inside.uses if tap not in inside.taps]
        if node.name not in self._shared:
            arguments = list(dict.fromkeys(arguments))
        results = [inside.taps[i] for i in sorted(self._returned[inside.key])]
        return Interface(tuple(arguments), tuple(results), tuple(inside.aux), inside.modules)


def _contents(program: Program) -> tuple[_Contents, dict[int, _Contents]]:
    """The contents of the whole network, and of each scope by its node's id."""
    around = [_Contents("")]
    contents: dict[int, _Contents] = {}
    for step in program.steps:
        if step.op == "enter" and is_scope(step.node):
            around.append(_Contents(step.node.name))
        elif step.op == "exit" and is_scope(step.node):
            contents[id(step.node)] = inside = around.pop()
            around[-1].extend(inside)
        around[-1].read(step)
    return around[0], contents
