"""Data sets by their names in a recipe."""

from __future__ import annotations

from typing import ClassVar, Literal

from archdsl.recipe.parts import Part


class DataSet(Part):
    """A data set; of one that is always the same the shape of its pictures and the number of its classes."""

    sample: ClassVar[tuple[int, int, int] | None] = None
    number: ClassVar[int | None] = None


class Digits(DataSet):
    """scikit-learn's 1,797 digits of 8x8 cells, ten classes; every fifth picture of a class is for testing."""

    kind: Literal["digits"] = "digits"
    sample: ClassVar[tuple[int, int, int] | None] = (1, 8, 8)
    number: ClassVar[int | None] = 10


class FileSet(DataSet):
    """A data set in files. `root` is their folder, None for the usual places."""

    root: str | None = None


class FashionMnist(FileSet):
    """70,000 grey pictures of clothing, 28x28, ten classes (Xiao, Rasul, Vollgraf 2017)."""

    kind: Literal["fashion_mnist"] = "fashion_mnist"
    sample: ClassVar[tuple[int, int, int] | None] = (1, 28, 28)
    number: ClassVar[int | None] = 10


class Mnist(FileSet):
    """70,000 grey pictures of handwritten digits, 28x28, ten classes (LeCun, Cortes, Burges)."""

    kind: Literal["mnist"] = "mnist"
    sample: ClassVar[tuple[int, int, int] | None] = (1, 28, 28)
    number: ClassVar[int | None] = 10


class Cifar10(FileSet):
    """60,000 colour pictures, 32x32, ten classes (Krizhevsky 2009)."""

    kind: Literal["cifar10"] = "cifar10"
    sample: ClassVar[tuple[int, int, int] | None] = (3, 32, 32)
    number: ClassVar[int | None] = 10


class Cifar100(FileSet):
    """60,000 colour pictures, 32x32, a hundred classes (Krizhevsky 2009)."""

    kind: Literal["cifar100"] = "cifar100"
    sample: ClassVar[tuple[int, int, int] | None] = (3, 32, 32)
    number: ClassVar[int | None] = 100


class ImageFolder(FileSet):
    """A folder of pictures for each class, below ROOT/train and ROOT/val (or test), or below ROOT itself.

    `skip_damaged` leaves pictures out that cannot be read, and says which; else one of them ends the run.
    """

    kind: Literal["imagefolder"] = "imagefolder"
    skip_damaged: bool = False


class Arrays(FileSet):
    """Pictures and labels in an `.npz` file, or a folder of `.npy` files.

    They are called x_train, y_train, x_test, y_test, or images and labels, or alike (docs/training.md).
    """

    kind: Literal["arrays"] = "arrays"


class Torchvision(DataSet):
    """A data set of torchvision by the name of its class: `torchvision("SVHN")`. `options` are further arguments."""

    kind: Literal["torchvision"] = "torchvision"
    name: str
    root: str | None = None
    options: dict[str, str | int | bool] = {}


class External(DataSet):
    """A data set that another installed project offers under this name (entry points `archdsl.datasets`)."""

    kind: Literal["external"] = "external"
    name: str
    root: str | None = None


AnyDataSet = Digits | FashionMnist | Mnist | Cifar10 | Cifar100 | ImageFolder | Arrays | Torchvision | External
