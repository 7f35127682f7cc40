"""The tokens and comments of a source as atoms, each with the space that belongs before it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archdsl.syntax.parser import comments
from archdsl.syntax.tokens import CLOSING, OPENING, Token
from archdsl.text.source import Source

ARITHMETIC = {"PLUS", "MINUS", "STAR", "SLASH", "DOUBLESLASH", "PERCENT", "POWER"}
CONDITIONS = {"IF", "COMPARE", "AND", "OR", "IN"}
#: What an expression may end with.
OPERANDS = {
    "NAME", "BRACED", "INT", "FLOAT", "QUANTITY", "STRING", "SIZE", "TRUE", "FALSE", "NONE", "RPAR", "RSQB", "RBRACE",
}  # fmt: skip
#: A `{` after one of these is a dictionary.
BEFORE_VALUES = ARITHMETIC | {"EQUAL", "IN", "WHEN", "IF", "NOT", "AND", "OR", "COMPARE", "DOTDOT"}
#: The ends of a range's operand: what binds less than `..`, apart from brackets.
AROUND_RANGES = {
    "EQUAL", "IN", "WHEN", "IF", "ELSE", "NOT", "AND", "OR", "COMPARE", "COMMA", "COLON", "_SEP", "DOTDOT", "CLAUSE",
}  # fmt: skip


@dataclass(slots=True)
class Atom:
    """A token or comment with its place in the source.

    gap      spaces before it, unless it begins a line
    spaces   blanks before it in the source
    breaks   line ends before it in the source
    bracket  the role of the bracket it opens or closes: body, dict, list, index, args, params or parenthesis
    around   the atom that opens the innermost bracket around it
    tight    there is no space on either side of it
    clauses  it opens a list made by a loop
    """

    text: str
    kind: str
    line: int = 0
    column: int = 0
    spaces: int = 0
    breaks: int = 0
    gap: int = 1
    bracket: str = ""
    around: Atom | None = None
    tight: bool = False
    unary: bool = False
    clauses: bool = False

    @property
    def width(self) -> int:
        return self.gap + len(self.text)

    def is_in(self, bracket: str) -> bool:
        """Whether the innermost bracket around it has this role."""
        return self.around is not None and self.around.bracket == bracket


def atoms_of(source: Source, tokens: Sequence[Token]) -> list[Atom]:
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
        atom.gap = 2
        atoms.append(atom)
        before = end
    tokens_only = [atom for atom in atoms if atom.kind != "COMMENT"]
    _classify(tokens_only)
    _tighten(tokens_only)
    before_it = Atom("", "_SEP")
    for atom in tokens_only:
        atom.gap = _gap(before_it, atom)
        before_it = atom
    return atoms


def _classify(atoms: Sequence[Atom]) -> None:
    """Find the role of every bracket, the unary signs, and the clauses of lists made by loops.

    In `[a for b, c in d if e]` a `for` and the `if` after it begin a clause; commas between them end nothing.
    """
    opened: list[Atom] = []
    for i, atom in enumerate(atoms):
        before = atoms[i - 1] if i else Atom("", "_SEP")
        if atom.kind in CLOSING:
            atom.bracket = opened.pop().bracket
        around = atom.around = opened[-1] if opened else None
        if atom.kind in OPENING:
            word = atoms[i - 2].kind if i > 1 else ""
            atom.bracket = _bracket(atom, before, word)
            opened.append(atom)
        elif atom.kind in {"PLUS", "MINUS"}:
            atom.unary = before.kind not in OPERANDS
        elif atom.kind == "ELSE" and before.bracket == "body":
            atom.bracket = "else"
        elif around and around.clauses and atom.kind in {"COMMA", "IF"}:
            atom.kind = "CLAUSE" if atom.kind == "IF" else "TARGET_COMMA"
        elif around and around.bracket == "list" and atom.kind == "FOR":
            atom.kind = "CLAUSE"
            around.clauses = True


def _bracket(atom: Atom, before: Atom, word: str) -> str:
    """The role of an opening bracket; `word` is the type of the token before the one before it."""
    if atom.kind == "LPAR":
        called = before.kind in {"NAME", "COMBINATOR", "SUM", "SPLIT", "REQUIRE"}
        return ("params" if word in {"MODEL", "BLOCK"} else "args") if called else "parenthesis"
    if atom.kind == "LSQB":
        return "index" if before.kind in OPERANDS else "list"
    conditional = before.kind == "ELSE" and before.bracket != "else"
    in_value = atom.around is not None and not atom.is_in("body")
    return "dict" if in_value or before.kind in BEFORE_VALUES or conditional else "body"


def _tighten(atoms: Sequence[Atom]) -> None:
    """Mark what stands without spaces.

    That is arithmetic at the ends of a range (`1..n-1`), and the `=` before an argument (`stride=2`) unless its value
    is a condition (`first = i == 1`).
    """
    for i, atom in enumerate(atoms):
        if atom.kind == "DOTDOT":
            for indices in (range(i - 1, -1, -1), range(i + 1, len(atoms))):
                for other in _beside(atoms, indices):
                    if other.kind in AROUND_RANGES:
                        break
                    other.tight = other.kind in ARITHMETIC
        elif atom.kind == "EQUAL" and atom.is_in("args"):
            ends = (one.kind for one in _beside(atoms, range(i + 1, len(atoms))) if one.kind in CONDITIONS | {"COMMA"})
            atom.tight = next(ends, "COMMA") == "COMMA"


def _beside(atoms: Sequence[Atom], indices: range) -> Iterator[Atom]:
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


def _gap(before: Atom, atom: Atom) -> int:
    """Spaces between two atoms on one line."""
    if before.kind == "_SEP":
        return 1
    if before.unary or before.tight or atom.tight:
        return 0
    if atom.kind in CLOSING:
        return int(atom.bracket == "body")
    if before.kind in OPENING:
        return int(before.bracket == "body")
    if atom.kind in {"COMMA", "TARGET_COMMA", "COLON", "DOTDOT", "DOT"} or before.kind in {"DOTDOT", "DOT"}:
        return 0
    if before.kind == "COLON" and atom.is_in("index"):
        return 0
    return int(atom.bracket not in {"args", "params", "index"})
