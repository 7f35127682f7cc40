"""Line ends and semicolons: which of them separate two statements."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lark import Token

from archdsl.diagnostics import Refused
from archdsl.diagnostics.limits import TooDeep
from archdsl.limits import MAX_BRACKETS

OPENING = frozenset({"LPAR", "LSQB", "LBRACE"})
CLOSING = frozenset({"RPAR", "RSQB", "RBRACE"})
OPERATORS = frozenset({"PLUS", "MINUS", "STAR", "SLASH", "DOUBLESLASH", "PERCENT", "POWER", "COMPARE", "AND", "OR"})
#: A separator behind one of these separates nothing.
EXPECTS_MORE = OPERATORS | {"LBRACE", "COMMA", "EQUAL", "ELSE", "IN", "NOT", "IF", "COLON", "DOTDOT", "WHEN"}
COMMENT = re.compile(r"#[^\n]*")


class TooDeepAt(Refused):
    """Brackets nest deeper than the bound; `start` and `end` are the offsets of the one that passes it."""

    def __init__(self, token: Token) -> None:
        super().__init__(TooDeep("brackets", MAX_BRACKETS))
        self.start, self.end = token.start_pos or 0, token.end_pos or 0


class Separators:
    """A Lark post-lexer: lets a `_SEP` through only where one statement ends and the next begins.

    It never looks ahead, since the contextual lexer asks the parser's state for each token it makes.
    """

    always_accept = ("_SEP",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """The tokens the parser sees."""
        nesting: list[str] = []
        before = "LBRACE"
        for token in stream:
            if token.type == "_SEP":
                folded = nesting and nesting[-1] != "LBRACE" and ";" not in COMMENT.sub("", token)
                if folded or before in EXPECTS_MORE:
                    continue
            elif token.type in OPENING:
                nesting.append(token.type)
                if len(nesting) > MAX_BRACKETS:
                    raise TooDeepAt(token)
            elif token.type in CLOSING and nesting:
                nesting.pop()
            before = token.type
            yield token
