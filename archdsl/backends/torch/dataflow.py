"""Dataflow of a network: the taps that cross the boundaries of scopes, and the tensors that may be overwritten."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from archdsl.combinators.join import ADD
from archdsl.graph import AnyNode, Aux, LayerNode, walk
from archdsl.graph.lower import JOINS, Program, Step, Value, is_scope
from archdsl.graph.network import Network
from archdsl.layers.base import TorchForm


@dataclass(frozen=True, slots=True)
class Interface:
    """The arguments and results of a scope besides the current tensor (auxiliary heads last).

    Arguments and results are taps, as the values of their `keep` steps.
    """

    arguments: tuple[Value, ...] = ()
    results: tuple[Value, ...] = ()
    aux: tuple[Aux, ...] = ()

    @property
    def plain(self) -> bool:
        return not (self.arguments or self.results or self.aux)


@dataclass(slots=True)
class _Contents:
    """The taps and auxiliary heads that a scope defines, and the taps that it reads, once for each time."""

    name: str
    taps: list[Value] = field(default_factory=list)
    aux: list[Aux] = field(default_factory=list)
    uses: list[Value] = field(default_factory=list)

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

    def extend(self, other: _Contents) -> None:
        self.taps += other.taps
        self.aux += other.aux
        self.uses += other.uses


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
        return Interface(tuple(arguments), tuple(results), tuple(inside.aux))


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


#: Modules whose output is a new tensor that autograd does not keep (it keeps their inputs).
_FRESH = frozenset(
    {
        *(f"nn.{kind}{rank}d" for kind in ("Conv", "ConvTranspose", "BatchNorm") for rank in (1, 2, 3)),
        *("nn.Linear", "nn.GroupNorm", "nn.LayerNorm", "modules.Concat", "modules.Add", "modules.Mul"),
    }
)
#: In place, these may draw other random numbers, so they run in place only where the spec asks for it.
_RANDOM = frozenset({"nn.Dropout", "nn.Dropout1d", "nn.Dropout2d", "nn.Dropout3d"})


def in_place(network: Network, forms: Mapping[Step, TorchForm]) -> set[Step]:
    """The layers and joins that write their result into their first input.

    They may where it changes no result and no gradient: nothing else reads the tensor, it is not a view, and
    autograd does not keep it. Tensors from another scope are left alone too, so that the arguments and results
    of a scope never change afterwards: it can be hooked, and called by itself.
    """
    operations = network.program.operations
    reads = Counter(value.source for step in operations for value in step.inputs)
    # Modules that run more than once are left alone: each run would have to allow it.
    reused = {node.name for node in walk(network.root) if node.shared and node.label is not None}
    fresh: set[Value] = set()
    found = set()
    for step in operations:
        tensor = step.inputs[0].source
        disposable = tensor in fresh and reads[tensor] == 1 and tensor.scope == step.scope
        if disposable and _can_overwrite(step, forms) and not _is_within(step, reused):
            found.add(step)
        if _makes_fresh(step, forms):
            fresh.update(step.outputs)
    return found


def _can_overwrite(step: Step, forms: Mapping[Step, TorchForm]) -> bool:
    if isinstance(step.node, LayerNode):
        form = forms[step]
        wanted = form.cls not in _RANDOM or bool(form.keywords.get("inplace"))
        return wanted and step.node.layer.can_run_inplace
    if step.op != ADD.name:  # autograd needs neither term of a sum
        return False
    first, result = step.inputs[0], step.outputs[0]
    # A sum that broadcasts its first term needs new memory.
    return first.slot is result.slot and first.shape == result.shape


def _makes_fresh(step: Step, forms: Mapping[Step, TorchForm]) -> bool:
    if isinstance(step.node, LayerNode):
        return forms[step].cls in _FRESH and not step.node.layer.saves_output
    return step.op in JOINS


def _is_within(step: Step, scopes: set[str]) -> bool:
    name = step.node.name if step.op == "layer" else step.scope
    return any(name == scope or name.startswith(f"{scope}.") for scope in scopes)
