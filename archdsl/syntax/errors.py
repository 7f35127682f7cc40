"""Syntax errors as diagnostics: what was expected, what was found, and what may have been meant."""

from __future__ import annotations

from archdsl.diagnostics import Diagnostic, Help, SpecError
from archdsl.diagnostics.codes.syntax import UnexpectedCharacter, UnexpectedEnd, UnexpectedText
from archdsl.syntax.automaton import NoToken, Run, TokenError, WrongToken
from archdsl.syntax.mistakes import PAIRS, after_token, at_character, open_brackets, unclosed
from archdsl.syntax.table import END
from archdsl.syntax.tokens import STATEMENTS, VALUES, Token
from archdsl.text.source import Source, Span

#: What people call the tokens.
WORDS = {
    "_SEP": "a new line",
    "NAME": "a name",
    "LABEL": "a label",
    "BRACED": "a label",
    "INT": "a number",
    "FLOAT": "a number",
    "SIZE": "a size",
    "QUANTITY": "a number",
    "STRING": "a string",
    "$END": "the end of the file",
    "COMMA": "`,`",
    "COMPARE": "a comparison",
}
SIGNS = {
    "LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}", "COLON": ":", "ARROW": "->",
    "DOTDOT": "..", "DOT": ".", "EQUAL": "=", "PLUS": "+", "MINUS": "-", "POWER": "**", "STAR": "*",
    "DOUBLESLASH": "//", "SLASH": "/", "PERCENT": "%",
}  # fmt: skip
OPERATORS = frozenset(SIGNS) - {"LPAR", "RPAR", "LSQB", "RSQB", "LBRACE", "RBRACE", "COLON", "ARROW", "EQUAL"}
OPERATORS |= {"COMPARE", "AND", "OR", "IN", "NOT", "IF", "FOR"}


def diagnostic(error: Exception, run: Run) -> Diagnostic:
    """The diagnostic of what stopped a run."""
    source = run.builder.source
    match error:
        case TokenError():
            span = Span(source, error.start, error.end)
            helps = () if error.help is None else (Help(f"did you mean `{error.help}`?", span, error.help),)
            return Diagnostic(error.problem, span, helps=helps)
        case NoToken():
            return _no_token(error, source)
        case WrongToken():
            return _wrong_token(error, source, run)
        case SpecError():
            return error.diagnostics[0]
    raise error


def _no_token(error: NoToken, source: Source) -> Diagnostic:
    place = error.place
    problem = UnexpectedCharacter(f"`{source.text[place]}`")
    return Diagnostic(problem, Span(source, place, place + 1), helps=tuple(at_character(source, place)))


def _wrong_token(error: WrongToken, source: Source, run: Run) -> Diagnostic:
    """A token that cannot stand where it does, or the end of the file where more is needed."""
    accepted, token, start, end = error.accepted, error.token, run.start, run.end
    if token.type == END and run.rule == "expr" and end < len(run.text):
        token = Token("RBRACE", run.text[end], end, end + 1)
    if token.type == END:
        opened = open_brackets(source, start, end)
        expected = f"`{PAIRS[opened[-1].text]}`" if opened else _expectation(accepted, _end(run))
        span = Span(source, max(end - 1, 0), end)
        return Diagnostic(UnexpectedEnd(expected), span, notes=unclosed(source, start, end))
    line_end = token.type == "_SEP"
    span = Span(source, token.start, token.start + 1 if line_end else token.end)
    found = "`;`" if span.text == ";" else "the end of the line" if line_end else f"`{token}`"
    expected = _expectation(accepted, _end(run))
    helps = tuple(after_token(source, span, token.type, accepted))
    return Diagnostic(UnexpectedText(expected, found), span, label=f"expected {expected}", helps=helps)


def _end(run: Run) -> str:
    """What the end of the stretch is called that is parsed: an expression in a label ends with its brace."""
    if (run.start, run.end) == (0, len(run.text)):
        return WORDS[END] if run.rule == "start" else "the end of the value"
    return "`}`" if run.rule == "expr" else WORDS[END]


def _expectation(types: set[str], end: str) -> str:
    """What could have stood there, in words and as few of them as possible."""
    types = set(types)
    words = []
    if types >= VALUES:
        types -= VALUES | {"MINUS", "PLUS", "NOT"}
        words = ["a value"]
    elif types >= STATEMENTS:
        types -= STATEMENTS | {"LBRACE"}
        words = ["a statement"]
    elif types >= {"BLOCK", "MODEL", "TRAIN"}:
        types -= {"INLINE", "BLOCK", "MODEL", "TRAIN", "IMPORT", "FROM", "LET", "_SEP"}
        words = ["`model`", "`block`", "`train`", "`let`", "an import"]
    # After the names of a loop, `in` is no comparison.
    operators = OPERATORS if "COMPARE" in types else OPERATORS - {"IN"}
    if len(types) > len(operators & types):
        types -= operators
    # What may also follow says little where the end of the statement or of the argument is what is missing.
    if "_SEP" in types:
        types -= {"ARROW", "ELSE", "SHORTCUT", "LPAR", "LSQB", "EQUAL"}
    elif len(types) > len(types & {"LPAR", "LSQB"}):
        types -= {"LPAR", "LSQB"}
    names = WORDS | {END: end}
    words += sorted({names.get(kind) or f"`{SIGNS.get(kind, kind.lower())}`" for kind in types})
    return ", ".join(words[:-1]) + " or " + words[-1] if len(words) > 1 else "".join(words) or "something else"
