"""The operators of expressions on values: arithmetic, comparison, membership, index and slice."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from archdsl.arguments.describe import describe, is_number, is_whole
from archdsl.diagnostics import Help, Located
from archdsl.diagnostics.codes.limits import TooLarge, TooLong
from archdsl.diagnostics.codes.names import UnknownName
from archdsl.diagnostics.codes.values import ArithmeticFault, LengthsDiffer, OutOfRange, WrongType
from archdsl.syntax import tree
from archdsl.text.limits import MAX_INTEGER, MAX_LENGTH
from archdsl.text.source import Span

ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": lambda a, b: math.floor(a // b),
    "%": operator.mod,
    "**": operator.pow,
}
ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def wrong_type(span: Span, what: str, expected: str, value: object) -> Located:
    """The error of a value of another type, with the usual fix."""
    helps: tuple[Help, ...] = ()
    if isinstance(value, float) and "an integer" in expected and "/" in span.text:
        helps = (Help("`//` divides to an integer"),)
    elif is_number(value) and "`true` or `false`" in expected:
        helps = (Help("write a comparison", span, f"{span.text} != 0"),)
    return Located(WrongType(what, expected, describe(value)), span, helps=helps)


def integer(value: Any, span: Span, what: str) -> int:
    """The value, which must be an integer."""
    if not is_whole(value):
        raise wrong_type(span, what, "must be an integer", value)
    return value.__index__()


def unary(expression: tree.Unary, value: Any) -> Any:
    """The value of `not x`, `-x` or `+x`."""
    if expression.op == "not":
        if not isinstance(value, bool):
            raise wrong_type(expression.operand.span, "`not`", "takes `true` or `false`", value)
        return not value
    if not is_number(value):
        raise wrong_type(expression.operand.span, f"`{expression.op}`", "takes a number", value)
    return -value if expression.op == "-" else value


def binary(expression: tree.Binary, left: Any, right: Any) -> Any:
    """The value of an operator that takes two values."""
    op = expression.op
    if op == "==":
        return bool(left == right)
    if op == "!=":
        return bool(left != right)
    if op in {"in", "not in"}:
        return _contains(expression, left, right) == (op == "in")
    if op in ORDER:
        if (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str)):
            return ORDER[op](left, right)
        wrong, value = (expression.left, left) if not is_number(left) else (expression.right, right)
        raise wrong_type(wrong.span, f"`{op}`", "compares numbers", value)
    return _arithmetic(expression, left, right)


def _contains(expression: tree.Binary, left: Any, right: Any) -> bool:
    is_container = isinstance(right, list | tuple | range | dict)
    if not is_container and not (isinstance(right, str) and isinstance(left, str)):
        raise wrong_type(expression.right.span, "the right side of `in`", "must be a list", right)
    return _is_key(left, right) if isinstance(right, dict) else left in right


def _arithmetic(expression: tree.Binary, left: Any, right: Any) -> Any:
    op, span = expression.op, expression.span
    if is_number(left) and is_number(right):
        return _calculate(expression, left, right)
    if op == "+" and type(left) is type(right) and isinstance(left, list | tuple | str):
        _require_length(len(left) + len(right), left, span)
        return left + right
    if op == "*" and isinstance(left, list) and is_whole(right):
        _require_length(len(left) * max(right, 0), left, span)
        return left * right.__index__()
    if _is_size(left) and _is_size(right) and (isinstance(left, tuple) or isinstance(right, tuple)):
        return _elementwise(expression, left, right)
    wrong, value = (expression.right, right) if is_number(left) else (expression.left, left)
    raise wrong_type(wrong.span, f"`{op}`", "takes numbers", value)


def _is_size(value: Any) -> bool:
    """Whether arithmetic takes the value: a number, or a size or other tuple of numbers."""
    return is_number(value) or (isinstance(value, tuple) and all(map(is_number, value)))


def _elementwise(expression: tree.Binary, left: Any, right: Any) -> tuple[Any, ...]:
    """Arithmetic on each element of a tuple, with a number or with the elements of another tuple."""
    length = len(left if isinstance(left, tuple) else right)
    rows = [value if isinstance(value, tuple) else (value,) * length for value in (left, right)]
    if len(rows[0]) != len(rows[1]):
        raise Located(LengthsDiffer(expression.op, *map(describe, rows)), expression.span)
    return tuple([bounded(_calculate(expression, a, b), expression.span) for a, b in zip(*rows, strict=True)])


def _calculate(expression: tree.Binary, left: float, right: float) -> Any:
    op, span = expression.op, expression.span
    if op == "**" and isinstance(left, int) and isinstance(right, int) and abs(left) > 1 and right > 63:
        raise Located(TooLarge("the power"), span)
    try:
        return ARITHMETIC[op](left, right)
    except ZeroDivisionError:
        raise Located(ArithmeticFault("division by zero"), expression.right.span, label="this is 0") from None
    except OverflowError:
        raise Located(TooLarge("the result"), span) from None


def index(expression: tree.Index, value: Any, position: Any) -> Any:
    """The value of `value[position]`."""
    if isinstance(value, dict):
        if not _is_key(position, value):
            raise Located(UnknownName(expression.span.text), expression.span, label=f"expected {_some_of(value)}")
        return value[position]
    if not isinstance(value, list | tuple | range | str):
        raise wrong_type(expression.value.span, "the indexed value", "must be a list", value)
    try:
        return value[integer(position, expression.index.span, "an index")]
    except IndexError:
        problem = OutOfRange(str(position), describe(value), len(value), "elements")
        raise Located(problem, expression.index.span) from None


def sliced(expression: tree.Slice, value: Any, bounds: list[int | None]) -> Any:
    """The value of `value[start:stop:step]`."""
    if bounds[2] == 0:
        raise Located(ArithmeticFault("the step of a slice must not be 0"), expression.span)
    return value[slice(*bounds)]


def bounded(value: Any, span: Span) -> Any:
    """The value, which must be of a size that a spec may have.

    Raises:
        Located: it is too large, too long, or not a real number.
    """
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise Located(TooLarge("the number"), span)
    elif isinstance(value, tuple) and any(isinstance(item, int) and abs(item) > MAX_INTEGER for item in value):
        raise Located(TooLarge("the size"), span)
    elif isinstance(value, range | list | str):
        _require_length(len(value) if not isinstance(value, range) else _length(value), value, span)
    elif isinstance(value, float) and not math.isfinite(value):
        raise Located(TooLarge("the number"), span)
    elif isinstance(value, complex):
        raise Located(ArithmeticFault("root of a negative number"), span)
    return value


def _require_length(length: int, value: Any, span: Span) -> None:
    if length > MAX_LENGTH:
        units = "characters" if isinstance(value, str) else "elements"
        name = "range" if isinstance(value, range) else "string" if isinstance(value, str) else "list"
        raise Located(TooLong(f"the {name}", length, units, MAX_LENGTH), span)


def _length(value: range) -> int:
    """The length of a range of any size (len() fails past 2^63)."""
    return max(0, (value.stop - value.start + value.step - (1 if value.step > 0 else -1)) // value.step)


def _is_key(value: Any, dictionary: Mapping[Any, Any]) -> bool:
    """Whether the dictionary has the key. A list cannot be one, nor a size that stands for many."""
    if is_whole(value):
        value = value.__index__()
    try:
        return value in dictionary
    except TypeError:
        return False


def _some_of(dictionary: Mapping[Any, Any]) -> str:
    """The first keys of a dictionary."""
    shown = [str(key) for key in islice(dictionary, 20)]
    return ", ".join(shown + ["..."] * (len(dictionary) > len(shown))) or "none"
