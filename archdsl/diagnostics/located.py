"""The exception that carries a problem with its place, and suggestions for misspelt names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from archdsl.diagnostics.diagnostic import Diagnostic, Frame, Help, Note
from archdsl.diagnostics.problem import Problem
from archdsl.text.source import Span
from archdsl.text.suggest import suggestion


class Located(Exception):
    """A problem with its place; whoever catches it knows the chain of calls and reports it.

    `helps` may be a function that finds them: the same problem may be raised many times, and is reported once.
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
        """The suggestions."""
        if callable(self._helps):
            self._helps = self._helps()
        return self._helps

    @helps.setter
    def helps(self, helps: tuple[Help, ...]) -> None:
        self._helps = helps

    def diagnostic(self, chain: tuple[Frame, ...] = ()) -> Diagnostic:
        """Return the problem as it is reported, with the calls that led to it."""
        return Diagnostic(self.problem, self.span, self.label, self.notes, self.helps, chain)


def did_you_mean(name: str, known: Iterable[str], span: Span | None = None, otherwise: str = "") -> tuple[Help, ...]:
    """Suggest the known name that was most likely meant, as an edit if `span` starts with the wrong name.

    If there is no similar name, the suggestion is `otherwise`.
    """
    meant = suggestion(name, known)
    if meant is None:
        return (Help(otherwise),) if otherwise else ()
    place = None if span is None else name_in(span, name)
    edit = (place, meant) if place is not None and place.text == name else ()
    return (Help(f"did you mean `{meant}`?", *edit),)


def name_in(span: Span, name: str) -> Span:
    """The place of a name at the start of a span; all of the span where it starts otherwise."""
    return Span(span.source, span.start, span.start + len(name)) if span.text.startswith(name) else span
