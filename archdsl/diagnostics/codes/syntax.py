"""E1xx: syntax errors."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class UnexpectedText(Problem):
    """A token that the grammar does not allow here.

    The parser expected something else here. A body is a list of statements between `{` and `}`, one per line or
    separated by `;`. Arguments are separated by commas and passed by position or as `name=value`.
    """

    code = "E101"
    text = "expected {expected}, found {found}"
    wrong = "model m { input(3x8x8); conv(8, 3, padding 1) }"
    right = "model m { input(3x8x8); conv(8, 3, padding=1) }"
    expected: str
    found: str


class UnexpectedCharacter(Problem):
    """A character that the grammar does not allow here.

    No name, number, string or operator starts with this character. Strings are written in double quotes on one line;
    comments start with `#`.
    """

    code = "E102"
    text = "unexpected character {found}"
    wrong = "model m { input(3x8x8); conv(8, 3) ? }"
    right = "model m { input(3x8x8); conv(8, 3) }"
    found: str


class UnexpectedEnd(Problem):
    """An unexpected end of the input.

    Something is incomplete, most often a bracket that is never closed. The note shows where it was opened.
    """

    code = "E103"
    text = "unexpected end of input, expected {expected}"
    wrong = "model m { input(3x8x8); conv(8, 3)"
    right = "model m { input(3x8x8); conv(8, 3) }"
    expected: str
