"""Data sets of other libraries: torchvision's by the names of their classes, and those of other projects."""

from __future__ import annotations

import contextlib
import inspect
import io
from collections.abc import Callable
from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torchvision import datasets
from torchvision.transforms.functional import pil_to_tensor

from archdsl.datasets.arrays import Arrays, arrays_from
from archdsl.datasets.folder import covering, upright
from archdsl.datasets.splits import InMemory
from archdsl.diagnostics import Rejected
from archdsl.diagnostics.codes.data import DamagedData, DataNotFound, NoDownload, UnknownDataSet
from archdsl.shapes import Shape

#: Each entry is called with the root (a text, or None) and returns what `arrays_from` reads.
GROUP = "archdsl.datasets"


def external_set(name: str, root: str | None) -> Arrays:
    """A data set that another project offers. Rejects (E623) one that nobody does."""
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        raise _unknown("external", name, found)
    return arrays_from(name, found[name].load()(root))


def _unknown(family: str, name: str, known: Any) -> Rejected:
    near = get_close_matches(name, known, 1)
    listed = ", ".join(sorted(known)) or "none, as no installed project offers any"
    help = f"did you mean `{near[0]}`?" if near else None
    return Rejected(UnknownDataSet(family, name, listed), argument="dataset", help=help)


def torchvision_set(name: str, root: Path | None, cache: Path, picture: Shape, options: dict[str, Any]) -> Arrays:
    """A set of torchvision for pictures of the shape `picture`; downloaded into `cache` where no root is given.

    Pictures of different sizes are scaled to cover the network's, their centre cut out.
    """
    cls = getattr(datasets, name, None)
    if not (isinstance(cls, type) and issubclass(cls, datasets.VisionDataset)):
        known = [each for each in datasets.__all__ if isinstance(getattr(datasets, each), type)]
        raise _unknown("torchvision", name, known)
    accepted = inspect.signature(cls).parameters
    shared: dict[str, Any] = dict(options)
    if "root" in accepted:
        shared["root"] = str(root or cache)
    if "download" in accepted and root is None:
        shared["download"] = True
    parts = [_make(name, cls, shared | part) for part in _parts(accepted, options)]
    splits = [_collect(name, part, picture) for part in parts]
    return Arrays(splits[0], splits[1] if len(splits) > 1 else None, _names(parts[0]))


def _parts(accepted: Any, options: dict[str, Any]) -> list[dict[str, Any]]:
    """The arguments that give the training part and, where there is one, the test part."""
    if "train" in accepted:
        return [{"train": True}, {"train": False}]
    if "split" in accepted and "split" not in options:
        return [{"split": "train"}, {"split": "test"}]
    return [{}]


def _make(name: str, cls: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return cls(**arguments)
    except (RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        problem = NoDownload(name, reason) if arguments.get("download") else DataNotFound(name, reason)
        raise Rejected(problem, argument="dataset") from error
    except (TypeError, ValueError) as error:
        raise Rejected(DataNotFound(name, f"torchvision rejects it: {error}"), argument="dataset") from error


def _collect(name: str, part: Any, picture: Shape) -> InMemory:
    """All pictures of a part in memory."""
    mode = "L" if picture.channels == 1 else "RGB"
    images, labels = [], []
    for row in range(len(part)):
        image, label = part[row]
        if not isinstance(image, Image.Image) or not isinstance(label, int):
            raise Rejected(DamagedData(name, "its samples are no pictures with one class each"), argument="dataset")
        images.append(upright(image, mode))
        labels.append(int(label))
    size = (picture[1], picture[2])
    if len({image.size for image in images}) > 1:
        images = [covering(image, *size) for image in images]
    return InMemory(torch.stack([pil_to_tensor(image) for image in images]), torch.tensor(labels))


def _names(part: Any) -> tuple[str, ...]:
    names = getattr(part, "classes", None)
    if isinstance(names, list | tuple):
        return tuple(str(name) for name in names)
    count = getattr(part, "num_classes", None)
    if count is None:
        count = 1 + max(int(part[row][1]) for row in range(len(part)))
    return tuple(map(str, range(count)))
