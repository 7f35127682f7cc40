"""Adapting images to the network's input, compared with torchvision and plain formulas."""

import pytest
import torch
import torchvision.transforms.functional as reference

from archdsl.datasets.prepare import Fit, Preparation, plan_fit
from archdsl.datasets.splits import InMemory, Split, hold_back, statistics
from archdsl.diagnostics import Rejected
from archdsl.recipe.augmentations import AnyAugmentation, HFlip, RandomCrop
from archdsl.recipe.fit import image_of
from archdsl.shapes import Shape

IMAGES = torch.randint(0, 256, (6, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def preparation(fit: Fit, *parts: AnyAugmentation, channels: int = 1, mean: tuple[float, ...] = (0.0,)) -> Preparation:
    std = tuple(1.0 for _ in mean)
    return Preparation(fit, Shape((channels, 28, 28)), mean, std, parts)


def augmented(made: Preparation, generator: torch.Generator) -> torch.Tensor:
    return made.train(IMAGES, torch.zeros(6).long(), generator, 10)[0]


@pytest.mark.parametrize(
    ("input", "picture"),
    [
        ((1, 28, 28), (1, 28, 28)),
        ((3, 32, 20), (3, 32, 20)),
        ((2, 8, 8), None),
        ((784,), (1, 28, 28)),
        ((3072,), (3, 32, 32)),
        ((785,), None),
        ((3, 100), None),
        ((1, 8, 8, 8), None),
    ],
    ids=str,
)
def test_the_picture_an_input_takes(input: tuple[int, ...], picture: tuple[int, ...] | None) -> None:
    assert image_of(Shape(input)) == picture


@pytest.mark.parametrize(
    ("sample", "input", "how", "note"),
    [
        ((1, 28, 28), (1, 28, 28), "nothing", ""),
        ((1, 28, 28), (1, 32, 32), "pad", "images of 1x28x28 by zero padding"),
        (
            (1, 28, 28),
            (3, 32, 32),
            "pad",
            "images of 1x28x28 by zero padding and repeating the grey channel",
        ),
        ((1, 8, 8), (1, 28, 28), "resize", "images of 1x8x8 by bilinear resampling"),
        ((3, 32, 32), (3, 28, 28), "resize", "images of 3x32x32 by bilinear resampling"),
        ((1, 28, 28), (784,), "nothing", "images of 1x28x28 by flattening"),
        ((1, 8, 8), (784,), "resize", "images of 1x8x8 by bilinear resampling and flattening"),
        ((3, 32, 32), (3072,), "nothing", "images of 3x32x32 by flattening"),
    ],
    ids=str,
)
def test_how_a_picture_is_fitted(sample: tuple[int, ...], input: tuple[int, ...], how: str, note: str) -> None:
    fit = plan_fit("set", Shape(sample), Shape(input))
    assert (fit.how, fit.note) == (how, note)


@pytest.mark.parametrize(
    ("sample", "input"), [((3, 32, 32), (1, 28, 28)), ((1, 28, 28), (2, 28, 28)), ((1, 28, 28), (1, 784))], ids=str
)
def test_what_does_not_fit_is_rejected(sample: tuple[int, ...], input: tuple[int, ...]) -> None:
    with pytest.raises(Rejected) as caught:
        plan_fit("set", Shape(sample), Shape(input))
    assert caught.value.problem.code == "E618"
    assert caught.value.argument == "dataset"


def test_padding_and_resampling_are_torchvisions() -> None:
    padded = preparation(plan_fit("set", Shape((1, 28, 28)), Shape((1, 33, 32)))).evaluate(IMAGES)
    torch.testing.assert_close(padded, reference.pad(IMAGES, [2, 2, 2, 3]).float() / 255)
    for size in (14, 40):
        resized = preparation(plan_fit("set", Shape((1, 28, 28)), Shape((1, size, size)))).evaluate(IMAGES)
        expected = reference.resize(IMAGES.float(), [size, size], antialias=True) / 255
        torch.testing.assert_close(resized, expected)


def test_normalisation_is_torchvisions_and_comes_after_the_repetition_of_grey() -> None:
    fit = plan_fit("set", Shape((1, 28, 28)), Shape((3, 28, 28)))
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    made = Preparation(fit, Shape((1, 28, 28)), mean, std)
    expected = reference.normalize((IMAGES.float() / 255).expand(-1, 3, -1, -1), list(mean), list(std))
    torch.testing.assert_close(made.evaluate(IMAGES), expected)


def test_training_augments_and_evaluation_does_not() -> None:
    fit = Fit((28, 28), "nothing", repeat=False, flatten=True)
    made = preparation(fit, HFlip(p=1.0))
    assert torch.equal(augmented(made, torch.Generator()), made.evaluate(IMAGES.flip(-1)))
    assert made.evaluate(IMAGES).shape == (6, 784)


def test_pictures_stored_larger_are_cropped_at_random_in_training_and_in_the_centre_else() -> None:
    fit = Fit((20, 24), "crop", repeat=False, flatten=False)
    made = preparation(fit, RandomCrop(size=(20, 24)))
    torch.testing.assert_close(made.evaluate(IMAGES), reference.center_crop(IMAGES, [20, 24]).float() / 255)
    assert augmented(made, torch.Generator().manual_seed(0)).shape == (6, 1, 20, 24)


def test_a_mean_for_other_channels_is_rejected() -> None:
    fit = Fit((28, 28), "nothing", repeat=False, flatten=False)
    with pytest.raises(Rejected, match="3 numbers in mean, but the images have 1 channels"):
        preparation(fit, mean=(0.1, 0.2, 0.3))


def test_statistics_are_torchs() -> None:
    images = torch.randint(0, 256, (50, 3, 4, 5), dtype=torch.uint8)
    images[:, 2] = 7
    mean, std = statistics(InMemory(images, torch.zeros(50, dtype=torch.int64)))
    cells = images.double().transpose(0, 1).flatten(1) / 255
    torch.testing.assert_close(torch.tensor(mean).double(), cells.mean(1).float().double())
    torch.testing.assert_close(std[:2], tuple(cells.std(1, correction=0)[:2].tolist()))
    assert std[2] == 1


def test_a_share_is_held_back_class_by_class() -> None:
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)[torch.randperm(100)]
    whole = InMemory(torch.arange(100).view(-1, 1, 1, 1), labels)  # images that are their rows

    def rows(split: Split) -> torch.Tensor:
        found: torch.Tensor = next(split.batches([torch.arange(len(split.labels))]))[0].flatten()
        return found

    stay, held = map(rows, hold_back(whole, 0.2, seed=3))
    assert torch.equal(torch.cat((stay, held)).sort().values, torch.arange(100))
    assert labels[held].bincount().tolist() == [10, 6, 4]
    assert torch.equal(rows(hold_back(whole, 0.2, seed=3)[1]), held)
    assert not torch.equal(rows(hold_back(whole, 0.2, seed=4)[1]), held)
