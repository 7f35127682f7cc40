"""Source code and places in it: `Source` holds the text of a file, `Span` a stretch of it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The text of a file and the name it is shown with (a path, or `<string>`).

    Lines and columns count from 1; offsets count characters from 0.
    """

    path: str
    text: str = field(repr=False)
    _starts: list[int] = field(default_factory=list, repr=False)

    def _line_starts(self) -> list[int]:
        if not self._starts:
            self._starts.append(0)
            position = self.text.find("\n")
            while position >= 0:
                self._starts.append(position + 1)
                position = self.text.find("\n", position + 1)
        return self._starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of the character at `offset`, both from 1."""
        starts = self._line_starts()
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def line_start(self, line: int) -> int:
        """The offset at which a line (from 1) begins; behind the last line, the end of the text."""
        starts = self._line_starts()
        return starts[line - 1] if line <= len(starts) else len(self.text)

    def line_text(self, line: int) -> str:
        """The text of one line (from 1), without its line end."""
        starts = self._line_starts()
        end = starts[line] - 1 if line < len(starts) else len(self.text)
        return self.text[starts[line - 1] : end].rstrip("\r")


@dataclass(slots=True, unsafe_hash=True)
class Span:
    """The characters `start` to `end` (exclusive) of a source; line and column are computed when printed.

    It is never changed. Python would make a frozen one four times as slowly, and there are as many as tokens.
    """

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def __str__(self) -> str:
        return f"{self.source.path}:{self.line}:{self.column}"

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of `other`."""
        return Span(self.source, self.start, other.end)

    def is_inside(self, outer: Span) -> bool:
        """Whether all of it is part of another span."""
        return self.source is outer.source and outer.start <= self.start and self.end <= outer.end
