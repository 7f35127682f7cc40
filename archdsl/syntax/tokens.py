"""Tokens: the words and signs of a source."""

from __future__ import annotations

OPENING = frozenset({"LPAR", "LSQB", "LBRACE"})
CLOSING = frozenset({"RPAR", "RSQB", "RBRACE"})
#: What a value begins with, and a statement.
VALUES = frozenset(
    {"NAME", "BRACED", "INT", "FLOAT", "STRING", "SIZE", "TRUE", "FALSE", "NONE", "LPAR", "LSQB", "LBRACE"}
)
STATEMENTS = frozenset({"NAME", "LABEL", "RESIDUAL", "COMBINATOR", "SUM", "SPLIT", "REQUIRE", "LET", "FOR", "IF"})


class Token:
    """A word or sign with its kind and its place: characters `start` to `end` (exclusive) of the source."""

    __slots__ = ("end", "start", "text", "type")

    def __init__(self, type: str, text: str, start: int, end: int) -> None:
        self.type = type
        self.text = text
        self.start = start
        self.end = end

    def __str__(self) -> str:
        return self.text
