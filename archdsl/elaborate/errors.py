"""Exceptions inside the elaborator. None of them leaves it."""

from __future__ import annotations

from collections.abc import Callable

from archdsl.diagnostics import Help, Note, Problem
from archdsl.text.source import Span


class Located(Exception):
    """A problem with its place; whoever catches it knows the chain of calls and reports it.

    `helps` may be a function that works them out: the same problem may be met many times, and is reported once.
    """

    def __init__(
        self,
        problem: Problem,
        span: Span,
        *,
        label: str = "",
        notes: tuple[Note, ...] = (),
        helps: tuple[Help, ...] | Callable[[], tuple[Help, ...]] = (),
    ) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.span = span
        self.label = label
        self.notes = notes
        self._helps = helps

    @property
    def helps(self) -> tuple[Help, ...]:
        """What to do about it."""
        if callable(self._helps):
            self._helps = self._helps()
        return self._helps

    @helps.setter
    def helps(self, helps: tuple[Help, ...]) -> None:
        self._helps = helps


class Unknown(Exception):
    """What is asked for depends on something that was wrong before and has been reported."""


class Stop(Located):
    """A bound is passed: nothing that follows is worth looking at."""
