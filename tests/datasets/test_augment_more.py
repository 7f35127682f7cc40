"""Rotation, translation, colour, noise, erasing and mixing of batches, compared with torchvision."""

from __future__ import annotations

import math

import pytest
import torch
import torchvision.transforms.functional as reference
from torch import Tensor
from torchvision.transforms import InterpolationMode

from archdsl.datasets import colour
from archdsl.datasets.augment import affine, augment, fill_windows, inside, mix, random_placements, random_squares
from archdsl.recipe.augmentations import (
    AnyAugmentation,
    ColorJitter,
    CutMix,
    Cutout,
    GaussianNoise,
    MixUp,
    RandomAffine,
    RandomErasing,
    RandomRotation,
    RandomScale,
    RandomTranslation,
)


def pictures(count: int, channels: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("degrees", "down", "across", "scale", "shear"),
    [
        (30.0, 0, 0, 1.0, 0.0),
        (-75.0, 0, 0, 1.0, 0.0),
        (0.0, 2, -3, 1.0, 0.0),
        (0.0, 0, 0, 0.6, 0.0),
        (0.0, 0, 0, 1.7, 0.0),
        (0.0, 0, 0, 1.0, 20.0),
        (25.0, -1, 2, 1.3, -15.0),
    ],
)
@pytest.mark.parametrize("size", [(8, 8), (7, 12)])
def test_affine_is_torchvisions(
    degrees: float, down: int, across: int, scale: float, shear: float, size: tuple[int, int]
) -> None:
    images = pictures(3, 2, *size).float()
    numbers = (math.radians(degrees), down, across, scale, math.radians(shear))
    turn, rows, columns, factor, lean = (torch.full((3,), float(number)) for number in numbers)
    found = affine(images, (turn, rows, columns, factor, lean))
    expected = reference.affine(images, degrees, [across, down], scale, [shear, 0.0], InterpolationMode.BILINEAR)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.05)


def test_each_picture_has_its_own_placement_within_the_range() -> None:
    images = torch.zeros(500, 1, 20, 10)
    angle, down, across, factor, shear = random_placements(
        images, generator(), degrees=(-30, 60), translate=(0.2, 0.3), scale=(0.5, 2), shear=(-5, 5)
    )
    for values, low, high in (
        (angle.rad2deg(), -30, 60),
        (down, -4, 4),
        (across, -3, 3),
        (factor, 0.5, 2),
        (shear.rad2deg(), -5, 5),
    ):
        assert low <= values.min() < low + 0.1 * (high - low) + 1e-4
        assert high - 0.1 * (high - low) - 1e-4 < values.max() <= high + 1e-4
    assert torch.equal(down, down.round())


def test_whole_pictures_keep_their_type() -> None:
    images = pictures(4, 3, 6, 6)
    for part in (
        RandomRotation(degrees=(-10, 10)),
        RandomScale(scale=(0.9, 1.1)),
        RandomTranslation(translate=(0.1, 0.1)),
    ):
        assert augment(part, images, generator()).dtype == torch.uint8
    still = RandomAffine()
    assert torch.equal(augment(still, images, generator()), images)


@pytest.mark.parametrize(
    ("change", "twin", "factors"),
    [
        (colour.brightness, reference.adjust_brightness, (0.0, 0.4, 1.0, 1.9)),
        (colour.contrast, reference.adjust_contrast, (0.0, 0.4, 1.0, 1.9)),
        (colour.saturation, reference.adjust_saturation, (0.0, 0.4, 1.0, 1.9)),
        (colour.hue, reference.adjust_hue, (-0.5, -0.2, 0.0, 0.35, 0.5)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_colours_are_torchvisions(change: object, twin: object, factors: tuple[float, ...], channels: int) -> None:
    images = pictures(len(factors), channels, 5, 6).float()
    found = change(images, torch.tensor(factors)[:, None, None, None])  # type: ignore[operator]
    for image, mine, factor in zip(images, found, factors, strict=True):
        torch.testing.assert_close(mine / 255, twin(image / 255, factor), rtol=0, atol=2e-3)  # type: ignore[operator]


def test_colour_jitter_stays_in_its_range_and_draws_for_each_picture() -> None:
    images = torch.full((300, 3, 1, 1), 100.0)
    found = colour.color_jitter(images, ColorJitter(brightness=0.4), generator())[:, 0, 0, 0] / 100
    assert 0.6 <= found.min() < 0.65
    assert 1.35 < found.max() <= 1.4
    assert torch.equal(colour.color_jitter(images, ColorJitter(), generator()), images)


def test_noise_has_the_deviation_asked_for() -> None:
    images = torch.full((20, 1, 50, 50), 128, dtype=torch.uint8)
    found = augment(GaussianNoise(sigma=0.05), images, generator())
    assert (found - 128).std().item() == pytest.approx(0.05 * 255, rel=0.02)
    assert (found - 128).mean().item() == pytest.approx(0, abs=0.2)


def test_erasing_fills_windows_of_the_share_asked_for() -> None:
    images = pictures(600, 3, 32, 32).float() + 1000
    fill = torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    found = augment(RandomErasing(p=0.5, scale=(0.1, 0.2), ratio=(0.5, 2)), images, generator(), fill)
    erased = (found < 1000).all(1)
    shares = erased.flatten(1).float().mean(1)
    touched = shares > 0
    assert 0.4 < touched.float().mean() < 0.6
    assert shares[touched].min() > 0.08
    assert shares[touched].max() < 0.23
    first = int(touched.nonzero()[0])
    assert (found[first][:, erased[first]] == fill[:, 0]).all()
    assert torch.equal(found[~touched], images[~touched])
    rows, columns = erased[first].any(1).nonzero(), erased[first].any(0).nonzero()
    assert erased[first].sum() == (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)


def test_cutout_is_a_square_cut_off_at_the_border() -> None:
    images = torch.full((2000, 1, 8, 8), 9.0)
    top, left, height, width = random_squares(images, 4, generator())
    assert set(height.tolist()) == set(width.tolist()) == {2, 3, 4}
    assert set(top.tolist()) == set(left.tolist()) == set(range(6))
    assert bool(((top + height <= 8) & (left + width <= 8)).all())
    found = augment(Cutout(size=4), images, generator())
    assert torch.equal(found == 0, inside((top, left, height, width), (8, 8)))


def test_windows_are_filled_where_they_are() -> None:
    windows = tuple(torch.tensor(numbers) for numbers in ([1, 0], [2, 0], [2, 1], [1, 3]))
    found = fill_windows(torch.ones(2, 1, 3, 4), windows, None, None)  # type: ignore[arg-type]
    assert found[0, 0].tolist() == [[1, 1, 1, 1], [1, 1, 0, 1], [1, 1, 0, 1]]
    assert found[1, 0].tolist() == [[0, 0, 0, 1], [1, 1, 1, 1], [1, 1, 1, 1]]


@pytest.mark.parametrize("part", [MixUp(alpha=1.0), CutMix(alpha=1.0)])
def test_labels_are_mixed_as_the_pictures_are(part: MixUp | CutMix) -> None:
    """Each picture holds one number, its class: the mean of a mixed one is the mean of its labels."""
    classes = torch.arange(8)
    images = classes[:, None, None, None].float().expand(8, 3, 16, 16)
    shares = torch.nn.functional.one_hot(classes, 8).float()
    seen = []
    for seed in range(20):
        mixed, found = mix(part, images, shares, generator(seed))
        torch.testing.assert_close(found.sum(1), torch.ones(8))
        torch.testing.assert_close(mixed.mean((1, 2, 3)), found @ classes.float(), rtol=0, atol=1e-4)
        assert ((found > 0).sum(1) <= 2).all()
        seen.append(found.max().item())
    assert min(seen) < 0.7 < 0.9 < max(seen)


def test_cutmix_takes_one_window_from_another_picture() -> None:
    images = torch.arange(6.0)[:, None, None, None].expand(6, 1, 12, 12)
    mixed, _ = mix(CutMix(alpha=1.0), images, torch.eye(6), generator(3))
    foreign = (mixed != images)[(mixed != images).flatten(1).any(1)][0, 0]
    rows, columns = foreign.any(1).nonzero(), foreign.any(0).nonzero()
    assert foreign.sum() == (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)


@pytest.mark.parametrize(
    "part",
    [
        RandomAffine(degrees=(-9, 9), translate=(0.1, 0.1), scale=(0.9, 1.1), shear=(-3, 3)),
        ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1),
        GaussianNoise(),
        RandomErasing(),
        Cutout(size=3),
    ],
)
def test_the_same_seed_gives_the_same_pictures(part: AnyAugmentation) -> None:
    images = pictures(6, 3, 9, 9)
    assert torch.equal(augment(part, images, generator(5)), augment(part, images, generator(5)))
    assert not torch.equal(augment(part, images, generator(5)), augment(part, images, generator(6)))
