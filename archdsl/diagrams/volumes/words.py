"""The words of a drawing to scale: labels, legend, tooltips, and a description for those who cannot see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archdsl.diagrams.volumes.columns import Columns
from archdsl.diagrams.volumes.maps import Column, Map
from archdsl.diagrams.volumes.scales import Scales
from archdsl.diagrams.volumes.titles import TIE, product
from archdsl.drawing.widths import text_width, wrapped

#: The size of the titles and of the shapes, in pixels, the lines' distance, and the width at which titles wrap.
TITLE, SHAPE, LINE, WIDEST = 11.0, 10.5, 14.0, 78.0
RULES = {"linear": "in proportion", "sqrt": "by square root", "log": "by logarithm"}
LEGEND = {
    "conv": "convolution",
    "resample": "upsampling",
    "pool": "pooling",
    "linear": "linear",
    "attention": "attention",
    "recurrent": "recurrent",
    "norm": "normalisation",
    "other": "other",
}


class Word:
    """A line of a label: its text, size, weight and colour."""

    def __init__(self, text: str, size: float, *, bold: bool = False, colour: str = "ink") -> None:
        self.text, self.size, self.bold, self.colour = text, size, bold, colour

    @property
    def width(self) -> float:
        return text_width(self.text, self.size, bold=self.bold)


def label(column: Column) -> list[Word]:
    """The lines below a column: the operation and how often it runs, and the shape."""
    one = column.maps[0]
    title = one.title + (f"{TIE}×{len(column.maps)}" if len(column.maps) > 1 else "")
    lines = [line.replace(TIE, " ") for line in wrapped(title, WIDEST, TITLE, bold=True)]
    return [*(Word(line, TITLE, bold=True) for line in lines), *shape_label(column)]


def shape_label(column: Column) -> list[Word]:
    """The shape of a column's maps in one line."""
    return [Word(product(column.maps[0].shape), SHAPE, colour="soft")]


def narrow_label(column: Column) -> list[Word]:
    """The shape in two lines: the channels, and the size."""
    shape = column.maps[0].shape
    return [Word(str(shape[0]), TITLE, bold=True), Word(product(shape.spatial), SHAPE, colour="soft")]


def tooltip(one: Map) -> str:
    """What a pointer over a map is told."""
    where = f"{one.name}: " if one.name else ""
    params = f", {one.params:,} parameters" if one.params else ""
    return f"{where}{one.title}, {product(one.shape)}{params}".replace(TIE, " ")


def description(columns: Columns) -> str:
    """The maps in a sentence."""
    words = [
        f"{' '.join(word.text for word in label(column)[:-1])} {label(column)[-1].text}" for column in columns.columns
    ]
    return f"Feature maps drawn to scale, from left to right: {'; '.join(words)}."


def scales_text(scales: Scales) -> str:
    """How the sizes of the drawing depend on those of the network."""
    parts = [("height and width", scales.sides), ("channels", scales.channels), ("units of vectors", scales.units)]
    known = [(name, rule.rule) for name, rule in parts if rule is not None]
    if len({rule for _, rule in known}) == 1:
        return f"Drawn to scale: all sizes {RULES[known[0][1]]}"
    return "Drawn to scale: " + "; ".join(f"{name} {RULES[rule]}" for name, rule in known)


def _named(name: str, titles: Iterable[str]) -> str:
    """A family as it is called; that which enlarges maps by its operation."""
    is_up_conv = name == LEGEND["resample"] and all("up-conv" in title for title in titles)
    return "transposed convolution" if is_up_conv else name


def _colours(one: Map) -> set[str]:
    return {family for family, _ in one.parts} or {one.family}


def families(columns: Columns) -> Iterator[tuple[str, str]]:
    """The families of the drawing with their names, as the legend lists them; in a U, with what labels do not say."""
    maps = [one for column in columns.columns for one in column.slices]
    used = {family for one in maps for family in _colours(one)}
    for family, name in LEGEND.items():
        titles = dict.fromkeys(one.title.replace(TIE, " ") for one in maps if family in _colours(one))
        if family in used and family != "other":
            yield family, "; ".join(titles) if columns.levels else _named(name, titles)
    if "other" in used:
        yield "other", "copied by a skip" if any(one.parts for one in maps) else "other"
