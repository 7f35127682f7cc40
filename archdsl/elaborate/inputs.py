"""`input(...)`: the tensors that a model takes."""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from typing import Any

from archdsl.arguments.bind import Given
from archdsl.arguments.describe import describe
from archdsl.diagnostics import Help, Located, Note, did_you_mean
from archdsl.diagnostics.codes.names import BadArgument, DuplicateName, Misplaced, UnknownArgument, WrongInput
from archdsl.elaborate.calls import arguments
from archdsl.elaborate.environment import UNKNOWN, TapValue
from archdsl.elaborate.forms import misplaced_input
from archdsl.elaborate.walk import Place, Walk, check_size
from archdsl.graph import Tap
from archdsl.shapes import InputSizes, IntegerShape, Shape
from archdsl.syntax import tree
from archdsl.text.source import Span

#: What an input cannot be called: its name is a parameter of `forward`, where these mean something else.
RESERVED = frozenset({*keyword.kwlist, "self", "torch", "nn", "getattr", "run"})
#: The element type of inputs that are integers, which is written like a function of the sizes.
INTEGERS = IntegerShape.dtype


def declare(walk: Walk, form: tree.LayerCall, place: Place) -> Shape:
    """The shape of a model's first input; named inputs become taps.

    Raises:
        Located: the statement is in the wrong place, or its sizes are wrong.
    """
    if place.chain or place.depth > 1 or walk.evaluator.has_tensor:
        raise misplaced_input(form)
    named = [one for one in form.arguments if one.declares]
    names = place.env.function.values
    names.update({str(one.name): UNKNOWN for one in named})
    try:
        check_names(named)
        given = given_sizes(walk.given_input, named, form.span)
        shapes = [_shape(walk, one.value, [one], place, one.span, given.get(str(one.name))) for one in named]
        walk.input = shapes[0] if named else _unnamed(walk, form, place, given.get(""))
    finally:
        walk.evaluator.has_tensor = True
    for one, shape in zip(named, shapes, strict=True):
        walk.taps += 1
        tap = Tap(walk.taps, str(one.name), shape)
        walk.inputs.append(tap)
        names[tap.name] = TapValue(tap)
    return walk.input


def check_names(named: Sequence[tree.Argument]) -> None:
    """Reject a name that cannot be a parameter of `forward`, or that another input has.

    Raises:
        Located: at the name.
    """
    seen: dict[str, Span] = {}
    for one in named:
        name, span = str(one.name), name_span(one)
        why = "Python reserves this name" if name in RESERVED else ""
        if not name.isidentifier() or name.startswith("_"):
            why = "expected a letter, then letters, digits and `_`"
        if why:
            raise Located(WrongInput(f"`{name}` cannot be the name of an input"), span, label=why)
        if name in seen:
            raise Located(DuplicateName("the input", name), span, notes=(Note("first defined here", seen[name]),))
        seen[name] = span


def name_span(one: tree.Argument) -> Span:
    """The place of an input's name."""
    return Span(one.span.source, one.span.start, one.span.start + len(str(one.name)))


def given_sizes(given: InputSizes | None, named: Sequence[tree.Argument], span: Span) -> Mapping[str, Sequence[int]]:
    """The sizes from outside by the inputs' names, under "" for an input without one.

    Raises:
        Located: they are for another input, or it is not said for which.
    """
    names = [str(one.name) for one in named] or [""]
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        if len(names) > 1:
            listed = ", ".join(f"`{name}`" for name in names)
            reason = f"the given size {Shape(given)} needs the name of one of the {len(names)} inputs: {listed}"
            raise Located(WrongInput(reason), span)
        return {names[0]: given}
    for name in given:
        if name not in names:
            listed = "the model's input has no name"
            if named:
                listed = "its inputs are " + ", ".join(f"`{one}`" for one in names)
            raise Located(UnknownArgument("the model", name), span, helps=did_you_mean(name, names, otherwise=listed))
    return given


def _unnamed(walk: Walk, form: tree.LayerCall, place: Place, given: Sequence[int] | None) -> Shape:
    """The shape of `input(3x224x224)`, `input(3, 224, 224)` or `input(int64(16))`."""
    for one in form.arguments:
        if one.name is not None:
            helps = (Help("`input` only takes sizes: `input(3x224x224)`, or `input(784)` for a vector"),)
            name = Span(one.span.source, one.span.start, one.span.start + len(one.name))
            raise Located(UnknownArgument("`input`", one.name), name, helps=helps)
    value = form.arguments[0].value if len(form.arguments) == 1 else None
    return _shape(walk, value, form.arguments, place, form.span, given)


def _shape(
    walk: Walk,
    value: tree.Expr | None,
    written: Sequence[tree.Argument],
    place: Place,
    span: Span,
    given: Sequence[int] | None,
) -> Shape:
    """The shape that arguments declare, or the `given` sizes; `value` is the only argument, if there is one."""
    kind: type[Shape] = Shape
    if isinstance(value, tree.Name | tree.Call) and value.name == INTEGERS:
        kind, written = IntegerShape, value.arguments if isinstance(value, tree.Call) else ()
    unnamed = [tree.Argument(None, one.value, one.span) for one in written]
    sizes = _sizes(arguments(walk, unnamed, place.env), span, scalar=kind is IntegerShape)
    shape = kind(sizes if given is None else given)
    if shape.rank > 3:
        raise Located(Misplaced(f"an input has at most three spatial axes, but {shape} has {shape.rank}"), span)
    check_size("the input", shape, span)
    return shape


def _sizes(given: Sequence[Given], span: Span, *, scalar: bool) -> Sequence[int]:
    """The sizes of `3x224x224`; none only for a `scalar`.

    Raises:
        Located: they are not sizes.
    """
    sizes: list[Any] = [one.value for one in given]
    if len(sizes) == 1 and isinstance(sizes[0], tuple | list):
        sizes = list(sizes[0])
    wrong = [size for size in sizes if isinstance(size, bool) or not isinstance(size, int) or size < 1]
    if wrong or not (sizes or scalar):
        found = describe(wrong[0]) if wrong else "nothing"
        helps = (Help("channels first: `input(3x224x224)`, or `input(784)` for a vector"),)
        raise Located(BadArgument("`input`", "size", "must be integers of at least 1", found), span, helps=helps)
    return sizes
