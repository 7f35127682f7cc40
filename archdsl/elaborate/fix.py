"""Applies suggested edits to a spec until nothing is left that an edit fixes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from archdsl.diagnostics import Diagnostic, Help
from archdsl.text.source import Source

#: More rounds than a file has mistakes inside one another.
ROUNDS = 100

Check = Callable[[Source], Sequence[Diagnostic]]


class Fixed(NamedTuple):
    """The source after the fixes, how many problems they fixed, and what is left."""

    text: str
    number: int
    left: list[Diagnostic]


class _Edit(NamedTuple):
    diagnostic: Diagnostic
    start: int
    end: int
    new: str


def fix(source: Source, check: Check, *, unsafe: bool = False) -> Fixed:
    """Apply the edits that are certain, with `unsafe` all, to the problems that `check` finds in a source.

    An edit after which its problem is still there, or a valid spec is invalid, is not applied.
    """
    found, number = list(check(source)), 0
    failed: set[tuple[str, str, str]] = set()
    for _ in range(ROUNDS):
        edits = [one for one in _edits(source, found, unsafe=unsafe) if _key(one) not in failed]
        if not edits:
            break
        for chosen in [edits] if len(edits) == 1 else [edits, edits[:1]]:
            after = Source(source.path, _applied(source.text, chosen))
            left = list(check(after))
            if _is_better(found, left, chosen):
                source, found, number = after, left, number + len(chosen)
                break
        else:
            failed.add(_key(edits[0]))
    return Fixed(source.text, number, found)


def _edits(source: Source, found: Sequence[Diagnostic], *, unsafe: bool) -> Iterator[_Edit]:
    """The edits of a source that do not overlap, in its order: the first suggestion of each problem."""
    edits = []
    for one in found:
        help = next((help for help in one.suggestions if _is_edit_of(help, source)), None)
        if help is not None and help.span is not None and (help.certain or unsafe):
            edits.append(_Edit(one, help.span.start, help.span.end, str(help.replacement)))
    end = -1
    for edit in sorted(edits, key=lambda one: (one.start, one.end)):
        if edit.start > end:
            yield edit
            end = edit.end


def _is_edit_of(help: Help, source: Source) -> bool:
    return help.span is not None and help.replacement is not None and help.span.source is source


def _key(edit: _Edit) -> tuple[str, str, str]:
    return edit.diagnostic.code, edit.diagnostic.message, edit.new


def _applied(text: str, edits: Sequence[_Edit]) -> str:
    for edit in reversed(edits):
        text = text[: edit.start] + edit.new + text[edit.end :]
    return text


def _is_better(before: Sequence[Diagnostic], after: Sequence[Diagnostic], edits: Sequence[_Edit]) -> bool:
    """Whether the problems that were edited are gone, and a valid spec is still valid.

    What is removed may leave the same problem elsewhere, of a second value of that name.
    """
    if any(one.severity == "error" for one in after) and not any(one.severity == "error" for one in before):
        return False
    counts, now = Counter(map(_what, before)), Counter(map(_what, after))
    fixed = Counter(_what(edit.diagnostic) for edit in edits if edit.new)
    return all(now[what] <= counts[what] - number for what, number in fixed.items())


def _what(one: Diagnostic) -> tuple[str, str]:
    return one.code, one.message
