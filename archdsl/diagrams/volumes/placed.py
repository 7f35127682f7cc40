"""A column at its place: its solids with the label below them."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.diagrams.volumes.maps import Column
from archdsl.diagrams.volumes.solids import Solid
from archdsl.diagrams.volumes.words import LINE, Word
from archdsl.text.record import Record, replace

#: From the lowest solid to the baseline of the first line, in pixels.
BELOW = 15.0


class Placed(Record):
    """A column with its solids, one for each of its slices, and the words below them; `axis` is their middle."""

    column: Column
    solids: Sequence[Solid]
    words: Sequence[Word]
    axis: float = 0

    def moved(self, x: float, y: float) -> Placed:
        solids = [replace(solid, x=solid.x + x, y=solid.y + y) for solid in self.solids]
        return replace(self, solids=solids, axis=self.axis + y)

    @property
    def solids_left(self) -> float:
        return self.solids[0].x

    @property
    def solids_right(self) -> float:
        return max(solid.right + solid.back for solid in self.solids)

    @property
    def centre(self) -> float:
        """The middle of the label."""
        return (self.solids_left + self.solids_right) / 2

    @property
    def words_left(self) -> float:
        return self.centre - self._width / 2

    @property
    def words_right(self) -> float:
        return self.centre + self._width / 2

    @property
    def left(self) -> float:
        return min(self.solids_left, self.words_left)

    @property
    def right(self) -> float:
        return max(self.solids_right, self.words_right)

    @property
    def top(self) -> float:
        """The highest point of the solids."""
        return min(solid.y - solid.back for solid in self.solids)

    @property
    def solids_bottom(self) -> float:
        return max(solid.bottom for solid in self.solids)

    @property
    def bottom(self) -> float:
        """Where the label ends."""
        return self.solids_bottom + BELOW + LINE * (len(self.words) - 1) + 4

    @property
    def _width(self) -> float:
        return max(word.width for word in self.words)
