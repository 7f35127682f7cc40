"""Scopes that repeat: one after the other, of the same structure and shapes, each on the results of the one before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from archdsl.diagrams.flow.program import Flow, Op, Pair, Scope
from archdsl.graph import LayerNode
from archdsl.graph.lower import Value
from archdsl.layers.dropout import StochasticDepth

#: A tensor as one of a scope: (operation, output) inside, (-1, number) of those from outside.
_Place = tuple[int, int]


class _Form(NamedTuple):
    """What scopes must have in common to be drawn once, and the tensors that come from outside."""

    structure: object
    outside: list[Value]
    ops: list[Op]


class Repeats:
    """Finds the runs of equal scopes among items."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self._forms: dict[Scope, _Form] = {}

    def runs(self, items: Sequence[Op | Scope]) -> list[list[Op | Scope]]:
        """The items in order; those that repeat are in one list, as pairs if every second one is equal."""
        found: list[list[Op | Scope]] = []
        for item in items:
            if found and self._goes_on(found[-1], item):
                found[-1].append(item)
            else:
                found.append([item])
        return self._paired(found)

    def _paired(self, runs: Sequence[list[Op | Scope]]) -> list[list[Op | Scope]]:
        """Runs in order, with pairs of scopes where pairs repeat."""
        found: list[list[Op | Scope]] = []
        i = 0
        while i < len(runs):
            pairs = self._pairs(runs[i:])
            found.append(pairs if len(pairs) > 1 else runs[i])
            i += 2 * len(pairs) if len(pairs) > 1 else 1
        return found

    def _pairs(self, runs: Sequence[Sequence[Op | Scope]]) -> list[Op | Scope]:
        """The pairs at the beginning of runs that are equal, one on the results of the other."""
        found: list[Op | Scope] = []
        for number, (one, other) in enumerate(zip(runs[::2], runs[1::2], strict=False)):
            first, second = one[0], other[0]
            if len(one) + len(other) > 2 or not isinstance(first, Scope) or not isinstance(second, Scope):
                break
            following = runs[2] if len(runs) > 2 and not number else None
            if not number and (following is None or not _equal_looks(first, following[0])):
                break
            pair = Pair(first, second)
            if found and not self._goes_on(found, pair):
                break
            found.append(pair)
        return found

    def twins(self, scopes: Sequence[Scope]) -> list[tuple[Op, Op]]:
        """Each operation of the later scopes of a run with that of the first one that stands for it."""
        first = self.form(scopes[0]).ops
        return [pair for one in scopes[1:] for pair in zip(self.form(one).ops, first, strict=True)]

    def _goes_on(self, run: Sequence[Op | Scope], item: Op | Scope) -> bool:
        """Whether a scope is one more of a run."""
        last = run[-1]
        if not isinstance(item, Scope) or not isinstance(last, Scope) or not _alike(last, item):
            return False
        if self.form(last).structure != self.form(item).structure:
            return False
        link = self._link(last, item)
        if link is None:
            return False
        return len(run) == 1 or (isinstance(run[-2], Scope) and link == self._link(run[-2], last))

    def _link(self, one: Scope, other: Scope) -> object:
        """How a scope takes the results of the one before; None where that is not the only place they go to."""
        before, after = self.form(one), self.form(other)
        places = {value: (i, j) for i, op in enumerate(before.ops) for j, value in enumerate(op.makes)}
        link = [places.get(value, value) for value in after.outside]
        shared = {i: value for i, value in enumerate(link) if isinstance(value, Value)}
        if len(shared) == len(link) or any(before.outside[i] is not value for i, value in shared.items()):
            return None
        inside = {*before.ops, *after.ops}
        gone = (reader for value in places for reader in self.flow.readers.get(value, ()))
        return None if any(reader not in inside for reader in gone) else tuple(link)

    def form(self, scope: Scope) -> _Form:
        if scope not in self._forms:
            self._forms[scope] = self._formed(scope)
        return self._forms[scope]

    def _formed(self, scope: Scope) -> _Form:
        ops = list(scope.ops)
        places: dict[Value, _Place] = {}
        outside: list[Value] = []
        structure = []
        for i, op in enumerate(ops):
            for value in op.reads:
                if value not in places:
                    places[value] = (-1, len(outside))
                    outside.append(value)
            structure.append((_operation(op), tuple([(places[value], value.shape) for value in op.reads])))
            places |= {value: (i, j) for j, value in enumerate(op.makes)}
        return _Form(tuple(structure), outside, ops)


def _alike(one: Scope, other: Scope) -> bool:
    """Whether two scopes may be equal, cheaply."""
    if isinstance(one, Pair) and isinstance(other, Pair):
        return all(map(_alike, one.scopes, other.scopes))
    a, b = one.node, other.node
    return (
        a is not None
        and b is not None
        and (a.kind, a.input, a.output, a.shared)
        == (
            b.kind,
            b.input,
            b.output,
            b.shared,
        )
    )


def _equal_looks(one: Scope, other: Op | Scope) -> bool:
    return isinstance(other, Scope) and _alike(one, other)


def _operation(op: Op) -> tuple[object, ...]:
    """What an operation computes. Deeper blocks may be dropped more often."""
    layer: object = op.node.layer if isinstance(op.node, LayerNode) else None
    if isinstance(layer, StochasticDepth):
        layer = layer.kind
    return (op.step.op, op.step.aux, op.node.shared, layer, *(value.shape for value in op.makes))
