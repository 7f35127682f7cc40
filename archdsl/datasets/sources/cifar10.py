"""CIFAR-10's and CIFAR-100's colour images, through torchvision."""

from __future__ import annotations

from typing import Any

import torch
from torchvision import datasets

from archdsl.datasets.download import cache_folder, download
from archdsl.datasets.source import Source, Wanted, not_found
from archdsl.datasets.splits import InMemory
from archdsl.recipe.datasets import Cifar10, Cifar100


def read(dataset: Cifar10 | Cifar100, wanted: Wanted) -> Source:
    """The set in the root, or in the cache, into which it is downloaded."""
    cls = datasets.CIFAR10 if isinstance(dataset, Cifar10) else datasets.CIFAR100
    folder = cache_folder()
    if wanted.root is None:
        download(dataset.kind, lambda: cls(folder, download=not (folder / cls.base_folder).is_dir()))
    else:
        folder = wanted.folder
    try:
        # torchvision compares the files' checksums before it opens them.
        train, test = cls(folder, train=True), cls(folder, train=False)
    except RuntimeError as error:
        raise not_found(dataset.kind, f"{folder} has no {cls.base_folder} with the original files") from error
    return Source(dataset.kind, tuple(train.classes), _split(train), _split(test), place=str(folder))


def _split(part: Any) -> InMemory:
    return InMemory(torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(part.targets))
