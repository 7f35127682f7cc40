"""What a source of data gives, and what it is asked for; the sources themselves are in `sources`, one file each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

import torch

from archdsl.datasets.prepare import Fit
from archdsl.datasets.splits import InMemory, Several, Split
from archdsl.diagnostics import Rejected
from archdsl.diagnostics.codes.data import DamagedData, DataNotFound, InputDoesNotFit, UnknownClass
from archdsl.recipe.datasets import AnyDataSet
from archdsl.recipe.fit import image_of
from archdsl.shapes import Shape
from archdsl.text.lists import listed
from archdsl.text.suggest import suggestion

#: The most classes or files named in a message.
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a network and a recipe ask of a data set, besides its own arguments.

    input    the network's input shape
    root     the folder or file of the data, None for the usual places
    classes  the only classes to load, None for all
    workers  processes that read images, where they do not fit into memory
    crops    whether random resized crops follow, which need larger images than the input
    inputs   all inputs by name, of a network with several; `input` is the first
    limits   for each input of integers a number that all of them have to be below
    """

    input: Shape
    root: str | None = None
    classes: tuple[str, ...] | None = None
    workers: int = 0
    crops: bool = False
    inputs: Mapping[str, Shape] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The root as a path."""
        return Path(self.root or "").expanduser()


@dataclass(frozen=True, slots=True)
class Source:
    """A data set as its source gives it: splits of images (uint8) with class numbers or values as targets.

    fit     how images become the network's input, where that does not follow from their shape
    fits    for several inputs: how the images of each become it, None for arrays that are taken as they are
    target  the shape of a target where those are values
    place   where the files are, "included" for a set without files
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split | None
    validation: Split | None = None
    fit: Fit | None = None
    fits: tuple[Fit | None, ...] = ()
    target: Shape | None = None
    place: str = ""


def read_source(dataset: AnyDataSet, wanted: Wanted) -> Source:
    """The data of a recipe's data set: its file in `sources` has the name of the data set and a function `read`.

    Raises Rejected for data that are missing, damaged or not images with classes.
    """
    source: Source = import_module(f"archdsl.datasets.sources.{dataset.kind}").read(dataset, wanted)
    if wanted.classes is None or wanted.classes == source.classes:
        return source
    return _with_classes(source, wanted.classes)


def _with_classes(source: Source, classes: tuple[str, ...]) -> Source:
    """The samples of some classes, numbered in the order of `classes`."""
    numbers = torch.full((len(source.classes),), -1)
    for number, name in enumerate(classes):
        numbers[class_number(source.name, name, source.classes)] = number

    def chosen(split: Split) -> Split:
        rows = (numbers[split.labels] >= 0).nonzero()[:, 0]
        left = split.subset(rows)
        if isinstance(left, Several):
            return replace(left, targets=numbers[left.targets])
        assert isinstance(left, InMemory)
        return InMemory(left.images, numbers[left.labels])

    return replace(source, classes=classes, train=chosen(source.train), test=source.test and chosen(source.test))


def image_shape(name: str, input: Shape) -> Shape:
    """The images that a network's input takes. Raises Rejected (E618) for an input that takes none."""
    shape = image_of(input)
    if shape is None:
        problem = InputDoesNotFit(str(input), name, "images", "it is neither a grey nor a colour image")
        raise Rejected(problem, argument="dataset")
    return shape


def class_number(name: str, wanted: str, classes: Sequence[str]) -> int:
    """The number of a class. Raises Rejected (E624) for one that the data set does not have."""
    if wanted in classes:
        return classes.index(wanted)
    problem = UnknownClass(name, wanted, listed(classes, SHOWN))
    raise Rejected(problem, argument="classes", help=did_you_mean(wanted, classes))


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The help for an unknown name, where a known one is near."""
    near = suggestion(name, known)
    return f"did you mean `{near}`?" if near else None


def not_found(name: str, reason: str) -> Rejected:
    """The error (E611) for a data set whose files are not there."""
    return Rejected(DataNotFound(name, reason), argument="dataset")


def damaged(where: object, reason: str) -> Rejected:
    """The error (E613) for data that cannot be used."""
    return Rejected(DamagedData(str(where), reason), argument="dataset")
