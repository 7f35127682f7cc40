"""Pictures and labels given as arrays: NumPy's files, and what another project's data set hands over."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from archdsl.datasets.splits import InMemory
from archdsl.diagnostics import Rejected
from archdsl.diagnostics.codes.data import DamagedData, DataNotFound

Array = np.ndarray[Any, np.dtype[Any]]
#: Names that files give to pictures and labels: of training, then of testing.
NAMES = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("images", "labels", "test_images", "test_labels"),
    ("x", "y", "x_test", "y_test"),
    ("X", "y", "X_test", "y_test"),
    ("data", "target", "test_data", "test_target"),
)
CHANNELS = (1, 3)


class Arrays(NamedTuple):
    """A set in memory. `test` is None where the file has none; `classes` are names or numbers as texts."""

    train: InMemory
    test: InMemory | None
    classes: tuple[str, ...]


def read_arrays(path: Path) -> Arrays:
    """The set in an `.npz` file, or in a folder of `.npy` files with the same names.

    Nothing is unpickled. Rejects (E611, E613) files that are missing, damaged or no pictures with labels.
    """
    if path.is_dir():
        found = {file.stem: file for file in sorted(path.glob("*.npy"))}
        return arrays_of(str(path), found.keys(), lambda name: _load(found[name]))
    if not path.is_file():
        raise Rejected(DataNotFound("arrays", f"there is no file or folder {path}"), argument="dataset")
    archive = _load(path)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        reason = f"{path} is one array; an .npz file or a folder of .npy files is needed"
        raise Rejected(DataNotFound("arrays", reason), argument="dataset")
    with archive:
        return arrays_of(str(path), archive.keys(), lambda name: _member(archive, name, path))


def _load(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise Rejected(DamagedData(str(path), _reason(error)), argument="dataset") from error


def _member(archive: Any, name: str, path: Path) -> Array:
    try:
        member: Array = archive[name]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise Rejected(DamagedData(f"{path}: {name}", _reason(error)), argument="dataset") from error
    return member


def _reason(error: Exception) -> str:
    text = str(error)
    if "allow_pickle" in text:
        return "it holds Python objects, which are never unpickled"
    return text or type(error).__name__


def arrays_of(where: str, names: Any, get: Callable[[str], Array]) -> Arrays:
    """The set whose arrays `get` gives by their names."""
    known = set(names)
    for images, labels, test_images, test_labels in NAMES:
        if {images, labels} <= known:
            train = split_of(f"{where}: {images}", get(images), get(labels))
            test = None
            if {test_images, test_labels} <= known:
                test = split_of(f"{where}: {test_images}", get(test_images), get(test_labels))
            parts = [train] if test is None else [train, test]
            count = 1 + max(int(part.labels.max()) for part in parts)
            return Arrays(train, test, _classes(where, get("classes") if "classes" in known else None, count))
    wanted = "; ".join(f"{images} and {labels}" for images, labels, *_ in NAMES)
    reason = f"{where} has {', '.join(sorted(known)) or 'nothing'}; pictures and labels are called {wanted}"
    raise Rejected(DataNotFound("arrays", reason), argument="dataset")


def _classes(where: str, names: Any, count: int) -> tuple[str, ...]:
    if names is None:
        return tuple(map(str, range(count)))
    listed = tuple(str(name) for name in names)
    if len(listed) < count:
        reason = f"{len(listed)} class names, but labels up to {count - 1}"
        raise Rejected(DamagedData(where, reason), argument="dataset")
    return listed


def split_of(where: str, images: Any, labels: Any) -> InMemory:
    """Pictures and labels as a split. Rejects shapes, types and labels that are none of a picture's."""
    pictures, numbers = _pictures(where, np.asarray(images)), _labels(where, np.asarray(labels))
    if len(pictures) != len(numbers):
        raise Rejected(DamagedData(where, f"{len(pictures)} pictures and {len(numbers)} labels"), argument="dataset")
    if not len(pictures):
        raise Rejected(DamagedData(where, "there are no pictures"), argument="dataset")
    return InMemory(pictures, numbers)


def _pictures(where: str, images: Array) -> Tensor:
    """N x C x H x W bytes, from N x H x W, N x H x W x C or N x C x H x W in 0..255, or floating in 0..1."""
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1] not in CHANNELS and images.shape[3] in CHANNELS:
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in CHANNELS:
        sizes = "x".join(map(str, images.shape))
        reason = f"an array of {sizes} is not N x H x W, N x H x W x C or N x C x H x W with one or three channels"
        raise Rejected(DamagedData(where, reason), argument="dataset")
    if images.dtype == np.bool_:
        images = images * np.uint8(255)
    elif images.dtype.kind == "f":
        images = _bytes(where, images)
    elif images.dtype.kind not in "ui" or (images.size and not 0 <= int(images.min()) <= int(images.max()) <= 255):
        raise Rejected(DamagedData(where, f"cells of type {images.dtype} outside 0..255"), argument="dataset")
    return torch.from_numpy(np.ascontiguousarray(images, dtype=np.uint8))


def _bytes(where: str, images: Array) -> Array:
    low, high = (float(images.min()), float(images.max())) if images.size else (0.0, 0.0)
    if not (low >= 0 and high <= 255):  # also where one is not a number
        raise Rejected(DamagedData(where, f"cells from {low:g} to {high:g}, not in 0..1 or 0..255"), argument="dataset")
    cells: Array = np.rint(images * 255 if high <= 1 else images)
    return cells


def _labels(where: str, labels: Array) -> Tensor:
    labels = labels.reshape(len(labels)) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    whole = labels.dtype.kind in "uib" or (labels.dtype.kind == "f" and bool((labels == np.rint(labels)).all()))
    if labels.ndim != 1 or not whole:
        sizes = "x".join(map(str, labels.shape))
        reason = f"labels of {sizes} {labels.dtype}: one whole number for each picture is needed"
        raise Rejected(DamagedData(where, reason), argument="dataset")
    if labels.size and labels.min() < 0:
        row = int(np.argmin(labels))
        raise Rejected(DamagedData(where, f"row {row} has the label {int(labels[row])}, below 0"), argument="dataset")
    return torch.from_numpy(labels.astype(np.int64))


def arrays_from(name: str, found: Mapping[str, Any]) -> Arrays:
    """What a data set of another project returned: `train` and perhaps `test` as (pictures, labels), `classes`."""
    try:
        train = split_of(f"{name}: train", *found["train"])
        test = None if found.get("test") is None else split_of(f"{name}: test", *found["test"])
    except (KeyError, TypeError, ValueError) as error:
        reason = f'it must return {{"train": (pictures, labels), "test": ..., "classes": ...}}: {error}'
        raise Rejected(DamagedData(name, reason), argument="dataset") from error
    count = 1 + max(int(part.labels.max()) for part in (train, test) if part is not None)
    return Arrays(train, test, _classes(name, found.get("classes"), count))
