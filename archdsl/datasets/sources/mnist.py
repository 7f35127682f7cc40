"""MNIST's handwritten digits."""

from __future__ import annotations

from archdsl.datasets.idx import downloaded, read_idx_set
from archdsl.datasets.source import Source, Wanted
from archdsl.recipe.datasets import Mnist


def read(dataset: Mnist, wanted: Wanted) -> Source:
    """The set in the root's IDX files, or in those that torchvision downloads."""
    folder = wanted.folder if wanted.root is not None else downloaded(dataset.kind, "MNIST")
    return read_idx_set(dataset.kind, folder, tuple("0123456789"), "MNIST")
