"""What each word of a file is, for colours that follow from meaning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from archdsl.assist.analysis import Analysis
from archdsl.elaborate.environment import BlockValue
from archdsl.layers import kind_named
from archdsl.syntax import tree

#: The names of the Language Server Protocol.
TYPES = ("function", "class", "parameter", "variable", "property", "type", "enumMember")
MODIFIERS = ("declaration", "defaultLibrary")
KINDS = {
    "block": "function",
    "model": "class",
    "parameter": "parameter",
    "value": "variable",
    "loop variable": "variable",
    "tap": "property",
    "label": "enumMember",
    "input": "property",
}


class Token(NamedTuple):
    """A word, its type and its modifiers, by the indices of TYPES and the bits of MODIFIERS."""

    start: int
    length: int
    type: int
    modifiers: int


def tokens(analysis: Analysis) -> list[Token]:
    """The names of a file in the order of the source, none inside another."""
    found = {token.start: token for token in _tokens(analysis)}
    kept: list[Token] = []
    for token in (found[start] for start in sorted(found)):
        if not kept or token.start >= kept[-1].start + kept[-1].length:
            kept.append(token)
    return kept


def _tokens(analysis: Analysis) -> Iterator[Token]:
    for _, call in analysis.calls():
        value = analysis.module.globals.values.get(call.name)
        if not isinstance(value, BlockValue) and kind_named(call.name) is not None:
            yield Token(
                call.name_span.start, len(call.name), TYPES.index("type"), 1 << MODIFIERS.index("defaultLibrary")
            )
    for item in analysis.items:
        if isinstance(item, tree.TrainDef):
            for entry in item.entries:
                yield Token(entry.name_span.start, len(entry.name), TYPES.index("property"), 0)
    for definition in analysis.definitions:
        for i, span in enumerate((definition.span, *definition.references)):
            if span.source is analysis.source and "\n" not in span.text:
                yield Token(span.start, span.end - span.start, TYPES.index(KINDS[definition.kind]), 1 - min(i, 1))
