"""Folders of images, one folder a class: decoded into memory where they fit, else read by workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets.folder import IMG_EXTENSIONS

from archdsl.datasets.images import decode
from archdsl.datasets.missing import INSTEAD, not_there, required_folder
from archdsl.datasets.prepare import Fit
from archdsl.datasets.source import SHOWN, Source, Wanted, class_number, image_shape
from archdsl.datasets.splits import InMemory, Split
from archdsl.diagnostics import Rejected
from archdsl.diagnostics.codes.data import DamagedPicture, EmptyClassFolder, NoClassFolders, OtherClasses
from archdsl.recipe.datasets import ImageFolder
from archdsl.shapes import Shape
from archdsl.text.lists import listed

#: Decoded images up to this size are held in memory.
MEMORY_BYTES = 2 * 1024**3
#: Images are held so much larger than the input where a random resized crop follows (256 for 224).
ROOM_FOR_CROPS = 8 / 7
HOLDS = "it has a folder of images for each class, in train/ and val/ (or test/) or in itself"
SKIP = "`imagefolder(..., skip_damaged=true)` leaves damaged images out, and says which"
CPU = torch.device("cpu")

Sample = tuple[Path, int]


def read(dataset: ImageFolder, wanted: Wanted) -> Source:
    """The images below the root, scaled to cover the network's input and cropped to their centre."""
    name, shape = dataset.kind, image_shape(dataset.kind, wanted.input)
    stored = shape
    if wanted.crops:
        stored = Shape((shape[0], *(round(size * ROOM_FOR_CROPS) for size in shape[1:])))
    folders = split_folders(required_folder(name, wanted.root, HOLDS))
    classes = class_names(folders[0])
    if wanted.classes is not None:
        for each in wanted.classes:
            class_number(name, each, classes)
        classes = wanted.classes
    damaged: list[DamagedPicture] = []

    def split(samples: list[Sample] | None) -> Split | None:
        if samples is None:
            return None
        found, more = read_split(samples, stored, wanted.workers, skip_damaged=dataset.skip_damaged)
        damaged.extend(more)
        return found

    others = wanted.classes is not None
    samples = [None if folder is None else list_images(folder, classes, others=others) for folder in folders]
    train, validation, test = map(split, samples)
    assert train is not None
    note = f"{len(samples[0] or ()):,} images, scaled and cropped to {stored[1]}x{stored[2]}"
    if damaged:
        note += f"; {len(damaged)} damaged left out: {listed([each.file for each in damaged], SHOWN)}"
    size = (shape[1], shape[2])
    fit = Fit(size, "nothing" if stored == shape else "crop", repeat=False, flatten=wanted.input.rank == 0, note=note)
    return Source(name, classes, train, test, validation, fit, place=str(wanted.folder))


def split_folders(root: Path) -> tuple[Path, Path | None, Path | None]:
    """The folders of the training, validation and test images below a root; the last two may be missing."""
    if not root.is_dir():
        raise not_there("imagefolder", f"there is no folder {root}", [], root, HOLDS)

    def first(*names: str) -> Path | None:
        return next((root / name for name in names if (root / name).is_dir()), None)

    training = first("train")
    return (training, first("val", "valid", "validation"), first("test")) if training else (root, None, None)


def class_folders(folder: Path) -> list[Path]:
    """The folders below `folder` by name, without hidden ones. Raises Rejected (E614) where there are none."""
    found = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not found:
        raise Rejected(NoClassFolders(str(folder)), argument="dataset", helps=[HOLDS, INSTEAD])
    return found


def class_names(folder: Path) -> tuple[str, ...]:
    """The classes of a folder: the names of the folders below it."""
    return tuple(path.name for path in class_folders(folder))


def list_images(folder: Path, classes: Sequence[str], *, others: bool = False) -> list[Sample]:
    """Every image with its class number.

    Raises Rejected for a class without images, and for one that is not in `classes` unless `others` may be there.
    """
    folders = class_folders(folder)
    strangers = [path.name for path in folders if path.name not in classes]
    if strangers and not others:
        problem = OtherClasses(str(folder), "the training folder", f"{', '.join(strangers)} is not there")
        raise Rejected(problem, argument="dataset")
    samples: list[Sample] = []
    for path in folders:
        if path.name in classes:
            images = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in IMG_EXTENSIONS]
            if not images:
                raise Rejected(EmptyClassFolder(str(path), ", ".join(IMG_EXTENSIONS)), argument="dataset")
            samples += [(file, classes.index(path.name)) for file in images]
    return samples


def read_split(
    samples: Sequence[Sample], shape: Shape, workers: int, *, skip_damaged: bool = False
) -> tuple[Split, list[DamagedPicture]]:
    """The images as a split, in memory where they fit, and the damaged ones left out of it.

    Without `skip_damaged` a damaged image is an error, in a split that is read from files when it is read. With it
    every image is read once before.
    """
    in_memory = len(samples) * shape.numel <= MEMORY_BYTES
    if not in_memory and not skip_damaged:
        return Streamed(tuple(samples), shape, workers), []
    good: list[Tensor] = []
    kept: list[Sample] = []
    damaged: list[DamagedPicture] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for sample, image in zip(samples, pool.map(lambda each: decode(each[0], shape), samples), strict=True):
            if isinstance(image, DamagedPicture):
                damaged.append(image)
            else:
                kept.append(sample)
                good += [image] * in_memory
    if damaged and not (skip_damaged and kept):
        raise Rejected(damaged[0], argument="dataset", help=SKIP)
    if not in_memory:
        return Streamed(tuple(kept), shape, workers), damaged
    return InMemory(torch.stack(good), torch.tensor([label for _, label in kept])), damaged


@dataclass(frozen=True)
class Streamed:
    """A split whose images are decoded by `workers` processes (0: by this one) as they are needed."""

    samples: tuple[Sample, ...]
    shape: Shape
    workers: int
    device: torch.device = CPU

    @property
    def labels(self) -> Tensor:
        return torch.tensor([label for _, label in self.samples])

    def subset(self, rows: Tensor) -> Streamed:
        return replace(self, samples=tuple(self.samples[row] for row in rows.tolist()))

    def to(self, device: torch.device) -> Streamed:
        return replace(self, device=device)

    def batches(self, order: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        loader: DataLoader[Any] = DataLoader(
            _Images(self.samples, self.shape),
            batch_sampler=[rows.tolist() for rows in order],
            num_workers=self.workers,
            collate_fn=_collate,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=_ignore_interrupts,
        )
        for batch in loader:
            if isinstance(batch, DamagedPicture):
                raise Rejected(batch, argument="dataset")
            images, labels = batch
            yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


@dataclass(frozen=True)
class _Images(Dataset[tuple[Tensor | DamagedPicture, int]]):
    samples: tuple[Sample, ...]
    shape: Shape

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, row: int) -> tuple[Tensor | DamagedPicture, int]:
        path, label = self.samples[row]
        return decode(path, self.shape), label


def _collate(samples: list[tuple[Tensor | DamagedPicture, int]]) -> tuple[Tensor, Tensor] | DamagedPicture:
    """One batch, or its damaged image: an exception would lose its facts between processes."""
    images = []
    for image, _ in samples:
        if isinstance(image, DamagedPicture):
            return image
        images.append(image)
    return torch.stack(images), torch.tensor([label for _, label in samples])


def _ignore_interrupts(_: int) -> None:
    """Leave Ctrl-C to the parent process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
