"""Data sets by their names in a recipe: pictures as bytes in memory wherever they fit, and the names of the classes."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any, assert_never

import torch
from torch import Tensor

from archdsl.datasets.idx import has_idx, read_idx_set
from archdsl.datasets.prepare import Fit, plan_fit
from archdsl.datasets.splits import InMemory, PictureTargets, Split, hold_back, next_of_class
from archdsl.diagnostics import Rejected
from archdsl.diagnostics.codes.data import (
    DamagedPicture,
    DataNotFound,
    InputDoesNotFit,
    NoDownload,
    TooFewSamples,
    UnknownClass,
)
from archdsl.recipe import Recipe
from archdsl.recipe.augmentations import RandomResizedCrop
from archdsl.recipe.datasets import (
    Arrays,
    Cifar10,
    Cifar100,
    Digits,
    External,
    FashionMnist,
    ImageFolder,
    Mnist,
    Torchvision,
)
from archdsl.recipe.fit import picture_shape
from archdsl.shapes import Shape

#: Where Debian's package dataset-fashion-mnist puts its files.
FASHION_MNIST_FOLDER = Path("/usr/share/datasets/fashion-mnist")

DIGIT_NAMES = tuple("0123456789")
FASHION_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
#: A folder's pictures are held so much larger than the input where a random resized crop follows (256 for 224).
ROOM_FOR_CROPS = 8 / 7
#: The share of a folder without parts of its own that is held back for validation.
FOLDER_SHARE = 0.2
#: Classes or files named in a message.
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Data:
    """A data set ready for use.

    sample      channels, height and width of its pictures as they are held
    fit         how they become the network's input
    validation  what each epoch is judged by; the test split itself where nothing is held back
    target      the shape of a target where those are tensors (`Split.labels` N x ..., given out as float); None
                where they are class numbers
    """

    name: str
    classes: tuple[str, ...]
    sample: Shape
    fit: Fit
    train: Split
    validation: Split
    test: Split
    target: Shape | None = None

    def to(self, device: torch.device) -> Data:
        """The same data, given out on `device`."""
        test = self.test.to(device)
        validation = test if self.validation is self.test else self.validation.to(device)
        return replace(self, train=self.train.to(device), validation=validation, test=test)


def load_data(recipe: Recipe, input: Shape) -> Data:
    """The recipe's data set for a network that takes `input`. Rejects what is missing, damaged or does not fit."""
    if isinstance(recipe.dataset, ImageFolder):
        return _with_targets(_image_folder(recipe, input), recipe)
    name, (train, test, classes) = _name(recipe), _in_memory(recipe, input)
    if recipe.classes is not None:
        train = _chosen(name, train, classes, recipe.classes)
        test = test and _chosen(name, test, classes, recipe.classes)
        classes = recipe.classes
    sample = Shape(train.images.shape[1:])
    fit = plan_fit(name, sample, input)
    share = recipe.validation if test is not None else recipe.validation or FOLDER_SHARE
    training, validation = _hold_back(name, train, share, recipe.seed)
    judged = validation or test
    assert judged is not None
    return _with_targets(Data(name, tuple(classes), sample, fit, training, judged, test or judged), recipe)


def _name(recipe: Recipe) -> str:
    match recipe.dataset:
        case Torchvision() | External():
            return recipe.dataset.name
        case Arrays():
            return Path(recipe.folder or "").name
        case _:
            return recipe.dataset.kind


def _in_memory(recipe: Recipe, input: Shape) -> tuple[InMemory, InMemory | None, tuple[str, ...]]:
    """Training and test part, and the names of the classes."""
    match recipe.dataset:
        case Digits():
            return *_digits(), DIGIT_NAMES
        case FashionMnist() | Mnist():
            name = recipe.dataset.kind
            names = FASHION_NAMES if name == "fashion_mnist" else DIGIT_NAMES
            return *_idx_set(name, recipe.folder, len(names)), names
        case Cifar10() | Cifar100():
            return _cifar(recipe.dataset.kind, recipe.folder)
        case Arrays():
            from archdsl.datasets.arrays import read_arrays

            return read_arrays(Path(recipe.folder or "").expanduser())
        case Torchvision():
            from archdsl.datasets.libraries import torchvision_set

            root = None if recipe.folder is None else Path(recipe.folder).expanduser()
            picture = _picture(recipe.dataset.name, input)
            return torchvision_set(recipe.dataset.name, root, cache_folder(), picture, recipe.dataset.options)
        case External():
            from archdsl.datasets.libraries import external_set

            return external_set(recipe.dataset.name, recipe.folder)
        case ImageFolder():
            raise AssertionError("a folder of pictures may be too large for memory")
        case _:
            assert_never(recipe.dataset)


def _chosen(name: str, part: InMemory, classes: Sequence[str], wanted: Sequence[str]) -> InMemory:
    """The samples of some classes, numbered in the order in which these are wanted."""
    numbers = torch.full((len(classes),), -1)
    for number, each in enumerate(wanted):
        numbers[_class_number(name, each, classes)] = number
    rows = (numbers[part.labels] >= 0).nonzero()[:, 0]
    return InMemory(part.images[rows], numbers[part.labels[rows]])


def _class_number(name: str, wanted: str, classes: Sequence[str]) -> int:
    if wanted in classes:
        return list(classes).index(wanted)
    near = get_close_matches(wanted, classes, 1)
    listed = ", ".join(classes[:SHOWN]) + (", ..." if len(classes) > SHOWN else "")
    help = f"did you mean `{near[0]}`?" if near else None
    raise Rejected(UnknownClass(name, wanted, listed), argument="classes", help=help)


def _with_targets(data: Data, recipe: Recipe) -> Data:
    """The data with the targets that the recipe asks for."""
    if recipe.target == "class":
        return data
    channels = 3 if data.fit.repeat else data.sample.channels
    shape = Shape((channels, *data.fit.size))

    def picture(images: Tensor) -> Tensor:
        values = data.fit.apply(images).float() / 255
        values = values.expand(-1, channels, -1, -1)
        return values.flatten(1) if data.fit.flatten else values

    def paired(split: Split) -> Split:
        rows = torch.arange(len(split.labels))
        if recipe.target == "next_class":
            try:
                rows = next_of_class(split.labels, len(data.classes))
            except ValueError as error:
                raise Rejected(TooFewSamples(data.name, str(error)), argument="target") from error
        return PictureTargets(split, split, rows, picture)

    validation = paired(data.validation)
    return replace(
        data,
        train=paired(data.train),
        validation=validation,
        test=validation if data.test is data.validation else paired(data.test),
        target=Shape((shape.numel,)) if data.fit.flatten else shape,
    )


def _hold_back(name: str, train: Split, share: float | None, seed: int) -> tuple[Split, Split | None]:
    """The training split less the share for validation, and that share."""
    if share is None:
        return train, None
    stay, held = hold_back(train.labels, share, seed)
    if not len(stay) or not len(held):
        reason = f"a share of {share:g} of {len(train.labels)} samples leaves {len(stay)} and holds back {len(held)}"
        raise Rejected(TooFewSamples(name, reason), argument="validation")
    return train.subset(stay), train.subset(held)


def cache_folder() -> Path:
    """Where data sets are downloaded to."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "archdsl" / "data"


def _digits() -> tuple[InMemory, InMemory]:
    """The digits' 1,797 pictures; the fifth, tenth, ... of each class are for testing."""
    table = _digits_table()
    images = (table[:, :64].view(-1, 1, 8, 8) * (255 / 16)).round().to(torch.uint8)
    labels = table[:, 64].long()
    number_in_class = torch.nn.functional.one_hot(labels).cumsum(0).gather(1, labels[:, None])[:, 0]
    test = number_in_class % 5 == 0
    return InMemory(images[~test], labels[~test]), InMemory(images[test], labels[test])


def _digits_table() -> Tensor:
    """64 cells (0..16) and the label of each digit, from scikit-learn's own file: importing it takes a second."""
    import numpy as np

    package = find_spec("sklearn")
    file = Path(package.origin or "").parent / "datasets/data/digits.csv.gz" if package else Path()
    if file.is_file():
        return torch.from_numpy(np.loadtxt(file, delimiter=",", dtype=np.float32))
    from sklearn.datasets import load_digits

    digits = load_digits()
    return torch.from_numpy(np.column_stack([digits.data, digits.target]).astype(np.float32))


def _idx_set(name: str, root: str | None, classes: int) -> tuple[InMemory, InMemory]:
    folder = Path(root).expanduser() if root is not None else _find_idx_set(name)
    if not folder.is_dir():
        raise Rejected(DataNotFound(name, f"there is no folder {folder}"), argument="dataset")
    train, test = (read_idx_set(name, folder, part, classes) for part in ("train", "test"))
    return InMemory(train[0], train[1].long()), InMemory(test[0], test[1].long())


def _find_idx_set(name: str) -> Path:
    """The set's folder where none was given: the system's, or the cache, into which it is downloaded."""
    if name == "fashion_mnist" and has_idx(FASHION_MNIST_FOLDER):
        return FASHION_MNIST_FOLDER
    from torchvision import datasets

    cls = {"fashion_mnist": datasets.FashionMNIST, "mnist": datasets.MNIST}[name]
    folder = cache_folder() / str(cls.__name__)
    if not has_idx(folder / "raw"):
        _download(name, lambda: cls(cache_folder(), download=True))
    return folder


def _download(name: str, action: Callable[[], Any]) -> Any:
    """Let torchvision download a set, quietly."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return action()
    except (OSError, RuntimeError) as error:
        raise Rejected(
            NoDownload(name, " ".join(str(error).split())[:200] or type(error).__name__),
            argument="dataset",
            help="give the folder of its files with --root, or train on the embedded set with --dataset digits",
        ) from error


def _cifar(name: str, root: str | None) -> tuple[InMemory, InMemory, tuple[str, ...]]:
    from torchvision import datasets

    cls = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    if root is None:
        folder = cache_folder()
        _download(name, lambda: cls(folder, download=not (folder / cls.base_folder).is_dir()))
    else:
        folder = Path(root).expanduser()
    try:
        # torchvision compares the files' checksums before it opens them.
        train, test = cls(folder, train=True), cls(folder, train=False)
    except RuntimeError as error:
        reason = f"{folder} has no {cls.base_folder} with the original files"
        raise Rejected(DataNotFound(name, reason), argument="dataset") from error
    return *(_cifar_split(part) for part in (train, test)), tuple(train.classes)  # type: ignore[return-value]


def _cifar_split(part: Any) -> InMemory:
    images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()
    return InMemory(images, torch.tensor(part.targets))


def _image_folder(recipe: Recipe, input: Shape) -> Data:
    from archdsl.datasets.folder import list_pictures, read_split, training_folders

    assert isinstance(recipe.dataset, ImageFolder)
    name, skip = recipe.dataset.kind, recipe.dataset.skip_damaged
    picture = _picture(name, input)
    stored = _stored(picture, recipe)
    folders = training_folders(Path(recipe.folder or "").expanduser())
    samples, classes = list_pictures(folders[0])
    others = recipe.classes is not None
    if recipe.classes is not None:
        for each in recipe.classes:
            _class_number(name, each, classes)
        samples, classes = list_pictures(folders[0], recipe.classes, others=True)
    train, damaged = read_split(samples, stored, recipe.workers, skip_damaged=skip)
    validation, test = None, None
    for number, folder in enumerate(folders[1:]):
        if folder is not None:
            listed = list_pictures(folder, classes, others=others)[0]
            split, more = read_split(listed, stored, recipe.workers, skip_damaged=skip)
            validation, test = (validation, split) if number else (split, test)
            damaged += more
    if recipe.validation is not None or (validation is None and test is None):
        train, validation = _hold_back(name, train, recipe.validation or FOLDER_SHARE, recipe.seed)
    size = (picture[1], picture[2])
    note = f"{name}: {len(samples):,} pictures, scaled and cut to {stored[1]}x{stored[2]}{_left_out(damaged)}"
    fit = Fit(size, "nothing" if stored == picture else "crop", repeat=False, flatten=input.rank == 0, note=note)
    validation = validation or test
    assert validation is not None
    return Data(name, tuple(classes), stored, fit, train, validation, test or validation)


def _left_out(damaged: Sequence[DamagedPicture]) -> str:
    if not damaged:
        return ""
    named = ", ".join(each.file for each in damaged[:SHOWN]) + (", ..." if len(damaged) > SHOWN else "")
    return f"; {len(damaged)} damaged left out: {named}"


def _picture(name: str, input: Shape) -> Shape:
    """The picture that an input takes. Rejects an input that takes none."""
    picture = picture_shape(input)
    if picture is None:
        problem = InputDoesNotFit(str(input), name, "pictures", "it is neither a grey nor a colour picture")
        raise Rejected(problem, argument="dataset")
    return picture


def _stored(picture: Shape, recipe: Recipe) -> Shape:
    if not any(isinstance(part, RandomResizedCrop) for part in recipe.augment):
        return picture
    return Shape((picture[0], *(round(size * ROOM_FOR_CROPS) for size in picture[1:])))
