"""A problem with its place, the chain of calls that led there, and suggestions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from archdsl.diagnostics.problem import Problem, Severity
from archdsl.text.source import Span


@dataclass(frozen=True, slots=True)
class Note:
    """A further place or fact that explains the problem."""

    message: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Help:
    """A suggestion; with a span and a replacement, an edit that a tool can make.

    certain  whether nothing else can have been meant, or the network stays the same: `check --fix` makes the edit
    """

    message: str
    span: Span | None = None
    replacement: str | None = None
    certain: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """One call in the chain to the problem: `block basic, called at file:line:column`."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A problem at its place; `path` is the file if there is no span. A `strict` warning counts as an error.

    more  finds further suggestions, for a report that is shown: they take time
    """

    problem: Problem
    span: Span | None = None
    label: str = ""
    notes: tuple[Note, ...] = ()
    helps: tuple[Help, ...] = ()
    chain: tuple[Frame, ...] = ()
    path: str = ""
    strict: bool = False
    more: Callable[[], tuple[Help, ...]] | None = field(default=None, compare=False, repr=False)

    @property
    def suggestions(self) -> tuple[Help, ...]:
        """All suggestions."""
        return self.helps if self.more is None else (*self.helps, *self.more())

    @property
    def code(self) -> str:
        return self.problem.code

    @property
    def severity(self) -> Severity:
        return "error" if self.strict else self.problem.severity

    @property
    def message(self) -> str:
        return str(self.problem)
