"""The functions of expressions: their parameters, which are checked in one place, and their results."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from archdsl.arguments.bind import Given, assign
from archdsl.arguments.describe import describe, is_number, is_whole
from archdsl.diagnostics import Located
from archdsl.diagnostics.codes.limits import TooLarge
from archdsl.diagnostics.codes.names import TooManyArguments
from archdsl.diagnostics.codes.values import ArithmeticFault, WrongType
from archdsl.text.limits import MAX_LENGTH
from archdsl.text.source import Span

#: Digits that `round` rounds to: more change no number.
MAX_DIGITS = 20


class Takes(NamedTuple):
    """What a parameter takes: in words that follow "takes" or "must be", and as a test."""

    words: str
    test: Callable[[Any], bool]


class Param(NamedTuple):
    """A parameter of a function. One without a default has to be given."""

    name: str
    takes: Takes
    default: Any = ...


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple | range)


NUMBER = Takes("a number", is_number)
NUMBER_OR_NONE = Takes("a number or `none`", lambda value: value is None or is_number(value))
WHOLE = Takes("an integer", is_whole)
POSITIVE = Takes("an integer of at least 1", lambda value: is_whole(value) and value >= 1)
DIGITS = Takes(
    f"an integer from -{MAX_DIGITS} to {MAX_DIGITS}", lambda value: is_whole(value) and abs(value) <= MAX_DIGITS
)
LIST = Takes("a list", _is_list)
LIST_OR_STRING = Takes("a list or a string", lambda value: _is_list(value) or isinstance(value, str))
NUMBERS = Takes("a list of numbers", lambda value: _is_list(value) and all(map(is_number, value)))
NUMBERS_ALONE = Takes("a list of numbers, or at least two numbers", NUMBERS.test)


@dataclass(frozen=True, slots=True)
class Function:
    """A function of expressions.

    With `most` it takes one to `most` arguments by position, all checked like its only parameter; `alone` is what a
    single one must be. `summary` says what it gives.
    """

    name: str
    summary: str
    params: Sequence[Param]
    result: Callable[..., Any]
    most: int | None = None
    alone: Takes | None = None

    def assign(self, given: Sequence[Given], span: Span) -> dict[str, Given]:
        """The arguments of a call by parameter; of several for the only one, the first.

        Raises:
            Located: one is unknown, missing, surplus or given twice.
        """
        what, names = f"`{self.name}`", [param.name for param in self.params]
        required = [param.name for param in self.params if param.default is ...]
        positional = [one for one in given if one.name is None]
        if self.most is None:
            return assign(what, names, required, given, span)
        if len(positional) > self.most:
            raise Located(TooManyArguments(what, self.most, len(positional)), positional[self.most].span)
        return assign(what, names, required, [*positional[:1], *(one for one in given if one.name)], span)

    def __call__(self, given: Sequence[Given], span: Span) -> Any:
        """The result for the arguments of a call.

        Raises:
            Located: wrong arguments, or arguments without a result.
        """
        bound = self.assign(given, span)
        args = self._alike(given) if self.most is not None else self._in_order(bound)
        try:
            return self.result(*args)
        except OverflowError:
            raise Located(TooLarge("the result"), span) from None
        except ValueError as error:
            raise Located(ArithmeticFault(f"`{self.name}`: {error}"), span) from None

    def _alike(self, given: Sequence[Given]) -> list[Any]:
        takes = self.alone if self.alone is not None and len(given) == 1 else self.params[0].takes
        for one in given:
            _require(f"`{self.name}`", f"takes {takes.words}", takes, one)
        return [one.value for one in given]

    def _in_order(self, bound: Mapping[str, Given]) -> list[Any]:
        for param in self.params:
            what, verb = (
                (f"`{param.name}` of `{self.name}`", "must be") if self.params[1:] else (f"`{self.name}`", "takes")
            )
            if param.name in bound:
                _require(what, f"{verb} {param.takes.words}", param.takes, bound[param.name])
        return [bound[param.name].value if param.name in bound else param.default for param in self.params]


def _require(what: str, expected: str, takes: Takes, given: Given) -> None:
    if not takes.test(given.value):
        raise Located(WrongType(what, expected, describe(given.value)), given.span)


def divisible(value: float, divisor: int = 8, minimum: float | None = None) -> int:
    """The nearest multiple of `divisor`, but not under 90 % of `value` (MobileNet's rule for channels)."""
    least = divisor if minimum is None else minimum
    rounded = max(least, int(value + divisor / 2) // divisor * divisor)
    return int(rounded + divisor if rounded < 0.9 * value else rounded)


def _extreme(best: Callable[[Any], Any]) -> Callable[..., Any]:
    """`min` or `max` of one list, or of numbers."""

    def result(*values: Any) -> Any:
        found = values[0] if len(values) == 1 else values
        if len(found) == 0:
            raise ValueError("the list is empty")
        return best(found)

    return result


def _range(*bounds: int) -> range:
    if len(bounds) == 3 and bounds[2] == 0:
        raise ValueError("the step must not be 0")
    return range(*(bound.__index__() for bound in bounds))


def _round(value: float, digits: int) -> float | int:
    return round(value, digits) if digits else round(value)


def _sqrt(value: float) -> float:
    if value < 0:
        raise ValueError("root of a negative number")
    return math.sqrt(value)


def _log(value: float) -> float:
    if value <= 0:
        raise ValueError("logarithm of a number that is not positive")
    return math.log(value)


def _zip(*lists: Any) -> list[tuple[Any, ...]]:
    if len({len(one) for one in lists}) > 1:
        raise ValueError("lists of different lengths")
    return list(zip(*lists, strict=True))


#: Numbers with a name.
CONSTANTS: Mapping[str, float] = {"pi": math.pi}
FUNCTIONS: Mapping[str, Function] = {
    one.name: one
    for one in (
        Function(
            "min",
            "The smallest of numbers, or of the numbers of a list.",
            [Param("x", NUMBER)],
            _extreme(min),
            MAX_LENGTH,
            alone=NUMBERS_ALONE,
        ),
        Function(
            "max",
            "The largest of numbers, or of the numbers of a list.",
            [Param("x", NUMBER)],
            _extreme(max),
            MAX_LENGTH,
            alone=NUMBERS_ALONE,
        ),
        Function("sum", "The sum of a list.", [Param("list", NUMBERS)], sum),
        Function(
            "len", "The number of items of a list, or of characters of a string.", [Param("list", LIST_OR_STRING)], len
        ),
        Function(
            "range", "Integers from 0, or from a first to before a last, with a step.", [Param("n", WHOLE)], _range, 3
        ),
        Function("ceil", "The next integer above.", [Param("x", NUMBER)], math.ceil),
        Function("floor", "The next integer below.", [Param("x", NUMBER)], math.floor),
        Function(
            "round",
            "The nearest number of so many digits, as in Python.",
            [Param("x", NUMBER), Param("digits", DIGITS, 0)],
            _round,
        ),
        Function("abs", "The absolute value.", [Param("x", NUMBER)], abs),
        Function("sqrt", "The square root.", [Param("x", NUMBER)], _sqrt),
        Function("exp", "e to the power of x.", [Param("x", NUMBER)], math.exp),
        Function("log", "The natural logarithm.", [Param("x", NUMBER)], _log),
        Function("sin", "The sine of an angle in radians.", [Param("x", NUMBER)], math.sin),
        Function("cos", "The cosine of an angle in radians.", [Param("x", NUMBER)], math.cos),
        Function(
            "divisible",
            "The nearest multiple, but not less than 90 % of x (MobileNet's rule).",
            [Param("x", NUMBER), Param("divisor", POSITIVE, 8), Param("minimum", NUMBER_OR_NONE, None)],
            divisible,
        ),
        Function("zip", "The items of lists of equal length, together.", [Param("list", LIST)], _zip, MAX_LENGTH),
        Function(
            "enumerate",
            "The items of a list with their numbers.",
            [Param("list", LIST), Param("first", WHOLE, 0)],
            lambda values, first: list(enumerate(values, first)),
        ),
    )
}
