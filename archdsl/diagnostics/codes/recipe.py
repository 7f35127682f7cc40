"""E60x: recipes as they are written."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem

_MODEL = "model m { input(1x8x8); flatten; linear(10) }\n"


class UnknownEntry(Problem):
    """The train block has an entry that no recipe has."""

    code = "E601"
    text = "a recipe has no entry `{name}`"
    explanation = """
The entries of a `train { }` block, and what `--set key=value` may name, are those of docs/training.md. An
argument of an entry is reached with a dot: `--set optimizer.lr=0.1`.
"""
    wrong = _MODEL + "train { epoch = 5 }"
    right = _MODEL + "train { epochs = 5 }"

    name: str


class UnknownChoice(Problem):
    """An optimizer, schedule, loss, data set or augmentation of that name is not known."""

    code = "E604"
    text = "there is no {family} `{name}`; there are {choices}"
    explanation = """
The names are those of PyTorch in small letters (`sgd`, `adamw`, `cross_entropy`); docs/training.md lists all
with their arguments.
"""
    wrong = _MODEL + "train { optimizer = sdg(lr=0.1) }"
    right = _MODEL + "train { optimizer = sgd(lr=0.1) }"

    family: str
    name: str
    choices: str
