"""E49x: requirements."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class NotMet(Problem):
    """A network that does not meet a requirement.

    `require { }` in a model and `--require` on the command line bound its figures: parameters, multiply-adds, memory,
    receptive field, depth, accuracy. The report says by how much the bound is missed and which layers weigh most.
    """

    code = "E490"
    text = "{figure} is {found}, but must be {bound}: {distance}"
    wrong = "model m { input(3x8x8); require { params <= 1_000 }; flatten; linear(10) }"
    right = "model m { input(3x8x8); require { params <= 2k }; flatten; linear(10) }"
    figure: str
    found: str
    bound: str
    distance: str


class BadRequirement(Problem):
    """A requirement that means nothing.

    A requirement is a figure, a comparison and a number: `params <= 10_000`. A number of bytes may have a unit of bytes
    (`256KB`, `4KiB`), every number one of thousands (`64k`, `5M`).
    """

    code = "E491"
    text = "{reason}"
    wrong = "model m { input(3x8x8); require { parms <= 5M }; flatten; linear(10) }"
    right = "model m { input(3x8x8); require { params <= 5M }; flatten; linear(10) }"
    reason: str


class NoAccuracy(Problem):
    """A required accuracy of a network that is not evaluated on classes.

    Accuracy is the share of samples whose class is predicted. With a loss between images or numbers there is none.
    """

    code = "E492"
    text = "{model} has no accuracy: its recipe compares its output with images or numbers"
    model: str
