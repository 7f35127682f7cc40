"""Describes values in messages, and tells numbers from truth values."""

from __future__ import annotations

from typing import TypeGuard

from archdsl.arguments.values import Construct, spec_text

#: The longest text of a number or string, and of a list.
LONGEST, LONGEST_LIST = 60, 40


def is_number(value: object) -> TypeGuard[float]:
    """Whether arithmetic takes the value; `true` is not a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether the value is an integer; `true` is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def describe(value: object) -> str:
    """A value as an error message shows it: its type in the language's words, and itself where it is short."""
    match value:
        case str():
            text = spec_text(value[:LONGEST])
        case None | bool() | int() | float():
            text = spec_text(value)
        case range():
            return f"the range {value.start}..{value.stop - 1}"
        case list() | tuple() | dict():
            text = spec_text(value) if _is_short(value) else ""
            name = {list: "the list", tuple: "the tuple", dict: "the dictionary"}[type(value)]
            return f"{name} {text}" if text and len(text) <= LONGEST_LIST else f"{name} of {len(value)}"
        case Construct():
            return f"`{value.name}`"
        case _:
            return f"the {value}"
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _is_short(value: object) -> bool:
    """Whether a value has few and short values inside."""
    left, waiting = LONGEST_LIST, [value]
    while waiting and left > 0:
        one = waiting.pop()
        left -= len(one) if isinstance(one, list | tuple | dict | str) else 1
        if left > 0 and isinstance(one, list | tuple | dict):
            waiting += one.values() if isinstance(one, dict) else one
    return left > 0
