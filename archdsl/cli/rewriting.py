"""Files that a command rewrites: their new text, and what changed as a unified diff."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

#: Colours of the lines of a diff by their first character.
COLORS = {"+": "32", "-": "31", "@": "36"}


def changed(path: Path, text: str) -> str | None:
    """The text with the line ends of a file's first line; None where the file has it already."""
    before = path.read_bytes()
    if before.partition(b"\n")[0].endswith(b"\r"):
        text = text.replace("\n", "\r\n")
    return None if text.encode() == before else text


def rewritten(path: Path, text: str) -> bool:
    """Write a text to a file that has another; returns whether it had."""
    from archdsl.files.write import write_text

    new = changed(path, text)
    if new is not None:
        write_text(path, new)
    return new is not None


def print_diff(name: str, before: str, after: str) -> None:
    """Print the change of a file as a unified diff, in colour on a terminal."""
    from archdsl.view.tables import wants_color

    color = wants_color(sys.stdout)
    for line in _diff(name, before, after):
        ink = COLORS.get(line[0]) if color else None
        print(line if ink is None else f"\x1b[{ink}m{line}\x1b[0m")


def _diff(name: str, before: str, after: str) -> Iterator[str]:
    from difflib import unified_diff

    for line in unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), name, name):
        yield line.rstrip("\n")
        if not line.endswith("\n"):
            yield "\\ No newline at end of file"
