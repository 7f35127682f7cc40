"""CIFAR-10's and CIFAR-100's colour images, through torchvision."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Any

import torch
from torchvision import datasets

from archdsl.datasets.download import cache_folder, quiet, reason
from archdsl.datasets.missing import DataFile, no_download, not_there
from archdsl.datasets.source import Source, Wanted, damaged
from archdsl.datasets.splits import InMemory
from archdsl.diagnostics import Rejected
from archdsl.recipe.datasets import Cifar10, Cifar100


def read(dataset: Cifar10 | Cifar100, wanted: Wanted) -> Source:
    """The set in the root, or in the cache, into which it is downloaded."""
    cls = datasets.CIFAR10 if isinstance(dataset, Cifar10) else datasets.CIFAR100
    folder = cache_folder() if wanted.root is None else wanted.folder
    if wanted.root is None and not (folder / cls.base_folder).is_dir():
        _download(dataset.kind, cls, folder)
    try:
        # torchvision compares the files' checksums before it opens them.
        train, test = cls(folder, train=True), cls(folder, train=False)
    except RuntimeError as error:
        raise _rejected(dataset.kind, cls, folder) from error
    return Source(dataset.kind, tuple(train.classes), _split(train), _split(test), place=str(folder))


def _download(name: str, cls: Any, folder: Path) -> None:
    try:
        with quiet():
            cls(folder, download=True)
    except (OSError, RuntimeError) as error:
        form = f", where it is unpacked, or unpack it there yourself ({cls.base_folder})"
        raise no_download(name, reason(error), [_archive(cls)], folder, form) from error


def _archive(cls: Any) -> DataFile:
    return DataFile(cls.filename, cls.url, cls.tgz_md5)


def _rejected(name: str, cls: Any, folder: Path) -> Rejected:
    """The error for a folder without the original files: missing ones, an archive that is not unpacked, others."""
    inside, archive = folder / cls.base_folder, folder / cls.filename
    files = [*(file for file, _ in cls.train_list + cls.test_list), cls.meta["filename"]]
    missing = [file for file in files if not (inside / file).is_file()]
    if not missing:
        return damaged(inside, f"its files are not the original ones of {cls.filename} (their checksums differ)")
    lacks = f"{inside} has no {missing[0]}" if inside.is_dir() else f"{folder} has no folder {cls.base_folder}"
    unpack = f"unpack it: `tar -xzf {quote(str(archive))} -C {quote(str(folder))}`"
    return not_there(name, lacks, [] if archive.is_file() else [_archive(cls)], folder, unpack)


def _split(part: Any) -> InMemory:
    return InMemory(torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(part.targets))
