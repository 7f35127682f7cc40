"""The files that are open in an editor, and the analysis of each."""

from __future__ import annotations

from pathlib import Path

from archdsl.assist.analysis import Analysis
from archdsl.elaborate.modules import read
from archdsl.text.source import Source


class Workspace:
    """Open files with their texts; all others are read from disk.

    An analysis is kept until a file that it read changes.
    """

    def __init__(self) -> None:
        self._texts: dict[Path, str] = {}
        self._known: dict[Path, Analysis] = {}

    def open(self, path: Path, text: str) -> None:
        """Set the text of an open file."""
        self._texts[path] = text.replace("\r\n", "\n")
        self.forget(path)

    def close(self, path: Path) -> None:
        """Read a file from disk again."""
        self._texts.pop(path, None)
        self.forget(path)

    def forget(self, path: Path) -> None:
        """Forget the analyses that read a file, which has changed."""
        self._known = {one: known for one, known in self._known.items() if path not in known.files}

    @property
    def paths(self) -> list[Path]:
        """The open files."""
        return list(self._texts)

    def is_open(self, path: Path) -> bool:
        """Whether the file is open in the editor."""
        return path in self._texts

    def source(self, path: Path, shown: str | None = None) -> Source:
        """The text of a file. Raises SpecError where it cannot be read."""
        text = self._texts.get(path)
        return read(path, shown) if text is None else Source(shown or str(path), text)

    def analysis(self, path: Path) -> Analysis:
        """What is known of a file. Raises SpecError where it cannot be read."""
        if path not in self._known:
            self._known[path] = Analysis(self.source(path), path, self.source)
        return self._known[path]
