"""Fashion-MNIST's images of clothing."""

from __future__ import annotations

from pathlib import Path

from archdsl.datasets.idx import downloaded, has_idx, read_idx_set
from archdsl.datasets.source import Source, Wanted
from archdsl.recipe.datasets import FashionMnist

#: The files of Debian's package dataset-fashion-mnist.
SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def read(dataset: FashionMnist, wanted: Wanted) -> Source:
    """The set in the root's IDX files, or in the system's, or in those that torchvision downloads."""
    if wanted.root is not None:
        return read_idx_set(dataset.kind, wanted.folder, CLASSES, "FashionMNIST")
    folder = SYSTEM_FOLDER if has_idx(SYSTEM_FOLDER) else downloaded(dataset.kind, "FashionMNIST")
    return read_idx_set(dataset.kind, folder, CLASSES, "FashionMNIST")
