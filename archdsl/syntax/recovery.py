"""Where parsing continues after a syntax error: at the next statement, closing brace or definition."""

from __future__ import annotations

import re
from contextlib import suppress

from archdsl.syntax.automaton import Run, WrongToken
from archdsl.syntax.mistakes import open_brackets

#: Strings, comments, brackets, and the ends of lines and statements.
PIECE = re.compile(
    r'"(?:[^"\\\n]|\\.)*"|#[^\n]*|([(\[{])|([)\]}])|([\n;])(?:[\s;]|#[^\n]*)*+(?!->|(?:else|shortcut)\b)'
)
OPENING = {")": "(", "]": "[", "}": "{"}
#: A definition that begins in a body, because the body is not closed.
DEFINITION = re.compile(r'(?m)^(?:(?:(?:inline\s+)?block|model)\s+[A-Za-z_]|train\b[^{}\n]*\{|(?:import|from)\s*")')
#: What definitions begin with, at the beginning of a line.
TOP_LEVEL = re.compile(r"(?m)^(?:inline|block|model|train|import|from|let)\b")
#: What makes a statement continue on the next line.
GOES_ON = re.compile(r"(?:[-+*/%=,<>]|\b(?:and|or|in|not|if|else|when))[ \t]*$")
BLANK = re.compile(r"(?:[\s;]|#[^\n]*)*")


def recover(run: Run, place: int, *, give_up: bool) -> None:
    """Skip the statement in which parsing stopped at `place`.

    Bodies that are open where a definition begins, or at the end of the file, are closed there; with `give_up` the
    rest of the file is skipped.
    """
    text, end = run.text, run.end
    if place >= end and run.open_bodies():
        with suppress(WrongToken):
            run.close(end)
            return
    if not run.open_bodies() and run.ends_definition():
        run.separate(place)
    before = run.unwind()
    start = BLANK.match(text, before, end).end()  # type: ignore[union-attr]
    inside = run.open_bodies()
    if give_up or place >= end:
        run.skip(start, end)
        run.close(end)
    elif inside and DEFINITION.match(text, start):
        run.close(before)
        run.separate(start)
    elif inside:
        stop = _end_of_statement(text, start, place)
        run.skip(start, stop)
        if stop == place and text[place] not in "\n;}":
            run.separate(place)
    else:
        following = TOP_LEVEL.search(text, max(start, place) + 1)
        run.skip(start, following.start() if following else end)
        if following:
            run.separate(following.start())


def ends_early(run: Run) -> bool:
    """Whether what is missing at the end of the file may be in what was skipped."""
    source = run.builder.source
    return any(one.end == run.end or open_brackets(source, one.start, one.end) for one in run.skipped)


def _end_of_statement(text: str, start: int, place: int) -> int:
    """The end of a statement that begins at `start` and has an error at `place`.

    That is the end of the line, or of the line on which its brackets are closed. Where they are not, those before
    the error do not count, then none of them.
    """
    end = _end(text, start, start, place, "([{")
    if end is None and start < place and _column(text, place) is not None and re.match(r"[\w{]", text[place]):
        return place
    if end is None:
        end = _end(text, start, place, place, "{")
    return end if end is not None else _end(text, start, place, place, "") or len(text)


def _end(text: str, start: int, at: int, place: int, brackets: str) -> int | None:
    """The end of the statement for one that looks from `at` on; None if one of the `brackets` is not closed."""
    opened: list[str] = []
    for match in PIECE.finditer(text, at):
        opening, closing, separator = match.groups()
        at = match.start()
        if opening and opening in brackets:
            opened.append(opening)
        elif closing == "}" and ("{" not in opened or _closes_more(text, start, at)):
            return None if opened or at < place else at
        elif closing and OPENING[closing] in opened:
            del opened[len(opened) - 1 - opened[::-1].index(OPENING[closing]) :]
        elif separator and at >= place and not opened and not _goes_on(text, place, match):
            return at
    return None if opened else len(text)


def _closes_more(text: str, start: int, at: int) -> bool:
    """Whether a `}` is indented less than the statement, so that it closes the body around it."""
    line = text[text.rfind("\n", 0, start) + 1 : start]
    brace = _column(text, at)
    return brace is not None and brace < len(line) - len(line.lstrip())


def _goes_on(text: str, place: int, separator: re.Match[str]) -> bool:
    """Whether the next line belongs to the statement, too."""
    at = separator.start()
    if at == place:
        return text.startswith("{", separator.end())
    return GOES_ON.search(text, place + 1, at) is not None


def _column(text: str, place: int) -> int | None:
    """The indentation of what stands at a place if it is the first of its line."""
    line = text[text.rfind("\n", 0, place) + 1 : place]
    return None if line.strip() else len(line)
