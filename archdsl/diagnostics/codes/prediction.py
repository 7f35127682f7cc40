"""E73x: networks and images that `predict` cannot use."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class NotAClassifier(Problem):
    """Class names for a network that is not a classifier.

    `--classes FILE` names the classes or values of a network's outputs. A network whose output is an image, an
    embedding or several tensors has none.
    """

    code = "E730"
    text = "{model} is not a classifier: its output is {output}, not one score per class"
    model: str
    output: str


class NotForPictures(Problem):
    """A network whose input is not an image.

    `predict` reads image files and turns them into an input with one or three channels, a height and a width, or into a
    vector with as many elements as a square image. For another input, such as a sequence or a video, give an `.npy`
    file with the array of one sample.
    """

    code = "E731"
    text = "{model} takes {input}, which is not a greyscale or colour image"
    model: str
    input: str


class NoPicture(Problem):
    """An image that cannot be read.

    Images are PNG, JPEG and the other formats that Pillow reads. To pass all images in a folder, use the shell:
    `folder/*.png`.
    """

    code = "E732"
    text = "cannot read the image {path}: {reason}"
    path: str
    reason: str


class WrongClassNames(Problem):
    """The wrong number of class names.

    `--classes FILE` takes a text file with one class name per line, in the order of the network's outputs.
    """

    code = "E733"
    text = "{source} has {found} class names, but {model} has {expected} outputs"
    source: str
    found: int
    model: str
    expected: int


class OtherInputs(Problem):
    """A prediction without a file for each input.

    A network with several inputs needs a file for each: `archdsl predict siamese one=a.png other=b.png`, in Python
    `predict(module, {"one": "a.png", "other": "b.png"})`. Images are image files, other inputs `.npy` files with the
    array of one sample.
    """

    code = "E734"
    text = "{network} takes a file for each of its inputs {expected}, found {found}"
    network: str
    expected: str
    found: str
