"""Augmentation of whole batches (N x C x H x W, any dtype), each image with its own random numbers.

Each random function draws its numbers from a generator on the images' device and passes them to a deterministic one
(`crop_at`, `flip_where`, `resized_crop_at`, `affine`, `fill_windows`).
"""

from __future__ import annotations

from typing import assert_never

import torch
from torch import Tensor
from torch.nn import functional

from archdsl.datasets.colour import color_jitter
from archdsl.recipe import augmentations as kinds

#: Draws of a random resized crop before a centred one is taken, as in torchvision's RandomResizedCrop.
TRIES = 10

Hw = tuple[int, int]
#: Top, left, height and width of a window in each image.
Windows = tuple[Tensor, Tensor, Tensor, Tensor]


def augment(
    part: kinds.AnyAugmentation, images: Tensor, generator: torch.Generator, fill: Tensor | None = None
) -> Tensor:
    """The batch after one augmentation of a recipe, pixels still in 0..255.

    `fill` (C x 1 x 1) is the colour of erased pixels, black by default. Normalization, which evaluation does too, and
    `mix`, which changes labels, are done elsewhere.
    """
    match part:
        case kinds.RandomCrop():
            return random_crop(images, part.size, part.padding, generator)
        case kinds.HFlip():
            return flip_where(images, _chosen(images, part.p, generator), -1)
        case kinds.VFlip():
            return flip_where(images, _chosen(images, part.p, generator), -2)
        case kinds.RandomResizedCrop():
            return random_resized_crop(images, part.size, part.scale, part.ratio, generator)
        case kinds.RandomRotation() | kinds.RandomScale() | kinds.RandomTranslation() | kinds.RandomAffine():
            ranges = {name: getattr(part, name) for name in part.arguments()}
            return affine(images, random_placements(images, generator, **ranges))
        case kinds.ColorJitter():
            return color_jitter(images, part, generator)
        case kinds.GaussianNoise():
            return gaussian_noise(images, 255 * part.sigma, generator)
        case kinds.RandomErasing():
            windows = random_windows(images, part.scale, part.ratio, generator)
            return fill_windows(images, windows, _chosen(images, part.p, generator), fill)
        case kinds.Cutout():
            return fill_windows(images, random_squares(images, part.size, generator), None, fill)
        case kinds.Normalize() | kinds.MixUp() | kinds.CutMix():
            return images
        case _:
            assert_never(part)


def _chosen(images: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """The images that an augmentation of probability `p` applies to."""
    return torch.rand(len(images), generator=generator, device=images.device) < p


def flip_where(images: Tensor, chosen: Tensor, axis: int) -> Tensor:
    """The batch with the chosen images reversed along `axis`."""
    # Copying whole images is faster than choosing pixel by pixel.
    both = torch.cat([images, images.flip(axis)])
    return both.index_select(0, torch.arange(len(images), device=images.device) + len(images) * chosen)


def random_crop(images: Tensor, size: Hw, padding: Hw, generator: torch.Generator) -> Tensor:
    """A window of `size` at a random position in each image, with `padding` black pixels on each side."""
    down, across = padding
    padded = functional.pad(images, (across, across, down, down)) if any(padding) else images
    count, device = len(images), images.device
    top = torch.randint(padded.shape[2] - size[0] + 1, (count,), generator=generator, device=device)
    left = torch.randint(padded.shape[3] - size[1] + 1, (count,), generator=generator, device=device)
    return crop_at(padded, top, left, size)


def crop_at(images: Tensor, top: Tensor, left: Tensor, size: Hw) -> Tensor:
    """The window of `size` at each image's own (top, left).

    Memory is copied from a window's first pixel to its last, several times as fast as pixel by pixel; the view leaves
    out what lies between its rows.
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
    """A random window (`random_windows`) of each image, resampled to `size`."""
    return resized_crop_at(images, random_windows(images, scale, ratio, generator), size)


def random_windows(
    images: Tensor, scale: tuple[float, float], ratio: tuple[float, float], generator: torch.Generator
) -> Windows:
    """A random window of each image (Szegedy et al. 2014, as in torchvision).

    Its share of the area is uniform in `scale`, the logarithm of width to height uniform in `ratio`; the first of
    TRIES draws that fits is taken, else the largest centred window that `ratio` allows.
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
    """Height and width of an image's largest window whose ratio of width to height is allowed."""
    aspect = min(max(columns / rows, ratio[0]), ratio[1])
    if columns / rows < aspect:
        return round(columns / aspect), columns
    return rows, round(rows * aspect)


def resized_crop_at(images: Tensor, windows: Windows, size: Hw) -> Tensor:
    """Each image's own window, resampled to `size` bilinearly with antialiasing. Integers are rounded.

    Resampling along the axes is one small matrix for the rows and one for the columns.
    """
    top, left, height, width = windows
    by_rows = _resampling(top, height, images.shape[2], size[0])
    by_columns = _resampling(left, width, images.shape[3], size[1])
    resampled = by_rows[:, None] @ images.to(by_rows.dtype) @ by_columns[:, None].mT
    return resampled if images.is_floating_point() else resampled.round_().to(images.dtype)


def _resampling(start: Tensor, length: Tensor, pixels: int, out: int) -> Tensor:
    """For each image the (out x pixels) matrix that resamples `length` pixels from `start` on to `out` pixels.

    Each output is a mean under a triangle around its position, one pixel wide on each side, or as many as the factor
    by which the image shrinks.
    """
    step = (length / out)[:, None, None]
    centre = start[:, None, None] + (torch.arange(out, device=start.device)[:, None] + 0.5) * step
    pixel = torch.arange(pixels, device=start.device)
    weight = (1 - (pixel + 0.5 - centre).abs() / step.clamp(min=1)).clamp(min=0)
    weight *= (pixel >= start[:, None, None]) & (pixel < (start + length)[:, None, None])
    return weight / weight.sum(-1, keepdim=True)


#: Angle (radians), shift down and across (pixels), scale and shear (radians) of each image.
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
    """A rotation, shift, scale and shear for each image; shifts are whole pixels, as in torchvision."""
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
    """Each image rotated (clockwise), sheared, scaled about its centre and shifted, with black borders.

    Bilinear, as torchvision's `affine`. Integers are rounded.
    """
    angle, down, across, factor, shear = placements
    rows, columns = images.shape[2:]
    # From a position in the result to one in the image, in pixels from the centre: the inverse of
    # rotation * shear * scale, after the shift.
    cos, sin = torch.cos(angle), torch.sin(angle)
    inverse = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], -2)
    unshear = torch.zeros_like(inverse)
    unshear[:, 0, 0] = unshear[:, 1, 1] = 1
    unshear[:, 0, 1] = torch.tan(shear)
    inverse = (unshear @ inverse) / factor[:, None, None]
    shift = torch.stack([across, down], -1)
    offset = -(inverse @ shift[:, :, None])[:, :, 0]
    # grid_sample's coordinates run from -1 to 1 over the width and height.
    half = torch.tensor([columns / 2, rows / 2], device=images.device)
    theta = torch.cat([inverse * half / half[:, None], (offset / half)[:, :, None]], -1)
    numbers = images if images.is_floating_point() else images.float()
    grid = functional.affine_grid(theta.to(numbers.dtype), list(images.shape), align_corners=False)
    result = functional.grid_sample(numbers, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return result if images.is_floating_point() else result.round_().to(images.dtype)


def gaussian_noise(images: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Pixels with normal noise of deviation `sigma`, clamped to 0..255, floating."""
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return (images.float() + sigma * noise).clamp_(0, 255)


def random_squares(images: Tensor, size: int, generator: torch.Generator) -> Windows:
    """A square about a random pixel of each image, clipped to the image."""
    rows, columns = images.shape[2:]
    count, device = len(images), images.device
    y = torch.randint(rows, (count,), generator=generator, device=device)
    x = torch.randint(columns, (count,), generator=generator, device=device)
    top, left = (y - size // 2).clamp(min=0), (x - size // 2).clamp(min=0)
    bottom, right = (y - size // 2 + size).clamp(max=rows), (x - size // 2 + size).clamp(max=columns)
    return top, left, bottom - top, right - left


def inside(windows: Windows, size: Hw) -> Tensor:
    """A mask of the pixels in each image's window (N x 1 x H x W)."""
    top, left, height, width = (numbers[:, None, None, None] for numbers in windows)
    rows = torch.arange(size[0], device=top.device)[:, None]
    columns = torch.arange(size[1], device=top.device)
    return (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)


def fill_windows(images: Tensor, windows: Windows, chosen: Tensor | None, fill: Tensor | None) -> Tensor:
    """The images with the windows of the chosen ones filled with `fill` (C x 1 x 1), by default black."""
    mask = inside(windows, (images.shape[2], images.shape[3]))
    if chosen is not None:
        mask &= chosen[:, None, None, None]
    if fill is None:
        return images.masked_fill(mask, 0)
    return torch.where(mask, fill, images.float())


def mix(
    part: kinds.MixUp | kinds.CutMix, images: Tensor, shares: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Images and the shares of their classes (N x classes), each mixed with another of the batch."""
    share = _beta(part.alpha, generator, images.device)
    order = torch.randperm(len(images), generator=generator, device=images.device)
    if isinstance(part, kinds.MixUp):
        mixed = images.lerp(images[order], 1 - share)
    else:
        windows = _window_of_share(images, 1 - share, generator)
        mask = inside(windows, (images.shape[2], images.shape[3]))
        mixed = torch.where(mask, images[order], images)
        share = 1 - (windows[2][0] * windows[3][0]) / (images.shape[2] * images.shape[3])
    return mixed, shares * share + shares[order] * (1 - share)


def _beta(alpha: float, generator: torch.Generator, device: torch.device) -> Tensor:
    """A draw from Beta(alpha, alpha): torch.distributions has no generator argument."""
    weights = torch.full((2,), float(alpha), device=device)
    first, second = torch._standard_gamma(weights, generator=generator).unbind()
    return first / (first + second).clamp(min=torch.finfo(torch.float32).tiny)


def _window_of_share(images: Tensor, share: Tensor, generator: torch.Generator) -> Windows:
    """The same window for all images: a share of the area about a random pixel, clipped at the border."""
    rows, columns = images.shape[2:]
    device, count = images.device, len(images)
    half_height, half_width = (share.sqrt() * rows / 2).int(), (share.sqrt() * columns / 2).int()
    y = torch.randint(rows, (1,), generator=generator, device=device)[0]
    x = torch.randint(columns, (1,), generator=generator, device=device)[0]
    top, bottom = (y - half_height).clamp(min=0), (y + half_height).clamp(max=rows)
    left, right = (x - half_width).clamp(min=0), (x + half_width).clamp(max=columns)
    top, left, height, width = (number.expand(count) for number in (top, left, bottom - top, right - left))
    return top, left, height, width
