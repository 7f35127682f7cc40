"""Augmentation of batches, compared with torchvision image by image with the same parameters."""

import pytest
import torch
import torchvision.transforms.functional as reference
from torch import Tensor
from torchvision.transforms import InterpolationMode, RandomResizedCrop

from archdsl.datasets.augment import (
    augment,
    crop_at,
    flip_where,
    random_crop,
    random_windows,
    resized_crop_at,
)
from archdsl.diagnostics import Rejected
from archdsl.recipe.augmentations import AnyAugmentation, HFlip, Normalize, RandomCrop, VFlip
from archdsl.recipe.augmentations import RandomResizedCrop as ResizedCrop
from archdsl.recipe.fit import check_sizes


def pictures(count: int, channels: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("channels", [1, 3])
def test_crops_are_torchvisions(channels: int) -> None:
    images = pictures(5, channels, 9, 14)
    top, left = torch.tensor([0, 1, 2, 3, 4]), torch.tensor([7, 0, 3, 5, 1])
    found = crop_at(images, top, left, (5, 7))
    for image, cut, i, j in zip(images, found, top.tolist(), left.tolist(), strict=True):
        assert torch.equal(cut, reference.crop(image, i, j, 5, 7))


def test_a_random_crop_is_a_window_of_the_padded_picture_and_reaches_every_place() -> None:
    images = pictures(400, 1, 4, 6)
    found = random_crop(images, (4, 6), (2, 1), generator())
    places = set()
    for image, cut in zip(images, found, strict=True):
        padded = reference.pad(image, [1, 2])
        matches = {(i, j) for i in range(5) for j in range(3) if torch.equal(cut, reference.crop(padded, i, j, 4, 6))}
        assert matches
        places |= matches
    assert places == {(i, j) for i in range(5) for j in range(3)}


def test_flips_are_torchvisions_for_the_chosen_pictures_only() -> None:
    images = pictures(4, 3, 5, 7)
    chosen = torch.tensor([True, False, False, True])
    for axis, twin in ((-1, reference.hflip), (-2, reference.vflip)):
        expected = [twin(image) if yes else image for image, yes in zip(images, chosen, strict=True)]
        assert torch.equal(flip_where(images, chosen, axis), torch.stack(expected))


@pytest.mark.parametrize("kind", [HFlip, VFlip])
def test_flips_follow_their_probability(kind: type[HFlip] | type[VFlip]) -> None:
    images = pictures(2000, 1, 3, 3)
    assert torch.equal(augment(kind(p=0.0), images, generator()), images)
    assert torch.equal(augment(kind(p=1.0), images, generator()), images.flip(-1 if kind is HFlip else -2))
    changed = (augment(kind(p=0.25), images, generator()) != images).flatten(1).any(1).float().mean()
    assert abs(changed - 0.25) < 0.04


@pytest.mark.parametrize("size", [(8, 8), (5, 11), (40, 30)], ids=str)
def test_resized_crops_are_torchvisions(size: tuple[int, int]) -> None:
    images = pictures(5, 3, 17, 23)
    windows = torch.tensor([[0, 0, 17, 23], [3, 4, 5, 6], [16, 22, 1, 1], [2, 0, 12, 23], [5, 7, 8, 8]]).unbind(1)
    found = resized_crop_at(images.float(), (windows[0], windows[1], windows[2], windows[3]), size)
    rounded = resized_crop_at(images, (windows[0], windows[1], windows[2], windows[3]), size)
    for i, image in enumerate(images):
        top, left, height, width = (int(w[i]) for w in windows)
        expected = reference.resized_crop(
            image.float(), top, left, height, width, list(size), InterpolationMode.BILINEAR, antialias=True
        )
        torch.testing.assert_close(found[i], expected, rtol=0, atol=1e-3)
        assert (rounded[i].float() - expected).abs().max() <= 0.5 + 1e-3


def test_random_windows_follow_torchvisions_distribution() -> None:
    scale, ratio = (0.2, 0.9), (0.5, 2.0)
    top, left, height, width = random_windows(pictures(4000, 1, 60, 90), scale, ratio, generator())
    torch.manual_seed(0)
    twin = torch.tensor(
        [RandomResizedCrop.get_params(torch.empty(1, 60, 90), list(scale), list(ratio)) for _ in range(4000)]
    ).float()
    found = torch.stack((top, left, height, width), 1).float()
    assert (found >= torch.tensor([0, 0, 1, 1])).all()
    assert (top + height <= 60).all()
    assert (left + width <= 90).all()
    # Two means of 4,000 draws with these deviations differ by less than five standard errors.
    error = (twin.std(0) ** 2 / 4000 * 2).sqrt()
    assert ((found.mean(0) - twin.mean(0)).abs() < 5 * error).all()
    assert ((found.std(0) / twin.std(0) - 1).abs() < 0.1).all()


@pytest.mark.parametrize(("height", "width"), [(4, 100), (100, 4)])
def test_where_no_draw_fits_the_window_is_torchvisions_centred_one(height: int, width: int) -> None:
    image = torch.empty(1, height, width)
    expected = RandomResizedCrop.get_params(image, [1.0, 1.0], [0.75, 1.25])
    found = random_windows(image[None], (1.0, 1.0), (0.75, 1.25), generator())
    assert tuple(int(part) for part in found) == tuple(expected)


def test_the_generator_alone_decides() -> None:
    images = pictures(32, 3, 12, 12)
    parts: list[AnyAugmentation] = [RandomCrop(size=(12, 12), padding=(3, 3)), HFlip(), ResizedCrop(size=(12, 12))]
    for part in parts:
        first, again, other = (augment(part, images, generator(seed)) for seed in (5, 5, 6))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert first.dtype == torch.uint8
    assert augment(Normalize(mean=(0.0,), std=(1.0,)), images, generator()) is images


def test_augmentations_that_lead_elsewhere_are_rejected() -> None:
    check_sizes([RandomCrop(size=(8, 8)), HFlip()], (10, 10), (8, 8))
    check_sizes([HFlip()], (10, 10), (8, 8))
    with pytest.raises(Rejected, match="a window of 13x8 does not fit into 12x12") as caught:
        check_sizes([RandomCrop(size=(13, 8), padding=(1, 1))], (10, 10), (8, 8))
    assert caught.value.problem.code == "E621"
    with pytest.raises(Rejected, match="it leaves 7x8, but the network takes 8x8"):
        check_sizes([RandomCrop(size=(7, 8))], (10, 10), (8, 8))
