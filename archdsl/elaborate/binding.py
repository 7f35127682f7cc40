"""From the arguments of a call to the fields of a typed class, every mistake at its place in the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from archdsl.diagnostics import Help
from archdsl.diagnostics.codes.names import (
    BadArgument,
    MissingArgument,
    RepeatedArgument,
    TooManyArguments,
    UnknownArgument,
)
from archdsl.elaborate.errors import Located
from archdsl.elaborate.expressions import describe
from archdsl.text.source import Span
from archdsl.text.suggest import suggestion

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Given:
    """An argument with its value. `name` is None for one by position."""

    name: str | None
    value: Any
    span: Span


def assign(
    what: str,
    names: Sequence[str],
    required: Sequence[str],
    given: Sequence[Given],
    span: Span,
    extra: Sequence[str] = (),
) -> dict[str, Given]:
    """Each argument by the name of the parameter it is for.

    `extra` names are known but not positions.

    Raises:
        Located: an unknown, repeated, missing or surplus argument.
    """
    bound: dict[str, Given] = {}
    positions = 0
    for argument in given:
        if argument.name is None:
            if positions >= len(names):
                count = sum(one.name is None for one in given)
                raise Located(TooManyArguments(what, len(names), count), argument.span)
            name = names[positions]
            positions += 1
        else:
            name = argument.name
            if name not in names and name not in extra:
                meant = suggestion(name, [*names, *extra])
                place = Span(argument.span.source, argument.span.start, argument.span.start + len(name))
                if meant:
                    helps = (Help(f"did you mean `{meant}`?", place, meant),)
                else:
                    helps = (Help("it takes " + (", ".join(f"`{one}`" for one in [*names, *extra]) or "no arguments")),)
                raise Located(UnknownArgument(what, name), place, helps=helps)
        if name in bound:
            raise Located(RepeatedArgument(what, name), argument.span)
        bound[name] = argument
    missing = [f"`{name}`" for name in required if name not in bound]
    if missing:
        raise Located(MissingArgument(what, " and ".join(missing)), span)
    return bound


@cache
def _fields(cls: type[BaseModel]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names = tuple(cls.model_fields)
    return names, tuple(name for name in names if cls.model_fields[name].is_required())


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
    """Each argument by the field of a typed class that it is for; only if `complete` may none be missing.

    Raises:
        Located: an argument that is unknown, repeated, missing or surplus.
    """
    names, required = _fields(cls)
    if len(given) > 1 and _holds_tuple(cls) and all(one.name is None for one in given):
        whole = Span(span.source, given[0].span.start, given[-1].span.end)
        given = [Given(None, tuple(one.value for one in given), whole)]
    return assign(what, names, required if complete else (), given, span)


def make(what: str, cls: type[Model], given: Sequence[Given], span: Span) -> Model:
    """An instance of a typed class from the arguments of a call.

    A single field that holds a tuple also takes its elements one by one (`permute(0, 2, 3, 1)`).

    Raises:
        Located: an argument that is unknown, repeated, missing, surplus, of the wrong type or out of range.
    """
    bound = assign_fields(what, cls, given, span)
    try:
        return cls(**{name: tuples(one.value) for name, one in bound.items()})
    except ValidationError as error:
        raise _bad_argument(what, error, bound, span) from None


def check_argument(what: str, cls: type[BaseModel], given: Given) -> None:
    """Reject a value for one field of a typed class that it does not take whatever the others are.

    Raises:
        Located: of the wrong type or out of range.
    """
    assert given.name is not None
    try:
        cls(**{given.name: tuples(given.value)})
    except ValidationError as error:
        if any(entry["loc"][:1] == (given.name,) for entry in error.errors(include_url=False)):
            raise _bad_argument(what, error, {given.name: given}, given.span) from None


def _bad_argument(what: str, error: ValidationError, bound: dict[str, Given], span: Span) -> Located:
    """Pydantic's error for the first wrong argument, in words.

    A field that takes one of several types has one entry for each; those that fit the value's own type say more.
    """
    entries = error.errors(include_url=False)
    name = next((str(entry["loc"][0]) for entry in entries if entry["loc"] and entry["loc"][0] in bound), "")
    if not name:
        return Located(BadArgument(what, name, entries[0]["msg"], "nothing"), span)
    value = bound[name].value
    reasons = list(dict.fromkeys(_reason(entry) for entry in entries if entry["loc"][:1] == (name,)))
    ranges = [_reason(e) for e in entries if e["loc"][:1] == (name,) and not e["type"].endswith("_type")]
    first, *others = ranges[:1] or reasons
    expected = " or ".join([first, *(reason.removeprefix("must be ") for reason in others)])
    place = bound[name].span
    helps: tuple[Help, ...] = ()
    if isinstance(value, float) and any("int" in entry["type"] for entry in entries):
        helps = (Help("`//` divides to a whole number"),) if "/" in place.text else ()
    return Located(BadArgument(what, name, expected, describe(value)), place, helps=helps)


def _reason(entry: Any) -> str:
    context = entry.get("ctx", {})
    match entry["type"]:
        case "int_type" | "int_from_float":
            return "must be a whole number"
        case "float_type":
            return "must be a number"
        case "bool_type":
            return "must be `true` or `false`"
        case "string_type":
            return "must be a text"
        case "tuple_type":
            return "must be one number for each axis"
        case "literal_error":
            return f"must be {context['expected']}".replace("'", '"')
        case "greater_than":
            return f"must be greater than {context['gt']}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than":
            return f"must be less than {context['lt']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "none_required":
            return "may be `none`"
        case _:
            return str(entry["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
