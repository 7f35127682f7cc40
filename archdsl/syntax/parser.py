"""From source code to the syntax tree."""

from __future__ import annotations

import re

from archdsl.diagnostics import Diagnostic, Help, SpecError
from archdsl.diagnostics.codes.syntax import UnexpectedCharacter, UnexpectedEnd, UnexpectedText
from archdsl.syntax import tree
from archdsl.syntax.automaton import NoToken, Run, TokenError, WrongToken
from archdsl.syntax.builder import Builder
from archdsl.syntax.table import END
from archdsl.syntax.tokens import STATEMENTS, VALUES, Token
from archdsl.text.limits import MAX_ERRORS
from archdsl.text.source import Source, Span

#: What people call the tokens.
WORDS = {
    "_SEP": "a new line",
    "NAME": "a name",
    "LABEL": "a label",
    "INT": "a number",
    "FLOAT": "a number",
    "SIZE": "a size",
    "STRING": "a string",
    "$END": "the end of the file",
    "COMMA": "`,`",
    "COMPARE": "a comparison",
}
SIGNS = {
    "LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}", "COLON": ":", "ARROW": "->",
    "DOTDOT": "..", "EQUAL": "=", "PLUS": "+", "MINUS": "-", "POWER": "**", "STAR": "*", "DOUBLESLASH": "//",
    "SLASH": "/", "PERCENT": "%",
}  # fmt: skip
OPERATORS = frozenset(SIGNS) - {"LPAR", "RPAR", "LSQB", "RSQB", "LBRACE", "RBRACE", "COLON", "ARROW", "EQUAL"}
OPERATORS |= {"COMPARE", "AND", "OR", "IN", "NOT", "IF", "FOR"}
#: Those of the automaton, and of the builder for the expressions in a label.
ERRORS = (TokenError, NoToken, WrongToken, SpecError)


def parse(source: Source) -> tree.File:
    """Return the syntax tree of a source.

    Raises:
        SpecError: with every syntax error that does not follow from another.
    """
    return parse_with_tokens(source)[0]


def parse_with_tokens(source: Source) -> tuple[tree.File, list[Token]]:
    """Like `parse`, with the tokens: separators between statements are among them, comments are not."""
    run = _new_run(source, 0, len(source.text), "start")
    file, diagnostics = _parsed(run)
    if diagnostics:
        raise SpecError(diagnostics)
    return file, run.tokens


def parse_partial(source: Source) -> tuple[tree.File, list[Diagnostic]]:
    """Return the syntax tree of a source with its syntax errors; a `Missing` stands for what cannot be parsed."""
    return _parsed(_new_run(source, 0, len(source.text), "start"))


def parse_expression(source: Source) -> tree.Expr:
    """Return the syntax tree of a source that is one expression, such as the value of `--set key=value`."""
    return _expression(source, 0, len(source.text))


def _new_run(source: Source, start: int, end: int, rule: str) -> Run:
    return Run(Builder(source, _expression), start, end, rule)


def _expression(source: Source, start: int, end: int) -> tree.Expr:
    run = _new_run(source, start, end, "expr")
    try:
        expression: tree.Expr = run.result()
    except ERRORS as error:
        raise SpecError([_diagnostic(error, run)]) from None
    return expression


def _parsed(run: Run) -> tuple[tree.File, list[Diagnostic]]:
    source, diagnostics = run.builder.source, list[Diagnostic]()
    furthest = -1
    while True:
        try:
            return tree.File(source, run.result(), comments(source)), diagnostics
        except ERRORS as error:
            found = _diagnostic(error, run)
        from archdsl.syntax.recovery import ends_early, recover

        assert found.span is not None
        at_end = isinstance(found.problem, UnexpectedEnd)
        place = run.end if at_end else found.span.start
        if not at_end or not (furthest == place or ends_early(run)):
            diagnostics.append(found)
        recover(run, place, give_up=place <= furthest or len(diagnostics) >= MAX_ERRORS)
        furthest = place


def _diagnostic(error: Exception, run: Run) -> Diagnostic:
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


def comments(source: Source) -> list[Span]:
    """The comments of a source, in order. Strings may hold a `#`."""
    found = re.finditer(r'"(?:[^"\\\n]|\\.)*"|(#[^\n]*)', source.text)
    return [Span(source, match.start(1), match.end(1)) for match in found if match[1]]


def _no_token(error: NoToken, source: Source) -> Diagnostic:
    from archdsl.syntax.mistakes import at_character

    place = error.place
    problem = UnexpectedCharacter(f"`{source.text[place]}`")
    return Diagnostic(problem, Span(source, place, place + 1), helps=tuple(at_character(source, place)))


def _wrong_token(error: WrongToken, source: Source, run: Run) -> Diagnostic:
    """A token that cannot stand where it does, or the end of the file where more is needed."""
    from archdsl.syntax.mistakes import PAIRS, after_token, open_brackets, unclosed

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
