"""Between offsets in a source and the protocol's positions, which count lines from 0."""

from __future__ import annotations

from pathlib import Path

from lsprotocol import types
from pygls import uris

from archdsl.assist.analysis import Analysis
from archdsl.text.source import Source, Span


def uri_of(path: Path) -> str:
    """The URI of a file."""
    return str(uris.from_fs_path(str(path)))


def path_of(uri: str) -> Path:
    """The file of a URI; a text that is no file, such as one that was never saved, is called by its URI."""
    return Path(uris.to_fs_path(uri) or uri.replace(":", "/"))


class Places:
    """Positions in the units that a client has chosen: "utf-16" if it says nothing, "utf-8" or "utf-32"."""

    def __init__(self, encoding: str = "utf-16") -> None:
        self._codec = encoding if encoding == "utf-8" else f"{encoding}-le"
        self._width = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]

    def offset(self, source: Source, position: types.Position) -> int:
        """The character of a position; one behind the end of a line is at that end."""
        start = source.line_start(position.line + 1)
        end = source.text.find("\n", start)
        line = source.text[start : len(source.text) if end < 0 else end].encode(self._codec)
        return start + len(line[: self._width * position.character].decode(self._codec, "ignore"))

    def units(self, text: str) -> int:
        """The length of a text."""
        return len(text.encode(self._codec)) // self._width

    def position(self, source: Source, offset: int) -> types.Position:
        """The position of a character."""
        line, _ = source.position(offset)
        return types.Position(line - 1, self.units(source.text[source.line_start(line) : offset]))

    def range(self, span: Span) -> types.Range:
        """The range of a span."""
        return types.Range(self.position(span.source, span.start), self.position(span.source, span.end))

    def location(self, analysis: Analysis, span: Span) -> types.Location:
        """The file and range of a span in the file or one that it imports."""
        return types.Location(uri_of(analysis.path_of(span.source)), self.range(span))
