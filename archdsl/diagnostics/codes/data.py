"""E61x and E62x: data sets, and whether they fit the network."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem

_MODEL = "model m { input(1x8x8); flatten; linear(10) }\n"


class DataNotFound(Problem):
    """The files of a data set are not where they were looked for."""

    code = "E611"
    text = "{dataset}: {reason}"
    explanation = """
A root that was given is taken as it is: nothing is downloaded into it. Without a root the usual places are
searched and the set is downloaded to ~/.cache/archdsl/data. `--dataset digits` needs no files at all.
"""

    dataset: str
    reason: str


class NoDownload(Problem):
    """A data set could not be downloaded."""

    code = "E612"
    text = "{dataset} could not be downloaded: {reason}"
    explanation = """
Without a root the set is downloaded from where torchvision knows it. Where that is not possible, put the
files into a folder and name it with `--root`, or train on the embedded set with `--dataset digits`.
"""

    dataset: str
    reason: str


class DamagedData(Problem):
    """A file of a data set is not what it should be."""

    code = "E613"
    text = "{file}: {reason}"
    explanation = """
The file is cut off, compressed twice, or something else under that name. Fetch it again.
"""

    file: str
    reason: str


class NoClassFolders(Problem):
    """A folder of pictures has no folder for each class."""

    code = "E614"
    text = "{folder} has no folders of pictures"
    explanation = """
imagefolder reads one folder for each class, named like the class, with its pictures in it or below it:
either ROOT/train/CLASS and ROOT/val/CLASS (ROOT/test/CLASS), or ROOT/CLASS alone, of which a share is then
held back for validation.
"""

    folder: str


class EmptyClassFolder(Problem):
    """A class folder holds no picture."""

    code = "E615"
    text = "{folder} holds no picture of a known kind ({kinds})"
    explanation = """
A class without a single picture is a mistake in the folder's place or in the files' names. Remove the folder
or fill it.
"""

    folder: str
    kinds: str


class OtherClasses(Problem):
    """The training and validation folders do not have the same classes."""

    code = "E616"
    text = "{folder} and {training} differ in their classes: {difference}"
    explanation = """
Classes are numbered by the sorted names of the training folders; every other folder must have no class that
is missing there.
"""

    folder: str
    training: str
    difference: str


class DamagedPicture(Problem):
    """A picture cannot be decoded."""

    code = "E617"
    text = "{file} cannot be read as a picture: {reason}"
    explanation = """
The file is cut off or no picture. Remove or replace it.
"""

    file: str
    reason: str


class InputDoesNotFit(Problem):
    """The network's input cannot be made from the data set's pictures."""

    code = "E618"
    text = "the network takes {input}, but {dataset} has {sample}: {reason}"
    explanation = """
Pictures are brought to the network's height and width (by zero padding where a few cells are missing, by
resampling otherwise), grey ones are repeated for three channels, and an input that is a vector takes the
flattened picture. Other differences are rejected: an input with two channels, a sequence, a colour picture
for a network that takes grey ones.
"""
    wrong = _MODEL + "train { dataset = cifar10 }"
    right = _MODEL + "train { dataset = mnist }"

    input: str
    dataset: str
    sample: str
    reason: str


class TooManyClasses(Problem):
    """The data set has more classes than the network has outputs."""

    code = "E619"
    text = "{dataset} has {classes} classes, but the network has {outputs} outputs"
    explanation = """
A classifier gives one score for each class. More outputs than classes are allowed, fewer are not.
"""
    wrong = "model m { input(1x8x8); flatten; linear(5) }\ntrain { dataset = digits }"
    right = _MODEL + "train { dataset = digits }"

    dataset: str
    classes: int
    outputs: int


class NoClassScores(Problem):
    """The network's output is not one score for each class."""

    code = "E620"
    text = "the network's output {output} is not a vector of class scores"
    explanation = """
The losses compare one score for each class: the output must be a vector, or a picture of a single cell.
"""
    wrong = "model m { input(1x8x8); conv(10, 3) }\ntrain { dataset = digits }"
    right = _MODEL + "train { dataset = digits }"

    output: str


class AugmentDoesNotFit(Problem):
    """An augmentation does not lead to the network's input."""

    code = "E621"
    text = "{augmentation}: {reason}"
    explanation = """
Crops are taken from pictures of the network's size (a folder's pictures are kept a little larger for a random
resized crop), and what they leave must be of the network's size again.
"""
    wrong = _MODEL + "train { augment = [random_crop(7)] }"
    right = _MODEL + "train { augment = [random_crop(8, padding=1)] }"

    augmentation: str
    reason: str


class TooFewSamples(Problem):
    """There is not enough data for the split asked for."""

    code = "E622"
    text = "{dataset}: {reason}"
    explanation = """
A share is held back class by class; the training set and the part that is held back must both keep at least
one sample.
"""

    dataset: str
    reason: str


class UnknownDataSet(Problem):
    """A data set of another library is not known there."""

    code = "E623"
    text = "{family} has no data set `{name}`; known: {known}"
    explanation = """
`torchvision("NAME")` takes the names of the classes in torchvision.datasets. `external("NAME")` takes what
installed projects offer under the entry points `archdsl.datasets`.
"""

    family: str
    name: str
    known: str


class UnknownClass(Problem):
    """A class is chosen that the data set does not have."""

    code = "E624"
    text = "{dataset} has no class `{name}`; there are {known}"
    explanation = """
`classes = [...]` in a recipe takes those of a larger set, by their names there, and numbers them in its order.
"""

    dataset: str
    name: str
    known: str
