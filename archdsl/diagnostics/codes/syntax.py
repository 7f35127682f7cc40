"""E1xx: text that is not the language."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class UnexpectedText(Problem):
    """A token where another was expected."""

    code = "E101"
    text = "expected {expected}, found {found}"
    explanation = """
The text stops making sense at this place. A body is a list of statements between `{` and `}`, each on a
line of its own or separated by `;`. Arguments are separated by commas and given by position or as
`name=value`.
"""
    wrong = "model m { input(3x8x8); conv(8, 3, padding 1) }"
    right = "model m { input(3x8x8); conv(8, 3, padding=1) }"

    expected: str
    found: str


class UnexpectedCharacter(Problem):
    """A character that begins nothing in the language."""

    code = "E102"
    text = "{found} cannot stand here"
    explanation = """
No word, number, string or sign of the language begins with this character here. Strings have double
quotes and end on their line; comments begin with `#`.
"""
    wrong = "model m { input(3x8x8); conv(8, 3) ? }"
    right = "model m { input(3x8x8); conv(8, 3) }"

    found: str


class UnexpectedEnd(Problem):
    """The file ends in the middle of something."""

    code = "E103"
    text = "the text ends before {expected}"
    explanation = """
A bracket is still open at the end of the file. The note shows where it was opened.
"""
    wrong = "model m { input(3x8x8); conv(8, 3)"
    right = "model m { input(3x8x8); conv(8, 3) }"

    expected: str
