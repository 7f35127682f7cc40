"""Standard streams that can always be used, also where one is closed or only takes ASCII."""

from __future__ import annotations

import codecs
import os
import sys
from typing import TYPE_CHECKING
from unicodedata import normalize

if TYPE_CHECKING:
    from archdsl.text.source import Source

#: Replacements for characters that a stream cannot encode.
PLAIN = str.maketrans(
    {
        **dict.fromkeys("─━–—−‐", "-"),
        **dict.fromkeys("│┃", "|"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼", "+"),
        **dict.fromkeys("‘’", "'"),
        **dict.fromkeys("“”„", '"'),
        **dict.fromkeys("·•", "."),
        **{"…": "...", "→": "->", "←": "<-", "×": "x", "≤": "<=", "≥": ">=", "\N{REPLACEMENT CHARACTER}": "?"},
    }
)
ERRORS = "archdsl.plain"


def prepare_streams() -> None:
    """Make stdout and stderr accept every string."""
    codecs.register_error(ERRORS, _plain)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, _nowhere(descriptor))
        if hasattr(stream := getattr(sys, name), "reconfigure"):
            stream.reconfigure(errors=ERRORS)


def _nowhere(descriptor: int) -> object:
    """A stream that replaces a closed one and takes its descriptor, which the next opened file would get otherwise."""
    opened = os.open(os.devnull, os.O_WRONLY)
    if opened != descriptor:
        os.dup2(opened, descriptor)
        os.close(opened)
    return open(descriptor, "w", encoding="utf-8")


def read_stdin(name: str) -> Source:
    """Standard input as a source of that name.

    Raises:
        SpecError: it is too large or not UTF-8.
    """
    from archdsl.elaborate.modules import source_of

    return source_of(b"" if sys.stdin is None else sys.stdin.buffer.read(), name)


def give_up_on_lost_streams() -> None:
    """Discard what cannot be written: Python would try again when it exits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _plain(error: UnicodeError) -> tuple[str, int]:
    """The error handler of the streams: similar ASCII, letters without accents, or an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain_character, error.object[error.start : error.end])), error.end


def _plain_character(character: str) -> str:
    similar = character.translate(PLAIN)
    if not similar.isascii():
        similar = normalize("NFKD", character).encode("ascii", "ignore").decode()
    return similar or character.encode("ascii", "backslashreplace").decode()
