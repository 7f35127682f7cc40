"""E60x: recipes."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem

_MODEL = "model m { input(1x8x8); flatten; linear(10) }\n"


class UnknownEntry(Problem):
    """An unknown recipe entry.

    docs/training.md lists the entries of `train { }` blocks and of `--set key=value`. A dot selects an argument of an
    entry: `--set optimizer.lr=0.1`.
    """

    code = "E601"
    text = "there is no recipe entry `{name}`"
    wrong = _MODEL + "train { epoch = 5 }"
    right = _MODEL + "train { epochs = 5 }"
    name: str


class UnknownChoice(Problem):
    """An unknown optimizer, schedule, loss, data set or augmentation.

    Names are those of PyTorch in lower case (`sgd`, `adamw`, `cross_entropy`). docs/training.md lists them with their
    arguments.
    """

    code = "E604"
    text = "there is no {family} `{name}`; expected one of {choices}"
    wrong = _MODEL + "train { optimizer = sdg(lr=0.1) }"
    right = _MODEL + "train { optimizer = sgd(lr=0.1) }"
    family: str
    name: str
    choices: str
