"""Diagnostics as text (in full or one line each), JSON and GitHub annotations.

The full form follows rustc: the source line with the span underlined, the chain of calls, notes with further spans,
and `help:` with the line after the suggested change.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from unicodedata import category, east_asian_width

from archdsl.diagnostics.diagnostic import Diagnostic, Frame, Help, Note
from archdsl.text.source import Span

TAB = 4
#: The middle of longer chains of calls and longer spans is left out.
CHAIN_ENDS = 3
SPAN_LINES = 6

COLORS = {"error": "1;31", "warning": "1;33", "note": "1;32", "help": "1;36", "gutter": "1;34", "bold": "1"}


def render_text(diagnostics: Sequence[Diagnostic], *, color: bool = False, width: int = 100) -> str:
    """The full report, followed by the number of errors, warnings and files. `width` is in terminal columns."""
    return "\n\n".join([*(render_one(one, color=color, width=width) for one in diagnostics), count(diagnostics)])


def render_one(diagnostic: Diagnostic, *, color: bool = False, width: int = 100) -> str:
    """The full report of one problem."""
    return "\n".join(_full(diagnostic, _Page(color, max(width, 40))))


def render_concise(diagnostics: Sequence[Diagnostic]) -> str:
    """One line each: `file:line:column: E203 message`."""
    return "\n".join(f"{_place(d)}{d.code} {_clean(d.message)}" for d in diagnostics)


def render_json(diagnostics: Sequence[Diagnostic]) -> str:
    """A JSON list with one object for each diagnostic (docs/json.md)."""
    return json.dumps([as_dict(diagnostic) for diagnostic in diagnostics], indent=2, ensure_ascii=False)


def render_github(diagnostics: Sequence[Diagnostic]) -> str:
    """GitHub workflow commands, which annotate the lines of a pull request."""
    return "\n".join(map(_annotation, diagnostics))


def count(diagnostics: Sequence[Diagnostic]) -> str:
    """`3 errors and 1 warning in 2 files`."""
    # An option (`--set classes`) is a source but not a file.
    files = {path for path in map(_path, diagnostics) if path and not path.startswith("--")}
    severities = [diagnostic.severity for diagnostic in diagnostics]
    found = " and ".join(plural(severities.count(one), one) for one in ("error", "warning") if one in severities)
    return f"{found} in {plural(len(files), 'file')}" if files else found


def plural(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def as_dict(diagnostic: Diagnostic) -> dict[str, Any]:
    """A diagnostic for JSON; lines and columns count from 1, ends are exclusive."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        **_region(diagnostic.span, diagnostic.path),
        "label": diagnostic.label,
        "notes": [{"message": note.message, **_region(note.span)} for note in diagnostic.notes],
        "helps": [_help_dict(help) for help in diagnostic.suggestions],
        "chain": [{"name": frame.name, **_region(frame.span)} for frame in diagnostic.chain],
    }


def _help_dict(help: Help) -> dict[str, Any]:
    edit = None
    if help.span is not None and help.replacement is not None:
        edit = {**_region(help.span), "replacement": help.replacement, "certain": help.certain}
    return {"message": help.message, "edit": edit}


def _region(span: Span | None, path: str = "") -> dict[str, Any]:
    if span is None:
        return {"file": path or None, "line": None, "column": None, "end_line": None, "end_column": None}
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.path,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


def _annotation(diagnostic: Diagnostic) -> str:
    region = _region(diagnostic.span, diagnostic.path)
    names = {"file": "file", "line": "line", "end_line": "endLine", "column": "col", "end_column": "endColumn"}
    properties = {names[key]: region[key] for key in names if region[key] is not None}
    properties["title"] = diagnostic.code
    listed = ",".join(f"{key}={_escape(value, ':,')}" for key, value in properties.items())
    hints = [f"help: {help.message}" for help in diagnostic.suggestions]
    return f"::{diagnostic.severity} {listed}::{_escape(chr(10).join([diagnostic.message, *hints]))}"


def _escape(value: object, more: str = "") -> str:
    """Percent-encode the characters that workflow commands reserve."""
    text = str(value).replace("%", "%25")
    for character in "\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _path(diagnostic: Diagnostic) -> str:
    return diagnostic.span.source.path if diagnostic.span is not None else diagnostic.path


def _place(diagnostic: Diagnostic) -> str:
    """`file:line:column: `, as far as it is known."""
    place = str(diagnostic.span) if diagnostic.span is not None else diagnostic.path
    return _clean(place) + ": " if place else ""


@dataclass(frozen=True, slots=True)
class _Page:
    """The format of a report: colour or not, its width, and the number of digits of line numbers."""

    color: bool
    width: int
    digits: int = 1

    def ink(self, style: str, text: str) -> str:
        return f"\x1b[{COLORS[style]}m{text}\x1b[0m" if self.color and text else text

    def row(self, line: int | None, text: str, sign: str = "|") -> str:
        """One line after the gutter with the line number."""
        number = "" if line is None else str(line)
        gutter = self.ink("gutter", f"{number:>{self.digits}} {sign}")
        return f"{gutter} {text}".rstrip()

    @property
    def room(self) -> int:
        """The columns to the right of the gutter."""
        return self.width - self.digits - 3


class _Mark(NamedTuple):
    """How a span is underlined: the character, its colour, and the label after it."""

    sign: str
    style: str
    label: str = ""


def _full(diagnostic: Diagnostic, page: _Page) -> Iterable[str]:
    spans = [diagnostic.span, *(n.span for n in diagnostic.notes), *(h.span for h in diagnostic.helps)]
    lines = [span.source.position(span.end)[0] for span in spans if span is not None]
    page = _Page(page.color, page.width, len(str(max(lines, default=1))))
    severity = diagnostic.severity
    title = page.ink(severity, f"{severity}[{diagnostic.code}]") + page.ink("bold", f": {_clean(diagnostic.message)}")
    yield title
    if diagnostic.span is not None:
        yield from _snippet(diagnostic.span, _Mark("^", severity, _clean(diagnostic.label)), page)
    else:
        yield from _label_without_place(diagnostic, page)
    yield from _chain(diagnostic.chain, page)
    for note in diagnostic.notes:
        yield from _note(note, page)
    for help in diagnostic.suggestions:
        yield from _help(help, page)


def _label_without_place(diagnostic: Diagnostic, page: _Page) -> Iterable[str]:
    if diagnostic.path:
        yield page.ink("gutter", f"{'':>{page.digits}}-->") + f" {_clean(diagnostic.path)}"
    if diagnostic.label:
        yield page.row(None, _clean(diagnostic.label), "=")


def _note(note: Note, page: _Page) -> Iterable[str]:
    if note.span is None:
        yield page.row(None, f"{page.ink('note', 'note')}: {_clean(note.message)}", "=")
        return
    yield f"{page.ink('note', 'note')}: {_clean(note.message)}"
    yield from _snippet(note.span, _Mark("-", "note"), page)


def _chain(chain: Sequence[Frame], page: _Page) -> Iterable[str]:
    """The calls, innermost first; the middle of a long chain is left out."""
    calls = [f"in {_clean(frame.name)}, called at {_clean(str(frame.span))}" for frame in reversed(chain)]
    if len(calls) > 2 * CHAIN_ENDS + 1:
        more = len(calls) - 2 * CHAIN_ENDS
        calls[CHAIN_ENDS:-CHAIN_ENDS] = [f"... {more:,} more calls ..."]
    return [page.row(None, call, "=") for call in calls]


def _help(help: Help, page: _Page) -> Iterable[str]:
    message = f"{page.ink('help', 'help')}: {_clean(help.message)}"
    if help.span is None or help.replacement is None:
        yield page.row(None, message, "=")
        return
    yield message
    yield page.row(None, "")
    yield from _edited(help.span, help.replacement, page)


def _edited(span: Span, replacement: str, page: _Page) -> Iterable[str]:
    """The lines after the change, with insertions underlined by `+` and replacements by `~`."""
    start, end = _new_part(span.text, replacement)
    first, column = span.source.position(span.start)
    last, end_column = span.source.position(span.end)
    prefix = span.source.line_text(first)[: column - 1]
    suffix = span.source.line_text(last)[end_column - 1 :]
    mark = _Mark("~" if end - start == len(replacement) and span.text else "+", "help")
    new = range(len(prefix) + start, len(prefix) + end)
    offset = 0
    for number, text in enumerate((prefix + replacement + suffix).split("\n")):
        inside = range(max(new.start - offset, 0), min(new.stop - offset, len(text)))
        yield from _underlined(_shown(first + number, span), text, inside, mark, page)
        offset += len(text) + 1


def _new_part(old: str, new: str) -> tuple[int, int]:
    """The part of `new` that was inserted into `old`; all of `new` if the change is not an insertion."""
    start = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    end = len(new) - (len(old) - start)
    inserted = end > start and new[end:] == old[start:]
    return (start, end) if inserted else (0, len(new))


def _snippet(span: Span, mark: _Mark, page: _Page) -> Iterable[str]:
    """The place and the source lines of a span, underlined."""
    if span.source.path:
        yield page.ink("gutter", f"{'':>{page.digits}}-->") + f" {_clean(str(span))}"
    yield page.row(None, "")
    first, column = span.source.position(span.start)
    last, end_column = span.source.position(span.start + len(span.text.rstrip()))
    if last <= first:
        inside = range(column - 1, max(end_column - 1, column))
        yield from _underlined(_shown(first, span), span.source.line_text(first), inside, mark, page)
    else:
        yield from _many_lines(span, (first, column), (last, end_column), mark, page)
    yield page.row(None, "")


def _shown(line: int, span: Span) -> int | None:
    """The number of a line; a command line has none."""
    return line if span.source.path else None


def _underlined(number: int | None, text: str, inside: range, mark: _Mark, page: _Page) -> Iterable[str]:
    """One source line, clipped around the characters `inside`, and the marks under them."""
    line = _Line(text)
    left, right = line.column(inside.start), line.column(inside.stop)
    shown, left, right = line.clip(left, max(right, left + bool(inside)), page.room)
    yield page.row(number, shown)
    if inside:
        marks = f"{mark.sign * (right - left)} {mark.label}".rstrip()
        yield page.row(None, " " * left + page.ink(mark.style, marks))


def _many_lines(span: Span, first: tuple[int, int], last: tuple[int, int], mark: _Mark, page: _Page) -> Iterable[str]:
    """A span of several lines, with a rail on the left from its first to its last character."""
    rail = page.ink(mark.style, "|")
    room = page.room - 2
    line = _Line(span.source.line_text(first[0]))
    shown, left, _ = line.clip(line.column(first[1] - 1), line.column(first[1]), room)
    yield page.row(first[0], f"  {shown}")
    yield page.row(None, page.ink(mark.style, f" {'_' * (left + 1)}{mark.sign}"))
    numbers = range(first[0] + 1, last[0])
    if len(numbers) > SPAN_LINES:
        yield from _rows(span, numbers[:2], rail, page)
        yield page.row(None, f"{rail} ...")
        yield from _rows(span, numbers[-1:], rail, page)
    else:
        yield from _rows(span, numbers, rail, page)
    line = _Line(span.source.line_text(last[0]))
    end = line.column(last[1] - 1)
    shown, left, right = line.clip(end - 1, end, room)
    yield page.row(last[0], f"{rail} {shown}")
    yield page.row(None, page.ink(mark.style, f"|{'_' * right}{mark.sign} {mark.label}".rstrip()))


def _rows(span: Span, numbers: Iterable[int], rail: str, page: _Page) -> Iterable[str]:
    for number in numbers:
        line = _Line(span.source.line_text(number))
        yield page.row(number, f"{rail} {line.clip(0, 1, page.room - 2)[0]}")


class _Line:
    """A source line on a terminal: tabs expanded, control characters replaced, wide characters measured."""

    def __init__(self, text: str) -> None:
        self.glyphs: list[str] = []
        self.columns = [0]
        for character in text:
            at = self.columns[-1]
            glyph = " " * (TAB - at % TAB) if character == "\t" else _visible(character)
            self.glyphs.append(glyph)
            self.columns.append(at + (len(glyph) if character == "\t" else _width(glyph)))

    def column(self, index: int) -> int:
        """The terminal column of the character `index`, which may be beyond the end."""
        beyond = max(index - len(self.glyphs), 0)
        return self.columns[min(index, len(self.glyphs))] + beyond

    def clip(self, left: int, right: int, room: int) -> tuple[str, int, int]:
        """The part around the columns `left` to `right` that fits in `room` columns, and their new positions."""
        total = self.columns[-1]
        if total <= room:
            return "".join(self.glyphs), left, right
        start = max(0, min(left - room // 3, total - room + 3))
        end = start + room - 3
        if start and end < total:
            end -= 3
        pairs = list(zip(self.glyphs, self.columns, self.columns[1:], strict=False))
        inside = [(glyph, a) for glyph, a, b in pairs if a >= start and b <= end]
        head, tail = ("..." if start else ""), ("..." if end < total else "")
        shift = len(head) - (inside[0][1] if inside else start)
        left, right = left + shift, min(right, end) + shift
        return head + "".join(glyph for glyph, _ in inside) + tail, left, max(right, left + 1)


def _clean(text: str) -> str:
    """Replace the characters that control a terminal."""
    return text if text.isascii() and text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    """Control characters (escapes, direction marks, line separators) as the replacement character."""
    return "\ufffd" if category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character != "\u200d" else character


def _width(character: str) -> int:
    if category(character) in {"Mn", "Me"} or character == "\u200d":
        return 0
    return 2 if east_asian_width(character) in {"W", "F"} else 1
