"""The size of a value: the cost of comparing, copying or describing it, however often its parts are shared."""

from __future__ import annotations

from collections.abc import Iterable

from archdsl.arguments.values import Construct
from archdsl.diagnostics import Located
from archdsl.diagnostics.codes.limits import TooDeep, TooManyElements
from archdsl.elaborate.environment import PartialValue
from archdsl.text.limits import MAX_BRACKETS, MAX_ELEMENTS
from archdsl.text.source import Span

#: Characters of a string that count as one element.
CHARACTERS = 8


def elements(value: object, span: Span) -> int:
    """The number of values inside a value, a shared one each time it occurs; 0 for a number.

    Raises:
        Located: there are too many, or they are nested too deep.
    """
    count, level, depth = 0, [value], 0
    while level:
        inner: list[object] = []
        for one in level:
            parts = _parts(one)
            count += len(one) // CHARACTERS if isinstance(one, str) else len(parts)
            if count > MAX_ELEMENTS:
                raise Located(TooManyElements(MAX_ELEMENTS), span)
            inner.extend(parts)
        level = inner
        depth += 1
        if depth > MAX_BRACKETS:
            raise Located(TooDeep("lists", MAX_BRACKETS), span)
    return count


def _parts(value: object) -> list[object] | tuple[object, ...]:
    match value:
        case list() | tuple():
            return value
        case dict():
            return list(value.values())
        case PartialValue():
            return value.values
        case Construct():
            return [*value.args, *value.kwargs.values()]
        case _:
            return ()


def iterated(values: Iterable[object], span: Span) -> int:
    """The same for the arguments of a function that iterates: a range counts with its length."""
    return sum(len(one) if isinstance(one, range) else elements(one, span) for one in values)
