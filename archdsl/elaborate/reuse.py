"""`reuse(label)`: an earlier part of the scope once more, on the same weights."""

from __future__ import annotations

from archdsl.diagnostics import Frame, Located, Note
from archdsl.diagnostics.codes.names import WrongReuse
from archdsl.elaborate.errors import Unknown
from archdsl.elaborate.forms import ANY_LABEL, no_such_part, reused_label
from archdsl.elaborate.names import Scope
from archdsl.elaborate.walk import Outcome, Place, Reusable, Walk
from archdsl.graph import AnyNode, LayerNode, layer_nodes, rebuilt
from archdsl.shapes import Shape
from archdsl.syntax import tree
from archdsl.text.record import replace


def reuse(walk: Walk, form: tree.LayerCall, place: Place, x: Shape | None) -> Outcome:
    """Expand a labelled part again on the current tensor."""
    name = reused_label(form)
    found = place.made.get(name)
    if found is None:
        if name in place.made or ANY_LABEL in place.made:
            raise Unknown
        raise no_such_part(form, place.made)
    if x is None:
        raise Unknown
    again, shape = _again(walk, name, found, place, form, x)
    if again is None or shape is None:
        raise Unknown
    reason = _other_weights(found.node, again)
    if reason is not None:
        what = f"its input was {found.node.input} and is now {x}; {reason}"
        raise Located(WrongReuse(name, what), form.span, notes=(Note("first used here", found.node.span),))
    return Outcome(_shared(again), shape)


def _again(walk: Walk, name: str, found: Reusable, place: Place, form: tree.LayerCall, x: Shape) -> Outcome:
    # Copied each time, since the item may bind names again. Taps are tensors: the newest ones count.
    env = found.env.snapshot()
    env.take_taps(place.env)
    fresh = replace(
        place,
        scope=Scope(place.scope.path),
        env=env,
        made={},
        settings=found.settings,
        chain=(*place.chain, Frame(f"`reuse({name})`", form.span)),
        reusing=place.reusing or (name, form.span),
        depth=walk.reach(place, 1, form.span),
    )
    outcome = walk.item(replace(found.item, tap=None), fresh, x)
    place.env.take_taps(env)
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
        if forms[0] != forms[1]:
            return f"`{name}` was {forms[0]} and would be {forms[1]}"
    return None


def _shared(node: AnyNode) -> AnyNode:
    """The same node, marked as running on the weights of an earlier one."""
    return rebuilt(node, _shared, shared=True)
