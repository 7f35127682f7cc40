"""What flows where in a graph: the taps that cross a scope's boundary, and the values nobody would miss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from archdsl.graph import (
    AnyNode,
    Aux,
    Dense,
    Group,
    Inception,
    LayerNode,
    Residual,
    Scale,
    Split,
    Sum,
    Tap,
    Use,
    children,
    walk,
)
from archdsl.graph.network import Network


def is_scope(node: AnyNode) -> bool:
    """Whether the node is a module with modules in it."""
    return node.label is not None and not isinstance(node, LayerNode)


@dataclass(frozen=True, slots=True)
class Interface:
    """What a scope takes besides the current tensor, and returns besides it (auxiliary heads last)."""

    arguments: tuple[Tap, ...] = ()
    results: tuple[Tap, ...] = ()
    aux: tuple[Aux, ...] = ()

    @property
    def plain(self) -> bool:
        return not (self.arguments or self.results or self.aux)


@dataclass(slots=True)
class _Contents:
    """What lies inside a node: taps and auxiliary heads it defines, and taps it uses, each time it does."""

    taps: list[Tap] = field(default_factory=list)
    aux: list[Aux] = field(default_factory=list)
    uses: list[Tap] = field(default_factory=list)

    def key(self, node: AnyNode) -> tuple[str, tuple[str, ...]]:
        """The same for runs of a scope that keep the same taps."""
        return node.name, tuple(tap.name for tap in self.taps)

    def extend(self, other: _Contents) -> None:
        self.taps += other.taps
        self.aux += other.aux
        self.uses += other.uses


class Interfaces:
    """The interface of every scope of a network."""

    def __init__(self, network: Network) -> None:
        self._contents: dict[int, _Contents] = {}
        everything = self._visit(network.root)
        self.uses = Counter(tap.id for tap in [*everything.uses, *network.outputs])
        self._results: dict[tuple[str, tuple[str, ...]], list[bool]] = {}
        self._shared = {node.name for node in walk(network.root) if node.shared and is_scope(node)}
        for node in walk(network.root):
            if is_scope(node):
                self._note_results(node)

    def _visit(self, node: AnyNode) -> _Contents:
        inside = _Contents()
        for child in children(node):
            inside.extend(self._visit(child))
            inside.taps += child.taps
            if isinstance(child, Aux):
                inside.aux.append(child)
        if isinstance(node, LayerNode):
            inside.uses += node.operands
        elif isinstance(node, Use):
            inside.uses.append(node.tap)
        self._contents[id(node)] = inside
        return inside

    def _note_results(self, node: AnyNode) -> None:
        """A scope that runs more than once returns what any of its runs with the same taps has to."""
        inside = self._contents[id(node)]
        own = Counter(tap.id for tap in inside.uses)
        needed = [self.uses[tap.id] > own[tap.id] for tap in inside.taps]
        key = inside.key(node)
        before = self._results.get(key, needed)
        self._results[key] = [a or b for a, b in zip(needed, before, strict=True)]

    def of(self, node: AnyNode) -> Interface:
        """The interface of a scope. A shared one takes a tap as often as it uses it, so that all its runs agree."""
        inside = self._contents[id(node)]
        defined = {tap.id for tap in inside.taps}
        arguments = [tap for tap in inside.uses if tap.id not in defined]
        if node.name not in self._shared:
            arguments = list(dict.fromkeys(arguments))
        needed = zip(inside.taps, self._results[inside.key(node)], strict=True)
        return Interface(tuple(arguments), tuple(tap for tap, is_needed in needed if is_needed), tuple(inside.aux))


#: Modules whose output is a new tensor, of which autograd keeps nothing (it keeps their inputs).
_FRESH = frozenset(
    {
        *(f"nn.{kind}{rank}d" for kind in ("Conv", "ConvTranspose", "BatchNorm") for rank in (1, 2, 3)),
        *("nn.Linear", "nn.GroupNorm", "nn.LayerNorm"),
    }
)
_FRESH_JOINS = frozenset({"modules.Concat", "modules.Add", "modules.Mul"})
#: In place, these may draw other random numbers; they do so only where the spec asks for it.
_RANDOM = frozenset({"nn.Dropout", "nn.Dropout1d", "nn.Dropout2d", "nn.Dropout3d"})


@dataclass(eq=False, slots=True)
class _Value:
    """A tensor at run time: the scope whose code makes it, how often it is read, whether it may be overwritten."""

    scope: str
    fresh: bool
    uses: int = 0

    def disposable(self, scope: str) -> bool:
        """Whether the one operation that reads it, in `scope`, may write its result into it.

        Values from another scope are left alone, so that what a scope was given or has returned never
        changes afterwards: it can be hooked, and called by itself.
        """
        return self.fresh and self.uses == 1 and self.scope == scope


class InPlace:
    """Which layers may run in place, by name, and which residuals may add in place.

    Writing into a value is allowed where no result and no gradient can change: nothing else reads it, it
    is no view, and autograd does not keep it.
    """

    def __init__(self, network: Network, *, enabled: bool = True) -> None:
        self._taps: dict[int, _Value] = {}
        self._layers: list[tuple[LayerNode, _Value, str]] = []
        self._sums: list[tuple[Residual, _Value, str]] = []
        last = self._flow(network.root, _Value("", fresh=False), "")
        for value in (last, *(self._taps[tap.id] for tap in network.outputs)):
            value.uses += 1
        # What runs more than once is left alone: each run would have to allow it.
        shared = {node.name for node in walk(network.root) if node.shared and node.label is not None}
        layers = [(node, value, scope) for node, value, scope in self._layers if not _is_within(node.name, shared)]
        sums = [(node, value, scope) for node, value, scope in self._sums if not _is_within(scope, shared)]
        self._layer_names = {node.name for node, value, scope in layers if enabled and value.disposable(scope)}
        self._sum_ids = {id(node) for node, value, scope in sums if enabled and value.disposable(scope)}

    def layer(self, node: LayerNode) -> bool:
        return node.name in self._layer_names

    def addition(self, node: Residual) -> bool:
        return id(node) in self._sum_ids

    def _flow(self, node: AnyNode, x: _Value, scope: str) -> _Value:
        """The value behind a node, given the one before it."""
        inner = node.name if is_scope(node) else scope
        match node:
            case LayerNode():
                after = self._layer(node, x, scope)
            case Use():
                after = self._taps[node.tap.id]
            case Group():
                after = self._sequence(node.body, x, inner)
            case Residual():
                body = self._flow(node.body, x, inner)
                shortcut = x if node.shortcut is None else self._flow(node.shortcut, x, inner)
                if node.body.output == node.output:  # an addition that broadcasts the body needs new room
                    self._sums.append((node, body, inner))
                after = _joined((body, shortcut), inner)
            case Inception() | Sum():
                after = _joined([self._flow(branch, x, inner) for branch in node.branches], inner)
            case Dense():
                after = x
                for item in node.items:
                    after = _joined((after, self._flow(item, after, inner)), inner)
            case Scale():
                after = _joined((x, self._flow(node.body, x, inner)), inner)
            case Split():
                after = self._split(node, x, inner)
            case Aux():
                self._flow(node.body, x, inner).uses += 1
                after = x
            case _:
                assert_never(node)
        for tap in node.taps:
            self._taps[tap.id] = after
        return after

    def _sequence(self, body: Sequence[AnyNode], x: _Value, scope: str) -> _Value:
        for node in body:
            x = self._flow(node, x, scope)
        return x

    def _layer(self, node: LayerNode, x: _Value, scope: str) -> _Value:
        x.uses += 1
        for tap in node.operands:
            self._taps[tap.id].uses += 1
        form = node.layer.torch(node.input)
        cls = form.cls
        if node.layer.can_run_inplace and (cls not in _RANDOM or form.keywords.get("inplace")):
            self._layers.append((node, x, scope))
        fresh = cls in _FRESH or (cls in _FRESH_JOINS and bool(node.operands))
        return _Value(scope, fresh and not node.layer.saves_output)

    def _split(self, node: Split, x: _Value, scope: str) -> _Value:
        if len(node.branches) == 1:
            return self._flow(node.branches[0], x, scope)
        x.uses += 1
        return _joined([self._flow(branch, _Value(scope, fresh=False), scope) for branch in node.branches], scope)


def _joined(values: Sequence[_Value], scope: str) -> _Value:
    """Behind an addition, product or concatenation; of one value alone it is that value."""
    if len(values) == 1:
        return values[0]
    for value in values:
        value.uses += 1
    return _Value(scope, fresh=True)


def _is_within(name: str, scopes: set[str]) -> bool:
    return any(name == scope or name.startswith(f"{scope}.") for scope in scopes)
