"""Binds the arguments of a call to parameters, and to the fields of typed classes, with every error at its place.

Layers, initializers, functions, combinators, blocks and the constructs of a recipe all take their arguments as Python's
functions do: positions first, then names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from archdsl.arguments.describe import describe
from archdsl.arguments.values import Construct
from archdsl.diagnostics import Help, Located, did_you_mean
from archdsl.diagnostics.codes.names import (
    BadArgument,
    MissingArgument,
    RepeatedArgument,
    TooManyArguments,
    UnknownArgument,
)
from archdsl.diagnostics.codes.shapes import ArgumentConflict
from archdsl.diagnostics.located import name_in
from archdsl.shapes.symbolic import is_symbolic
from archdsl.text.source import Span

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Given:
    """An argument with its value. `name` is None for one by position."""

    name: str | None
    value: Any
    span: Span


class Bound(NamedTuple):
    """Arguments by the names of their parameters, and what is wrong with the others."""

    arguments: dict[str, Given]
    errors: list[Located]


def given_of(construct: Construct, span: Span) -> list[Given]:
    """The arguments of a construct, each at its own place or, where that is not known, at `span`."""
    positional = [Given(None, one, construct.places.get(i, span)) for i, one in enumerate(construct.args)]
    return positional + [Given(key, one, construct.places.get(key, span)) for key, one in construct.kwargs.items()]


def bind(
    what: str,
    names: Sequence[str],
    required: Sequence[str],
    given: Sequence[Given],
    span: Span,
    extra: Sequence[str] = (),
) -> Bound:
    """The arguments by parameter, with an error for each that is unknown, repeated, surplus or missing.

    Positions fill `names` in order; `extra` names are given by name only.
    """
    bound = Bound({}, [])
    positional = [one for one in given if one.name is None]
    if len(positional) > len(names):
        problem = TooManyArguments(what, len(names), len(positional))
        bound.errors.append(Located(problem, positional[len(names)].span))
    filled = iter(names)
    for one in given:
        name = next(filled, None) if one.name is None else one.name
        if name is None:
            continue
        if one.name is not None and name not in names and name not in extra:
            bound.errors.append(_unknown(what, name, [*names, *extra], one.span))
        elif name in bound.arguments:
            bound.errors.append(Located(RepeatedArgument(what, name), one.span))
        else:
            bound.arguments[name] = one
    missing = [f"`{name}`" for name in required if name not in bound.arguments]
    if missing:
        bound.errors.append(Located(MissingArgument(what, " and ".join(missing)), span))
    return bound


def _unknown(what: str, name: str, known: Sequence[str], span: Span) -> Located:
    takes = "it takes " + (", ".join(f"`{one}`" for one in known) or "no arguments")
    return Located(UnknownArgument(what, name), name_in(span, name), helps=did_you_mean(name, known, span, takes))


def assign(
    what: str,
    names: Sequence[str],
    required: Sequence[str],
    given: Sequence[Given],
    span: Span,
    extra: Sequence[str] = (),
) -> dict[str, Given]:
    """The same arguments as of `bind`.

    Raises:
        Located: the first that is unknown, repeated, surplus or missing.
    """
    bound = bind(what, names, required, given, span, extra)
    if bound.errors:
        raise bound.errors[0]
    return bound.arguments


@cache
def _fields(cls: type[BaseModel]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of all fields, and of those without a default."""
    return tuple(cls.model_fields), tuple(name for name, field in cls.model_fields.items() if field.is_required())


@cache
def _holds_tuple(cls: type[BaseModel]) -> bool:
    """Whether the class has one field, which may be a tuple."""
    fields = list(cls.model_fields.values())
    return len(fields) == 1 and "tuple" in str(fields[0].annotation)


def tuples(value: Any) -> Any:
    """A list as the tuple that PyTorch's arguments take, inside others too."""
    return tuple(tuples(item) for item in value) if isinstance(value, list | tuple | range) else value


def assign_fields(
    what: str, cls: type[BaseModel], given: Sequence[Given], span: Span, *, complete: bool = True
) -> dict[str, Given]:
    """The arguments by the fields of a typed class; with `complete`, none that is required may be missing.

    Raises:
        Located: an argument that is unknown, repeated, surplus or missing.
    """
    if len(given) > 1 and _holds_tuple(cls) and all(one.name is None for one in given):
        given = [Given(None, tuple(one.value for one in given), given[0].span.to(given[-1].span))]
    names, required = _fields(cls)
    return assign(what, names, required if complete else (), given, span)


def make(what: str, cls: type[Model], given: Sequence[Given], span: Span) -> Model:
    """An instance of a typed class from the arguments of a call.

    A single field that holds a tuple also takes its elements one by one (`permute(0, 2, 3, 1)`).

    Raises:
        Located: an argument that is unknown, repeated, surplus, missing, of the wrong type or out of range.
    """
    bound = assign_fields(what, cls, given, span)
    values = {name: tuples(one.value) for name, one in bound.items()}
    try:
        made = cls(**values)
    except ValidationError as error:
        raise wrong_values(what, cls, error, bound, span)[0] from None
    if any(map(is_symbolic, values.values())):
        return _grown(made, values)
    return made


def _grown(made: Model, values: Mapping[str, Any]) -> Model:
    """The same instance with the sizes that pydantic took for plain integers."""
    from archdsl.shapes.growing import settle

    changed = {name: value for name, value in values.items() if is_symbolic(value)}
    settle(tuple(changed.values()))
    return made.model_copy(update=changed)


def check_argument(what: str, cls: type[BaseModel], given: Given) -> None:
    """Reject a value that a field of a typed class never accepts, whatever the other fields are.

    Raises:
        Located: the value is of the wrong type or out of range.
    """
    assert given.name is not None
    try:
        cls(**{given.name: tuples(given.value)})
    except ValidationError as error:
        if any(entry["loc"][:1] == (given.name,) for entry in error.errors(include_url=False)):
            raise wrong_values(what, cls, error, {given.name: given}, given.span)[0] from None


def broken(rule: str, name: str = "") -> PydanticCustomError:
    """The error of a validator: the value must be `rule`. One that looks at several fields says which is wrong."""
    return PydanticCustomError("broken_rule", "must be {rule}", {"rule": rule, "name": name})


def wrong_values(
    what: str, cls: type[BaseModel], error: ValidationError, bound: Mapping[str, Given], span: Span
) -> list[Located]:
    """Pydantic's errors in words, one for each argument with a wrong value. Missing ones are errors of `bind`."""
    entries: dict[str, list[ErrorDetails]] = {}
    for entry in error.errors(include_url=False):
        name = str(entry["loc"][0]) if entry["loc"] else str(entry.get("ctx", {}).get("name", ""))
        if name in bound or not entry["loc"]:
            entries.setdefault(name, []).append(entry)
    return [
        _wrong_value(what, cls, name, found, bound[name])
        if name in bound
        else Located(ArgumentConflict(what, _reason(found[0])), span)
        for name, found in entries.items()
    ]


def _wrong_value(what: str, cls: type[BaseModel], name: str, entries: list[ErrorDetails], given: Given) -> Located:
    """The error of one argument.

    A field that takes one of several types has an entry for each; those that fit the value's own type say more.
    """
    limits = [entry for entry in entries if entry["type"] in LIMITS]
    description = cls.model_fields[name].description
    if description and not limits:
        expected = f"must be {description}"
    else:
        fitting = [entry for entry in entries if not entry["type"].endswith("_type")]
        first, *others = dict.fromkeys(map(_reason, (limits or fitting)[:1] or entries))
        expected = " or ".join([first, *(reason.removeprefix("must be ") for reason in others)])
    helps = _choice_helps(entries, given)
    if isinstance(given.value, float) and "/" in given.span.text and any("int" in entry["type"] for entry in entries):
        helps = (Help("`//` divides to an integer"),)
    found = limits[0]["input"] if limits and len(limits[0]["loc"]) > 1 else given.value
    return Located(BadArgument(what, name, expected, describe(found)), given.span, helps=helps)


def _choice_helps(entries: Sequence[ErrorDetails], given: Given) -> tuple[Help, ...]:
    """For one of a few strings the similar one; for a bare word the string."""
    is_bare = isinstance(given.value, Construct) and not given.value.args and not given.value.kwargs
    name = given.value.name if is_bare else given.value
    if not isinstance(name, str):
        return ()
    expected = [entry["ctx"]["expected"] for entry in entries if entry["type"] == "literal_error"]
    choices = [one for text in expected for one in re.findall(r"'([^']*)'", text)]
    at = given.span.start + max(given.span.text.rfind(name), 0)
    span = Span(given.span.source, at, at + len(name))
    if choices or not is_bare or not any(entry["type"] == "string_type" for entry in entries):
        return did_you_mean(name, choices, span)
    return (Help("write a string in quotes", span, f'"{name}"'),) if span.text == name else ()


#: Pydantic's errors for values of the right type.
LIMITS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number", "broken_rule"}
REASONS = {
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be `true` or `false`",
    "string_type": "must be a string",
    "tuple_type": "must be one number for each axis",
    "dict_type": "must be a dictionary",
    "none_required": "may be `none`",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
}


def _reason(entry: ErrorDetails) -> str:
    context = entry.get("ctx", {})
    if entry["type"] in REASONS:
        return REASONS[entry["type"]].format(**context)
    if entry["type"] == "literal_error":
        return f"must be {context['expected']}".replace("'", '"')
    return str(entry["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
