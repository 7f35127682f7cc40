"""Folders of pictures, one folder a class: decoded into memory where they fit, else read by workers."""

from __future__ import annotations

import os
import signal
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import ExifTags, Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms.functional import pil_to_tensor

from archdsl.datasets.splits import InMemory, Split
from archdsl.diagnostics import Rejected
from archdsl.diagnostics.codes.data import DamagedPicture, DataNotFound, EmptyClassFolder, NoClassFolders, OtherClasses
from archdsl.recipe.fit import GREY
from archdsl.shapes import Shape

#: Decoded pictures up to this size are held in memory.
MEMORY_BYTES = 2 * 1024**3

#: What brings a picture with that orientation in its EXIF data upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SKIP = "`imagefolder(..., skip_damaged=true)` leaves damaged pictures out, and says which"
CPU = torch.device("cpu")

Sample = tuple[Path, int]
Batch = tuple[Tensor, Tensor] | DamagedPicture


def class_folders(folder: Path) -> list[Path]:
    """The folders below `folder` by name; hidden ones do not count."""
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def training_folders(root: Path) -> tuple[Path, Path | None, Path | None]:
    """The folders of the training, validation and test pictures below a root; the last two may be missing."""
    if not root.is_dir():
        raise Rejected(DataNotFound("imagefolder", f"there is no folder {root}"), argument="dataset")

    def first(*names: str) -> Path | None:
        return next((root / name for name in names if (root / name).is_dir()), None)

    training = first("train")
    return (training, first("val", "valid", "validation"), first("test")) if training else (root, None, None)


def list_pictures(
    folder: Path, classes: Sequence[str] | None = None, *, others: bool = False
) -> tuple[list[Sample], list[str]]:
    """Every picture with its label, and the class names.

    Labels number the names in `classes`, or those of the folders themselves, sorted. Rejects a folder
    without class folders, a class without pictures, and a class that is not in `classes` unless `others` may be.
    """
    folders = class_folders(folder)
    if not folders:
        raise Rejected(NoClassFolders(str(folder)), argument="dataset")
    names = list(classes) if classes is not None else [path.name for path in folders]
    if others:
        folders = [path for path in folders if path.name in names]
    strangers = [path.name for path in folders if path.name not in names]
    if strangers:
        problem = OtherClasses(str(folder), "the training folder", f"{', '.join(strangers)} is not there")
        raise Rejected(problem, argument="dataset")
    samples: list[Sample] = []
    for path in folders:
        pictures = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in IMG_EXTENSIONS]
        if not pictures:
            raise Rejected(EmptyClassFolder(str(path), ", ".join(IMG_EXTENSIONS)), argument="dataset")
        samples += [(file, names.index(path.name)) for file in pictures]
    return samples, names


def decode(path: Path, shape: Shape) -> Tensor | DamagedPicture:
    """The picture as bytes of the given channels, height and width: scaled to cover that size, its centre cut out."""
    channels, height, width = shape
    try:
        with Image.open(path) as file:
            image = upright(file, "L" if channels == GREY else "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return DamagedPicture(str(path), str(error))
    picture: Tensor = pil_to_tensor(covering(image, height, width))
    return picture


def upright(image: Image.Image, mode: str) -> Image.Image:
    """A picture in a mode, turned as the camera was held (EXIF's orientation; what cannot be read turns nothing)."""
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (SyntaxError, ValueError, TypeError, KeyError, struct.error):
        turn = None
    return (image if turn is None else image.transpose(turn)).convert(mode)


def covering(image: Image.Image, height: int, width: int) -> Image.Image:
    """The picture scaled to cover a size, its centre cut out."""
    scale = max(width / image.width, height / image.height)
    size = (max(width, round(image.width * scale)), max(height, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return image.crop((left, top, left + width, top + height))


def read_split(
    samples: Sequence[Sample], shape: Shape, workers: int, *, skip_damaged: bool = False
) -> tuple[Split, list[DamagedPicture]]:
    """The pictures as a split of the given shape, in memory where they fit, and the damaged ones left out of it.

    Without `skip_damaged` one that is found is rejected; those of a split that is read as it is needed are found
    then. With it every picture is read once before.
    """
    in_memory = len(samples) * shape.numel <= MEMORY_BYTES
    if not in_memory and not skip_damaged:
        return Streamed(tuple(samples), shape, workers), []
    good: list[Tensor] = []
    kept: list[Sample] = []
    damaged: list[DamagedPicture] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for sample, picture in zip(samples, pool.map(lambda each: decode(each[0], shape), samples), strict=True):
            if isinstance(picture, DamagedPicture):
                damaged.append(picture)
            else:
                kept.append(sample)
                good += [picture] * in_memory
    if damaged and not (skip_damaged and kept):
        raise Rejected(damaged[0], argument="dataset", help=SKIP)
    if not in_memory:
        return Streamed(tuple(kept), shape, workers), damaged
    return InMemory(torch.stack(good), torch.tensor([label for _, label in kept])), damaged


@dataclass(frozen=True)
class Streamed:
    """A split whose pictures are decoded by `workers` processes (0: by this one) as they are needed."""

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
            _Pictures(self.samples, self.shape),
            batch_sampler=[rows.tolist() for rows in order],
            num_workers=self.workers,
            collate_fn=_collate,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=_leave_interrupts_to_the_parent,
        )
        for batch in loader:
            images, labels = _checked(batch)
            yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


@dataclass(frozen=True)
class _Pictures(Dataset[tuple[Tensor | DamagedPicture, int]]):
    samples: tuple[Sample, ...]
    shape: Shape

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, row: int) -> tuple[Tensor | DamagedPicture, int]:
        path, label = self.samples[row]
        return decode(path, self.shape), label


def _collate(samples: list[tuple[Tensor | DamagedPicture, int]]) -> Batch:
    """One batch; a damaged picture takes its place, since an exception would lose its facts between processes."""
    images = [image for image, _ in samples if isinstance(image, Tensor)]
    if len(images) < len(samples):
        return next(image for image, _ in samples if isinstance(image, DamagedPicture))
    return torch.stack(images), torch.tensor([label for _, label in samples])


def _checked(batch: Batch) -> tuple[Tensor, Tensor]:
    if isinstance(batch, DamagedPicture):
        raise Rejected(batch, argument="dataset")
    return batch


def _leave_interrupts_to_the_parent(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
