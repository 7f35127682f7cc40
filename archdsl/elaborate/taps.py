"""Tensors kept under names: `-> name`, `use(name)`, `output(name)`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from archdsl.arguments.bind import Given, assign
from archdsl.arguments.describe import describe
from archdsl.diagnostics import Help, Located, Note
from archdsl.diagnostics.codes.names import DuplicateName, Misplaced, WrongReuse
from archdsl.diagnostics.codes.values import WrongType
from archdsl.elaborate.environment import UNKNOWN, TapValue
from archdsl.elaborate.errors import Unknown
from archdsl.elaborate.forms import is_tap
from archdsl.elaborate.walk import Outcome, Place, Walk, known
from archdsl.graph import Tap, Use
from archdsl.layers.base import Layer, Operand
from archdsl.shapes import Shape
from archdsl.syntax import tree
from archdsl.text.record import replace
from archdsl.text.source import Span


def keep(walk: Walk, target: tree.TapTarget, outcome: Outcome, place: Place) -> Outcome:
    """Keep the current tensor under a name (`-> d1`, `-> skip[i]`), as long as its block or model lasts."""
    node, shape, _ = outcome
    tap = define(walk, target, None if node is None else shape, place, shape)
    if node is not None and tap is not None:
        node = replace(node, taps=(*node.taps, tap))
    return Outcome(node, shape)


def define(walk: Walk, target: tree.TapTarget, shape: Shape | None, place: Place, x: Shape | None) -> Tap | None:
    """A new tap of a shape, None if that is not known, under its name. `x` is the current tensor after it."""
    values = (place.env.holder(target.name) or place.env.function).values
    index = None if target.index is None else _index(walk, target, target.index, place, x)
    tap, kept = None, UNKNOWN
    if shape is not None:
        walk.taps += 1
        tap = Tap(walk.taps, target.name if index is None else f"{target.name}{index}", shape)
        kept = TapValue(tap, place.aux)
    if target.index is None:
        values[target.name] = place.env.labels.taps[target.name] = kept
    else:
        family = values.get(target.name)
        others = family if isinstance(family, dict) else {}
        walk.evaluator.count(len(others), target.span)
        values[target.name] = {**others, index: kept}
        inside = place.env.labels.taps.get(target.name)
        place.env.labels.taps[target.name] = {**(inside if isinstance(inside, dict) else {}), index: kept}
    return tap


def _index(walk: Walk, target: tree.TapTarget, index: tree.Expr, place: Place, x: Shape | None) -> object:
    """The index of a tap in its family; UNKNOWN after a mistake."""
    with walk.reporting(place):
        value: object = walk.on(x).evaluate(index, place.env)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise Located(WrongType("the index of a tap", "must be a number or a string", describe(value)), target.span)
        return value
    return UNKNOWN


def taps_of(given: Given, *, aux: bool, expected: str = "a tap") -> list[Tap]:
    """The taps of an argument: one, those of a list, or all of a family in the order in which they were first made.

    Raises:
        Located, Unknown: as `tap_of`.
    """
    value = given.value
    if not isinstance(value, list | tuple | dict):
        return [tap_of(given, aux=aux, expected=expected)]
    inner = value.values() if isinstance(value, dict) else value
    return [tap for one in inner for tap in taps_of(Given(None, one, given.span), aux=aux, expected=expected)]


def tap_of(given: Given, *, aux: bool, expected: str = "a tap") -> Tap:
    """The tap that an argument names; `aux` where it may be one that runs in training only.

    Raises:
        Located: it is something else.
        Unknown: the tap is not known after a mistake.
    """
    value = given.value
    if value is UNKNOWN:
        raise Unknown
    if not isinstance(value, TapValue):
        helps = (Help("write `-> name` after an item to define a tap"),)
        raise Located(WrongType("the argument", f"must be {expected}", describe(value)), given.span, helps=helps)
    if value.aux and not aux:
        problem = Misplaced(f"`{value.tap.name}` is defined in an `aux` body, which runs only in training")
        raise Located(problem, given.span)
    return value.tap


def taken(cls: type[Layer], given: Sequence[Given], *, aux: bool) -> tuple[tuple[Tap, ...], list[Given]]:
    """The taps among a layer's arguments, and the others. A tap given by name stays as its place among the taps.

    Raises:
        Located, Unknown: as `tap_of`.
    """
    taps: list[Tap] = []
    rest = []
    for one in given:
        if is_tap(cls, one):
            taps += taps_of(one, aux=aux, expected="a tap or a number" if cls.takes_number else "a tap")
        elif one.name in cls.tap_arguments and (one.value is UNKNOWN or isinstance(one.value, TapValue)):
            taps.append(tap_of(one, aux=aux))
            rest.append(Given(one.name, Operand(len(taps) - 1, taps[-1].shape), one.span))
        else:
            rest.append(one)
    return tuple(taps), rest


def use(form: tree.LayerCall, given: Sequence[Given], place: Place, x: Shape | None) -> Outcome:
    """`use(tap)`: the tap becomes the current tensor."""
    tap = tap_of(assign("`use`", ["tap"], ["tap"], given, form.span)["tap"], aux=place.aux)
    name, before = place.scope.path, known(x)
    return Outcome(Use(name=name, label=None, input=before, output=tap.shape, span=form.span, tap=tap), tap.shape)


def output(walk: Walk, form: tree.LayerCall, given: Sequence[Given], place: Place) -> None:
    """`output(a, [b, c], name=d, p{i}=e)`: the model returns these taps too."""
    for argument, one in zip(form.arguments, given, strict=True):
        own = one.name if argument.label is None else walk.evaluator.label(argument.label, place.env)
        for tap in [tap_of(one, aux=place.aux)] if own else taps_of(one, aux=place.aux):
            name = own or tap.name
            claim_output(walk, name, one.span, place)
            walk.outputs.append(dataclasses.replace(tap, name=name))


def claim_output(walk: Walk, name: str, span: Span, place: Place) -> None:
    """Take a name for an output of the model.

    Raises:
        Located: it is taken, or inside a part that `reuse` runs again.
    """
    if place.reusing is not None:
        label, again = place.reusing
        problem = WrongReuse(label, "it contains an output of the model")
        raise Located(problem, again, notes=(Note("this is an output", span),))
    if name == "out":
        raise Located(DuplicateName("the output", name), span, label="the model's last tensor is called `out`")
    if name in walk.output_names:
        note = Note("first defined here", walk.output_names[name])
        raise Located(DuplicateName("the output", name), span, notes=(note,))
    walk.output_names[name] = span
