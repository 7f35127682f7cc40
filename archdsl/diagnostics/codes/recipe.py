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


class WrongType(Problem):
    """A value of another type than the entry or argument takes."""

    code = "E602"
    text = "`{name}` takes {expected}, not {found}"
    explanation = """
Nothing is converted: `batch = "64"` and `batch = 64.0` are no integers. An integer does where a number is
taken, and a pair of sizes may be written 32x32 or as the single number 32.
"""
    wrong = _MODEL + 'train { batch = "64" }'
    right = _MODEL + "train { batch = 64 }"

    name: str
    expected: str
    found: str


class OutOfRange(Problem):
    """A value of the right type that makes no sense for the entry or argument."""

    code = "E603"
    text = "`{name}` must be {rule}, not {found}"
    explanation = """
The range is part of the entry's meaning: a learning rate is above 0, a probability or share lies between 0
and 1, a count is at least 1.
"""
    wrong = _MODEL + "train { optimizer = sgd(lr=-0.1) }"
    right = _MODEL + "train { optimizer = sgd(lr=0.1) }"

    name: str
    rule: str
    found: str


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


class UnknownArgument(Problem):
    """A construct is given an argument that it does not have."""

    code = "E605"
    text = "{construct} has no argument `{name}`; it takes {takes}"
    explanation = """
Optimizers take the arguments of their `torch.optim` twins, under the same names, with the same defaults.
"""
    wrong = _MODEL + "train { optimizer = sgd(lr=0.1, betas=(0.9, 0.99)) }"
    right = _MODEL + "train { optimizer = sgd(lr=0.1, momentum=0.9) }"

    construct: str
    name: str
    takes: str


class MissingArgument(Problem):
    """A construct lacks an argument that has no default."""

    code = "E606"
    text = "{construct} needs `{name}`"
    explanation = """
An argument without a default has to be given, by position or by name.
"""
    wrong = _MODEL + "train { schedule = step(gamma=0.5) }"
    right = _MODEL + "train { schedule = step(every=10, gamma=0.5) }"

    construct: str
    name: str


class ArgumentTwice(Problem):
    """An argument is given by position and again by name."""

    code = "E607"
    text = "{construct} is given `{name}` twice"
    explanation = """
Arguments by position fill the names in their order; a name that is filled so cannot be given once more.
"""
    wrong = _MODEL + "train { optimizer = sgd(0.1, lr=0.2) }"
    right = _MODEL + "train { optimizer = sgd(0.1, momentum=0.9) }"

    construct: str
    name: str


class TooManyArguments(Problem):
    """A construct is given more arguments by position than it has."""

    code = "E608"
    text = "{construct} takes at most {most} by position, not {given}"
    explanation = """
Arguments by position fill the names in their order, and there are no more names than these.
"""
    wrong = _MODEL + "train { loss = huber(0.5, 0.1) }"
    right = _MODEL + "train { loss = huber(0.5) }"

    construct: str
    most: str
    given: int
