"""Sheets of tiles: blocks of small images below each other, each with its heading and scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from archdsl.figures.colours import SEQUENTIAL, SIGNED, coloured
from archdsl.figures.style import DPI, fitting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Inches: the width of a sheet and its margins, the height of the title, of a heading, of a line of small text.
WIDTH, MARGIN, TITLE, HEAD, LINE = 8.4, 0.15, 0.34, 0.36, 0.15
#: Inches: the largest side of a tile, of a single tile, and the space between tiles.
SIDE, SINGLE, GAP = 0.92, 3.2, 0.09
#: Inches: headings of rows, and a scale.
ROW, BAR = 0.62, 1.5


@dataclass(frozen=True, slots=True)
class Scale:
    """The scale of a block's colours; `clipped` whether values are beyond its end."""

    form: Literal["signed", "sequential", "colour"]
    low: float
    high: float
    clipped: bool = False

    def of(self, values: Tensor) -> Tensor:
        """Values as colours."""
        return coloured(values, self.low, self.high, SIGNED if self.form == "signed" else SEQUENTIAL)


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of tiles on one scale: H x W values, H x W x 3 colours in 0..1, or vectors, which are drawn as curves.

    names  text above each tile; rows, columns  headings
    """

    heading: str
    tiles: Sequence[Sequence[Tensor]]
    note: str = ""
    scale: Scale | None = None
    names: Sequence[Sequence[str]] = ()
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    side: float = SIDE
    text: Sequence[str] = field(default_factory=list)

    @property
    def unit(self) -> tuple[float, float]:
        """Width and height in inches of the largest tile."""
        tiles = [tile for row in self.tiles for tile in row]
        shapes = [(tile.shape[1], tile.shape[0]) if tile.dim() > 1 else (1, 1) for tile in tiles]
        across = max((len(row) for row in self.tiles), default=1)
        room = WIDTH - 2 * MARGIN - (ROW if self.rows else 0)
        widest, highest = max(w for w, _ in shapes), max(h for _, h in shapes)
        if across == 1 and len(self.tiles) == 1 and not self.names:
            scale = min(room / widest, SINGLE / highest)
            scale = min(scale, 0.25) if not self.text else min(self.side / max(widest, highest), scale)
            return widest * scale, max(highest * scale, min(0.06 * highest, 1.2), 0.12)
        scale = min(self.side / max(widest, highest), (room / across - GAP) / widest)
        return widest * scale, highest * scale

    @property
    def lines(self) -> int:
        """The most lines of text above a tile."""
        return max((name.count("\n") + 1 for row in self.names for name in row if name), default=0)

    @property
    def height(self) -> float:
        _, high = self.unit
        above = HEAD + (LINE if self.note else 0) + (LINE if self.columns else 0)
        return above + len(self.tiles) * (high + GAP + LINE * self.lines) + 0.1


def sheet(title: str, subtitle: str, blocks: Sequence[Block], colours: Mapping[str, str]) -> Figure:
    """Draw blocks below each other, on one pair of axes: one for each tile would take seconds."""
    from matplotlib.figure import Figure

    height = TITLE + (0.2 if subtitle else 0) + sum(block.height for block in blocks) + MARGIN
    made = Figure(figsize=(WIDTH, height), dpi=DPI)
    axes = made.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))
    room = WIDTH - 2 * MARGIN
    axes.text(MARGIN, 0.22, title, fontsize=fitting(title, room, 11, bold=True), weight="bold", va="center")
    if subtitle:
        axes.text(MARGIN, 0.43, subtitle, fontsize=fitting(subtitle, room, 8), va="center", color=colours["soft"])
    y = TITLE + (0.2 if subtitle else 0)
    for block in blocks:
        _draw(axes, block, y, colours)
        y += block.height
    return made


def _draw(axes: Axes, block: Block, y: float, colours: Mapping[str, str]) -> None:
    axes.text(MARGIN, y + 0.22, block.heading, fontsize=9, va="center")
    if block.scale is not None:
        _bar(axes, block.scale, y + 0.14, colours)
    y += HEAD
    if block.note:
        axes.text(MARGIN, y + 0.02, block.note, fontsize=7, va="center", color=colours["soft"])
        y += LINE
    left = MARGIN + (ROW if block.rows else 0)
    wide, high = block.unit
    for column, name in enumerate(block.columns):
        axes.text(left + column * (wide + GAP) + wide / 2, y + LINE - 0.04, name, **_small(colours), ha="center")
    y += LINE if block.columns else 0
    for i, row in enumerate(block.tiles):
        y += LINE * block.lines
        if block.rows:
            axes.text(MARGIN, y + high / 2, block.rows[i], fontsize=6.5, va="center", color=colours["soft"])
        for column, tile in enumerate(row):
            x = left + column * (wide + GAP)
            if block.names and (name := block.names[i][column]):
                axes.text(x + wide / 2, y - 0.03, name, **_small(colours), ha="center")
            _tile(axes, tile, block, (x, y, wide, high), colours)
        y += high + GAP
    for i, line in enumerate(block.text):
        axes.text(left + wide + 0.2, y - high - GAP + 0.12 + 0.2 * i, line, fontsize=8.5, va="center")


def _small(colours: Mapping[str, str]) -> dict[str, Any]:
    return {"fontsize": 6.5, "va": "bottom", "color": colours["soft"], "linespacing": 1.15}


def _tile(
    axes: Axes, tile: Tensor, block: Block, place: tuple[float, float, float, float], colours: Mapping[str, str]
) -> None:
    """Draw a tile in a place: x, y, width, height."""
    x, y, wide, high = place
    if tile.dim() == 1:
        limit = block.scale.high if block.scale is not None else 1.0
        steps = torch.linspace(x, x + wide, len(tile))
        axes.plot([x, x + wide], [y + high / 2] * 2, color=colours["faint"], linewidth=0.6)
        axes.plot(steps.tolist(), (y + high / 2 * (1 - tile / limit)).tolist(), color="#0072b2", linewidth=0.8)
        return
    if tile.dim() == 2:
        tile = block.scale.of(tile) if block.scale is not None else tile[..., None].expand(-1, -1, 3)
    ratio = min(wide / tile.shape[1], high / tile.shape[0])
    if len(block.tiles) == len(block.tiles[0]) == 1 and not block.text and not block.names:
        extent = (x, x + wide, y + high, y)
    else:
        extent = (x, x + tile.shape[1] * ratio, y + tile.shape[0] * ratio, y)
    axes.imshow(tile.clamp(0, 1).numpy(), interpolation="nearest", extent=extent, aspect="auto")


def _bar(axes: Axes, scale: Scale, y: float, colours: Mapping[str, str]) -> None:
    """The scale at the right end of a heading."""
    right = WIDTH - MARGIN - 0.1
    if scale.form == "colour":
        text = f"grey is 0; the colours' range is ±{scale.high:.2g}"
        axes.text(WIDTH - MARGIN, y + 0.08, text, fontsize=7, ha="right", va="center", color=colours["soft"])
        return
    steps = scale.of(torch.linspace(scale.low, scale.high, 256)[None])
    axes.imshow(steps.numpy(), extent=(right - BAR, right, y + 0.1, y), aspect="auto", interpolation="bilinear")
    middle = [(0.5, 0.0)] if scale.form == "signed" else []
    for share, value in [(0.0, scale.low), *middle, (1.0, scale.high)]:
        beyond = {0.0: "≤ ", 1.0: "≥ "}.get(share, "") if scale.clipped else ""
        text = f"{beyond}{value:.2g}".replace("-", "−")
        axes.text(
            right - BAR * (1 - share), y + 0.19, text, fontsize=6.5, ha="center", va="center", color=colours["soft"]
        )
