"""Columns that line up in the source line up in the result."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from archdsl.syntax.format.atoms import Atom
from archdsl.syntax.format.lines import Line
from archdsl.syntax.tokens import CLOSING

NUMBERS = {"INT", "FLOAT", "QUANTITY"}
#: What can take each other's place in a column of a table.
WORDS = {"NAME", "TRUE", "FALSE", "NONE"}


@dataclass(slots=True)
class _Column:
    """Atoms that line up in the source, with their lines in the result."""

    anchor: tuple[int, str]
    members: list[tuple[Line, Atom]]

    def order(self) -> tuple[int, bool]:
        """Columns are set from left to right; a number ends before a word begins."""
        return self.anchor[0], self.members[0][1].kind not in NUMBERS

    def takes(self, line: Line, atom: Atom) -> bool:
        """Whether the atom, at the same place of a later line, belongs to the column: one of the two is spaced out."""
        last_line, last = self.members[-1]
        later = line is not last_line and atom.line > last.line
        return later and (last.spaces > last.gap or atom.spaces > atom.gap)


def align(lines: Sequence[Line]) -> None:
    """Keep columns: an atom with more space before it than it needs that lines up with one in a line nearby.

    Words line up where they begin, numbers where they end, in lines of one indentation without a blank one;
    numbers in the rows of a table only, which have the same tokens in the same order before them.
    """
    columns: list[_Column] = []
    indent = 0
    latest: dict[tuple[int, str], _Column] = {}
    for line in lines:
        if not line.atoms or line.indent != indent:
            latest, indent = {}, line.indent
        table = ""
        for i, atom in enumerate(line.atoms):
            table += " WORD" if atom.kind in WORDS else f" {atom.kind}"
            if i == 0 or not _can_align(atom):
                continue
            anchor = _anchor(atom, table)
            column = latest.get(anchor)
            if column is None or not column.takes(line, atom):
                column = latest[anchor] = _Column(anchor, [])
                columns.append(column)
            column.members.append((line, atom))
    for column in sorted((one for one in columns if len(one.members) > 1), key=_Column.order):
        target = max(_position(line, atom) for line, atom in column.members)
        for line, atom in column.members:
            atom.gap += target - _position(line, atom)


def _can_align(atom: Atom) -> bool:
    return atom.line > 0 and atom.kind not in CLOSING and (atom.gap > 0 or atom.kind in NUMBERS)


def _anchor(atom: Atom, table: str) -> tuple[int, str]:
    """Where in its source line an atom lines up, and with what: words, the same sign, comments, or numbers."""
    if atom.kind in NUMBERS:
        return atom.column + len(atom.text), table
    return atom.column, "word" if re.match(r"\w", atom.text) else atom.text[0]


def _position(line: Line, atom: Atom) -> int:
    """Where the atom's anchor is in the result."""
    width = line.indent - line.atoms[0].gap
    for other in line.atoms:
        width += other.gap
        if other is atom:
            break
        width += len(other.text)
    return width + (len(atom.text) if atom.kind in NUMBERS else 0)
