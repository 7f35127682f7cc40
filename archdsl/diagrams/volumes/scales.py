"""How many pixels a size is drawn with: in proportion to it where that can be seen, else to its root or logarithm."""

from __future__ import annotations

from collections.abc import Iterable
from math import log2, sqrt

from archdsl.text.record import Record

#: The largest ratio of two sizes that are drawn in proportion, and by their square roots.
PROPORTIONAL, ROOT = 9, 400
#: No size is thinner than this.
THINNEST = 2.5


class Scale(Record):
    """A rule from sizes to pixels, which is never smaller for a larger size.

    rule  `linear`, `sqrt` or `log`
    unit  pixels for what the rule makes of a size
    """

    rule: str
    unit: float

    def __call__(self, size: int) -> float:
        return max(THINNEST, self.unit * _value(self.rule, size))


class Scales(Record):
    """The scales of a drawing: of the sides of maps, of channels and of the units of vectors."""

    sides: Scale | None
    channels: Scale | None
    units: Scale | None


def scale(sizes: Iterable[int], longest: float) -> Scale:
    """The scale that draws the largest of the sizes with `longest` pixels."""
    known = [size for size in sizes if size > 0] or [1]
    ratio = max(known) / min(known)
    rule = "linear" if ratio <= PROPORTIONAL else "sqrt" if ratio <= ROOT else "log"
    return Scale(rule, longest / _value(rule, max(known)))


def _value(rule: str, size: int) -> float:
    return size if rule == "linear" else sqrt(size) if rule == "sqrt" else log2(size + 1)
