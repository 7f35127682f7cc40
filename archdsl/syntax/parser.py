"""From text to the syntax tree."""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from archdsl.diagnostics import Diagnostic, Help, SpecError
from archdsl.diagnostics.syntax import UnexpectedCharacter, UnexpectedEnd, UnexpectedText
from archdsl.limits import MAX_ERRORS
from archdsl.source import Source, Span
from archdsl.syntax import tree
from archdsl.syntax.builder import Builder
from archdsl.syntax.separators import RefusedAt, Separators

GRAMMAR = Path(__file__).with_name("grammar.lark")

#: What people call the tokens.
WORDS = {
    "_SEP": "a new line",
    "NAME": "a name",
    "LABEL": "a label",
    "INT": "a number",
    "FLOAT": "a number",
    "SIZE": "a size",
    "STRING": 'a "text"',
    "$END": "the end of the file",
    "COMMA": "`,`",
    "COMPARE": "a comparison",
}
SIGNS = {
    "LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}", "COLON": ":", "ARROW": "->",
    "DOTDOT": "..", "EQUAL": "=", "PLUS": "+", "MINUS": "-", "POWER": "**", "STAR": "*", "DOUBLESLASH": "//",
    "SLASH": "/", "PERCENT": "%",
}  # fmt: skip
VALUES = frozenset({"NAME", "INT", "FLOAT", "STRING", "SIZE", "TRUE", "FALSE", "NONE", "LPAR", "LSQB", "LBRACE"})
OPERATORS = frozenset(SIGNS) - {"LPAR", "RPAR", "LSQB", "RSQB", "LBRACE", "RBRACE", "COLON", "ARROW", "EQUAL"}
OPERATORS |= {"COMPARE", "AND", "OR", "IN", "NOT", "IF", "FOR"}
STATEMENTS = frozenset({"RESIDUAL", "INCEPTION", "SUM", "DENSE", "SCALE", "SPLIT", "AUX", "LET", "FOR"})
TOP_LEVEL = re.compile(r"^(?:import|from|inline|block|model|train|let)\b", re.MULTILINE)


class _Forward:
    """Stands in for the builder, so that one parser serves every text: it passes each rule on to the current one."""

    current: Builder

    def __getattr__(self, rule: str) -> Any:
        if rule.startswith("_") or not hasattr(Builder, rule):
            raise AttributeError(rule)
        return lambda parts: getattr(self.current, rule)(parts)  # noqa: PLW0108  (the builder of that moment)


_forward = _Forward()


def _table_file() -> str | bool:
    """Where the parser's table is kept: in the user's own cache folder, never a shared one; False without one.

    Lark keys the file by the grammar, its own version and Python's, and makes it anew when one changes.
    """
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "archdsl"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
            return False
    except (OSError, RuntimeError):
        return False
    return str(folder / f"grammar-{sys.version_info[0]}.{sys.version_info[1]}.table")


@cache
def _parser() -> Lark:
    return Lark(
        GRAMMAR.read_text(encoding="utf-8"),
        parser="lalr",
        lexer="contextual",
        start=["start", "expr"],
        maybe_placeholders=True,
        cache=_table_file(),
        transformer=_forward,
        postlex=Separators(),
    )


def _run(source: Source, start: int, end: int, rule: str) -> Any:
    """Parse a stretch of a source by one of the grammar's start rules; raises SpecError with one diagnostic."""
    outer = vars(_forward).get("current")
    _forward.current = Builder(source, start, lambda inner, a, b: _run(inner, a, b, "expr"))
    try:
        return _parser().parse(source.text[start:end], start=rule)
    except RefusedAt as error:
        span = Span(source, start + error.start, start + error.end)
        helps = () if error.help is None else (Help(f"did you mean `{error.help}`?", span, error.help),)
        raise SpecError([Diagnostic(error.problem, span, helps=helps)]) from None
    except UnexpectedInput as error:
        raise SpecError([_explain(error, source, start, end)]) from None
    finally:
        if outer is not None:
            _forward.current = outer


def parse(source: Source) -> tree.File:
    """The syntax tree of a source.

    Raises:
        SpecError: with every syntax error that can be told apart: after one, parsing goes on at the next
            line that begins with `model`, `block`, `train`, `let`, `import` or `from`.
    """
    try:
        items = _run(source, 0, len(source.text), "start")
    except SpecError as error:
        raise SpecError([*error.diagnostics, *_further_errors(source, error.diagnostics[0])]) from None
    return tree.File(source, items, comments(source))


def _further_errors(source: Source, first: Diagnostic) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    position = first.span.end if first.span else len(source.text)
    while len(found) < MAX_ERRORS and (match := TOP_LEVEL.search(source.text, position)):
        try:
            _run(source, match.start(), len(source.text), "start")
        except SpecError as error:
            found += error.diagnostics
            span = error.diagnostics[0].span
            position = max(match.end(), span.end if span else match.end())
        else:
            break
    return found


def parse_expression(source: Source) -> tree.Expr:
    """The syntax tree of a text that is one expression, such as the value of `--set key=value`."""
    expression: tree.Expr = _run(source, 0, len(source.text), "expr")
    return expression


def tokens(source: Source) -> list[Token]:
    """The tokens of a source that parses, separators between statements among them and comments not."""
    _forward.current = Builder(source, 0, lambda inner, a, b: _run(inner, a, b, "expr"))
    return list(_parser().parse_interactive(source.text, start="start").iter_parse())


def comments(source: Source) -> list[Span]:
    """The comments of a source, in order. Strings may hold a `#`."""
    found = re.finditer(r'"(?:[^"\\\n]|\\.)*"|(#[^\n]*)', source.text)
    return [Span(source, match.start(1), match.end(1)) for match in found if match[1]]


def _explain(error: UnexpectedInput, source: Source, start: int, end: int) -> Diagnostic:
    """Lark's exception as a diagnostic."""
    from archdsl.syntax.mistakes import PAIRS, after_token, at_character, open_brackets, unclosed

    if isinstance(error, UnexpectedCharacters):
        place = start + (error.pos_in_stream or 0)
        problem = UnexpectedCharacter(f"`{source.text[place]}`")
        return Diagnostic(problem, Span(source, place, place + 1), helps=tuple(at_character(source, place)))
    assert isinstance(error, UnexpectedToken)
    accepted = set(error.accepts or error.expected)
    if error.token.type == "$END":
        opened = open_brackets(source, start, end)
        expected = f"`{PAIRS[opened[-1].text]}`" if opened else _expectation(accepted)
        return Diagnostic(
            UnexpectedEnd(expected), Span(source, max(end - 1, 0), end), notes=unclosed(source, start, end)
        )
    place = start + (error.token.start_pos or 0)
    line_end = error.token.type == "_SEP"
    span = Span(source, place, place + 1 if line_end else max(place + 1, start + (error.token.end_pos or 0)))
    found = "`;`" if span.text == ";" else "the end of the line" if line_end else f"`{error.token}`"
    expected = _expectation(accepted)
    helps = tuple(after_token(source, span, error.token.type, accepted))
    return Diagnostic(UnexpectedText(expected, found), span, label=f"expected {expected}", helps=helps)


def _expectation(types: set[str]) -> str:
    """What could have stood there, in words and as few of them as possible."""
    types = set(types)
    words = []
    if types >= VALUES:
        types -= VALUES | {"MINUS", "PLUS", "NOT"}
        words = ["a value"]
    elif types >= STATEMENTS:
        types -= STATEMENTS | {"NAME", "LABEL", "LBRACE", "FOR", "IF"}
        words = ["a statement"]
    elif types >= {"BLOCK", "MODEL", "TRAIN"}:
        types -= {"INLINE", "BLOCK", "MODEL", "TRAIN", "IMPORT", "FROM", "LET", "_SEP"}
        words = ["`model`", "`block`", "`train`", "`let`", "an import"]
    # Behind the names of a loop, `in` is no comparison.
    operators = OPERATORS if "COMPARE" in types else OPERATORS - {"IN"}
    if len(types) > len(operators & types):
        types -= operators
    # What may also follow says little where the end of the statement or of the argument is what is missing.
    if "_SEP" in types:
        types -= {"ARROW", "ELSE", "SHORTCUT", "LPAR", "LSQB", "EQUAL"}
    elif len(types) > len(types & {"LPAR", "LSQB"}):
        types -= {"LPAR", "LSQB"}
    words += sorted({WORDS.get(kind) or f"`{SIGNS.get(kind, kind.lower())}`" for kind in types})
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]
