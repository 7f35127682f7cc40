"""Syntax trees as plain data without places, to compare two specs."""

from __future__ import annotations

from typing import Any

from archdsl.syntax import comments, parse
from archdsl.text.record import Record
from archdsl.text.source import Source, Span


def plain(node: Any) -> Any:
    """A tree as nested tuples, with the names of its classes and without spans."""
    if isinstance(node, list | tuple):
        return tuple(plain(item) for item in node)
    if not isinstance(node, Record):
        return type(node).__name__, node
    values = vars(node).items()
    kept = ((name, plain(value)) for name, value in values if not isinstance(value, Span | Source))
    return type(node).__name__, *kept


def items(text: str) -> Any:
    """The top level of a text as plain data."""
    return plain(parse(Source("<test>", text)).items)


def comment_texts(text: str) -> list[str]:
    """The comments of a text in order."""
    return [span.text.rstrip() for span in comments(Source("<test>", text))]
