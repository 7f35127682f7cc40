"""Augmentations by their names in a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from archdsl.arguments.bind import broken
from archdsl.arguments.describe import is_number
from archdsl.recipe.parts import (
    AtLeastZero,
    Margin,
    Numbers,
    Part,
    Positive,
    Rate,
    Share,
    Size,
    listed,
    paired,
    several,
)


def _low_to_high(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise broken("a range (low, high)")
    return value


def _to_both_sides(value: object) -> object:
    """One number x as the range from -x to x."""
    return (-abs(value), abs(value)) if is_number(value) else listed(value)


AreaShares = Annotated[
    tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]],
    BeforeValidator(listed),
    AfterValidator(_low_to_high),
    Field(description="a pair of shares of the area"),
]
Ratios = Annotated[
    tuple[Rate, Rate], BeforeValidator(listed), AfterValidator(_low_to_high), Field(description="a pair of ratios")
]
Factors = Annotated[
    tuple[Rate, Rate], BeforeValidator(listed), AfterValidator(_low_to_high), Field(description="a pair of factors")
]
Angle = Annotated[float, Field(ge=-180, le=180)]
Angles = Annotated[
    tuple[Angle, Angle],
    BeforeValidator(_to_both_sides),
    AfterValidator(_low_to_high),
    Field(description="a number of degrees, or a pair of them"),
]
Shares = Annotated[
    tuple[Share, Share],
    BeforeValidator(paired),
    Field(description="a share, or one of the height and one of the width"),
]


class RandomCrop(Part):
    """A window of `size` at a random place of the image with `padding` black pixels around it."""

    kind: Literal["random_crop"] = "random_crop"
    size: Size
    padding: Margin = (0, 0)


class HFlip(Part):
    """Horizontal flip with probability `p`."""

    kind: Literal["hflip"] = "hflip"
    p: Share = 0.5


class VFlip(Part):
    """Vertical flip with probability `p`."""

    kind: Literal["vflip"] = "vflip"
    p: Share = 0.5


class RandomResizedCrop(Part):
    """A window of a random share `scale` of the area and a random `ratio` of width to height, resampled to `size`."""

    kind: Literal["random_resized_crop"] = "random_resized_crop"
    size: Size
    scale: AreaShares = (0.08, 1.0)
    ratio: Ratios = (3 / 4, 4 / 3)


class RandomRotation(Part):
    """Rotation by a random angle from -`degrees` to `degrees`, or from a range; corners become black."""

    kind: Literal["random_rotation"] = "random_rotation"
    degrees: Angles


class RandomScale(Part):
    """Scaling by a random factor from `scale` about the centre; the border becomes black where the image shrinks."""

    kind: Literal["random_scale"] = "random_scale"
    scale: Factors


class RandomTranslation(Part):
    """Translation by at most a share of the height and of the width; the border becomes black."""

    kind: Literal["random_translation"] = "random_translation"
    translate: Shares


class RandomAffine(Part):
    """Rotation, translation, scale and shear (in degrees) at once, about the centre, resampled once."""

    kind: Literal["random_affine"] = "random_affine"
    degrees: Angles = (0.0, 0.0)
    translate: Shares = (0.0, 0.0)
    scale: Factors = (1.0, 1.0)
    shear: Angles = (0.0, 0.0)


class ColorJitter(Part):
    """Random brightness, contrast, saturation and hue, in a random order.

    The first three are factors from 1 - x to 1 + x; hue is rotated by at most that share of a whole turn.
    """

    kind: Literal["color_jitter"] = "color_jitter"
    brightness: AtLeastZero = 0.0
    contrast: AtLeastZero = 0.0
    saturation: AtLeastZero = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0


class GaussianNoise(Part):
    """Normal noise with the standard deviation `sigma` on each pixel, for images in 0..1."""

    kind: Literal["gaussian_noise"] = "gaussian_noise"
    sigma: AtLeastZero = 0.1


class RandomErasing(Part):
    """With probability `p`, a window of a random share `scale` of the area and a random `ratio` is erased.

    Erased pixels are 0 after normalisation (Zhong, Zheng, Kang, Li, Yang 2017).
    """

    kind: Literal["random_erasing"] = "random_erasing"
    p: Share = 0.5
    scale: AreaShares = (0.02, 0.33)
    ratio: Ratios = (0.3, 3.3)


class Cutout(Part):
    """A square of `size` pixels around a random position is erased, as far as it lies in the image.

    Erased pixels are 0 after normalisation (DeVries, Taylor 2017).
    """

    kind: Literal["cutout"] = "cutout"
    size: Positive


class MixUp(Part):
    """Images and labels of the batch mixed in pairs, by a share from Beta(alpha, alpha) (Zhang and others 2017)."""

    kind: Literal["mixup"] = "mixup"
    alpha: Rate = 1.0


class CutMix(Part):
    """A window of each image is taken from another; labels are mixed by its area, a share from Beta(alpha, alpha).

    Yun and others 2019.
    """

    kind: Literal["cutmix"] = "cutmix"
    alpha: Rate = 1.0


class Normalize(Part):
    """(x - mean) / std for images in 0..1, in training and evaluation; by default the training set's own figures."""

    kind: Literal["normalize"] = "normalize"
    mean: Numbers
    std: Annotated[
        tuple[Rate, ...],
        BeforeValidator(several),
        Field(description="a number, or one for each channel", min_length=1),
    ]


AnyAugmentation = (
    RandomCrop
    | HFlip
    | VFlip
    | RandomResizedCrop
    | RandomRotation
    | RandomScale
    | RandomTranslation
    | RandomAffine
    | ColorJitter
    | GaussianNoise
    | RandomErasing
    | Cutout
    | MixUp
    | CutMix
    | Normalize
)
