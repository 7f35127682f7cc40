"""E61x and E62x: data sets."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem

_MODEL = "model m { input(1x8x8); flatten; linear(10) }\n"
_TWO = "model m { input(one: 1x8x8, other: 1x8x8); concat(other); flatten; linear(10) }\n"


class DataNotFound(Problem):
    """A data set that was not found.

    With `root`, the files are read from that folder and nothing is downloaded. Without it, the usual folders are
    searched and the data set is downloaded to ~/.cache/archdsl/data. `--dataset digits` needs no files.
    """

    code = "E611"
    text = "{dataset}: {reason}"
    dataset: str
    reason: str


class NoDownload(Problem):
    """A data set that could not be downloaded.

    Without `root`, a data set is downloaded from the address that torchvision has for it. If that fails, the report
    names the files with their sizes and checksums, a command that fetches them where there is internet access, and the
    folder in which they are looked for. `--root` reads them from any other folder; `--dataset digits` needs no files.
    """

    code = "E612"
    text = "{dataset} could not be downloaded: {reason}"
    dataset: str
    reason: str


class DamagedData(Problem):
    """A damaged file of a data set.

    The file is truncated, compressed twice, or not what its name says. Download it again.
    """

    code = "E613"
    text = "{file}: {reason}"
    file: str
    reason: str


class NoClassFolders(Problem):
    """An image folder without class folders.

    `imagefolder` expects one folder per class, named after the class, with images in it or in its subfolders: either
    ROOT/train/CLASS and ROOT/val/CLASS (or ROOT/test/CLASS), or only ROOT/CLASS. In the latter case a share of the
    images is held out for validation.
    """

    code = "E614"
    text = "{folder} has no class folders with images"
    folder: str


class EmptyClassFolder(Problem):
    """A class folder without images.

    Every class needs at least one image. Remove the folder, or check where it is and how its files are named.
    """

    code = "E615"
    text = "{folder} contains no images ({kinds})"
    folder: str
    kinds: str


class OtherClasses(Problem):
    """Training and validation folders with different classes.

    Classes are numbered by the sorted names of the training folders. The other folders must not contain further
    classes.
    """

    code = "E616"
    text = "{folder} and {training} have different classes: {difference}"
    folder: str
    training: str
    difference: str


class DamagedPicture(Problem):
    """An image that cannot be decoded.

    The file is truncated or not an image. Remove or replace it.
    """

    code = "E617"
    text = "cannot read the image {file}: {reason}"
    file: str
    reason: str


class InputDoesNotFit(Problem):
    """A network whose input does not fit the data set.

    Images are adapted to the network's height and width (by zero padding if only a few pixels are missing, otherwise by
    resampling), greyscale images are repeated for three channels, and images are flattened for an input that is a
    vector. Other differences are errors: an input with two channels, a sequence, colour images for a network with one
    channel.
    """

    code = "E618"
    text = "the network expects {input}, but {dataset} has {sample}: {reason}"
    wrong = _MODEL + "train { dataset = cifar10 }"
    right = _MODEL + "train { dataset = mnist }"
    input: str
    dataset: str
    sample: str
    reason: str


class TooManyClasses(Problem):
    """A network with too few outputs.

    A classifier has one output per class. More outputs than classes are allowed, fewer are not.
    """

    code = "E619"
    text = "{dataset} has {classes} classes, but the network has {outputs} outputs"
    wrong = "model m { input(1x8x8); flatten; linear(5) }\ntrain { dataset = digits }"
    right = _MODEL + "train { dataset = digits }"
    dataset: str
    classes: int
    outputs: int


class NoClassScores(Problem):
    """A network whose output is not a vector of class scores.

    The loss compares one score per class: the output must be a vector, or have a single pixel.
    """

    code = "E620"
    text = "the network's output {output} is not a vector of class scores"
    wrong = "model m { input(1x8x8); conv(10, 3) }\ntrain { dataset = digits }"
    right = _MODEL + "train { dataset = digits }"
    output: str


class AugmentDoesNotFit(Problem):
    """An augmentation that does not fit the input.

    Crops are taken from images of the network's input size (an image folder's images are kept larger for a random
    resized crop), and must result in that size.
    """

    code = "E621"
    text = "{augmentation}: {reason}"
    wrong = _MODEL + "train { augment = [random_crop(7)] }"
    right = _MODEL + "train { augment = [random_crop(8, padding=1)] }"
    augmentation: str
    reason: str


class InputsDoNotFit(Problem):
    """A data set whose samples do not have an array for each input of the network.

    Most data sets have one image for each sample, for a network with one input. `pairs(fashion_mnist)` has two images,
    for a network with two inputs. `arrays` has any arrays: `x_train.image.npy` and `x_train.time.npy` for the inputs
    `image` and `time`.
    """

    code = "E625"
    text = "{dataset} has {found}, but the network's inputs are {inputs}"
    wrong = _TWO + "train { dataset = digits }"
    right = _TWO + "train { dataset = pairs(digits) }"
    dataset: str
    found: str
    inputs: str


class TooFewSamples(Problem):
    """Too few samples for a split.

    The validation share is taken from each class. The training set and the part held out must both keep at least one
    sample.
    """

    code = "E622"
    text = "{dataset}: {reason}"
    dataset: str
    reason: str


class UnknownDataSet(Problem):
    """An unknown data set of another library.

    `torchvision("NAME")` takes the name of a class in torchvision.datasets. `external("NAME")` takes the name of an
    entry point `archdsl.datasets` of an installed package.
    """

    code = "E623"
    text = "{family} has no data set `{name}`; expected one of {known}"
    family: str
    name: str
    known: str


class UnknownClass(Problem):
    """A class that the data set does not have.

    `classes = [...]` in a recipe selects classes of the data set by name and numbers them in that order.
    """

    code = "E624"
    text = "{dataset} has no class `{name}`; expected one of {known}"
    dataset: str
    name: str
    known: str


class ExternalFailed(Problem):
    """A data set of another package that could not be loaded.

    `external("NAME")` calls a function of the package, with the root as its only argument. It failed, or returned
    something else than `{"train": (images, labels), "test": ..., "classes": ...}`.
    """

    code = "E626"
    text = "{dataset} of {package} failed: {reason}"
    dataset: str
    package: str
    reason: str
