"""Tables on the terminal: the summary, the zoo, the layers.

The layout is worked out here, so that a table is the same in a file and on a terminal; Rich colours it on
the latter, and only then is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from shutil import get_terminal_size
from typing import IO, TYPE_CHECKING, NamedTuple

from archdsl.view import summary
from archdsl.view.summary import Row

if TYPE_CHECKING:
    from archdsl.graph.network import Network


class Column(NamedTuple):
    """One column. Where the terminal is narrow, cells of a `fold` column are cut to that many characters a line
    (never less), and columns go in the order of `drop`, the highest first; 0 never goes.
    """

    title: str
    right: bool = False
    fold: int | None = None
    drop: int = 0


#: The texts of one row.
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
    """A row as text, with as many lines as its highest cell."""
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


class SummaryColumn(NamedTuple):
    """A column of the summary by the name `--columns` knows it by."""

    column: Column
    cell: Callable[[Row], str]


def _name(row: Row) -> str:
    return "  " * (row.level - 1) + row.label + (" *" if row.aux else "")


def _params(row: Row) -> str:
    return "(shared)" if row.shared and not row.params else f"{row.params:,}"


SUMMARY_COLUMNS = {
    "name": SummaryColumn(Column("layer", fold=14), _name),
    "kind": SummaryColumn(Column("kind", fold=9, drop=3), lambda row: row.kind),
    "input": SummaryColumn(Column("input", right=True, drop=5), lambda row: str(row.input)),
    "output": SummaryColumn(Column("output", right=True), lambda row: str(row.output)),
    "params": SummaryColumn(Column("params", right=True), _params),
    "trainable": SummaryColumn(Column("trainable", right=True, drop=6), lambda row: f"{row.trainable_params:,}"),
    "macs": SummaryColumn(Column("MACs", right=True, drop=1), lambda row: summary.humanised(row.macs)),
    "flops": SummaryColumn(Column("FLOPs", right=True, drop=7), lambda row: summary.humanised(row.flops)),
    "memory": SummaryColumn(Column("memory", right=True, drop=2), lambda row: summary.memory(row.activation_bytes)),
    "field": SummaryColumn(Column("field", right=True, drop=4), lambda row: summary.field(row.receptive_field)),
    "line": SummaryColumn(Column("line", right=True, drop=8), lambda row: str(row.line)),
}
USUAL = ("name", "kind", "output", "params", "macs", "memory", "field")
#: Shown besides the usual ones where the terminal has room for it.
WHERE_WIDE = "flops"
FIGURES = {"params", "trainable", "macs", "flops", "memory", "field"}


def draw_summary(
    network: Network,
    *,
    file: IO[str],
    width: int,
    depth: int | None = None,
    columns: Sequence[str] = (),
    others: Sequence[str] = (),
) -> None:
    """The summary table with its totals. `columns` are names of SUMMARY_COLUMNS, `others` the file's other models."""
    rows = summary.rows(network, depth)
    names = list(columns) or _usual(network, rows, width)
    chosen = [_column(name, asked=bool(columns)) for name in names]
    cells = [_cells(row, names) for row in rows]
    file.write("\n".join([*_title(network, width), "", ""]))
    draw(chosen, cells, file=file, width=width, faint=[i for i, row in enumerate(rows) if row.header])
    file.write("\n" + "\n".join([*_totals(network), *_footer(network, rows, others, width)]) + "\n")


def _column(name: str, *, asked: bool) -> Column:
    """A column by name; one that was asked for is never dropped."""
    column = SUMMARY_COLUMNS[name].column
    return column._replace(drop=0) if asked else column


def _usual(network: Network, rows: Sequence[Row], width: int) -> list[str]:
    """The usual columns, FLOPs too where they fit; a network without spatial axes has no receptive field."""
    names = [name for name in USUAL if name != "field" or network.input_shape.rank]
    wide = [*names[: names.index("macs") + 1], WHERE_WIDE, *names[names.index("macs") + 1 :]]
    columns = [SUMMARY_COLUMNS[name].column for name in wide]
    fits = _total(columns, [_cells(row, wide) for row in rows], 2) <= width
    return wide if fits else names


def _cells(row: Row, names: Sequence[str]) -> list[str]:
    """The row's cells; the header of a scope has no figures, since the rows below it have them."""
    return ["" if row.header and name in FIGURES else SUMMARY_COLUMNS[name].cell(row) for name in names]


def _title(network: Network, width: int) -> list[str]:
    """The model as it could be called, and its file."""
    return _wrapped(f"{network.title}  {_shown(network.path)}".rstrip(), width)


def _shown(path: str) -> str:
    """A path as seen from the current folder, where it lies inside."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _wrapped(text: str, width: int) -> list[str]:
    from textwrap import wrap

    return wrap(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _totals(network: Network) -> list[str]:
    totals = summary.total_lines(network)
    wide = max(len(name) for name, _ in totals)
    return [f"{name:<{wide}}  {text}" for name, text in totals]


def _footer(network: Network, rows: Sequence[Row], others: Sequence[str], width: int) -> list[str]:
    notes = summary.footnotes(rows)
    if others:
        text = f"Other models in this file (--model NAME): {', '.join(others)}"
        notes += _wrapped(text, width)
    return ["", *notes] if notes else []
