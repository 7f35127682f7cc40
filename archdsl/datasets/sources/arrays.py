"""Images and labels as arrays: NumPy's files, and what another project's data set returns."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archdsl.datasets.missing import not_there, required_folder
from archdsl.datasets.prepare import Fit, plan_fit
from archdsl.datasets.source import SHOWN, Source, Wanted, damaged
from archdsl.datasets.splits import InMemory, Several, Split
from archdsl.recipe.datasets import Arrays
from archdsl.shapes import Shape
from archdsl.text.lists import listed

Array = np.ndarray[Any, np.dtype[Any]]
#: The names of images and labels in files, for training and then for testing.
NAMES = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("images", "labels", "test_images", "test_labels"),
    ("x", "y", "x_test", "y_test"),
    ("X", "y", "X_test", "y_test"),
    ("data", "target", "test_data", "test_target"),
)
CHANNELS = (1, 3)
HOLDS = "it is an .npz file or a folder of .npy files, with the arrays x_train and y_train, x_test and y_test"


def read(dataset: Arrays, wanted: Wanted) -> Source:
    """The set in an `.npz` file, or in a folder of `.npy` files with the same names.

    Nothing is unpickled. Raises Rejected for files that are missing, damaged or not images with labels.
    """
    path = required_folder(dataset.kind, wanted.root, HOLDS)
    if path.is_dir():
        found = {file.stem: file for file in sorted(path.glob("*.npy"))}
        return _source(path, found.keys(), lambda name: _load(found[name]), wanted)
    if not path.is_file():
        raise not_there(dataset.kind, f"there is no file or folder {path}", [], path, HOLDS)
    archive = _load(path)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise not_there(dataset.kind, f"{path} is a single array", [], path, HOLDS)
    with archive:
        return _source(path, archive.keys(), lambda name: _checked(f"{path}: {name}", lambda: archive[name]), wanted)


def _load(path: Path) -> Any:
    return _checked(path, lambda: np.load(path, allow_pickle=False))


def _checked(where: object, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise damaged(where, _reason(error)) from error


def _reason(error: Exception) -> str:
    text = str(error)
    if "allow_pickle" in text:
        return "it contains Python objects, which are not unpickled"
    return text or type(error).__name__


def _source(path: Path, names: Collection[str], get: Callable[[str], Array], wanted: Wanted) -> Source:
    """The set whose arrays `get` returns by their names."""
    for images, labels, test_images, test_labels in NAMES:
        if {*_keys(images, wanted), labels} <= set(names):
            train, fits = _arrays(path, images, get, get(labels), wanted)
            test = None
            if {*_keys(test_images, wanted), test_labels} <= set(names):
                test, _ = _arrays(path, test_images, get, get(test_labels), wanted)
            classes = _classes(path, get("classes") if "classes" in names else None, train, test)
            target = _target(path, train, test)
            return Source(path.name, classes, train, test, fits=fits, target=target, place=str(path))
    pairs = "; ".join(f"{' and '.join([*_keys(images, wanted), labels])}" for images, labels, *_ in NAMES)
    has = f"the arrays {listed(sorted(names), SHOWN)}" if names else "no arrays"
    reason = f"{path} has {has}: images and their labels are needed"
    raise not_there("arrays", reason, [], path, f"these may be called {pairs}")


def _keys(images: str, wanted: Wanted) -> list[str]:
    """The names of the arrays of samples: one for each of several inputs."""
    return [f"{images}.{name}" for name in wanted.inputs] or [images]


def _arrays(
    path: Path, images: str, get: Callable[[str], Array], labels: Array, wanted: Wanted
) -> tuple[Split, tuple[Fit | None, ...]]:
    """A split, and for several inputs how its images become them."""
    where = f"{path}: {images}"
    if not wanted.inputs:
        return _split(where, get(images), labels), ()
    targets, parts, fits = _targets(where, np.asarray(labels)), [], []
    for name, shape in wanted.inputs.items():
        part, fit = _part(f"{where}.{name}", np.asarray(get(f"{images}.{name}")), shape, wanted.limits.get(name))
        if len(part) != len(targets):
            raise damaged(f"{where}.{name}", f"{len(part)} samples and {len(targets)} labels")
        parts.append(InMemory(part, torch.zeros(len(part), dtype=torch.int64)))
        fits.append(fit)
    if not len(targets):
        raise damaged(where, "there are no samples")
    return Several(tuple(parts), targets), tuple(fits)


def _part(where: str, array: Array, shape: Shape, limit: int | None) -> tuple[Tensor, Fit | None]:
    """The array of one input: images (uint8) that are fitted to it, or numbers of just its sizes."""
    if shape.rank == 2 and array.dtype == np.uint8:
        images = _images(where, array)
        return images, plan_fit(where, Shape(images.shape[1:]), shape)
    if tuple(array.shape[1:]) != tuple(shape):
        raise damaged(where, f"samples of {Shape(array.shape[1:])}, but the input takes {shape.sizes}")
    if shape.dtype == "float32":
        if array.dtype.kind not in "fuib" or not np.isfinite(array).all():
            raise damaged(where, f"expected finite numbers, found {array.dtype}")
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)), None
    if array.dtype.kind not in "uib":
        raise damaged(where, f"expected integers, found {array.dtype}")
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    if low < 0 or (limit is not None and high >= limit):
        raise damaged(where, f"integers from {low} to {high}, but the network takes 0 to {(limit or high + 1) - 1}")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64)), None


def _target(path: Path, train: Split, test: Split | None) -> Shape | None:
    """The shape of targets that are values; None for class numbers."""
    splits = [split for split in (train, test) if split is not None]
    shapes = {tuple(split.labels.shape[1:]) for split in splits if split.labels.is_floating_point()}
    if shapes and (len(shapes) > 1 or not all(split.labels.is_floating_point() for split in splits)):
        raise damaged(path, "the targets for training and testing are of different kinds")
    return Shape(shapes.pop()) if shapes else None


def source_of(name: str, found: Mapping[str, Any]) -> Source:
    """What a data set of another project returned: `train` and optionally `test` as (images, labels), `classes`."""
    try:
        train = _split(f"{name}: train", *found["train"])
        test = None if found.get("test") is None else _split(f"{name}: test", *found["test"])
    except (KeyError, TypeError, ValueError) as error:
        reason = f'it must return {{"train": (images, labels), "test": ..., "classes": ...}}: {error}'
        raise damaged(name, reason) from error
    classes = _classes(name, found.get("classes"), train, test)
    return Source(name, classes, train, test, target=_target(Path(name), train, test))


def _classes(where: object, names: Any, train: Split, test: Split | None) -> tuple[str, ...]:
    if train.labels.is_floating_point():
        return ()
    count = 1 + max(int(split.labels.max()) for split in (train, test) if split is not None)
    if names is None:
        return tuple(map(str, range(count)))
    listed = tuple(map(str, names))
    if len(listed) < count:
        raise damaged(where, f"{len(listed)} class names, but labels up to {count - 1}")
    return listed


def _split(where: str, images: Any, labels: Any) -> InMemory:
    """Images and labels as a split. Raises Rejected for shapes, types and labels that are not those of images."""
    pixels, numbers = _images(where, np.asarray(images)), _targets(where, np.asarray(labels))
    if len(pixels) != len(numbers):
        raise damaged(where, f"{len(pixels)} images and {len(numbers)} labels")
    if not len(pixels):
        raise damaged(where, "there are no images")
    return InMemory(pixels, numbers)


def _images(where: str, images: Array) -> Tensor:
    """N x C x H x W bytes, from N x H x W, N x H x W x C or N x C x H x W in 0..255, or floating in 0..1."""
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1] not in CHANNELS and images.shape[3] in CHANNELS:
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in CHANNELS:
        sizes = "x".join(map(str, images.shape))
        reason = f"an array of {sizes} is not N x H x W, N x H x W x C or N x C x H x W with one or three channels"
        raise damaged(where, reason)
    if images.dtype == np.bool_:
        images = images * np.uint8(255)
    elif images.dtype.kind == "f":
        images = _bytes(where, images)
    elif images.dtype.kind not in "ui" or (images.size and not 0 <= int(images.min()) <= int(images.max()) <= 255):
        raise damaged(where, f"pixels of type {images.dtype} outside 0..255")
    return torch.from_numpy(np.ascontiguousarray(images, dtype=np.uint8))


def _bytes(where: str, images: Array) -> Array:
    low, high = (float(images.min()), float(images.max())) if images.size else (0.0, 0.0)
    if not (low >= 0 and high <= 255):  # also where one is not a number
        raise damaged(where, f"pixels from {low:g} to {high:g}, not in 0..1 or 0..255")
    pixels: Array = np.rint(images * 255 if high <= 1 else images)
    return pixels


def _targets(where: str, labels: Array) -> Tensor:
    """Class numbers, or values (float32, N x ...) for floating arrays that are no such numbers."""
    is_values = labels.dtype.kind == "f" and (labels.ndim > 2 or bool((labels != np.rint(labels)).any()))
    if not is_values:
        return _labels(where, labels)
    if not np.isfinite(labels).all():
        raise damaged(where, "the targets have values that are not finite")
    values = labels[:, None] if labels.ndim == 1 else labels
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _labels(where: str, labels: Array) -> Tensor:
    labels = labels.reshape(len(labels)) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    whole = labels.dtype.kind in "uib" or (labels.dtype.kind == "f" and bool((labels == np.rint(labels)).all()))
    if labels.ndim != 1 or not whole:
        sizes = "x".join(map(str, labels.shape))
        reason = f"labels of {sizes} {labels.dtype}: expected one integer for each image"
        raise damaged(where, reason)
    if labels.size and labels.min() < 0:
        row = int(np.argmin(labels))
        raise damaged(where, f"row {row} has the label {int(labels[row])}, below 0")
    return torch.from_numpy(labels.astype(np.int64))
