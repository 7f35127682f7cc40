"""Rows laid out in lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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

    @property
    def width(self) -> int:
        return self.indent + _width(self.atoms) - (self.atoms[0].gap if self.atoms else 0)

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
        """Whether the atoms fit on the line, with so many columns behind them."""
        return self.width + _width(atoms) + more <= WIDTH

    def rows(self, rows: Sequence[Row], indent: int) -> None:
        for row in rows:
            if row.blank:
                self.lines.append(Line(0))
            self.line(indent)
            flat = _flat_statements(row.statements)
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
        """A statement or element that need not fit on one line; `tail` columns are to stay free behind it."""
        behind_block = False
        for i, part in enumerate(parts):
            if i and self._begins_line(part, parts[i - 1]):
                self.line(indent if behind_block else indent + 2 * INDENT)
            if not _is_comment(part):
                behind_block = isinstance(part, Block)
            rest = _rest(parts[i + 1 :], tail)
            match part:
                case Atom():
                    self.put(part)
                case Bracket():
                    flat = _flat_bracket(part)
                    if flat is not None and (self.fits(flat, rest) or not part.entries or _is_index(part)):
                        self.put(*flat)
                    else:
                        self.bracket(part, indent)
                case Block():
                    flat = _flat_block(part)
                    if flat is not None and (self.fits(flat, rest) or not part.rows):
                        self.put(*flat)
                    else:
                        self.block(part, indent)

    def _begins_line(self, part: Part, before: Part) -> bool:
        """Inside a statement: behind a comment, a comment that had a line of its own, an `else` that had."""
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
        flat = [None if isinstance(entry, Atom) else _flat(entry) for entry in bracket.entries]
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
    """`[ ]` behind a value, which stays on the line of the value."""
    return isinstance(part, Bracket) and part.open.bracket == "index"


def _rest(parts: Sequence[Part], tail: int) -> int:
    """The columns behind a part up to where the next line can begin."""
    width = 0
    for part in parts:
        if isinstance(part, Atom):
            if part.kind == "COMMENT" or _own_line_else(part):
                return width
            width += part.width
        elif _is_index(part) and isinstance(part, Bracket) and (flat := _flat_bracket(part)) is not None:
            width += _width(flat)
        else:
            return width + part.open.width
    return width + tail


# On one line


def _is_comment(part: Part | list[Part]) -> bool:
    return isinstance(part, Atom) and part.kind == "COMMENT"


def _sign(text: str) -> Atom:
    return Atom(text, "SIGN", gap=0)


def _flat(parts: Sequence[Part]) -> list[Atom] | None:
    """The atoms of a statement or element on one line, None if it does not go on one."""
    found: list[Atom] = []
    for part in parts:
        inner: list[Atom] | None
        match part:
            case Atom():
                inner = None if part.kind == "COMMENT" or _own_line_else(part) else [part]
            case Bracket():
                inner = _flat_bracket(part)
            case Block():
                inner = _flat_block(part)
        if inner is None:
            return None
        found += inner
    return found


def _own_line_else(atom: Atom) -> bool:
    """`else` behind a body on one line may begin a line of its own."""
    return atom.bracket == "else" and atom.breaks > 0


def _flat_bracket(bracket: Bracket) -> list[Atom] | None:
    if bracket._flat is None:
        inner = None if bracket.one_a_line else _flat_elements(bracket)
        bracket._flat = None if inner is None else [bracket.open, *inner, bracket.close]
    return bracket._flat


def _flat_elements(bracket: Bracket) -> list[Atom] | None:
    found: list[Atom] = []
    for i, entry in enumerate(bracket.entries):
        inner = None if isinstance(entry, Atom) else _flat(entry)
        if inner is None:
            return None
        found += [_sign(","), *inner] if i and not bracket.clauses else inner
    return [*found, _sign(",")] if bracket.comma else found


def _flat_block(block: Block) -> list[Atom] | None:
    if block.broken and block.rows:
        return None
    if block.comment is not None or any(row.comment for row in block.rows):
        return None
    inner = _flat_statements([statement for row in block.rows for statement in row.statements])
    return None if inner is None else [block.open, *inner, block.close]


def _flat_statements(statements: Sequence[Sequence[Part]]) -> list[Atom] | None:
    found: list[Atom] = []
    for i, statement in enumerate(statements):
        inner = _flat(statement)
        if inner is None:
            return None
        found += [_sign(";"), *inner] if i else inner
    return found


def _width(atoms: Iterable[Atom]) -> int:
    return sum(atom.width for atom in atoms)
