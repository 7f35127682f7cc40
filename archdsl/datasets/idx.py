"""MNIST's IDX files (http://yann.lecun.com/exdb/mnist), plain or gzipped."""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from archdsl.datasets.download import cache_folder, quiet, reason
from archdsl.datasets.missing import DataFile, no_download, not_there
from archdsl.datasets.source import Source, damaged
from archdsl.datasets.splits import InMemory

UNSIGNED_BYTE = 8
TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
#: Where torchvision puts them below its root.
RAW_FOLDERS = ("", "raw", "MNIST/raw", "FashionMNIST/raw")
THEM, EITHER_FORM = "all of them", ", gzipped as they are or unpacked"


def downloaded(name: str, cls: str) -> Path:
    """The folder in the cache that torchvision's class of that name downloads the files to, if they are not there."""
    from torchvision import datasets

    folder = cache_folder() / cls
    if missing := _missing(cls, folder):
        try:
            with quiet():
                getattr(datasets, cls)(cache_folder(), download=True)
        except (OSError, RuntimeError) as error:
            files = [file._replace(path=f"{cls}/raw/{file.path}") for file in missing]
            raise no_download(name, reason(error), files, cache_folder(), EITHER_FORM) from error
    return folder


def has_idx(root: Path) -> bool:
    """Whether the folder, or torchvision's below it, holds an IDX set."""
    return _find(root, TRAIN[0]) is not None


def _missing(cls: str, root: Path) -> list[DataFile]:
    """The files of torchvision's class of that name that a folder does not have."""
    from torchvision import datasets

    found = getattr(datasets, cls)
    files = [DataFile(name, f"{found.mirrors[0]}{name}", md5) for name, md5 in found.resources]
    return [file for file in files if _find(root, file.path.removesuffix(".gz")) is None]


def read_idx_set(name: str, root: Path, classes: tuple[str, ...], cls: str) -> Source:
    """The set in a folder, which is that of torchvision's class of that name.

    Raises:
        Rejected: files are missing or damaged, or labels are no class.
    """
    if missing := _missing(cls, root):
        reason = f"{root} has no {missing[0].path}" if root.is_dir() else f"there is no folder {root}"
        raise not_there(name, reason, missing, root, f"then put {THEM} into {root}{EITHER_FORM}")
    train, test = (_read_split(root, files, len(classes)) for files in (TRAIN, TEST))
    return Source(name, classes, train, test, place=str(root))


def _read_split(root: Path, files: tuple[str, str], classes: int) -> InMemory:
    paths = [path for file in files if (path := _find(root, file))]
    images, labels = read_idx(paths[0], 3), read_idx(paths[1], 1)
    if len(images) != len(labels):
        raise damaged(paths[1], f"{len(labels)} labels for {len(images)} images")
    if len(labels) and int(labels.max()) >= classes:
        raise damaged(paths[1], f"label {int(labels.max())}, but there are {classes} classes")
    return InMemory(images[:, None], labels.long())


def _find(root: Path, name: str) -> Path | None:
    candidates = (root / folder / (name + ending) for folder in RAW_FOLDERS for ending in (".gz", ""))
    return next((path for path in candidates if path.is_file()), None)


def read_idx(path: Path, axes: int) -> Tensor:
    """The unsigned bytes of an IDX file with so many axes."""
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(path, str(error)) from error
    start = 4 + 4 * axes
    if len(data) < start or data[:4] != bytes((0, 0, UNSIGNED_BYTE, axes)):
        raise damaged(path, f"it does not start as an IDX file of unsigned bytes with {axes} axes does")
    sizes = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i]) for i in range(axes)]
    if len(data) - start != prod(sizes):
        raise damaged(path, f"its header promises {prod(sizes):,} bytes, but {len(data) - start:,} follow")
    if not prod(sizes):
        raise damaged(path, "it is empty")
    return torch.frombuffer(bytearray(data), dtype=torch.uint8, offset=start).view(sizes)
