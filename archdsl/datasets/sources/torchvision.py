"""Data sets of torchvision by the names of their classes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torchvision import datasets
from torchvision.transforms.functional import pil_to_tensor

from archdsl.datasets.download import cache_folder, quiet, reason
from archdsl.datasets.images import covering, upright
from archdsl.datasets.missing import first_file, no_download, not_there
from archdsl.datasets.source import Source, Wanted, damaged, did_you_mean, image_shape, not_found
from archdsl.datasets.splits import InMemory
from archdsl.diagnostics import Rejected
from archdsl.diagnostics.codes.data import UnknownDataSet
from archdsl.recipe.datasets import Torchvision
from archdsl.shapes import Shape


def read(dataset: Torchvision, wanted: Wanted) -> Source:
    """The set in the root, or downloaded into the cache.

    Images of different sizes are scaled to cover the network's and cropped to their centre.
    """
    shape = image_shape(dataset.name, wanted.input)
    cls = getattr(datasets, dataset.name, None)
    if not (isinstance(cls, type) and issubclass(cls, datasets.VisionDataset)):
        raise unknown(
            "torchvision", dataset.name, [n for n in datasets.__all__ if isinstance(getattr(datasets, n), type)]
        )
    accepted = inspect.signature(cls).parameters
    shared: dict[str, Any] = dict(dataset.options)
    if "root" in accepted:
        shared["root"] = str(cache_folder() if wanted.root is None else wanted.folder)
    if "download" in accepted and wanted.root is None:
        shared["download"] = True
    parts = [_make(dataset.name, cls, shared | part) for part in _parts(accepted, dataset.options)]
    splits = [_collect(dataset.name, part, shape) for part in parts]
    test = splits[1] if len(splits) > 1 else None
    return Source(dataset.name, _classes(parts[0]), splits[0], test, place=shared.get("root", ""))


def unknown(family: str, name: str, known: Collection[str]) -> Rejected:
    """The error (E623) for a data set that is not among the known ones."""
    listed = ", ".join(sorted(known)) or "none, as no installed project offers any"
    return Rejected(UnknownDataSet(family, name, listed), argument="dataset", help=did_you_mean(name, known))


def _parts(accepted: Collection[str], options: Collection[str]) -> list[dict[str, Any]]:
    """The arguments for the training split and, where there is one, the test split."""
    if "train" in accepted:
        return [{"train": True}, {"train": False}]
    if "split" in accepted and "split" not in options:
        return [{"split": "train"}, {"split": "test"}]
    return [{}]


def _make(name: str, cls: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    try:
        with quiet():
            return cls(**arguments)
    except (RuntimeError, OSError) as error:
        raise _missing(name, cls, arguments, reason(error)) from error
    except (TypeError, ValueError) as error:
        raise not_found(name, f"torchvision rejects it: {error}") from error


def _missing(name: str, cls: Callable[..., Any], arguments: dict[str, Any], why: str) -> Rejected:
    """The error for files that are not in the root, or that cannot be downloaded into it."""
    can_download = "download" in inspect.signature(cls).parameters
    folder = Path(arguments.get("root", "."))
    files = first_file(lambda root: cls(**arguments | {"root": str(root), "download": True})) if can_download else []
    if arguments.get("download"):
        return no_download(name, why, files, folder)
    if not files:
        return not_there(name, why, [], folder, *([] if can_download else ["torchvision does not download this set"]))
    lacks = f"{folder} has no {files[0].path}" if folder.is_dir() else f"there is no folder {folder}"
    put = f"then put it into {folder / Path(files[0].path).parent}; without a root it is downloaded"
    return not_there(name, lacks, files, folder, put)


def _collect(name: str, part: Any, shape: Shape) -> InMemory:
    """All images of a split in memory."""
    mode = "L" if shape.channels == 1 else "RGB"
    images, labels = [], []
    for row in range(len(part)):
        image, label = part[row]
        if not isinstance(image, Image.Image) or not isinstance(label, int):
            raise damaged(name, "its samples are not images with one class each")
        images.append(upright(image, mode))
        labels.append(int(label))
    if len({image.size for image in images}) > 1:
        images = [covering(image, *shape.spatial) for image in images]
    return InMemory(torch.stack([pil_to_tensor(image) for image in images]), torch.tensor(labels))


def _classes(part: Any) -> tuple[str, ...]:
    names = getattr(part, "classes", None)
    if isinstance(names, list | tuple):
        return tuple(str(name) for name in names)
    count = getattr(part, "num_classes", None)
    if count is None:
        count = 1 + max(int(part[row][1]) for row in range(len(part)))
    return tuple(map(str, range(count)))
