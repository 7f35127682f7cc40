"""The changes between two aligned networks: parts that were added, removed, changed or renamed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
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
    others    the same change in these other scopes
    """

    action: Action
    old: tuple[Part, ...] = ()
    new: tuple[Part, ...] = ()
    facts: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    more: bool = False
    layers: tuple[LayerNode, ...] = ()
    around: tuple[LayerNode, ...] = ()
    repeats: tuple[tuple[str, ...], ...] = ()
    others: tuple[Change, ...] = ()

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts as the new network has them, or those that were removed."""
        return self.new or self.old

    @property
    def everywhere(self) -> tuple[Change, ...]:
        """The change in every scope."""
        return (self, *self.others)

    @property
    def old_names(self) -> list[str]:
        """The full names of the old parts in every scope; of a part without a label that of the scope around."""
        return [part.name for change in self.everywhere for part in change.old]

    @property
    def new_names(self) -> list[str]:
        """The same of the new parts."""
        return [part.name for change in self.everywhere for part in change.new]

    @property
    def count(self) -> int:
        """The number of layers in every scope together."""
        return sum(len(change.layers) for change in self.everywhere)

    @property
    def fits(self) -> bool:
        """Whether the state of the old parts fits the new ones, once its keys are renamed."""
        return all([*map(_shapes, one.old)] == [*map(_shapes, one.new)] for one in self.everywhere)

    @property
    def params(self) -> int:
        """How many parameters more the new parts have in every scope together."""
        return sum(change._own_params for change in self.everywhere)

    @property
    def _own_params(self) -> int:
        if self.action in {"added", "removed"}:
            return _params(self.layers) * (1 if self.new else -1)
        old, new = (_params(part.node for part in side) for side in (self.old, self.new))
        return new - old


def _shapes(part: Part) -> list[Shape]:
    return [tensor.shape for layer in part.layers for tensor in (layer.weights | layer.buffers).values()]


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
            scopes = list(run)
            first = len(self.changes)
            found = [self._changes_of(*pair) for pair in scopes]
            self.changes[first:] = _merged(found, tuple(new.name for _, new in scopes)) if len(scopes) > 1 else found[0]

    def _changes_of(self, old: Part, new: Part) -> list[Change]:
        """The changes of a pair, taken from the list."""
        first = len(self.changes)
        self._pair(old, new)
        found = self.changes[first:]
        del self.changes[first:]
        return found

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
    """The same for pairs of scopes with the same content, labels too; one of its own for all others."""
    old, new = pair
    is_scope = old.label is not None and not old.is_layer and old.name == new.name
    return (old.named, new.named, old.kind, new.kind) if is_scope else id(old)


def _merged(scopes: Sequence[Sequence[Change]], names: tuple[str, ...]) -> list[Change]:
    """The changes of scopes with the same content as those of the first."""
    found = []
    for same in zip(*scopes, strict=True):
        _, *others = [change for one in same for change in one.everywhere]
        found.append(replace(same[0], repeats=(names, *same[0].repeats), others=tuple(others)))
    return found


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
