"""Arrays as images of a page: PNG or JPEG as data URIs, of their own pixels, which the browser enlarges."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from io import BytesIO

import torch
from PIL import Image
from torch import Tensor

#: Images up to this long are enlarged pixel by pixel, longer ones smoothly; the longest are reduced.
SMALL, LONGEST = 64, 192


@dataclass(frozen=True)
class Picture:
    """An image in a page: its data URI, its size in pixels, its alternative text and its caption."""

    image: str
    width: int
    height: int
    alt: str
    caption: str = ""

    @property
    def is_small(self) -> bool:
        return max(self.width, self.height) <= SMALL


def photo(image: Tensor, alt: str, caption: str = "") -> Picture:
    """An image (C x H x W in 0..1), grey unless it has three channels."""
    pixels = (255 * image.detach().float().cpu().clamp(0, 1)).round().byte()
    array = pixels.permute(1, 2, 0) if len(pixels) == 3 else pixels[0]
    return _picture(Image.fromarray(array.contiguous().numpy()), alt, caption)


def heat(values: Tensor, low: float, high: float, colours: tuple[str, ...], alt: str, caption: str = "") -> Picture:
    """Values (H x W) from `low` to `high` in colours; those that are not numbers are grey."""
    shares = ((values.detach().float().cpu() - low) / ((high - low) or 1.0)).clamp(0, 1)
    levels = (254 * shares.nan_to_num(0.0)).round().byte()
    levels[values.isnan()] = 255
    found = Image.fromarray(levels.contiguous().numpy())
    found.putpalette(palette(colours))
    return _picture(found, alt, caption)


def scale(colours: tuple[str, ...]) -> str:
    """The colours from the lowest to the highest, as the data URI of a strip."""
    return heat(torch.linspace(0, 1, 64)[None], 0, 1, colours, "").image


@cache
def palette(colours: tuple[str, ...]) -> bytes:
    """The 255 colours between the given ones, and a grey."""
    stops = torch.tensor([list(bytes.fromhex(colour[1:])) for colour in colours], dtype=torch.float32)
    places = torch.linspace(0, len(stops) - 1, 255)
    lower = places.long().clamp(max=len(stops) - 2)
    mixed = torch.lerp(stops[lower], stops[lower + 1], (places - lower)[:, None])
    return bytes(mixed.round().byte().flatten().tolist()) + bytes((128, 128, 128))


def _picture(image: Image.Image, alt: str, caption: str) -> Picture:
    is_photo = max(image.size) > SMALL and image.mode != "P"
    if max(image.size) > LONGEST:
        image = image.convert("RGB")
        image.thumbnail((LONGEST, LONGEST))
    file = BytesIO()
    image.save(file, "JPEG", quality=88) if is_photo else image.save(file, "PNG")
    kind = "jpeg" if is_photo else "png"
    return Picture(f"data:image/{kind};base64,{b64encode(file.getvalue()).decode()}", *image.size, alt, caption)
