"""Line ends and semicolons: which of them separate two statements."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archdsl.diagnostics import Problem, Rejected
from archdsl.diagnostics.codes.limits import TooDeep
from archdsl.diagnostics.codes.syntax import UnexpectedText
from archdsl.syntax.tokens import Token
from archdsl.text.limits import MAX_BRACKETS

OPENING = frozenset({"LPAR", "LSQB", "LBRACE"})
CLOSING = frozenset({"RPAR", "RSQB", "RBRACE"})
OPERATORS = frozenset({"PLUS", "MINUS", "STAR", "SLASH", "DOUBLESLASH", "PERCENT", "POWER", "COMPARE", "AND", "OR"})
#: A separator behind one of these separates nothing.
EXPECTS_MORE = OPERATORS | {"LBRACE", "COMMA", "EQUAL", "ELSE", "IN", "NOT", "IF", "COLON", "DOTDOT", "WHEN"}
COMMENT = re.compile(r"#[^\n]*")


class TokenError(Rejected):
    """A problem with tokens; `start` and `end` are the offsets of its place, `help` is what could stand there."""

    def __init__(self, problem: Problem, first: Token, last: Token, help: str | None = None) -> None:
        super().__init__(problem, help=help)
        self.start, self.end = first.start, last.end


def _require_space(before: Token, token: Token) -> None:
    """Reject `models` as `model s`: where only keywords can stand, words are cut behind them."""
    if before.end == token.start and before.type == before.text.upper() and re.match(r"\w", token.text):
        problem = UnexpectedText(f"`{before}`", f"`{before}{token}`")
        both = f"{before} {token}" if token.type == token.text.upper() else before.text
        raise TokenError(problem, before, token, both)


def separated(stream: Iterator[Token]) -> Iterator[Token]:
    """The tokens that the parser sees: a `_SEP` only where one statement ends and the next begins.

    It never looks ahead, since the parser's state decides what the next token is.
    """
    nesting: list[str] = []
    before = "LBRACE"
    last: Token | None = None
    for token in stream:
        kind = token.type
        if last is not None and last.end == token.start:
            _require_space(last, token)
        last = token
        if kind == "_SEP":
            folded = nesting and nesting[-1] != "LBRACE" and ";" not in COMMENT.sub("", token.text)
            if folded or before in EXPECTS_MORE:
                continue
        elif kind in OPENING:
            nesting.append(kind)
            if len(nesting) > MAX_BRACKETS:
                raise TokenError(TooDeep("brackets", MAX_BRACKETS), token, token)
        elif kind in CLOSING and nesting:
            nesting.pop()
        before = kind
        yield token
