"""The formatter: one form for every text, comments kept.

What the author decides: which short statements share a line, whether a body stands on one line, single
blank lines, and columns that line up with a neighbouring line. All else is decided here. The tokens of the
parser are laid out, so that numbers, sizes and texts stay as they are written.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from archdsl.syntax.parser import comments, parse_with_tokens
from archdsl.syntax.tokens import Token
from archdsl.text.source import Source

WIDTH = 110
INDENT = 2

OPENING = frozenset({"LPAR", "LSQB", "LBRACE"})
CLOSING = frozenset({"RPAR", "RSQB", "RBRACE"})
STATEMENT_ENDS = CLOSING | {"_SEP", "$END"}
ELEMENT_ENDS = CLOSING | {"COMMA", "CLAUSE"}
ARITHMETIC = {"PLUS", "MINUS", "STAR", "SLASH", "DOUBLESLASH", "PERCENT", "POWER"}
CONDITIONS = {"IF", "COMPARE", "AND", "OR", "IN"}
NUMBERS = {"INT", "FLOAT"}
#: What can take each other's place in a column of a table.
WORDS = {"NAME", "TRUE", "FALSE", "NONE"}
#: What an expression may end with.
OPERANDS = {"NAME", "INT", "FLOAT", "STRING", "SIZE", "TRUE", "FALSE", "NONE", "RPAR", "RSQB", "RBRACE"}
#: A `{` behind one of these is a dictionary.
BEFORE_VALUES = ARITHMETIC | {"EQUAL", "IN", "WHEN", "IF", "NOT", "AND", "OR", "COMPARE", "DOTDOT"}
#: The ends of a range's operand: what binds less than `..`, apart from brackets.
AROUND_RANGES = {
    "EQUAL", "IN", "WHEN", "IF", "ELSE", "NOT", "AND", "OR", "COMPARE", "COMMA", "COLON", "_SEP", "DOTDOT", "CLAUSE",
}  # fmt: skip


def format_text(text: str, path: str = "<string>") -> str:
    """The one form of a text.

    Formatting it again changes nothing; it parses to the same tree and has the same comments.

    Raises:
        SpecError: the text has syntax errors.
    """
    source = Source(path, text.replace("\r\n", "\n"))
    _, tokens = parse_with_tokens(source)
    rows = _Reader(_atoms(source, tokens)).rows()
    writer = _Writer()
    writer.rows(rows, 0)
    _align(writer.lines)
    return "".join(f"{line}\n" for line in writer.lines)


# The text as atoms, each with the space that belongs before it


@dataclass(slots=True)
class Atom:
    """A token or comment with its place in the source.

    gap      spaces before it, unless it begins a line
    spaces   blanks before it in the source
    breaks   line ends before it in the source
    bracket  what kind of bracket it opens or closes
    """

    text: str
    kind: str
    line: int = 0
    column: int = 0
    spaces: int = 0
    breaks: int = 0
    gap: int = 1
    bracket: str = ""
    tight: bool = False
    unary: bool = False

    @property
    def width(self) -> int:
        return self.gap + len(self.text)


def _atoms(source: Source, tokens: Sequence[Token]) -> list[Atom]:
    """The tokens and comments of a source in order."""
    spans = [(token.start, token.end, token.type) for token in tokens]
    spans = sorted(spans + [(c.start, c.end, "COMMENT") for c in comments(source)])
    starts = [0, *(i + 1 for i, character in enumerate(source.text) if character == "\n")]
    atoms = []
    before = 0
    for start, end, kind in spans:
        if kind == "_SEP":
            atoms.append(Atom("", kind))
            continue
        between = source.text[before:start]
        line = bisect_right(starts, start)
        atom = Atom(source.text[start:end].rstrip(), kind, line, start - starts[line - 1])
        atom.spaces = len(between) - len(between.rstrip(" \t"))
        atom.breaks = between.count("\n")
        atoms.append(atom)
        before = end
    significant = [atom for atom in atoms if atom.kind != "COMMENT"]
    _classify(significant)
    _mark_clauses(significant)
    _mark_ranges(significant)
    _mark_conditional_arguments(significant)
    for atom in atoms:
        if atom.kind == "COMMENT":
            atom.gap = 2
    _space(significant)
    return atoms


def _classify(atoms: Sequence[Atom]) -> None:
    """Say what every bracket is, and which signs are unary."""
    stack: list[str] = []
    for i, atom in enumerate(atoms):
        before = atoms[i - 1] if i else Atom("", "_SEP")
        if atom.kind in OPENING:
            word = atoms[i - 2].kind if i > 1 else ""
            atom.bracket = _bracket(atom, before, word, stack[-1] if stack else "body")
            stack.append(atom.bracket)
        elif atom.kind in CLOSING:
            atom.bracket = stack.pop()
        elif atom.kind in {"PLUS", "MINUS"}:
            atom.unary = before.kind not in OPERANDS
        elif atom.kind == "ELSE" and before.bracket == "body":
            atom.bracket = "else"


def _bracket(atom: Atom, before: Atom, word: str, around: str) -> str:
    """The kind of an opening bracket; `word` is the kind of the token before the one before it."""
    if atom.kind == "LPAR":
        called = before.kind in {"NAME", "COMBINATOR"}
        return ("params" if word in {"MODEL", "BLOCK"} else "args") if called else "parenthesis"
    if atom.kind == "LSQB":
        return "index" if before.kind in OPERANDS else "list"
    conditional = before.kind == "ELSE" and before.bracket != "else"
    is_value = around != "body" or before.kind in BEFORE_VALUES or conditional
    return "dict" if is_value else "body"


def _mark_clauses(atoms: Sequence[Atom]) -> None:
    """In `[a for b, c in d if e]` a `for` and the `if` behind it begin a clause; commas between them end nothing."""
    stack = ["body"]
    for atom in atoms:
        if atom.kind in OPENING:
            stack.append(atom.bracket)
        elif atom.kind in CLOSING:
            stack.pop()
        elif atom.kind == "FOR" and stack[-1] == "list":
            atom.kind = "CLAUSE"
            stack[-1] = "clauses"
        elif stack[-1] == "clauses" and atom.kind in {"COMMA", "IF"}:
            atom.kind = "CLAUSE" if atom.kind == "IF" else "TARGET_COMMA"


def _run(atoms: Sequence[Atom], indices: range) -> Iterator[Atom]:
    """The atoms outside inner brackets on the way to the end of the bracket or body around."""
    inwards = OPENING if indices.step > 0 else CLOSING
    depth = 0
    for i in indices:
        atom = atoms[i]
        if atom.kind in OPENING | CLOSING:
            if depth == 0 and (atom.kind not in inwards or atom.bracket == "body"):
                return
            depth += 1 if atom.kind in inwards else -1
        elif depth == 0:
            yield atom


def _mark_ranges(atoms: Sequence[Atom]) -> None:
    """Arithmetic at the ends of a range stands tight: `1..n-1`."""
    for i, atom in enumerate(atoms):
        if atom.kind == "DOTDOT":
            for indices in (range(i - 1, -1, -1), range(i + 1, len(atoms))):
                for other in _run(atoms, indices):
                    if other.kind in AROUND_RANGES:
                        break
                    other.tight = other.kind in ARITHMETIC


def _mark_conditional_arguments(atoms: Sequence[Atom]) -> None:
    """`=` stands tight before an argument (`stride=2`), but not before one that says what holds (`first = i == 1`)."""
    stack: list[str] = []
    for i, atom in enumerate(atoms):
        if atom.kind in OPENING:
            stack.append(atom.bracket)
        elif atom.kind in CLOSING:
            stack.pop()
        elif atom.kind == "EQUAL" and stack and stack[-1] == "args":
            atom.tight = True
            for other in _run(atoms, range(i + 1, len(atoms))):
                if other.kind == "COMMA" or other.kind in CONDITIONS:
                    atom.tight = other.kind == "COMMA"
                    break


def _space(atoms: Sequence[Atom]) -> None:
    stack: list[str] = []
    before = Atom("", "_SEP")
    for atom in atoms:
        if atom.kind in CLOSING:
            stack.pop()
        atom.gap = _gap(before, atom, stack[-1] if stack else "body")
        if atom.kind in OPENING:
            stack.append(atom.bracket)
        before = atom


def _gap(before: Atom, atom: Atom, around: str) -> int:
    """Spaces between two atoms on one line."""
    if before.kind == "_SEP":
        return 1
    if before.unary or before.tight or atom.tight:
        return 0
    if atom.kind in CLOSING:
        return int(atom.bracket == "body")
    if before.kind in OPENING:
        return int(before.bracket == "body")
    if atom.kind in {"COMMA", "TARGET_COMMA", "COLON", "DOTDOT"} or before.kind == "DOTDOT":
        return 0
    if before.kind == "COLON" and around == "index":
        return 0
    return int(atom.bracket not in {"args", "params", "index"})


# The atoms as rows of statements, whose parts are atoms, brackets and bodies


@dataclass(slots=True)
class Bracket:
    """A bracket in an expression, a call or a definition: elements, and comments between them.

    comma       the comma at its end is needed: `(a,)`
    one_a_line  the author ends it with a comma and a line end, so that each element keeps a line of its own
    clauses     `[a for b in c if d]`: the entries are not separated by commas
    """

    open: Atom
    entries: list[list[Part] | Atom] = field(default_factory=list)
    close: Atom = field(default_factory=lambda: Atom("", ""))
    comma: bool = False
    one_a_line: bool = False
    clauses: bool = False
    _flat: list[Atom] | None = None


@dataclass(slots=True)
class Block:
    """`{ }` around statements. `broken`: it has line ends in the source. `comment` stands behind its `{`."""

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


class _Reader:
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


# One line


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


# Many lines


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


class _Writer:
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


# Columns


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


def _align(lines: Sequence[Line]) -> None:
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
