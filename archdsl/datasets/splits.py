"""Splits of a data set: images (uint8) or other arrays with labels, in memory or read from files as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from archdsl.datasets.seeds import generator, in_batches
from archdsl.shapes import Shape

#: The number of images for the statistics of a set that is too large for memory.
STATISTICS_SAMPLE = 1000


#: The arrays of a batch: a Tensor, or for several inputs a tuple of them.
Batch = Any


def each_input(batch: Batch) -> tuple[Tensor, ...]:
    """The arrays of a batch as a network takes them, one after the other."""
    inputs: tuple[Tensor, ...] = (batch,) if isinstance(batch, Tensor) else batch
    return inputs


class Split(Protocol):
    """Samples by row: `labels` on the CPU, and the `shape` of the images as they are held."""

    @property
    def labels(self) -> Tensor: ...
    @property
    def shape(self) -> Shape: ...

    def subset(self, rows: Tensor) -> Split:
        """The samples of some rows."""

    def to(self, device: torch.device) -> Split:
        """The same samples, with batches on `device`."""

    def batches(self, order: Sequence[Tensor]) -> Iterator[tuple[Batch, Tensor]]:
        """Images (N x C x H x W, uint8), or an array for each input, and targets for each tensor of rows."""


@dataclass(frozen=True, slots=True)
class InMemory:
    """A split held as two tensors, on any device."""

    images: Tensor
    labels: Tensor
    labels_there: Tensor | None = None

    @property
    def shape(self) -> Shape:
        return Shape(self.images.shape[1:])

    def subset(self, rows: Tensor) -> InMemory:
        return InMemory(self.images[rows], self.labels[rows])

    def to(self, device: torch.device) -> InMemory:
        return InMemory(self.images.to(device), self.labels, self.labels.to(device))

    def batches(self, order: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        labels = self.labels if self.labels_there is None else self.labels_there
        for rows in order:
            rows = rows.to(labels.device, non_blocking=True)
            yield self.images.index_select(0, rows), labels.index_select(0, rows)


@dataclass(frozen=True, slots=True)
class Rows:
    """Some samples of another split, in any order and any number of times."""

    pool: Split
    rows: Tensor

    @property
    def labels(self) -> Tensor:
        return self.pool.labels[self.rows]

    @property
    def shape(self) -> Shape:
        return self.pool.shape

    def subset(self, rows: Tensor) -> Rows:
        return replace(self, rows=self.rows[rows])

    def to(self, device: torch.device) -> Rows:
        return replace(self, pool=self.pool.to(device))

    def batches(self, order: Sequence[Tensor]) -> Iterator[tuple[Batch, Tensor]]:
        return self.pool.batches([self.rows[rows] for rows in order])


@dataclass(frozen=True, slots=True)
class Several:
    """A split with an array for each of several inputs, and targets of its own (class numbers or values)."""

    parts: tuple[Split, ...]
    targets: Tensor
    device: torch.device | None = None

    @property
    def labels(self) -> Tensor:
        return self.targets

    @property
    def shape(self) -> Shape:
        """The shape of the first array."""
        return self.parts[0].shape

    def subset(self, rows: Tensor) -> Several:
        return replace(self, parts=tuple(part.subset(rows) for part in self.parts), targets=self.targets[rows])

    def to(self, device: torch.device) -> Several:
        return replace(self, parts=tuple(part.to(device) for part in self.parts), device=device)

    def batches(self, order: Sequence[Tensor]) -> Iterator[tuple[Batch, Tensor]]:
        arrays = zip(*(part.batches(order) for part in self.parts), strict=True)
        for rows, found in zip(order, arrays, strict=True):
            inputs = tuple(array for batch, _ in found for array in each_input(batch))
            yield inputs, self._there(self.targets[rows])

    def _there(self, targets: Tensor) -> Tensor:
        return targets if self.device is None else targets.to(self.device, non_blocking=True)


@dataclass(frozen=True, slots=True)
class ImageTargets:
    """A split whose targets are images: those of the rows `partners` of `pool`, after `values`."""

    inputs: Split
    pool: Split
    partners: Tensor
    values: Callable[[Tensor], Tensor]

    @property
    def labels(self) -> Tensor:
        return self.inputs.labels

    @property
    def shape(self) -> Shape:
        return self.inputs.shape

    def subset(self, rows: Tensor) -> ImageTargets:
        return replace(self, inputs=self.inputs.subset(rows), partners=self.partners[rows])

    def to(self, device: torch.device) -> ImageTargets:
        pool = self.pool.to(device)
        inputs = pool if self.inputs is self.pool else self.inputs.to(device)
        return replace(self, inputs=inputs, pool=pool)

    def batches(self, order: Sequence[Tensor]) -> Iterator[tuple[Batch, Tensor]]:
        wanted = self.pool.batches([self.partners[rows] for rows in order])
        for (images, _), (targets, _) in zip(self.inputs.batches(order), wanted, strict=True):
            assert isinstance(targets, Tensor)
            yield images, self.values(targets)


def next_of_class(labels: Tensor, classes: int) -> Tensor:
    """For each row a row of the next class (the first class follows the last), paired in order.

    Raises ValueError where a class has no rows.
    """
    rows = [(labels == label).nonzero()[:, 0] for label in range(classes)]
    if not all(len(each) for each in rows):
        raise ValueError("a class has no images")
    partners = torch.empty_like(labels)
    for label, own in enumerate(rows):
        following = rows[(label + 1) % classes]
        partners[own] = following[torch.arange(len(own)) % len(following)]
    return partners


def hold_back(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """The samples that stay and those held back: a share of each class, rounded, drawn with the seed.

    Samples whose targets are values count as one class.
    """
    labels = split.labels
    if labels.is_floating_point():
        labels = torch.zeros(len(labels), dtype=torch.int64)
    held = torch.zeros(len(labels), dtype=torch.bool)
    draw = generator(seed, "validation")
    for label in range(int(labels.max()) + 1 if len(labels) else 0):
        rows = (labels == label).nonzero()[:, 0]
        shuffled = rows[torch.randperm(len(rows), generator=draw)]
        held[shuffled[: round(share * len(rows))]] = True
    return split.subset((~held).nonzero()[:, 0]), split.subset(held.nonzero()[:, 0])


def statistics(split: Split) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, for pixels in 0..1; 1 in place of a deviation of 0.

    Exact for a split in memory; otherwise of STATISTICS_SAMPLE images. Of several inputs, those of the first that is
    images; 0 and 1 if none is.
    """
    if isinstance(split, Several):
        images = next((part for part in split.parts if len(part.shape) == 3 and _holds_bytes(part)), None)
        return ((0.0,), (1.0,)) if images is None else statistics(images)
    if isinstance(split, ImageTargets):
        return statistics(split.inputs)
    if isinstance(split, InMemory):
        counts = _histogram(split.images)
    else:
        rows = torch.linspace(0, len(split.labels) - 1, min(len(split.labels), STATISTICS_SAMPLE)).long()
        batches = (images for images, _ in split.batches(in_batches(rows, 100)) if isinstance(images, Tensor))
        counts = sum(map(_histogram, batches), torch.zeros(1, 1))
    values = torch.arange(256, dtype=torch.float64) / 255
    total = counts.sum(1)
    mean = counts @ values / total
    std = ((counts * (values - mean[:, None]) ** 2).sum(1) / total).sqrt()
    return tuple(mean.tolist()), tuple(torch.where(std > 0, std, 1).tolist())


def _holds_bytes(split: Split) -> bool:
    """Whether a split's arrays are images as they are stored, and no others."""
    [(batch, _)] = split.batches([torch.arange(1)])
    return isinstance(batch, Tensor) and batch.dtype == torch.uint8


def _histogram(images: Tensor) -> Tensor:
    """How often each value occurs in each channel (C x 256)."""
    channels = (images[:, channel].flatten() for channel in range(images.shape[1]))
    return torch.stack([torch.bincount(pixels, minlength=256) for pixels in channels]).cpu().double()
