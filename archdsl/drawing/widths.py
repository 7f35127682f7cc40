"""The widths of texts without a font library: the advance widths of DejaVu Sans as data.

PNG and PDF are drawn in DejaVu Sans. Other readers use Helvetica, Arial or the like, which are narrower: what fits by
these widths fits there too. `python -m archdsl.drawing.widths` writes the data again from the fonts of matplotlib.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from unicodedata import combining, east_asian_width

SAVED = Path(__file__).with_name("widths.json")
#: The characters that the data has: Latin, Greek, Cyrillic, punctuation, super- and subscripts, arrows, mathematics.
RANGES = (
    *((0x20, 0x7E), (0xA0, 0x17F), (0x370, 0x3FF), (0x400, 0x45F), (0x2010, 0x2044), (0x2070, 0x209C)),
    *((0x2190, 0x21FF), (0x2200, 0x22FF)),
)
#: Of the characters that it has not: those of East Asia, and others; in thousandths of the size.
WIDE, OTHER = 1000, 700


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """The width of a line of text in pixels, without kerning, for a font of `size` pixels."""
    known = _widths()["bold" if bold else "regular"]
    return sum([known[c] if c in known else _unknown(c) for c in text]) * size / 1000


def wrapped(text: str, width: float, size: float, *, bold: bool = False) -> list[str]:
    """The text in lines of at most `width`, broken at spaces; a longer word is a line of its own."""
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size, bold=bold) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _unknown(character: str) -> int:
    if combining(character):
        return 0
    return WIDE if east_asian_width(character) in "WF" else OTHER


@cache
def _widths() -> dict[str, dict[str, int]]:
    """For each weight, the characters with their widths in thousandths of the size."""
    data: dict[str, Sequence[int]] = json.loads(SAVED.read_text("utf-8"))
    characters = [chr(i) for first, last in RANGES for i in range(first, last + 1)]
    return {weight: dict(zip(characters, widths, strict=True)) for weight, widths in data.items()}
