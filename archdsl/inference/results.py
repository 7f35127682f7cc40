"""What `predict` returns for a sample, by what the network gives: classes, values, an image, ..."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from archdsl.files.write import write_atomically

#: Colours of the classes of a mask after the first one, which is black: the first bits of a number in each channel.
COLOURS = 256


@dataclass(frozen=True, slots=True)
class Prediction:
    """A class with its probability, 0..1. `index` is the number of its output, `name` that number without a name."""

    index: int
    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class Score:
    """A class with its score, of a network whose loss does not make it a probability."""

    index: int
    name: str
    score: float


@dataclass(frozen=True, slots=True)
class Values:
    """Numbers, each with the name of its output (its number without a name)."""

    values: tuple[float, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Embedding:
    """A vector in which only distances have a meaning."""

    vector: Tensor

    @property
    def norm(self) -> float:
        """Its Euclidean length."""
        return float(self.vector.norm())

    def distance(self, other: Embedding) -> float:
        """The Euclidean distance of two vectors."""
        return float((self.vector - other.vector).norm())

    def cosine(self, other: Embedding) -> float:
        """The cosine of the angle between two vectors; 0 where one has no direction."""
        return float(torch.nn.functional.cosine_similarity(self.vector, other.vector, dim=0))

    def __repr__(self) -> str:
        return f"<Embedding of {len(self.vector)} values, norm {self.norm:.4g}>"


@dataclass(frozen=True)
class Picture:
    """An image that a network gives (channels x height x width); `is_scaled` if it was trained to be in 0..1."""

    pixels: Tensor
    is_scaled: bool = False

    @property
    def low(self) -> float:
        return float(self.pixels.min())

    @property
    def high(self) -> float:
        return float(self.pixels.max())

    @property
    def fits(self) -> bool:
        """Whether all values are in 0..1."""
        return self.low >= 0 and self.high <= 1

    def save(self, path: str | Path) -> None:
        """Write a PNG file. Values beyond 0..1 are cut off if the network was trained on 0..1, else all are scaled."""
        pixels = self.pixels
        if not self.fits and not self.is_scaled:
            pixels = (pixels - self.low) / max(self.high - self.low, 1e-12)
        array = (pixels.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        _save(Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array), path)

    def __repr__(self) -> str:
        return f"<Picture {_sizes(self.pixels)}: {self.low:.4g} to {self.high:.4g}>"


@dataclass(frozen=True, slots=True)
class Share:
    """A class with the share of the pixels that have it, 0..1."""

    index: int
    name: str
    share: float


@dataclass(frozen=True)
class Mask:
    """The class of each pixel (height x width), with the names of the classes."""

    classes: Tensor
    names: tuple[str, ...]

    @cached_property
    def shares(self) -> list[Share]:
        """The classes that occur, the largest share first."""
        counts = torch.bincount(self.classes.flatten(), minlength=len(self.names)).tolist()
        found = [Share(i, self.names[i], n / self.classes.numel()) for i, n in enumerate(counts) if n]
        return sorted(found, key=lambda one: -one.share)

    def save(self, path: str | Path) -> None:
        """Write a PNG file whose pixels are the numbers of the classes, each shown in a colour of its own."""
        image = Image.fromarray(self.classes.byte().numpy(), "P")
        image.putpalette([part for number in range(COLOURS) for part in _colour(number)])
        _save(image, path)

    def __repr__(self) -> str:
        return f"<Mask {_sizes(self.classes)}: {', '.join(f'{one.name} {one.share:.1%}' for one in self.shares[:3])}>"


@dataclass(frozen=True)
class Outputs:
    """The outputs of a network by name, as they are."""

    tensors: Mapping[str, Tensor]

    def __repr__(self) -> str:
        return f"<Outputs {', '.join(f'{name} {_sizes(tensor)}' for name, tensor in self.tensors.items())}>"


#: What a sample gives.
Found = Sequence[Prediction] | Sequence[Score] | Values | Embedding | Picture | Mask | Outputs


def _sizes(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))


def _colour(number: int) -> tuple[int, int, int]:
    """The colour of a class: its bits spread over the channels, as PASCAL VOC's masks have it."""
    parts = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            parts[channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
    return parts[0], parts[1], parts[2]


def _save(image: Image.Image, path: str | Path) -> None:
    write_atomically(Path(path), lambda temporary: image.save(temporary, format="PNG"))
