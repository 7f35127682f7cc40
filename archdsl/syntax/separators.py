"""Line ends and semicolons: which of them separate two statements."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lark import Token

from archdsl.diagnostics import Problem, Refused
from archdsl.diagnostics.limits import TooDeep
from archdsl.diagnostics.syntax import UnexpectedText
from archdsl.limits import MAX_BRACKETS

OPENING = frozenset({"LPAR", "LSQB", "LBRACE"})
CLOSING = frozenset({"RPAR", "RSQB", "RBRACE"})
OPERATORS = frozenset({"PLUS", "MINUS", "STAR", "SLASH", "DOUBLESLASH", "PERCENT", "POWER", "COMPARE", "AND", "OR"})
#: A separator behind one of these separates nothing.
EXPECTS_MORE = OPERATORS | {"LBRACE", "COMMA", "EQUAL", "ELSE", "IN", "NOT", "IF", "COLON", "DOTDOT", "WHEN"}
COMMENT = re.compile(r"#[^\n]*")


class RefusedAt(Refused):
    """A problem with tokens; `start` and `end` are the offsets of its place, `help` is what could stand there."""

    def __init__(self, problem: Problem, first: Token, last: Token, help: str | None = None) -> None:
        super().__init__(problem, help=help)
        self.start, self.end = first.start_pos or 0, last.end_pos or 0


def _require_space(before: Token, token: Token) -> None:
    """Refuse `models` as `model s`: where only keywords can stand, the contextual lexer knows no other words."""
    glued = before.end_pos == token.start_pos and re.match(r"\w", token) is not None
    if glued and before.type == before.upper():
        problem = UnexpectedText(f"`{before}`", f"`{before}{token}`")
        raise RefusedAt(problem, before, token, f"{before} {token}" if token.type == token.upper() else str(before))


class Separators:
    """A Lark post-lexer: lets a `_SEP` through only where one statement ends and the next begins.

    It never looks ahead, since the contextual lexer asks the parser's state for each token it makes.
    """

    always_accept = ("_SEP",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """The tokens the parser sees."""
        nesting: list[str] = []
        before = "LBRACE"
        last: Token | None = None
        for token in stream:
            if last is not None:
                _require_space(last, token)
            last = token
            if token.type == "_SEP":
                folded = nesting and nesting[-1] != "LBRACE" and ";" not in COMMENT.sub("", token)
                if folded or before in EXPECTS_MORE:
                    continue
            elif token.type in OPENING:
                nesting.append(token.type)
                if len(nesting) > MAX_BRACKETS:
                    raise RefusedAt(TooDeep("brackets", MAX_BRACKETS), token, token)
            elif token.type in CLOSING and nesting:
                nesting.pop()
            before = token.type
            yield token
