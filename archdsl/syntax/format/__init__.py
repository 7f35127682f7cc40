"""The formatter: every spec in one form, comments kept.

The author decides which short statements share a line, whether a body is written on one line, single blank lines, and
columns that line up with a neighbouring line; all else is decided here. It lays out the tokens of the parser, so that
numbers, sizes and strings stay as they are written.
"""

from __future__ import annotations

from archdsl.syntax.format.atoms import atoms_of
from archdsl.syntax.format.columns import align
from archdsl.syntax.format.lines import WIDTH, Writer
from archdsl.syntax.format.rows import Reader
from archdsl.syntax.parser import parse_with_tokens
from archdsl.text.source import Source

__all__ = ["WIDTH", "format_text"]


def format_text(text: str, path: str = "<string>") -> str:
    """Return the source code of a spec in its one form.

    The result parses to the same tree with the same comments, and formatting it again changes nothing.

    Raises:
        SpecError: the spec has syntax errors.
    """
    source = Source(path, text.replace("\r\n", "\n"))
    _, tokens = parse_with_tokens(source)
    writer = Writer()
    writer.rows(Reader(atoms_of(source, tokens)).rows(), 0)
    align(writer.lines)
    return "".join(f"{line}\n" for line in writer.lines)
