"""From source code to the syntax tree."""

from __future__ import annotations

import re
from typing import Any

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.syntax import UnexpectedEnd
from archdsl.syntax import tree
from archdsl.syntax.automaton import NoToken, Run, TokenError, WrongToken
from archdsl.syntax.builder import Builder
from archdsl.syntax.tokens import Token
from archdsl.text.limits import MAX_ERRORS
from archdsl.text.source import Source, Span

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


def parse_requirement(source: Source) -> tree.Requirement:
    """Return the syntax tree of a source that is one requirement, such as the value of `--require`."""
    run = _new_run(source, 0, len(source.text), "requirement")
    requirement: tree.Requirement = _parsed_alone(run)
    return requirement


def _new_run(source: Source, start: int, end: int, rule: str) -> Run:
    return Run(Builder(source, _expression), start, end, rule)


def _expression(source: Source, start: int, end: int) -> tree.Expr:
    expression: tree.Expr = _parsed_alone(_new_run(source, start, end, "expr"))
    return expression


def _parsed_alone(run: Run) -> Any:
    """What a run that is not over a whole file makes."""
    try:
        return run.result()
    except ERRORS as error:
        from archdsl.syntax.errors import diagnostic

        raise SpecError([diagnostic(error, run)]) from None


def _parsed(run: Run) -> tuple[tree.File, list[Diagnostic]]:
    source, diagnostics = run.builder.source, list[Diagnostic]()
    furthest = -1
    while True:
        try:
            return tree.File(source, run.result(), comments(source)), diagnostics
        except ERRORS as error:
            from archdsl.syntax.errors import diagnostic
            from archdsl.syntax.recovery import ends_early, recover

            found = diagnostic(error, run)
        assert found.span is not None
        at_end = isinstance(found.problem, UnexpectedEnd)
        place = run.end if at_end else found.span.start
        if not at_end or not (furthest == place or ends_early(run)):
            diagnostics.append(found)
        recover(run, place, give_up=place <= furthest or len(diagnostics) >= MAX_ERRORS)
        furthest = place


def comments(source: Source) -> list[Span]:
    """The comments of a source, in order. Strings may hold a `#`."""
    found = re.finditer(r'"(?:[^"\\\n]|\\.)*"|(#[^\n]*)', source.text)
    return [Span(source, match.start(1), match.end(1)) for match in found if match[1]]
