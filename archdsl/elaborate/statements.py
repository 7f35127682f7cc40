"""The statements of a body: loops, conditions, `let`, settings, labels and taps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, assert_never

from archdsl.elaborate.environment import UNKNOWN
from archdsl.elaborate.expansions import key_of_setting
from archdsl.elaborate.expressions import unpack
from archdsl.elaborate.names import check_label
from archdsl.elaborate.parts import written_label
from archdsl.elaborate.settings import SETTINGS, Settings, require_setting
from archdsl.elaborate.walk import Place, Walk
from archdsl.graph import AnyNode
from archdsl.shapes import Shape
from archdsl.syntax import tree
from archdsl.text.record import replace
from archdsl.text.stack import deep

#: What a body does with an item on the current tensor; returns the next tensor.
Step = Callable[[tree.Item, Place, Shape | None], Shape | None]


def sequence(walk: Walk, body: tree.Body, place: Place, x: Shape | None, nodes: list[AnyNode]) -> Shape | None:
    """Run the items of a body one after the other: appends their nodes, returns the last shape."""

    def step(item: tree.Item, where: Place, x: Shape | None) -> Shape | None:
        node, shape, _ = walk.item(item, where, x)
        if node is not None:
            nodes.append(node)
        return shape

    return run(walk, body, place, x, step)


def branches(walk: Walk, body: tree.Body, place: Place, starts: Sequence[Shape | None]) -> tuple[list[AnyNode], bool]:
    """The nodes of the items of a body, each on its start or all on the only one; and whether all shapes are known."""
    nodes: list[AnyNode] = []
    shapes: list[Shape | None] = []
    missing = walk.missing

    def start() -> Shape | None:
        """Where the next item starts; one that could not be parsed had its own."""
        return starts[min(len(shapes) + walk.missing - missing, len(starts) - 1)]

    def step(item: tree.Item, where: Place, before: Shape | None) -> Shape | None:
        node, shape, _ = walk.item(item, where, start())
        if node is not None:
            nodes.append(node)
        shapes.append(shape)
        return start()

    run(walk, body, place, starts[0], step)
    return nodes, None not in shapes and walk.missing == missing


def _run(walk: Walk, body: tree.Body, place: Place, x: Shape | None, step: Step) -> Shape | None:
    """Run the statements of a body from the tensor `x` on. Its names and settings end with it."""
    place = replace(place, env=place.env.child(), depth=walk.reach(place, 1, body.span))
    for statement in body.statements:
        match statement:
            case tree.Item():
                x = step(statement, place, x)
            case tree.Let():
                _let(walk, statement, place, x)
            case tree.Setting():
                place = replace(place, settings=_setting(walk, statement, place, x))
            case tree.For():
                x = _loop(walk, statement, place, x, step)
            case tree.If():
                x = _condition(walk, statement, place, x, step)
            case tree.Require():
                _require(walk, statement, place, x)
            case tree.Missing():  # most likely an item
                place.scope.positions += 1
                walk.missing += 1
                x = None
            case _:
                assert_never(statement)
    return x


#: The same for the body of an item, in which there may be many others.
run = deep(_run)


def _let(walk: Walk, statement: tree.Let, place: Place, x: Shape | None) -> None:
    """Bind names, again where the block has them; those whose value is wrong are unknown afterwards."""
    bound: Mapping[str, Any] = {one.name: UNKNOWN for one in tree.names_of(statement.targets)}
    with walk.reporting(place):
        value = walk.on(x).evaluate(statement.value, place.env)
        bound = unpack(statement.targets, value, statement.value.span)
    place.env.bind(bound)


def _setting(walk: Walk, statement: tree.Setting, place: Place, x: Shape | None) -> Settings:
    """The settings after `init = ...` or `defaults = ...`, which hold for the blocks called there too."""
    with walk.reporting(place):
        if statement.name not in SETTINGS:
            place.env.values.setdefault(statement.name, UNKNOWN)
        require_setting(statement)
        value = walk.on(x).evaluate(statement.value, place.env, constructs=statement.name == "init")
        walk.evaluator.weigh(value, statement.value.span)
        key = key_of_setting(statement, value, place.settings)
        if key not in walk.known_settings:
            walk.known_settings[key] = place.settings.changed(statement, value)
        return walk.known_settings[key]
    return place.settings


def _require(walk: Walk, statement: tree.Require, place: Place, x: Shape | None) -> None:
    """Keep the requirements of a model."""
    from archdsl.elaborate.requirements import evaluated, require_model

    with walk.reporting(place):
        require_model(statement, block=bool(place.blocks))
        for written in statement.requirements:
            with walk.reporting(place):
                walk.requirements.append(evaluated(written, walk.on(x), place.env))


def _loop(walk: Walk, statement: tree.For, place: Place, x: Shape | None, step: Step) -> Shape | None:
    """Run a loop's body once for each value."""
    with walk.reporting(place):
        for value in walk.on(x).values(statement.values, place.env):
            walk.evaluator.step(statement.span)
            inner = replace(place, env=place.env.child())
            inner.env.values |= unpack(statement.targets, value, statement.values.span)
            x = _run(walk, statement.body, inner, x, step)
        return x
    forget(statement.body, place)
    return None


def _condition(walk: Walk, statement: tree.If, place: Place, x: Shape | None, step: Step) -> Shape | None:
    """Run the branch that is taken."""
    chosen: tree.Body | tree.If | None = statement
    levels = 0
    with walk.reporting(place):
        while isinstance(chosen, tree.If):
            levels += 1
            walk.reach(place, levels, chosen.span)
            test = walk.on(x).boolean(chosen.test, place.env, "the condition")
            chosen = chosen.body if test else chosen.otherwise
        return x if chosen is None else _run(walk, chosen, place, x, step)
    forget([statement.body, statement.otherwise], place)
    return None


def forget(node: object, place: Place) -> None:
    """Make unknown the names that a part would have bound if a mistake had not kept it from running."""
    for inner in tree.nodes(node):
        match inner:
            case tree.Let():
                known = (one.name for one in tree.names_of(inner.targets) if place.env.holder(one.name))
                place.env.bind(dict.fromkeys(known, UNKNOWN))
            case tree.TapTarget():
                (place.env.holder(inner.name) or place.env.function).values[inner.name] = UNKNOWN
                place.env.labels.taps[inner.name] = UNKNOWN
            case tree.Label():
                place.env.labels.parts.setdefault(written_label(inner), None)


def label_of(walk: Walk, label: tree.Label, place: Place, x: Shape | None) -> str:
    """A label with its expressions evaluated."""
    name = walk.on(x).label(label, place.env)
    check_label(name, label.span)
    return name
