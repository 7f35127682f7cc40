"""E73x: pictures and networks that `predict` cannot bring together."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class NotAClassifier(Problem):
    """The network's output is not one score for each class."""

    code = "E730"
    text = "{model} is not a classifier: its output is {output}, not one score for each of several classes"
    explanation = """
`predict` lists the likeliest classes, which needs a vector of scores, or a picture of a single cell. A network
for segmentation has scores for every cell, one for generation or distances has no classes at all.
"""

    model: str
    output: str


class NotForPictures(Problem):
    """The network's input is no picture."""

    code = "E731"
    text = "{model} takes {input}, which is no grey or colour picture"
    explanation = """
`predict` reads picture files. They become an input of one or three channels with a height and a width, or a
vector of as many numbers as a square picture has cells. A sequence or a video cannot be made from a file.
"""

    model: str
    input: str


class NoPicture(Problem):
    """There is no picture at the path."""

    code = "E732"
    text = "cannot read the picture {path}: {reason}"
    explanation = """
Pictures are given one by one: PNG, JPEG or another format that Pillow reads. A folder of them is given by the
shell: `folder/*.png`.
"""

    path: str
    reason: str


class WrongClassNames(Problem):
    """There are not as many class names as classes."""

    code = "E733"
    text = "{source} has {found} class names, but {model} has {expected} outputs"
    explanation = """
`--classes FILE` names a text file with one class name on each line, in the order of the network's outputs.
"""

    source: str
    found: int
    model: str
    expected: int
