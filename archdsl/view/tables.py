"""Tables of text that fit the terminal.

The layout is computed here, so that a table is the same in a file and on a terminal; Rich colours it on the
latter, and only then is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from shutil import get_terminal_size
from typing import IO, NamedTuple


class Column(NamedTuple):
    """One column. Where the terminal is narrow, cells of a `fold` column are cut to that many characters a line
    (never less), and columns go in the order of `drop`, the highest first; 0 never goes.
    """

    title: str
    right: bool = False
    fold: int | None = None
    drop: int = 0


#: The cells of one row.
Cells = Sequence[str]


def fit(columns: Sequence[Column], rows: Sequence[Cells], width: int) -> tuple[list[Column], list[list[str]], int]:
    """The columns, cells and gap between columns that fill `width` without cutting any cell short.

    In this order: the gap shrinks from two to one, cells fold over several lines, columns are dropped.
    """
    kept = list(range(len(columns)))
    while True:
        shown = [columns[i] for i in kept]
        cells = [[row[i] for i in kept] for row in rows]
        for gap in (2, 1):
            if _total(shown, cells, gap) <= width:
                return shown, cells, gap
        folded = _folded(shown, cells, width)
        droppable = [i for i in kept if columns[i].drop]
        if _total(shown, folded, 1) <= width or not droppable:
            return shown, folded, 1
        kept.remove(max(droppable, key=lambda i: columns[i].drop))


def _widths(columns: Sequence[Column], rows: Sequence[Cells]) -> list[int]:
    """The widest line of each column."""
    texts = ([column.title, *(row[i] for row in rows)] for i, column in enumerate(columns))
    return [max(len(line) for text in column for line in text.split("\n")) for column in texts]


def _total(columns: Sequence[Column], rows: Sequence[Cells], gap: int) -> int:
    return sum(_widths(columns, rows)) + gap * (len(columns) - 1)


def fits(columns: Sequence[Column], rows: Sequence[Cells], width: int) -> bool:
    """Whether the columns fill no more than `width` as they are."""
    return _total(columns, rows, 2) <= width


def _folded(columns: Sequence[Column], rows: Sequence[Cells], width: int) -> list[list[str]]:
    """The cells with the widest foldable column folded, again and again, until they fit or cannot fold further."""
    cells = [list(row) for row in rows]
    original = [list(row) for row in rows]
    limits = _widths(columns, cells)
    while (excess := _total(columns, cells, 1) - width) > 0:
        wide = {i: limits[i] - column.fold for i, column in enumerate(columns) if column.fold is not None}
        widest = max(wide, key=lambda i: wide[i], default=None)
        if widest is None or wide[widest] <= 0:
            break
        limits[widest] -= min(excess, max(1, wide[widest] // 4))
        for row, whole in zip(cells, original, strict=True):
            row[widest] = _fold(whole[widest], limits[widest])
    return cells


def _fold(text: str, room: int) -> str:
    """Lines of at most `room` characters; those after the first hang by one. Breaks at a space if it can, else
    after `_`, `-`, `.`, `,` or `/`, else anywhere.
    """
    hang = " " * (len(text) - len(text.lstrip()) + 1)
    if len(hang) > room // 2:
        hang = ""
    lines = []
    while len(text) > room:
        start = len(text) - len(text.lstrip()) + 1
        at = text.rfind(" ", start, room + 1)
        if at < room // 3:
            at = max(text.rfind(sign, start, room) for sign in "_-.,/") + 1 or room
        lines.append(text[:at].rstrip())
        text = hang + text[at:].lstrip()
    return "\n".join([*lines, text])


def terminal_width() -> int:
    """The columns of the terminal ($COLUMNS first); 80 where there is none."""
    return max(get_terminal_size((80, 24)).columns, 20)


def wants_color(file: IO[str]) -> bool:
    """Whether to colour: only on a terminal, never with NO_COLOR (no-color.org) or TERM=dumb."""
    from os import environ

    return file.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def draw(
    columns: Sequence[Column], rows: Sequence[Cells], *, file: IO[str], width: int, faint: Iterable[int] = ()
) -> None:
    """Draw a table; the rows whose numbers are in `faint` are drawn dim."""
    shown, cells, gap = fit(columns, rows, width)
    dim = set(faint)
    styles = ["bold", "dim", *("dim" if number in dim else "" for number in range(len(rows)))]
    rule = ["─" * wide for wide in _widths(shown, cells)]
    titles = [column.title for column in shown]
    blocks = [_lines(shown, row, rule, gap) for row in (titles, rule, *cells)]
    _write([(line, style) for block, style in zip(blocks, styles, strict=True) for line in block], file)


def _lines(columns: Sequence[Column], row: Cells, rule: Cells, gap: int) -> list[str]:
    """The lines of a row, as many as its highest cell has."""
    lines = []
    for parts in zip_longest(*(cell.split("\n") for cell in row), fillvalue=""):
        padded = [
            f"{part:>{len(wide)}}" if column.right else f"{part:<{len(wide)}}"
            for column, part, wide in zip(columns, parts, rule, strict=True)
        ]
        lines.append((" " * gap).join(padded).rstrip())
    return lines


def _write(lines: Sequence[tuple[str, str]], file: IO[str]) -> None:
    """Write lines with their styles: through Rich on a terminal, else as they are."""
    if not wants_color(file):
        file.writelines(f"{line}\n" for line, _ in lines)
        return
    from rich.console import Console
    from rich.text import Text

    text = Text("\n").join(Text(line, style) for line, style in lines)
    console = Console(file=file, color_system="standard", force_terminal=True, legacy_windows=False)
    console.print(text, no_wrap=True, overflow="ignore", crop=False)


def wrapped(text: str, width: int) -> list[str]:
    """The lines of a text within `width`; no word is broken."""
    from textwrap import wrap

    return wrap(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
