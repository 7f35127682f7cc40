"""MNIST's IDX files (http://yann.lecun.com/exdb/mnist), plain or gzipped, read where they lie."""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from archdsl.diagnostics import Rejected
from archdsl.diagnostics.codes.data import DamagedData, DataNotFound

UNSIGNED_BYTE = 8
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
#: Where torchvision puts them below its root.
RAW_FOLDERS = ("", "raw", "MNIST/raw", "FashionMNIST/raw")


def has_idx(root: Path) -> bool:
    """Whether the folder, or torchvision's below it, holds an IDX set."""
    return _find(root, FILES["train"][0]) is not None


def read_idx_set(dataset: str, root: Path, part: str, classes: int) -> tuple[Tensor, Tensor]:
    """Pictures (N x 1 x H x W) and labels (N) of the part `train` or `test`, both as unsigned bytes.

    Rejects missing files, damaged ones, and labels outside `classes`.
    """
    paths = []
    for name in FILES[part]:
        path = _find(root, name)
        if path is None:
            raise Rejected(DataNotFound(dataset, f"{root} has no {name}.gz or {name}"), argument="dataset")
        paths.append(path)
    images, labels = read_idx(paths[0], 3), read_idx(paths[1], 1)
    if len(images) != len(labels):
        raise _damaged(paths[1], f"{len(labels)} labels for {len(images)} pictures")
    if len(labels) and int(labels.max()) >= classes:
        raise _damaged(paths[1], f"label {int(labels.max())}, but there are {classes} classes")
    return images[:, None], labels


def _find(root: Path, name: str) -> Path | None:
    candidates = (root / folder / (name + ending) for folder in RAW_FOLDERS for ending in (".gz", ""))
    return next((path for path in candidates if path.is_file()), None)


def read_idx(path: Path, axes: int) -> Tensor:
    """The unsigned bytes of an IDX file with so many axes."""
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, str(error)) from error
    start = 4 + 4 * axes
    if len(data) < start or data[:4] != bytes((0, 0, UNSIGNED_BYTE, axes)):
        raise _damaged(path, f"it does not start as an IDX file of unsigned bytes with {axes} axes does")
    sizes = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i]) for i in range(axes)]
    if len(data) - start != prod(sizes):
        raise _damaged(path, f"its header promises {prod(sizes):,} bytes, but {len(data) - start:,} follow")
    if not prod(sizes):
        raise _damaged(path, "it is empty")
    return torch.frombuffer(bytearray(data), dtype=torch.uint8, offset=start).view(sizes)


def _damaged(path: Path, reason: str) -> Rejected:
    return Rejected(DamagedData(str(path), reason), argument="dataset")
