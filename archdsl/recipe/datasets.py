"""Data sets by their names in a recipe."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archdsl.recipe.parts import Count, Part, Share


class DataSet(Part):
    """A data set, with the shape of its images and the number of its classes where they are fixed."""

    sample: ClassVar[tuple[int, int, int] | None] = None
    number: ClassVar[int | None] = None


class Digits(DataSet):
    """scikit-learn's 1,797 digits, 8x8 pixels, ten classes; every fifth image of a class is in the test set."""

    kind: Literal["digits"] = "digits"
    sample = (1, 8, 8)
    number = 10


class FileSet(DataSet):
    """A data set in files. `root` is their folder, None for the usual places."""

    root: str | None = None


class FashionMnist(FileSet):
    """70,000 greyscale images of clothing, 28x28, ten classes (Xiao, Rasul, Vollgraf 2017)."""

    kind: Literal["fashion_mnist"] = "fashion_mnist"
    sample = (1, 28, 28)
    number = 10


class Mnist(FileSet):
    """70,000 greyscale images of handwritten digits, 28x28, ten classes (LeCun, Cortes, Burges)."""

    kind: Literal["mnist"] = "mnist"
    sample = (1, 28, 28)
    number = 10


class Cifar10(FileSet):
    """60,000 colour images, 32x32, ten classes (Krizhevsky 2009)."""

    kind: Literal["cifar10"] = "cifar10"
    sample = (3, 32, 32)
    number = 10


class Cifar100(FileSet):
    """60,000 colour images, 32x32, a hundred classes (Krizhevsky 2009)."""

    kind: Literal["cifar100"] = "cifar100"
    sample = (3, 32, 32)
    number = 100


class ImageFolder(FileSet):
    """A folder of images for each class in ROOT/train and ROOT/val (or ROOT/test), or in ROOT itself.

    `skip_damaged` skips images that cannot be read and lists them; otherwise one of them ends the run.
    """

    kind: Literal["imagefolder"] = "imagefolder"
    skip_damaged: bool = False


class Arrays(FileSet):
    """Images and labels in an `.npz` file, or a folder of `.npy` files.

    The arrays are x_train, y_train, x_test, y_test, or images and labels, or similar (docs/training.md); for several
    inputs there is one for each: x_train.image, x_train.time.
    """

    kind: Literal["arrays"] = "arrays"


class Torchvision(DataSet):
    """A data set of torchvision by the name of its class: `torchvision("SVHN")`. `options` are its other arguments."""

    kind: Literal["torchvision"] = "torchvision"
    name: str
    root: str | None = None
    options: dict[str, str | int | bool] = {}


class External(DataSet):
    """A data set of another installed project, by its name there (entry points `archdsl.datasets`)."""

    kind: Literal["external"] = "external"
    name: str
    root: str | None = None


#: The data sets of images with one class each.
ImageSet = Digits | FashionMnist | Mnist | Cifar10 | Cifar100 | ImageFolder | Arrays | Torchvision | External


class Pairs(DataSet):
    """Pairs of images of another data set, labelled "different" (0) or "same" (1), for a network with two inputs.

    Each image is the first of one pair. A share `same` of the pairs are of one class; `seed` draws the partners.
    """

    kind: Literal["pairs"] = "pairs"
    parts = {"of": "dataset"}
    number = 2

    of: Annotated[ImageSet, Field(discriminator="kind")]
    same: Share = 0.5
    seed: Count = 0

    @property
    def root(self) -> str | None:
        """The root of the data set that the pairs are made of."""
        root: str | None = getattr(self.of, "root", None)
        return root


AnyDataSet = ImageSet | Pairs
