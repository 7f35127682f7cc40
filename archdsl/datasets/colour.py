"""Random changes of colour of whole batches (N x C x H x W, pixels in 0..255), each image with its own numbers.

Brightness, contrast, saturation and hue as torchvision's ColorJitter defines them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from archdsl.recipe.augmentations import ColorJitter

COLOUR = 3
#: Luma weights of red, green and blue (ITU-R BT.601), as in torchvision.
LUMA = (0.2989, 0.587, 0.114)


def color_jitter(images: Tensor, part: ColorJitter, generator: torch.Generator) -> Tensor:
    """The changes in a random order, the same for the whole batch; pixels stay in 0..255, floating."""
    changes: list[tuple[Callable[[Tensor, Tensor], Tensor], float, float]] = [
        (brightness, 1.0, part.brightness),
        (contrast, 1.0, part.contrast),
        (saturation, 1.0, part.saturation),
        (hue, 0.0, part.hue),
    ]
    wanted = [change for change in changes if change[2] > 0]
    device = images.device
    draws = torch.rand(len(wanted), len(images), 1, 1, 1, generator=generator, device=device)
    result = images.float()
    for number in torch.randperm(len(wanted), generator=generator, device=device).tolist():
        change, middle, most = wanted[number]
        low = max(0.0, middle - most) if middle else -most
        result = change(result, low + (middle + most - low) * draws[number])
    return result


def _blend(images: Tensor, others: Tensor, factor: Tensor) -> Tensor:
    """Factor * images + (1 - factor) * others, in 0..255."""
    return (factor * images + (1 - factor) * others).clamp_(0, 255)


def grey(images: Tensor) -> Tensor:
    """The luma of each pixel (N x 1 x H x W); grey images are returned unchanged."""
    if images.shape[1] != COLOUR:
        return images
    weights = torch.tensor(LUMA, device=images.device)[:, None, None]
    return (images * weights).sum(1, keepdim=True)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Towards black, or away from it."""
    return _blend(images, torch.zeros_like(images), factor)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Towards the image's mean grey, or away from it."""
    return _blend(images, grey(images).mean((1, 2, 3), keepdim=True), factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Towards the grey image, or away from it; grey images are returned unchanged."""
    return images if images.shape[1] != COLOUR else _blend(images, grey(images), factor)


def hue(images: Tensor, turn: Tensor) -> Tensor:
    """The hue of each pixel rotated by a share of a whole turn; grey images are returned unchanged."""
    if images.shape[1] != COLOUR:
        return images
    pixels = images / 255
    value, low = pixels.amax(1), pixels.amin(1)
    chroma = value - low
    share = torch.where(value > 0, chroma / value.clamp(min=1e-12), 0)
    red, green, blue = pixels.unbind(1)
    divisor = chroma.clamp(min=1e-12)
    by_red, by_green, by_blue = (green - blue) / divisor, (blue - red) / divisor + 2, (red - green) / divisor + 4
    sixths = torch.where(value == red, by_red, torch.where(value == green, by_green, by_blue))
    sixths = torch.where(chroma > 0, sixths, 0)
    turned = (sixths / 6 + turn[:, 0]) % 1 * 6
    return 255 * _from_hue(turned, share, value)


def _from_hue(sixths: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Red, green and blue from hue (0..6), saturation and value: value * (1 - saturation * f) for each channel."""

    def channel(offset: int) -> Tensor:
        place = (offset + sixths) % 6
        return value - value * saturation * torch.minimum(place, 4 - place).clamp(0, 1)

    return torch.stack([channel(5), channel(3), channel(1)], 1)
