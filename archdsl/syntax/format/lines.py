"""Rows laid out in lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from archdsl.syntax.format.atoms import Atom
from archdsl.syntax.format.rows import Block, Bracket, Part, Row

WIDTH = 110
INDENT = 2


@dataclass(slots=True)
class Line:
    """A line of the result."""

    indent: int
    atoms: list[Atom] = field(default_factory=list)

    def __str__(self) -> str:
        first, *rest = self.atoms or [Atom("", "")]
        return " " * (self.indent if self.atoms else 0) + first.text + "".join(" " * a.gap + a.text for a in rest)


class Writer:
    """Lays rows out in lines."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.width = 0

    def line(self, indent: int) -> None:
        """Begin a new line."""
        self.lines.append(Line(indent))
        self.width = indent

    def put(self, *atoms: Atom) -> None:
        """Append to the line."""
        for atom in atoms:
            self.width += atom.width if self.lines[-1].atoms else len(atom.text)
            self.lines[-1].atoms.append(atom)

    def fits(self, atoms: Iterable[Atom], more: int = 0) -> bool:
        """Whether the atoms fit on the line, with `more` columns after them."""
        return self.width + _width(atoms) + more <= WIDTH

    def rows(self, rows: Sequence[Row], indent: int) -> None:
        for row in rows:
            if row.blank:
                self.lines.append(Line(0))
            self.line(indent)
            flat = _one_line_of(row.statements)
            if flat is not None and self.fits(flat, -1):
                self.put(*flat)
            else:
                for i, statement in enumerate(row.statements):
                    if i:
                        self.line(indent)
                    self.parts(statement, indent)
            if row.comment is not None:
                self.put(row.comment)

    def parts(self, parts: Sequence[Part], indent: int, tail: int = 0) -> None:
        """A statement or element that need not fit on one line; `tail` columns after it are to stay free."""
        after_block = False
        for i, part in enumerate(parts):
            if i and self._begins_line(part, parts[i - 1]):
                self.line(indent if after_block else indent + 2 * INDENT)
            if not _is_comment(part):
                after_block = isinstance(part, Block)
            rest = _rest(parts[i + 1 :], tail)
            flat = None if isinstance(part, Atom) else _one_line([part])
            match part:
                case Atom():
                    self.put(part)
                case Bracket(entries=inner) | Block(rows=inner) if flat is not None and (
                    self.fits(flat, rest) or not inner or _is_index(part)
                ):
                    self.put(*flat)
                case Bracket():
                    self.bracket(part, indent)
                case Block():
                    self.block(part, indent)

    def _begins_line(self, part: Part, before: Part) -> bool:
        """Whether a part of a statement begins a line: after a comment, or as a comment or `else` with its own line."""
        if _is_comment(before):
            return True
        if not isinstance(part, Atom):
            return False
        if part.kind == "COMMENT":
            return part.breaks > 0
        return _own_line_else(part) and self.lines[-1].atoms[0].bracket != "body"

    def bracket(self, bracket: Bracket, indent: int) -> None:
        """The elements on lines of their own: as many on each as fit, or one where there are comments."""
        self.put(bracket.open)
        inside = indent + INDENT
        flat = [None if isinstance(entry, Atom) else _one_line(entry) for entry in bracket.entries]
        elements = [element for element in flat if element is not None]
        if len(elements) == len(flat) and not bracket.one_a_line and not bracket.clauses:
            self._fill(elements, bracket.comma, inside)
        else:
            self._elements(bracket, inside)
        self.line(indent)
        self.put(bracket.close)

    def _fill(self, elements: Sequence[Sequence[Atom]], comma: bool, indent: int) -> None:
        self.line(indent)
        for i, element in enumerate(elements):
            if i and not self.fits(element, 1):
                self.line(indent)
            self.put(*element)
            if comma or i < len(elements) - 1:
                self.put(_sign(","))

    def _elements(self, bracket: Bracket, indent: int) -> None:
        left = sum(isinstance(entry, list) for entry in bracket.entries)
        for entry in bracket.entries:
            if isinstance(entry, Atom):
                if entry.breaks or self.lines[-1].atoms[-1].kind == "COMMENT":
                    self.line(indent)
                self.put(entry)
                continue
            left -= 1
            self.line(indent)
            self.parts(entry, indent, tail=1)
            if (left and not bracket.clauses) or bracket.comma or bracket.one_a_line:
                self.put(_sign(","))

    def block(self, block: Block, indent: int) -> None:
        self.put(block.open)
        if block.comment is not None:
            self.put(block.comment)
        self.rows(block.rows, indent + INDENT)
        self.line(indent)
        self.put(block.close)


def _is_index(part: Part) -> bool:
    """Whether it is the `[ ]` of an index, which stays on the line of its value."""
    return isinstance(part, Bracket) and part.open.bracket == "index"


def _is_comment(part: Part) -> bool:
    return isinstance(part, Atom) and part.kind == "COMMENT"


def _rest(parts: Sequence[Part], tail: int) -> int:
    """The columns after a part up to where the next line can begin."""
    width = 0
    for part in parts:
        if isinstance(part, Atom):
            if part.kind == "COMMENT" or _own_line_else(part):
                return width
            width += part.width
        elif _is_index(part) and isinstance(part, Bracket) and (flat := _one_line([part])) is not None:
            width += _width(flat)
        else:
            return width + part.open.width
    return width + tail


# On one line


class _Breaks(Exception):
    """A part does not fit on one line."""


def _one_line(parts: Iterable[Part]) -> list[Atom] | None:
    """The atoms of parts that go on one line, else None."""
    try:
        return list(_atoms(parts))
    except _Breaks:
        return None


def _one_line_of(statements: Sequence[Sequence[Part]]) -> list[Atom] | None:
    try:
        return list(_separated(statements, ";"))
    except _Breaks:
        return None


def _atoms(parts: Iterable[Part]) -> Iterator[Atom]:
    for part in parts:
        match part:
            case Atom():
                if part.kind == "COMMENT" or _own_line_else(part):
                    raise _Breaks
                yield part
            case Bracket():
                yield from _bracket_atoms(part)
            case Block():
                if (part.broken and part.rows) or part.comment or any(row.comment for row in part.rows):
                    raise _Breaks
                yield part.open
                yield from _separated([statement for row in part.rows for statement in row.statements], ";")
                yield part.close


def _bracket_atoms(bracket: Bracket) -> list[Atom]:
    """The atoms of a bracket; they are kept, as every bracket around it asks for them."""
    if bracket.flat is None:
        if bracket.one_a_line or any(isinstance(entry, Atom) for entry in bracket.entries):
            raise _Breaks
        entries = [entry for entry in bracket.entries if isinstance(entry, list)]
        inner = [*_separated(entries, "" if bracket.clauses else ","), *([_sign(",")] if bracket.comma else [])]
        bracket.flat = [bracket.open, *inner, bracket.close]
    return bracket.flat


def _separated(groups: Sequence[Sequence[Part]], sign: str) -> Iterator[Atom]:
    for i, parts in enumerate(groups):
        if i and sign:
            yield _sign(sign)
        yield from _atoms(parts)


def _sign(text: str) -> Atom:
    return Atom(text, "SIGN", gap=0)


def _own_line_else(atom: Atom) -> bool:
    """Whether it is an `else` that begins a line in the source, after a body."""
    return atom.bracket == "else" and atom.breaks > 0


def _width(atoms: Iterable[Atom]) -> int:
    return sum(atom.width for atom in atoms)
