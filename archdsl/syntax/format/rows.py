"""The atoms as rows of statements, whose parts are atoms, brackets and bodies."""

from __future__ import annotations

from dataclasses import dataclass, field

from archdsl.syntax.format.atoms import Atom
from archdsl.syntax.tokens import CLOSING, OPENING

STATEMENT_ENDS = CLOSING | {"_SEP", "$END"}
ELEMENT_ENDS = CLOSING | {"COMMA", "CLAUSE"}


@dataclass(slots=True)
class Bracket:
    """A bracket in an expression, a call or a definition: elements, and comments between them.

    comma       the comma at its end is needed: `(a,)`
    one_a_line  the author ends it with a comma and a line end, so that each element keeps a line of its own
    flat        its atoms on one line, once they are known
    clauses     `[a for b in c if d]`: the entries are not separated by commas
    """

    open: Atom
    entries: list[list[Part] | Atom] = field(default_factory=list)
    close: Atom = field(default_factory=lambda: Atom("", ""))
    comma: bool = False
    one_a_line: bool = False
    clauses: bool = False
    flat: list[Atom] | None = None


@dataclass(slots=True)
class Block:
    """`{ }` around statements. `broken`: it has line ends in the source. `comment` follows its `{`."""

    open: Atom
    rows: list[Row] = field(default_factory=list)
    close: Atom = field(default_factory=lambda: Atom("", ""))
    comment: Atom | None = None
    broken: bool = False


Part = Atom | Bracket | Block


@dataclass(slots=True)
class Row:
    """Statements that share a line, or a comment by itself. `blank`: a blank line goes before it."""

    statements: list[list[Part]]
    comment: Atom | None = None
    blank: bool = False


class Reader:
    """From atoms to rows, by recursive descent."""

    def __init__(self, atoms: list[Atom]) -> None:
        self.atoms = [*atoms, Atom("", "$END")]
        self.next = 0

    def take(self) -> Atom:
        self.next += 1
        return self.atoms[self.next - 1]

    @property
    def kind(self) -> str:
        return self.atoms[self.next].kind

    def rows(self) -> list[Row]:
        """The rows up to the end of the body."""
        found: list[Row] = []
        while self.kind not in {"RBRACE", "$END"}:
            atom = self.atoms[self.next]
            if self.kind == "_SEP":
                self.next += 1
            elif self.kind == "COMMENT":
                if atom.breaks or not found:
                    found.append(Row([], self.take(), atom.breaks > 1 and bool(found)))
                else:
                    found[-1].comment = self.take()
            elif found and found[-1].statements and not atom.breaks:
                found[-1].statements.append(self.parts())
            else:
                blank = atom.breaks > 1 and bool(found)
                found.append(Row([self.parts()], None, blank))
        return found

    def parts(self, ends: frozenset[str] = STATEMENT_ENDS) -> list[Part]:
        """The parts of a statement or of an element of a bracket."""
        found: list[Part] = []
        while not self._at_end(ends):
            if self.kind not in OPENING:
                found.append(self.take())
            elif self.atoms[self.next].bracket == "body":
                found.append(self.block())
            else:
                found.append(self.bracket())
        return found

    def _at_end(self, ends: frozenset[str]) -> bool:
        """Whether a statement or element ends here; comments before its end do not belong to it."""
        ahead = self.next
        while self.atoms[ahead].kind == "COMMENT":
            ahead += 1
        return self.atoms[ahead].kind in ends

    def bracket(self) -> Bracket:
        found = Bracket(self.take())
        while self.kind not in CLOSING:
            found.comma = self.kind == "COMMA" or (found.comma and self.kind == "COMMENT")
            if self.kind == "COMMA":
                self.next += 1
            elif self.kind == "COMMENT":
                found.entries.append(self.take())
            elif self.kind == "CLAUSE":
                found.clauses = True
                found.entries.append([self.take(), *self.parts(ELEMENT_ENDS)])
            else:
                found.entries.append(self.parts(ELEMENT_ENDS))
        found.close = self.take()
        found.one_a_line = found.comma and found.close.breaks > 0
        elements = sum(isinstance(entry, list) for entry in found.entries)
        found.comma = found.comma and found.open.bracket == "parenthesis" and elements == 1
        return found

    def block(self) -> Block:
        found = Block(self.take())
        if self.kind == "COMMENT" and not self.atoms[self.next].breaks:
            found.comment = self.take()
        found.rows = self.rows()
        found.close = self.take()
        own = [part for row in found.rows for statement in row.statements for part in statement]
        ends = [part if isinstance(part, Atom) else part.open for part in own]
        found.broken = any(atom.breaks for atom in [*ends, found.close])
        return found
