"""The changes between two aligned networks: parts that were added, removed, changed or renamed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from math import prod
from typing import Literal

from archdsl.diff.align import Pair, align
from archdsl.diff.parts import Part
from archdsl.graph import AnyNode, LayerNode
from archdsl.shapes import Shape
from archdsl.text.stack import deep

Action = Literal["added", "removed", "changed", "renamed"]


@dataclass(frozen=True)
class Change:
    """One change, or the same one of several parts beside each other.

    old, new  the parts of each side, as many as the change has; those that were added have no `old`
    facts     for a changed part, what differs: the value on each side, None where there is none
    more      whether both sides have further parts of that kind beside it
    layers    the layers inside; those that are on both sides under the same name (as where a `residual` was put around
              them) do not count
    around    the layers of the other side that it has inside
    repeats   the scopes in which it is the same, the outermost first: the names of the one where it is, and of those
              after it
    """

    action: Action
    old: tuple[Part, ...] = ()
    new: tuple[Part, ...] = ()
    facts: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    more: bool = False
    layers: tuple[LayerNode, ...] = ()
    around: tuple[LayerNode, ...] = ()
    repeats: tuple[tuple[str, ...], ...] = ()

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts as the new network has them, or those that were removed."""
        return self.new or self.old

    @property
    def times(self) -> int:
        """In how many scopes it is the same."""
        return prod(map(len, self.repeats))

    @property
    def fits(self) -> bool:
        """Whether the state of the old parts fits the new ones, once its keys are renamed."""
        return [_shapes(part) for part in self.old] == [_shapes(part) for part in self.new]

    @property
    def params(self) -> int:
        """How many parameters more the new parts have, all repeats together."""
        old, new = (_params(part.node for part in side) for side in (self.old, self.new))
        if self.action in {"added", "removed"}:
            old, new = (_params(self.layers) if side else 0 for side in (self.old, self.new))
        return self.times * (new - old)


def _shapes(part: Part) -> list[Shape]:
    return [tensor.shape for layer in part.layers for tensor in layer.layer.state(layer.input).values()]


def _params(nodes: Iterable[AnyNode]) -> int:
    """The parameters of layers; those that run on the weights of others have none."""
    own = (node for node in nodes if isinstance(node, LayerNode) and not node.shared)
    return sum(tensor.numel for node in own for tensor in node.weights.values())


class Alignment:
    """The parts of two networks that belong together.

    changes  in the order of the networks
    layers   the pairs of layers
    """

    def __init__(self, old: Part, new: Part) -> None:
        self.changes: list[Change] = []
        self.layers: list[tuple[LayerNode, LayerNode]] = []
        self._pair(old, new)

    # The walk

    @deep
    def _pair(self, old: Part, new: Part) -> None:
        """Compare two parts that belong together, and what is inside."""
        first = len(self.changes)
        facts = _different(old, new)
        if facts:
            self.changes.append(Change("changed", (old,), (new,), facts))
        elif old.name != new.name and old.has_state and _is_outermost(old, new):
            self.changes.append(Change("renamed", (old,), (new,)))
        if isinstance(old.node, LayerNode) and isinstance(new.node, LayerNode):
            self.layers.append((old.node, new.node))
        pairs = align(old.parts, new.parts)
        kinds = Counter(one.kind for one, other in pairs if one and other and one.kind == other.kind)
        for action, run in groupby(pairs, key=_action):
            if action is None:
                self._pairs([(one, other) for one, other in run if one and other])
            else:
                self.changes += _runs(action, list(run), kinds)
        self.changes[first:] = self._without_moved(self.changes[first:])

    def _pairs(self, pairs: Sequence[tuple[Part, Part]]) -> None:
        """Compare pairs in sequence; what is the same in several scopes beside each other is one change."""
        for _, run in groupby(pairs, key=_content):
            (old, new), *others = run
            first = len(self.changes)
            self._pair(old, new)
            found = self.changes[first:]
            for pair in others:
                self._pair(*pair)
            if others and found:
                names = (new.name, *(other.name for _, other in others))
                self.changes[first:] = [replace(one, repeats=(names, *one.repeats)) for one in found]

    # Layers that are in other parts now

    def _without_moved(self, changes: list[Change]) -> list[Change]:
        """Changes without the layers that were both removed and added under the same name: these are the same."""
        old, new = (_by_name(changes, action) for action in ("removed", "added"))
        both = {key: (old[key], new[key]) for key in old if key in new}
        if not both:
            return changes
        self.layers += both.values()
        moved = {id(layer) for pair in both.values() for layer in pair}
        found = [change for one in changes for change in _without(one, moved)]
        for one, other in both.values():
            keys: dict[Hashable, int] = {}
            parts = (Part(one, (), keys), Part(other, (), keys))
            if facts := _different(*parts):
                found.append(Change("changed", parts[:1], parts[1:], facts))
        return found


def _action(pair: Pair) -> Literal["added", "removed"] | None:
    return "added" if pair[0] is None else "removed" if pair[1] is None else None


def _content(pair: tuple[Part, Part]) -> Hashable:
    """The same for pairs of scopes with the same content, labels and weights too; one of its own for all others."""
    old, new = pair
    is_scope = old.label is not None and not old.is_layer and old.name == new.name
    if not is_scope or old.named == new.named:
        return id(old)
    return (old.named, new.named, old.kind, new.kind, *_shapes(old), None, *_shapes(new))


def _runs(action: Literal["added", "removed"], pairs: Sequence[Pair], kinds: Mapping[str, int]) -> Iterator[Change]:
    """The parts of a stretch, those of the same kind together, if they are scopes."""
    parts = [old or new for old, new in pairs]
    runs = [
        list(run) for _, run in groupby(filter(None, parts), key=lambda part: id(part) if part.is_layer else part.kind)
    ]
    for run in runs:
        layers = tuple(layer for part in run for layer in part.layers)
        change = Change(action, more=kinds[run[0].kind] > 0 and not run[0].is_layer, layers=layers)
        yield replace(change, old=tuple(run)) if action == "removed" else replace(change, new=tuple(run))


def _different(old: Part, new: Part) -> dict[str, tuple[str | None, str | None]]:
    """What defines the two parts where it differs; another layer type has other arguments anyway."""
    if old.key == new.key:
        return {}
    kinds = (old.node.kind, new.node.kind)
    # The model's own name is no part of it.
    facts: dict[str, tuple[str | None, str | None]] = {"": kinds} if kinds[0] != kinds[1] and new.name else {}
    if type(old.node) is type(new.node) and (kinds[0] == kinds[1] or not old.is_layer):
        names = dict.fromkeys([*old.facts, *new.facts])
        values = {name: (old.facts.get(name), new.facts.get(name)) for name in names}
        facts |= {name: pair for name, pair in values.items() if pair[0] != pair[1]}
    return facts


def _is_outermost(old: Part, new: Part) -> bool:
    """Whether the label itself differs, not only that of a scope around."""
    return old.label != new.label


def _by_name(changes: Sequence[Change], action: Action) -> dict[tuple[str, str], LayerNode]:
    """The layers inside parts that were added or removed, by their names and kinds."""
    found = [layer for change in changes if change.action == action for layer in change.layers]
    return {(layer.name, layer.kind): layer for layer in found}


def _without(change: Change, moved: set[int]) -> Iterator[Change]:
    """A change less the layers that are on the other side too; nothing if these were all of it."""
    layers = tuple(layer for layer in change.layers if id(layer) not in moved)
    around = tuple(layer for layer in change.layers if id(layer) in moved)
    is_gone = around and not layers and all(part.is_layer for part in change.parts)
    if not is_gone:
        yield replace(change, layers=layers, around=around)
