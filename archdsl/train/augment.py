"""Augmentation of whole batches (N x C x H x W, any dtype), each picture with its own random numbers.

Every random function draws its numbers from a generator on the pictures' device and hands them to a plain
one (`crop_at`, `flip_where`, `resized_crop_at`) that holds the geometry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import torch
from torch import Tensor
from torch.nn import functional

from archdsl.diagnostics import Refused
from archdsl.diagnostics.recipe import AugmentDoesNotFit
from archdsl.recipe import AnyAugmentation, HFlip, Normalize, RandomCrop, RandomResizedCrop, VFlip

#: Draws of a random resized crop before it falls back on a centred one (as torchvision's RandomResizedCrop).
TRIES = 10

Hw = tuple[int, int]
#: Top, left, height and width of a window in each picture.
Windows = tuple[Tensor, Tensor, Tensor, Tensor]


def augment(part: AnyAugmentation, images: Tensor, generator: torch.Generator) -> Tensor:
    """The batch after one augmentation of a recipe. Normalisation is done elsewhere, in evaluation too."""
    match part:
        case RandomCrop():
            return random_crop(images, part.size, part.padding, generator)
        case HFlip():
            return flip_where(images, _chosen(images, part.p, generator), -1)
        case VFlip():
            return flip_where(images, _chosen(images, part.p, generator), -2)
        case RandomResizedCrop():
            return random_resized_crop(images, part.size, part.scale, part.ratio, generator)
        case Normalize():
            return images
        case _:
            assert_never(part)


def check_sizes(parts: Sequence[AnyAugmentation], start: Hw, final: Hw) -> None:
    """Refuse augmentations that do not lead from pictures of the size `start` to the size `final`."""
    size, last = start, None
    for part in parts:
        if isinstance(part, RandomCrop):
            padded = (size[0] + 2 * part.padding[0], size[1] + 2 * part.padding[1])
            if part.size[0] > padded[0] or part.size[1] > padded[1]:
                reason = f"a window of {_by(part.size)} does not fit into {_by(padded)}"
                raise Refused(AugmentDoesNotFit(str(part), reason), argument="augment")
        if isinstance(part, RandomCrop | RandomResizedCrop):
            size, last = part.size, part
    if last is not None and size != final:
        reason = f"it leaves {_by(size)}, but the network takes {_by(final)}"
        raise Refused(AugmentDoesNotFit(str(last), reason), argument="augment")


def _by(size: Hw) -> str:
    return f"{size[0]}x{size[1]}"


def _chosen(images: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Which pictures an augmentation of probability `p` applies to."""
    return torch.rand(len(images), generator=generator, device=images.device) < p


def flip_where(images: Tensor, chosen: Tensor, axis: int) -> Tensor:
    """The batch with the chosen pictures reversed along `axis`."""
    return torch.where(chosen[:, None, None, None], images.flip(axis), images)


def random_crop(images: Tensor, size: Hw, padding: Hw, generator: torch.Generator) -> Tensor:
    """A window of `size` at a random place in each picture, with `padding` black cells on each side."""
    down, across = padding
    padded = functional.pad(images, (across, across, down, down)) if any(padding) else images
    count, device = len(images), images.device
    top = torch.randint(padded.shape[2] - size[0] + 1, (count,), generator=generator, device=device)
    left = torch.randint(padded.shape[3] - size[1] + 1, (count,), generator=generator, device=device)
    return crop_at(padded, top, left, size)


def crop_at(images: Tensor, top: Tensor, left: Tensor, size: Hw) -> Tensor:
    """The window of `size` at each picture's own (top, left)."""
    windows = images.unfold(2, size[0], 1).unfold(3, size[1], 1)
    return windows[torch.arange(len(images), device=images.device), :, top, left]


def random_resized_crop(
    images: Tensor, size: Hw, scale: tuple[float, float], ratio: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """A random window (see `random_windows`) of each picture, resampled to `size`."""
    return resized_crop_at(images, random_windows(images, scale, ratio, generator), size)


def random_windows(
    images: Tensor, scale: tuple[float, float], ratio: tuple[float, float], generator: torch.Generator
) -> Windows:
    """Top, left, height and width of a window for each picture.

    The area is a uniform share `scale` of the picture's, the logarithm of width to height uniform over
    `ratio`; the first of TRIES draws that fits is taken, else the largest centred window that `ratio` allows
    (Szegedy et al. 2014, as torchvision does it).
    """
    (rows, columns), count, device = images.shape[2:], len(images), images.device
    draws = torch.rand(4, TRIES, count, generator=generator, device=device)
    area = rows * columns * (scale[0] + (scale[1] - scale[0]) * draws[0])
    low, high = torch.tensor(ratio).log().tolist()
    aspect = (low + (high - low) * draws[1]).exp()
    widths, heights = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (widths >= 1) & (widths <= columns) & (heights >= 1) & (heights <= rows)
    first = fits.to(torch.uint8).argmax(0, keepdim=True)
    height, width, down, across = (t.gather(0, first)[0] for t in (heights, widths, draws[2], draws[3]))
    fitting = fits.any(0)
    centred = _centred_window(rows, columns, ratio)
    height = torch.where(fitting, height, centred[0]).long()
    width = torch.where(fitting, width, centred[1]).long()
    top = torch.where(fitting, (down * (rows - height + 1)).long(), (rows - height) // 2)
    left = torch.where(fitting, (across * (columns - width + 1)).long(), (columns - width) // 2)
    return top, left, height, width


def _centred_window(rows: int, columns: int, ratio: tuple[float, float]) -> tuple[int, int]:
    """Height and width of the largest window of a picture whose ratio of width to height is allowed."""
    aspect = min(max(columns / rows, ratio[0]), ratio[1])
    if columns / rows < aspect:
        return round(columns / aspect), columns
    return rows, round(rows * aspect)


def resized_crop_at(images: Tensor, windows: Windows, size: Hw) -> Tensor:
    """Each picture's own window, resampled to `size` bilinearly with antialiasing. Integers are rounded.

    The windows lie along the axes, so that resampling is one small matrix for the rows and one for the columns.
    """
    top, left, height, width = windows
    by_rows = _resampling(top, height, images.shape[2], size[0])
    by_columns = _resampling(left, width, images.shape[3], size[1])
    resampled = by_rows[:, None] @ images.to(by_rows.dtype) @ by_columns[:, None].mT
    return resampled if images.is_floating_point() else resampled.round_().to(images.dtype)


def _resampling(start: Tensor, length: Tensor, cells: int, out: int) -> Tensor:
    """For each picture the (out x cells) matrix that resamples the cells from `start` on to `out` cells.

    Each output cell is a mean of the cells under a triangle around its place, one cell wide on each side or,
    where the picture shrinks, as many as it shrinks by.
    """
    step = (length / out)[:, None, None]
    centre = start[:, None, None] + (torch.arange(out, device=start.device)[:, None] + 0.5) * step
    cell = torch.arange(cells, device=start.device)
    weight = (1 - (cell + 0.5 - centre).abs() / step.clamp(min=1)).clamp(min=0)
    weight *= (cell >= start[:, None, None]) & (cell < (start + length)[:, None, None])
    return weight / weight.sum(-1, keepdim=True)
