"""Colour maps as arrays, for tiles: colour-blind safe, and the same with and without matplotlib."""

from __future__ import annotations

from io import BytesIO

import torch
from PIL import Image
from torch import Tensor

#: Red through white to blue: positive weights are blue, negative ones red (ColorBrewer's RdBu, at equal steps).
SIGNED: tuple[str, ...] = (
    *("#67001f", "#b2182b", "#d6604d", "#f4a582", "#fddbc7", "#f7f7f7"),
    *("#d1e5f0", "#92c5de", "#4393c3", "#2166ac", "#053061"),
)
#: From dark to light, as perceived (viridis, at equal steps).
SEQUENTIAL = (
    "#440154",
    "#482878",
    "#3e4989",
    "#31688e",
    "#26828e",
    "#1f9e89",
    "#35b779",
    "#6ece58",
    "#b5de2b",
    "#fde725",
)
#: Where there is no value.
MISSING = 0.5


def coloured(values: Tensor, low: float, high: float, colours: tuple[str, ...]) -> Tensor:
    """Values as colours: H x W x 3 in 0..1; those beyond low..high have the colour of the end."""
    table = torch.tensor([[int(each[i : i + 2], 16) / 255 for i in (1, 3, 5)] for each in colours])
    share = ((values - low) / ((high - low) or 1.0)).clamp(0, 1)
    place = share.nan_to_num(0) * (len(table) - 1)
    before = place.floor().long().clamp(max=len(table) - 2)
    part = (place - before)[..., None]
    found = table[before] * (1 - part) + table[before + 1] * part
    found[values.isnan()] = MISSING
    return found


def signed(values: Tensor, limit: float) -> Tensor:
    """Values on the scale -limit..limit, white at 0."""
    return coloured(values, -limit, limit, SIGNED)


def sequential(values: Tensor, low: float, high: float) -> Tensor:
    """Values on the scale low..high."""
    return coloured(values, low, high, SEQUENTIAL)


def png(image: Tensor) -> bytes:
    """An image (H x W or H x W x 3, in 0..1) as the bytes of a PNG."""
    content = BytesIO()
    Image.fromarray((image.clamp(0, 1) * 255).round().to(torch.uint8).numpy()).save(content, "png", optimize=True)
    return content.getvalue()
