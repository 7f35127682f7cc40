"""MNIST's IDX files (http://yann.lecun.com/exdb/mnist), plain or gzipped."""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from archdsl.datasets.download import cache_folder, download
from archdsl.datasets.source import Source, damaged, not_found
from archdsl.datasets.splits import InMemory

UNSIGNED_BYTE = 8
TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
#: Where torchvision puts them below its root.
RAW_FOLDERS = ("", "raw", "MNIST/raw", "FashionMNIST/raw")


def downloaded(name: str, cls: str) -> Path:
    """The folder in the cache that torchvision's class of that name downloads the files to, if they are not there."""
    from torchvision import datasets

    folder = cache_folder() / cls
    if not has_idx(folder / "raw"):
        download(name, lambda: getattr(datasets, cls)(cache_folder(), download=True))
    return folder


def has_idx(root: Path) -> bool:
    """Whether the folder, or torchvision's below it, holds an IDX set."""
    return _find(root, TRAIN[0]) is not None


def read_idx_set(name: str, root: Path, classes: tuple[str, ...]) -> Source:
    """The set in a folder. Raises Rejected for missing or damaged files, and for labels that are no class."""
    if not root.is_dir():
        raise not_found(name, f"there is no folder {root}")
    train, test = (_read_split(name, root, files, len(classes)) for files in (TRAIN, TEST))
    return Source(name, classes, train, test, place=str(root))


def _read_split(name: str, root: Path, files: tuple[str, str], classes: int) -> InMemory:
    paths = []
    for file in files:
        path = _find(root, file)
        if path is None:
            raise not_found(name, f"{root} has no {file}.gz or {file}")
        paths.append(path)
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
