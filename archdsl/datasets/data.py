"""The data of a recipe: splits of images for a network, held back, paired with their targets and fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from archdsl.datasets.prepare import Fit, plan_fit
from archdsl.datasets.source import Wanted, read_source
from archdsl.datasets.splits import ImageTargets, Several, Split, hold_back, next_of_class
from archdsl.diagnostics import Rejected
from archdsl.diagnostics.codes.data import InputsDoNotFit, TooFewSamples
from archdsl.recipe import Recipe
from archdsl.recipe.augmentations import RandomResizedCrop
from archdsl.shapes import Shape

#: The share of a set without a test split that is held back for validation.
DEFAULT_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Data:
    """A data set ready for use.

    sample      channels, height and width of its images as they are held
    fit         how they become the network's input
    fits        for several inputs: how the images of each become it, None for arrays that are taken as they are
    validation  what each epoch is judged by; the test split itself where nothing is held back
    target      the shape of a target where those are tensors (`Split.labels` N x ..., given out as float); None
                where they are class numbers
    place       where its files are, "included" for a set without files
    has_test    whether the test split is another one than the samples held back from the training set
    """

    name: str
    classes: tuple[str, ...]
    sample: Shape
    fit: Fit
    train: Split
    validation: Split
    test: Split
    target: Shape | None = None
    fits: tuple[Fit | None, ...] = ()
    place: str = ""
    has_test: bool = True

    @property
    def validates_on_test(self) -> bool:
        """Whether the epochs are judged by the test samples themselves."""
        return self.has_test and self.validation is self.test

    @property
    def splits(self) -> dict[str, Split]:
        """The splits by name. Validation and test are the same object where nothing is held back."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def to(self, device: torch.device) -> Data:
        """The same data on a device."""
        test = self.test.to(device)
        validation = test if self.validation is self.test else self.validation.to(device)
        return replace(self, train=self.train.to(device), validation=validation, test=test)


def load_data(
    recipe: Recipe, input: Shape, inputs: Mapping[str, Shape] | None = None, limits: Mapping[str, int] | None = None
) -> Data:
    """The recipe's data set for a network that takes `input`, or several `inputs` by name.

    `limits` are those of inputs of integers (`Wanted`).

    Raises Rejected for data that are missing, damaged or do not fit.
    """
    crops = any(isinstance(part, RandomResizedCrop) for part in recipe.augment)
    several = dict(inputs or {}) if len(inputs or {}) > 1 else {}
    wanted = Wanted(input, recipe.folder, recipe.classes, recipe.workers, crops, several, limits or {})
    found = read_source(recipe.dataset, wanted)
    name, train, validation, test = found.name, found.train, found.validation, found.test
    if isinstance(train, Several) != bool(several):
        listed = ", ".join(f"{each} {shape}" for each, shape in (inputs or {"input": input}).items())
        raise Rejected(InputsDoNotFit(name, "one image for each sample", listed), argument="dataset")
    fit = next(filter(None, (found.fit, *found.fits)), None) or _fit(name, train, input)
    if recipe.validation is not None or (validation is None and test is None):
        whole, share = len(train.labels), recipe.validation or DEFAULT_SHARE
        train, validation = hold_back(train, share, recipe.seed)
        if not len(train.labels) or not len(validation.labels):
            counts = f"leaves {len(train.labels)} for training and {len(validation.labels)} for validation"
            raise Rejected(
                TooFewSamples(name, f"a share of {share:g} of {whole} samples {counts}"), argument="validation"
            )
    judged = validation or test
    assert judged is not None
    data = Data(
        name,
        found.classes,
        train.shape,
        fit,
        train,
        judged,
        test or judged,
        found.target,
        found.fits,
        found.place,
        has_test=test is not None,
    )
    if several and recipe.target != "class":
        listed = ", ".join(several)
        raise Rejected(
            InputsDoNotFit(f"target = {recipe.target}", "one image for each sample", listed), argument="target"
        )
    return data if recipe.target == "class" else _with_image_targets(data, next_class=recipe.target == "next_class")


def _fit(name: str, train: Split, input: Shape) -> Fit:
    """How a data set's images become the network's input; nothing is done to several arrays without images."""
    return (
        Fit((1, 1), "nothing", repeat=False, flatten=False)
        if isinstance(train, Several)
        else plan_fit(name, train.shape, input)
    )


def _with_image_targets(data: Data, *, next_class: bool) -> Data:
    """The data with images as targets: each sample's own, or one of the next class."""
    fit = data.fit
    shape = Shape((fit.channels(data.sample), *fit.size))

    def values(images: Tensor) -> Tensor:
        found = (fit.apply(images).float() / 255).expand(-1, shape.channels, -1, -1)
        return found.flatten(1) if fit.flatten else found

    def paired(split: Split) -> Split:
        rows = torch.arange(len(split.labels))
        if next_class:
            try:
                rows = next_of_class(split.labels, len(data.classes))
            except ValueError as error:
                raise Rejected(TooFewSamples(data.name, str(error)), argument="target") from error
        return ImageTargets(split, split, rows, values)

    validation = paired(data.validation)
    test = validation if data.test is data.validation else paired(data.test)
    target = Shape((shape.numel,)) if fit.flatten else shape
    return replace(data, train=paired(data.train), validation=validation, test=test, target=target)
