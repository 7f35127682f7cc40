"""E74x: pictures that cannot be drawn."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class NoSuchPart(Problem):
    """A layer that does not exist.

    `archdsl summary SPEC --columns name` lists the full names, which are also the prefixes in the state_dict.
    """

    code = "E741"
    text = "the network has no layer or scope named {name}"
    name: str


class NothingToDraw(Problem):
    """A picture that does not exist for this network.

    `filters` needs a convolution or a linear layer, `gradcam` an output with positions of the image, `outputs`
    a network whose output is an image, `mistakes` and `confusion` one with a score for each class. `--layer NAME`
    selects another layer.
    """

    code = "E742"
    text = "cannot draw {picture}: {reason}"
    picture: str
    reason: str


class NoSuchClass(Problem):
    """A class that the network does not have.

    `gradcam` and `occlusion` take a class by its name in the data set or by its number, from 0; of a network that
    predicts no classes a unit of its output.
    """

    code = "E743"
    text = "there is no class {target}: the network has {outputs} outputs"
    target: str
    outputs: int


class NoSuchSample(Problem):
    """A sample that the test split does not have.

    `--sample N` takes a sample of the test split by its number, from 0; `--image FILE` an image of one's own.
    """

    code = "E744"
    text = "there is no sample {number}: the test split has {samples}"
    number: int
    samples: int
