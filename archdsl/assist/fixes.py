"""Edits: those that diagnostics suggest, renaming, formatting."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import accumulate
from typing import NamedTuple

from archdsl.assist.analysis import Analysis
from archdsl.diagnostics import Diagnostic
from archdsl.elaborate.references import Definition
from archdsl.syntax import format_text
from archdsl.syntax.table import table
from archdsl.text.source import Span

NAME = re.compile(r"[^\W\d]\w*")


class Edit(NamedTuple):
    """A text in place of a stretch of a source."""

    span: Span
    text: str


class Fix(NamedTuple):
    """An edit that a diagnostic suggests."""

    title: str
    diagnostic: Diagnostic
    edit: Edit


def fixes(diagnostics: Sequence[Diagnostic]) -> Iterator[Fix]:
    """The suggestions of diagnostics that are edits."""
    for diagnostic in diagnostics:
        for help in diagnostic.helps:
            if help.span is not None and help.replacement is not None:
                yield Fix(help.message.rstrip("?"), diagnostic, Edit(help.span, help.replacement))


def require_name(analysis: Analysis, definition: Definition, name: str) -> None:
    """Reject a new name of a definition that cannot be written, or that something else in its file has.

    Raises ValueError with a sentence for people.
    """
    if not NAME.fullmatch(name) or name in table().keywords:
        raise ValueError(f"`{name}` is not a name")
    if any(one.name == name and one.span.source is definition.span.source for one in analysis.definitions):
        raise ValueError(f"there is already a `{name}` in this file")


def formatted(analysis: Analysis) -> list[Edit]:
    """The edit that brings the file into its one form; none where it has it. Raises SpecError for syntax errors."""
    text = analysis.source.text
    wanted = format_text(text, analysis.source.path)
    return [] if wanted == text else [Edit(Span(analysis.source, 0, len(text)), wanted)]


def formatted_lines(analysis: Analysis) -> Iterator[Edit]:
    """The same as edits of single stretches of lines."""
    text = analysis.source.text
    wanted = format_text(text, analysis.source.path)
    old, new = text.splitlines(keepends=True), wanted.splitlines(keepends=True)
    starts = [0, *accumulate(map(len, old))]
    for tag, first, last, begin, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield Edit(Span(analysis.source, starts[first], starts[last]), "".join(new[begin:end]))
