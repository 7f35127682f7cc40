"""The legend below a drawing to scale, and the scene around both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archdsl.diagrams.volumes.columns import Columns
from archdsl.diagrams.volumes.placed import Placed
from archdsl.diagrams.volumes.scales import Scales
from archdsl.diagrams.volumes.titles import TIE
from archdsl.diagrams.volumes.words import families, scales_text
from archdsl.drawing import Box, Curve, Group, Item, Line, Polygon, Scene, Style, Text, text_width
from archdsl.drawing.paths import extent
from archdsl.drawing.scene import flat
from archdsl.drawing.widths import wrapped

SIZE, SWATCH, SPACE, STEP, MARGIN = 10.5, 14.0, 16.0, 18.0, 16.0
#: The narrowest drawing, so that the legend has room.
NARROWEST = 420.0


def legend(
    name: str, description: str, body: Sequence[Item], placed: Sequence[Placed], columns: Columns, scales: Scales
) -> Scene:
    """The scene of a body with the legend below."""
    extents = [extent(shape) for shape in flat(body)]
    top = MARGIN - min(one.top for one in extents)
    width = max(NARROWEST, max(one.right for one in extents) + MARGIN)
    left = (width - MARGIN - max(one.right for one in extents)) / 2
    y = top + max(one.bottom for one in extents) + 26
    entries, height = _flow(list(_entries(columns)), width, y)
    items = [Group(body, left, top), *entries]
    for line in wrapped(scales_text(scales), width - 2 * MARGIN, SIZE):
        height += STEP
        items.append(Text(MARGIN, height, line, SIZE, colour="soft"))
    return Scene(width, height + MARGIN - 4, items, f"{name} to scale", description)


class Entry:
    """A sign with its meaning."""

    def __init__(self, sign: Sequence[Item], text: str, indent: float = SWATCH) -> None:
        self.sign, self.text, self.indent = sign, text.replace(TIE, " "), indent + 6

    @property
    def width(self) -> float:
        return self.indent + text_width(self.text, SIZE)

    def at(self, x: float, y: float) -> Item:
        """The entry with the baseline of its text at y."""
        return Group([*self.sign, Text(self.indent, 0, self.text, SIZE)], x, y)


def _flow(entries: Sequence[Entry], width: float, y: float) -> tuple[list[Item], float]:
    """The entries in lines of a width, and the baseline of the last line."""
    items: list[Item] = []
    x = MARGIN
    for entry in entries:
        if x > MARGIN and x + entry.width > width - MARGIN:
            x, y = MARGIN, y + STEP
        items.append(entry.at(x, y))
        x += entry.width + SPACE
    return items, y


def _entries(columns: Columns) -> Iterator[Entry]:
    for family, name in families(columns):
        yield Entry([Box(0, -9, SWATCH, 10, Style(fill=family, stroke=f"{family}-edge", width=0.8))], name)
    maps = [one for column in columns.columns for one in column.slices]
    if any(one.active and not one.parts for one in maps):
        family = next(one.family for one in maps if one.active and not one.parts)
        style = Style(fill=family, stroke=f"{family}-edge", width=0.8)
        band = Style(fill=f"{family}-band", stroke=f"{family}-edge", width=0.8)
        yield Entry([Box(0, -9, SWATCH - 5, 10, style), Box(SWATCH - 5, -9, 5, 10, band)], "activation")
    if any(one.windows and one.family != "resample" for one in maps):
        window = Polygon([(3, -6), (11, -9), (11, -1), (3, 2)], Style(fill="accent-soft", stroke="accent"))
        yield Entry([window], "kernel")
    yield from _arcs(columns)


def _arcs(columns: Columns) -> Iterator[Entry]:
    """What the arcs mean."""
    loops = any(one.loops for column in columns.columns for one in column.maps)
    plain = dict.fromkeys([*(["added"] if loops else []), *(skip.join for skip in columns.skips if not skip.titles)])
    for join in plain:
        style = Style(stroke="line", width=1.2)
        sign = Line([(0, -4), (SWATCH + 4, -4)], style, arrow=True) if columns.levels else _arc(style)
        name = "skip" if join == "concatenated" else "shortcut"
        yield Entry([sign], f"{name}, {join}", SWATCH + 4 if columns.levels else SWATCH)
    titles = dict.fromkeys(title for skip in columns.skips for title in skip.titles)
    if titles:
        yield Entry([_arc(Style(stroke="line", width=1.2, dashed=True))], f"shortcut with {', '.join(titles)}")


def _arc(style: Style) -> Curve:
    return Curve([(0, 0), (0, -11), (SWATCH, -11), (SWATCH, 0)], style)
