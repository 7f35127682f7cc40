"""Augmentation of whole batches (N x C x H x W, any dtype), each picture with its own random numbers.

Every random function draws its numbers from a generator on the pictures' device and hands them to a plain
one (`crop_at`, `flip_where`, `resized_crop_at`, `affine`, `fill_windows`) that holds the geometry.
"""

from __future__ import annotations

from typing import assert_never

import torch
from torch import Tensor
from torch.nn import functional

from archdsl.datasets.colour import color_jitter
from archdsl.recipe.augmentations import (
    AnyAugmentation,
    ColorJitter,
    CutMix,
    Cutout,
    GaussianNoise,
    HFlip,
    MixUp,
    Normalize,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomResizedCrop,
    RandomRotation,
    RandomScale,
    RandomTranslation,
    VFlip,
)

#: Draws of a random resized crop before it falls back on a centred one (as torchvision's RandomResizedCrop).
TRIES = 10

Hw = tuple[int, int]
#: Top, left, height and width of a window in each picture.
Windows = tuple[Tensor, Tensor, Tensor, Tensor]


def augment(part: AnyAugmentation, images: Tensor, generator: torch.Generator, fill: Tensor | None = None) -> Tensor:
    """The batch after one augmentation of a recipe, cells still in 0..255.

    `fill` (C x 1 x 1) is what an erased cell becomes, black without one. Normalisation is done elsewhere, in
    evaluation too, and so is what mixes the labels (`mix`).
    """
    match part:
        case RandomCrop():
            return random_crop(images, part.size, part.padding, generator)
        case HFlip():
            return flip_where(images, _chosen(images, part.p, generator), -1)
        case VFlip():
            return flip_where(images, _chosen(images, part.p, generator), -2)
        case RandomResizedCrop():
            return random_resized_crop(images, part.size, part.scale, part.ratio, generator)
        case RandomRotation():
            return affine(images, random_placements(images, generator, degrees=part.degrees))
        case RandomScale():
            return affine(images, random_placements(images, generator, scale=part.scale))
        case RandomTranslation():
            return affine(images, random_placements(images, generator, translate=part.translate))
        case RandomAffine():
            placements = random_placements(
                images,
                generator,
                degrees=part.degrees,
                translate=part.translate,
                scale=part.scale,
                shear=part.shear,
            )
            return affine(images, placements)
        case ColorJitter():
            return color_jitter(images, part, generator)
        case GaussianNoise():
            return gaussian_noise(images, 255 * part.sigma, generator)
        case RandomErasing():
            windows = random_windows(images, part.scale, part.ratio, generator)
            return fill_windows(images, windows, _chosen(images, part.p, generator), fill)
        case Cutout():
            return fill_windows(images, random_squares(images, part.size, generator), None, fill)
        case Normalize() | MixUp() | CutMix():
            return images
        case _:
            assert_never(part)


def _chosen(images: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Which pictures an augmentation of probability `p` applies to."""
    return torch.rand(len(images), generator=generator, device=images.device) < p


def flip_where(images: Tensor, chosen: Tensor, axis: int) -> Tensor:
    """The batch with the chosen pictures reversed along `axis`."""
    # Whole pictures are copied faster than cells are chosen one by one.
    both = torch.cat([images, images.flip(axis)])
    return both.index_select(0, torch.arange(len(images), device=images.device) + len(images) * chosen)


def random_crop(images: Tensor, size: Hw, padding: Hw, generator: torch.Generator) -> Tensor:
    """A window of `size` at a random place in each picture, with `padding` black cells on each side."""
    down, across = padding
    padded = functional.pad(images, (across, across, down, down)) if any(padding) else images
    count, device = len(images), images.device
    top = torch.randint(padded.shape[2] - size[0] + 1, (count,), generator=generator, device=device)
    left = torch.randint(padded.shape[3] - size[1] + 1, (count,), generator=generator, device=device)
    return crop_at(padded, top, left, size)


def crop_at(images: Tensor, top: Tensor, left: Tensor, size: Hw) -> Tensor:
    """The window of `size` at each picture's own (top, left).

    In memory a window is a stretch from its first cell to its last, with what lies beside it: stretches are
    copied whole, several times as fast as cells one by one, and what lies beside is left out of the view.
    """
    count, channels, rows, columns = images.shape
    height, width = size
    planes = torch.arange(count * channels, device=images.device).view(count, channels)
    first = planes * (rows * columns) + (top * columns + left)[:, None]
    stretches = images.reshape(-1).unfold(0, (height - 1) * columns + width, 1).index_select(0, first.view(-1))
    return stretches.unfold(1, width, columns).view(count, channels, height, width)


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


# Geometry by a matrix

#: Angle (radians), shift down and across (cells), factor and shear (radians) of each picture.
Placements = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
Range = tuple[float, float]


def random_placements(
    images: Tensor,
    generator: torch.Generator,
    *,
    degrees: Range = (0.0, 0.0),
    translate: tuple[float, float] = (0.0, 0.0),
    scale: Range = (1.0, 1.0),
    shear: Range = (0.0, 0.0),
) -> Placements:
    """A turn, shift, factor and shear for each picture; shifts are whole cells, as torchvision's are."""
    rows, columns = images.shape[2:]
    draws = torch.rand(5, len(images), generator=generator, device=images.device)
    down = ((2 * draws[1] - 1) * translate[0] * rows).round()
    across = ((2 * draws[2] - 1) * translate[1] * columns).round()
    radians = torch.pi / 180
    return (
        (degrees[0] + (degrees[1] - degrees[0]) * draws[0]) * radians,
        down,
        across,
        scale[0] + (scale[1] - scale[0]) * draws[3],
        (shear[0] + (shear[1] - shear[0]) * draws[4]) * radians,
    )


def affine(images: Tensor, placements: Placements) -> Tensor:
    """Each picture turned (clockwise, as rows go down), sheared, scaled about its centre and shifted; black comes in.

    Bilinear, as torchvision's `affine`. Integers are rounded.
    """
    angle, down, across, factor, shear = placements
    rows, columns = images.shape[2:]
    # From a place in the result back to one in the picture, both in cells from the centre: the inverse of
    # rotation * shear * scale, behind the shift.
    inverse = torch.stack(
        [
            torch.stack([torch.cos(angle), torch.sin(angle)], -1),
            torch.stack([-torch.sin(angle), torch.cos(angle)], -1),
        ],
        -2,
    )
    unshear = torch.zeros_like(inverse)
    unshear[:, 0, 0] = unshear[:, 1, 1] = 1
    unshear[:, 0, 1] = torch.tan(shear)
    inverse = (unshear @ inverse) / factor[:, None, None]
    shift = torch.stack([across, down], -1)
    offset = -(inverse @ shift[:, :, None])[:, :, 0]
    # grid_sample counts from -1 to 1 over the picture's width and height.
    half = torch.tensor([columns / 2, rows / 2], device=images.device)
    theta = torch.cat([inverse * half / half[:, None], (offset / half)[:, :, None]], -1)
    numbers = images if images.is_floating_point() else images.float()
    grid = functional.affine_grid(theta.to(numbers.dtype), list(images.shape), align_corners=False)
    result = functional.grid_sample(numbers, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return result if images.is_floating_point() else result.round_().to(images.dtype)


# Noise, and what is filled


def gaussian_noise(images: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Normal noise of the deviation `sigma` added to cells in 0..255, which stay in that range; floating."""
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return (images.float() + sigma * noise).clamp_(0, 255)


def random_squares(images: Tensor, size: int, generator: torch.Generator) -> Windows:
    """A square about a random cell of each picture, as far as it lies in the picture."""
    rows, columns = images.shape[2:]
    count, device = len(images), images.device
    y = torch.randint(rows, (count,), generator=generator, device=device)
    x = torch.randint(columns, (count,), generator=generator, device=device)
    top, left = (y - size // 2).clamp(min=0), (x - size // 2).clamp(min=0)
    bottom, right = (y - size // 2 + size).clamp(max=rows), (x - size // 2 + size).clamp(max=columns)
    return top, left, bottom - top, right - left


def inside(windows: Windows, size: Hw) -> Tensor:
    """Which cells lie in each picture's window (N x 1 x H x W)."""
    top, left, height, width = (numbers[:, None, None, None] for numbers in windows)
    rows = torch.arange(size[0], device=top.device)[:, None]
    columns = torch.arange(size[1], device=top.device)
    return (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)


def fill_windows(images: Tensor, windows: Windows, chosen: Tensor | None, fill: Tensor | None) -> Tensor:
    """The cells of each (chosen) picture's window replaced by `fill`, one number for each channel; else by black."""
    mask = inside(windows, (images.shape[2], images.shape[3]))
    if chosen is not None:
        mask &= chosen[:, None, None, None]
    if fill is None:
        return images.masked_fill(mask, 0)
    return torch.where(mask, fill, images.float())


# Mixed labels


def mix(part: MixUp | CutMix, images: Tensor, shares: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures and the shares of their classes (N x classes), each mixed with another of the batch."""
    share = _beta(part.alpha, generator, images.device)
    order = torch.randperm(len(images), generator=generator, device=images.device)
    if isinstance(part, MixUp):
        # lerp needs one type: pictures are floating by now.
        mixed = images.lerp(images[order], 1 - share)
    else:
        windows = _window_of_share(images, 1 - share, generator)
        mask = inside(windows, (images.shape[2], images.shape[3]))
        mixed = torch.where(mask, images[order], images)
        share = 1 - (windows[2][0] * windows[3][0]) / (images.shape[2] * images.shape[3])
    return mixed, shares * share + shares[order] * (1 - share)


def _beta(alpha: float, generator: torch.Generator, device: torch.device) -> Tensor:
    """A number from Beta(alpha, alpha), as a share of two gammas."""
    weights = torch.full((2,), float(alpha), device=device)
    first, second = torch._standard_gamma(weights, generator=generator).unbind()
    return first / (first + second).clamp(min=torch.finfo(torch.float32).tiny)


def _window_of_share(images: Tensor, share: Tensor, generator: torch.Generator) -> Windows:
    """The same window for all pictures, of that share of the area about a random cell; cut off at the border."""
    rows, columns = images.shape[2:]
    device, count = images.device, len(images)
    half_height, half_width = (share.sqrt() * rows / 2).int(), (share.sqrt() * columns / 2).int()
    y = torch.randint(rows, (1,), generator=generator, device=device)[0]
    x = torch.randint(columns, (1,), generator=generator, device=device)[0]
    top, bottom = (y - half_height).clamp(min=0), (y + half_height).clamp(max=rows)
    left, right = (x - half_width).clamp(min=0), (x + half_width).clamp(max=columns)
    top, left, height, width = (number.expand(count) for number in (top, left, bottom - top, right - left))
    return top, left, height, width
