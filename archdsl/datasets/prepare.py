"""From a data set's images (uint8, N x C x H x W) to the network's input (float), in whole batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from archdsl.datasets.augment import augment, mix
from archdsl.datasets.splits import Batch, each_input
from archdsl.recipe.augmentations import AnyAugmentation, CutMix, MixUp
from archdsl.recipe.fit import check_normalisation, check_sizes, require_image
from archdsl.shapes import Shape

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Fit:
    """How images become the network's input.

    size      height and width of the input
    how       what is done to an image of another size
    repeat    whether a grey image is repeated for three channels
    flatten   whether the network takes a vector
    note      what is done in words, empty for nothing
    """

    size: tuple[int, int]
    how: Literal["nothing", "pad", "resize", "crop"]
    repeat: bool
    flatten: bool
    note: str = ""

    def channels(self, sample: Shape) -> int:
        """The channels of the input for images of the shape `sample`."""
        return 3 if self.repeat else sample.channels

    def apply(self, images: Tensor) -> Tensor:
        """Images of the network's height and width; resampled ones are float, still in 0..255."""
        (rows, columns), (height, width) = images.shape[2:], self.size
        top, left = abs(height - rows) // 2, abs(width - columns) // 2
        match self.how:
            case "nothing":
                return images
            case "pad":
                return functional.pad(images, (left, width - columns - left, top, height - rows - top))
            case "crop":
                return images[:, :, top : top + height, left : left + width]
            case "resize":
                return functional.interpolate(images.float(), self.size, mode="bilinear", antialias=True)


def plan_fit(dataset: str, sample: Shape, input: Shape) -> Fit:
    """How images of the shape `sample` become the network's input. Raises Rejected for what cannot be done."""
    flatten = input.rank == 0
    if flatten and sample.numel == input.numel:
        note = f"images of {sample} by flattening"
        return Fit((sample[1], sample[2]), "nothing", repeat=False, flatten=True, note=note)
    target = require_image(dataset, sample, input)
    (rows, columns), size = sample.spatial, (target[1], target[2])
    repeat = sample.channels != target.channels
    how: Literal["nothing", "pad", "resize"] = "resize"
    if size == (rows, columns):
        how = "nothing"
    elif 0 <= size[0] - rows <= rows // 4 and 0 <= size[1] - columns <= columns // 4:
        how = "pad"
    done = {"nothing": [], "pad": ["zero padding"], "resize": ["bilinear resampling"]}[how]
    done += ["repeating the grey channel"] * repeat + ["flattening"] * flatten
    note = f"images of {sample} by {' and '.join(done)}" if done else ""
    return Fit(size, how, repeat, flatten, note)


class Preparation:
    """The preparation of each batch of images of the shape `sample`, in training and in evaluation.

    `mean` and `std` are one number, or one for each channel of the input, for pixels in 0..1.
    """

    def __init__(
        self,
        fit: Fit,
        sample: Shape,
        mean: Sequence[float],
        std: Sequence[float],
        augmentations: Sequence[AnyAugmentation] = (),
        device: torch.device = CPU,
    ) -> None:
        # Images of a folder are stored larger than the input where crops are taken from them.
        check_sizes(augmentations, (sample[1], sample[2]) if fit.how == "crop" else fit.size, fit.size)
        check_normalisation(mean, std, fit.channels(sample))
        self.fit, self.augmentations, self.channels = fit, tuple(augmentations), fit.channels(sample)
        self.mixing = [part for part in self.augmentations if isinstance(part, MixUp | CutMix)]
        self.shift = 255 * torch.tensor(mean, dtype=torch.float32, device=device).view(-1, 1, 1)
        self.factor = 1 / (255 * torch.tensor(std, dtype=torch.float32, device=device).view(-1, 1, 1))

    def train(self, images: Tensor, labels: Tensor, generator: torch.Generator, outputs: int) -> tuple[Tensor, Tensor]:
        """A batch of inputs, augmented, with targets: where labels are mixed, a share for each of the `outputs`."""
        inputs = images if self.fit.how == "crop" else self.fit.apply(images)
        for part in self.augmentations:
            inputs = augment(part, inputs, generator, self._fill(inputs))
        inputs = self._normalized(inputs)
        if self.mixing:
            if not labels.is_floating_point():
                labels = functional.one_hot(labels, outputs).float()
            part = self.mixing[0]
            if len(self.mixing) > 1:
                part = self.mixing[int(torch.randint(len(self.mixing), (), generator=generator, device=inputs.device))]
            inputs, labels = mix(part, inputs, labels, generator)
        return inputs.flatten(1) if self.fit.flatten else inputs, labels

    def evaluate(self, images: Tensor) -> Tensor:
        """A batch of inputs."""
        inputs = self._normalized(self.fit.apply(images))
        return inputs.flatten(1) if self.fit.flatten else inputs

    def _fill(self, images: Tensor) -> Tensor:
        """The colour that normalization turns into 0; a grey image that is yet to be repeated has one number."""
        return self.shift if len(self.shift) in {1, images.shape[1]} else self.shift.mean(0, keepdim=True)

    def _normalized(self, images: Tensor) -> Tensor:
        if self.fit.repeat:
            images = images.expand(-1, self.channels, -1, -1)
        return images.to(torch.float32, copy=True).sub_(self.shift).mul_(self.factor)


class Preparations:
    """The preparation of batches for several inputs: of images each by its own, of other arrays none."""

    def __init__(self, parts: Sequence[Preparation | None]) -> None:
        self.parts = tuple(parts)

    def train(self, arrays: Batch, labels: Tensor, generator: torch.Generator, outputs: int) -> tuple[Batch, Tensor]:
        """A batch of each input, images augmented independently of each other, with the targets."""
        pairs = zip(self.parts, each_input(arrays), strict=True)
        inputs = (array if part is None else part.train(array, labels, generator, outputs)[0] for part, array in pairs)
        return tuple(inputs), labels

    def evaluate(self, arrays: Batch) -> Batch:
        """A batch of each input."""
        pairs = zip(self.parts, each_input(arrays), strict=True)
        return tuple(array if part is None else part.evaluate(array) for part, array in pairs)
