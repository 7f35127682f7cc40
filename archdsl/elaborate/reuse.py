"""`reuse(label)`: an earlier part of the scope once more, on the same weights."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.diagnostics import Frame, Located, Note
from archdsl.diagnostics.codes.names import WrongReuse
from archdsl.elaborate.environment import Environment, Labels
from archdsl.elaborate.errors import Unknown
from archdsl.elaborate.names import Scope
from archdsl.elaborate.parts import holder_of, no_such_part, reused_labels
from archdsl.elaborate.statements import label_of
from archdsl.elaborate.walk import Outcome, Part, Place, Walk
from archdsl.graph import AnyNode, Group, LayerNode, layer_nodes, rebuilt
from archdsl.shapes import Shape
from archdsl.syntax import tree
from archdsl.text.record import replace


def reuse(walk: Walk, form: tree.LayerCall, place: Place, x: Shape | None) -> Outcome:
    """Expand a labelled part again on the current tensor."""
    labels = reused_labels(form)
    path = [label_of(walk, one, place, x) for one in labels]
    scope, found = _part(walk, path, labels, place)
    if x is None:
        raise Unknown
    name = ".".join(path)
    again, shape, _ = _again(walk, name, scope, found, place, form, x)
    if again is None or shape is None:
        raise Unknown
    reason = _other_weights(found.node, again)
    if reason is not None:
        what = f"its input was {found.node.input} and is now {x}; {reason}"
        raise Located(WrongReuse(name, what), form.span, notes=(Note("first used here", found.node.span),))
    return Outcome(_shared(again), shape)


def _part(walk: Walk, path: Sequence[str], labels: Sequence[tree.Label], place: Place) -> tuple[Labels, Part]:
    """The part that a path leads to, and the scope of its label.

    Raises:
        Located: there is no such part.
        Unknown: it is not known after a mistake.
    """
    scope = holder_of(place.env.labels, path[0], labels[0].span)
    for i, (name, label) in enumerate(zip(path, labels, strict=True)):
        if name not in scope.parts:
            raise no_such_part(name, label.span, scope.parts, path[i - 1])
        part = scope.parts[name]
        if part is None:
            raise Unknown
        if i < len(path) - 1:
            scope = _inside(walk, scope, part, place) or Labels(scope.function)
    return scope, part


def _inside(walk: Walk, scope: Labels, part: Part, place: Place) -> Labels | None:
    """The labels in a part. A block that was copied from an earlier call is expanded for them."""
    if part.labels is None and isinstance(part.node, Group):
        layers = walk.layers
        where = _where(part, scope, place)
        walk.item(replace(part.item, tap=None), replace(where, anew=True), part.node.input)
        walk.layers = layers
        _take_labels(part, scope, where.env)
    found: Labels | None = scope.parts[_label(part)].labels
    return found


def _label(part: Part) -> str:
    return part.node.name.rpartition(".")[2]


def _where(part: Part, scope: Labels, place: Place) -> Place:
    """The place of a part, with a scope of its own in which it may be made again."""
    env = part.env.snapshot()
    env.labels = Labels(scope.function, scope)
    return replace(place, scope=Scope(part.node.name.rpartition(".")[0]), env=env, settings=part.settings)


def _take_labels(part: Part, scope: Labels, env: Environment) -> None:
    """Keep the labels of the newest run of a part."""
    label = _label(part)
    newest = env.labels.parts.get(label)
    if newest is not None:
        scope.parts[label] = part._replace(labels=newest.labels)


def _again(walk: Walk, name: str, scope: Labels, part: Part, place: Place, form: tree.LayerCall, x: Shape) -> Outcome:
    # Copied each time, since the item may bind names again. Taps are tensors: the newest ones count.
    where = _where(part, scope, place)
    own = scope.function is place.env.labels.function
    newest = place.env if own else scope.function
    where.env.take_taps(newest)
    fresh = replace(
        where,
        chain=(*place.chain, Frame(f"`reuse({name})`", form.span)),
        reusing=place.reusing or (name, form.span),
        depth=walk.reach(place, 1, form.span),
    )
    outcome = walk.item(replace(part.item, tap=None), fresh, x)
    newest.take_taps(where.env)
    _take_labels(part, scope, where.env)
    return outcome


def _stateful(node: AnyNode) -> dict[str, LayerNode]:
    """The layers of a node that have weights or buffers, by their names."""
    return {inner.name: inner for inner in layer_nodes(node) if inner.weights or inner.buffers}


def _other_weights(first: AnyNode, again: AnyNode) -> str | None:
    """Why a part cannot run on the weights of its first run; None if it can.

    Layers without weights may change with the input; those with weights must stay the same module.
    """
    before = _stateful(first)
    for name, node in _stateful(again).items():
        same = before.get(name)
        if same is None:
            return f"`{name}` ({node.kind}) was not there"
        found, wanted = (one.weights | one.buffers for one in (same, node))
        for key in [*found, *wanted]:
            if found.get(key) != wanted.get(key):
                sizes = [f"{one[key].shape}" if key in one else "nothing" for one in (found, wanted)]
                return f"`{node.key(key)}` was {sizes[0]} and would be {sizes[1]}"
        forms = [one.layer.torch(one.input) for one in (same, node)]
        if same.parametrization != node.parametrization:
            return f"the parametrization of `{name}` was {same.parametrization} and would be {node.parametrization}"
        if forms[0] != forms[1]:
            return f"`{name}` was {forms[0]} and would be {forms[1]}"
    return None


def _shared(node: AnyNode) -> AnyNode:
    """The same node, marked as running on the weights of an earlier one."""
    return rebuilt(node, _shared, shared=True)
