"""A drawing as PNG and PDF, by matplotlib, in its font DejaVu Sans. A pixel of the drawing is a point of the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path as File
from typing import Literal

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.text import Text as Words

from archdsl.drawing.paths import Command, path, with_heads
from archdsl.drawing.scene import Curve, Line, Scene, Shape, Style, Text
from archdsl.drawing.themes import Plain, palette

#: Pixels of a PNG for an inch, at most: 2 pixels for each of the drawing; and the longest side that is drawn.
DPI, LONGEST = 144, 30_000
CODES = {"M": [Path.MOVETO], "L": [Path.LINETO], "C": [Path.CURVE4] * 3, "Z": [Path.CLOSEPOLY]}
ANCHORS: Mapping[str, Literal["left", "center", "right"]] = {"start": "left", "middle": "center", "end": "right"}


def write_image(scene: Scene, file: File, format: str, theme: Plain = "light") -> None:
    """Write the drawing as `png` or `pdf`, in which text stays text."""
    colours = palette(theme)
    figure = Figure(figsize=(scene.width / 72, scene.height / 72), facecolor=colours["surface"])
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, scene.width), ylim=(scene.height, 0))
    axes.axis("off")
    for shape in _drawn(scene.shapes):
        axes.add_artist(_words(shape, colours) if isinstance(shape, Text) else _patch(shape, colours))
    dpi = min(DPI, 72 * LONGEST / max(scene.width, scene.height))
    with rc_context({"pdf.fonttype": 42}):
        figure.savefig(file, format=format, dpi=dpi, metadata={"Title": scene.title})


def _drawn(shapes: Iterable[Shape]) -> Iterable[Shape]:
    """The shapes, with the heads of arrows as shapes of their own."""
    for shape in shapes:
        yield from with_heads(shape) if isinstance(shape, Line | Curve) else (shape,)


def _patch(shape: Shape, colours: dict[str, str]) -> PathPatch:
    assert not isinstance(shape, Text)
    commands = path(shape)
    points = [point for one in commands for point in _points(one)]
    codes = [code for one in commands for code in CODES[one.letter]]
    style: Style = shape.style
    dashes = (0, (4 / style.width, 3 / style.width)) if style.dashed else "-"
    patch = PathPatch(Path(points, codes), fill=style.fill is not None, linestyle=dashes, joinstyle="round")
    patch.set(linewidth=style.width if style.stroke else 0)
    patch.set_edgecolor(colours[style.stroke] if style.stroke else "none")
    if style.fill:
        patch.set_facecolor((colours[style.fill], style.opacity))
    return patch


def _points(command: Command) -> tuple[tuple[float, float], ...]:
    return command.points or ((0, 0),)


def _words(text: Text, colours: dict[str, str]) -> Words:
    return Words(
        text.x,
        text.y,
        text.text,
        color=colours[text.colour],
        fontsize=text.size,
        fontfamily="DejaVu Sans",
        fontweight="bold" if text.bold else "normal",
        horizontalalignment=ANCHORS[text.anchor],
        verticalalignment="baseline",
        rotation=text.angle,
        rotation_mode="anchor",
        parse_math=False,
    )
