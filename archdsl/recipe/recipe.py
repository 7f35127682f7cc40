"""The recipe itself: all entries of a `train` block with their defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PrivateAttr
from pydantic import model_validator as check_together

from archdsl.arguments.values import Entry, RecipeEntries
from archdsl.diagnostics import SpecError
from archdsl.recipe.augmentations import AnyAugmentation, Normalize
from archdsl.recipe.datasets import AnyDataSet, Digits
from archdsl.recipe.losses import AnyLoss, CrossEntropy
from archdsl.recipe.optimizers import Adam, AnyOptimizer
from archdsl.recipe.parts import CONFIG, AtLeastZero, Positive, Rate, Word, Words, broken, plain
from archdsl.recipe.reader import Reader
from archdsl.recipe.schedules import AnySchedule, Constant
from archdsl.text.source import Span

INTERVAL = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h)")
#: The length of a run where neither epochs nor steps are given.
EPOCHS = 10
UNITS = {"s": 1, "min": 60, "h": 3600}


def _device_name(value: str) -> str:
    kind, _, number = value.partition(":")
    if kind not in {"auto", "cpu", "mps", "cuda"} or (":" in value and not (kind == "cuda" and number.isdecimal())):
        raise broken("", 'one of "auto", "cpu", "cuda", "cuda:0", "mps"', value)
    return value


def _distinct(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) < len(value):
        raise broken("", "names that differ", value)
    return value


def _interval(value: object) -> object:
    """A number of steps, or a text such as "10min"."""
    is_steps = isinstance(value, int) and not isinstance(value, bool) and value > 0
    if value is None or is_steps or (isinstance(value, str) and INTERVAL.fullmatch(value)):
        return value
    raise broken("", 'a number of steps, or a time such as "90s", "10min", "2h"', value)


Figure = Literal["loss", "accuracy", "top5", "f1"]


class Recipe(BaseModel):
    """How a network is trained; see docs/training.md for each entry.

    classes      only these of the data set, numbered in this order
    target       what the output is compared with: the class, the picture itself, or one of the next class
    validation   share of the training set held back for validation; None validates on the test set
    steps        optimizer steps of the run, or
    epochs       passes over the training set; `max_steps` ends the run earlier, but leaves the schedule as it is
    accumulate   parts in which a batch passes through the network, for want of memory
    aux_weight   weight of the loss of each auxiliary output (0.3: Szegedy et al. 2014, section 5)
    decay        "weights" exempts norms and biases from the optimizer's weight decay
    rates        learning rates of their own, by label
    weights      a file or run to start from
    ema          decay of the moving average that is evaluated and saved in place of the weights
    monitor      what the best weights, `patience` and `plateau` go by
    report       whether the run ends with a report.html
    workers      processes that read pictures, where a folder is too large for memory
    sync_batchnorm  whether batch norm takes its statistics over the shares of all processes
    """

    model_config = CONFIG

    dataset: AnyDataSet = Field(default=Digits(), discriminator="kind")
    root: str | None = None
    classes: Annotated[tuple[str, ...], Words, AfterValidator(_distinct), Field(min_length=1)] | None = Field(
        default=None, description="a list of one class name or more"
    )
    target: Annotated[
        Literal["class", "picture", "next_class"], Word, Field(description='"class", "picture" or "next_class"')
    ] = "class"
    validation: Annotated[float, Field(gt=0, lt=1)] | None = None
    augment: tuple[Annotated[AnyAugmentation, Field(discriminator="kind")], ...] = ()
    batch: Positive = 64
    accumulate: Positive = 1
    steps: Positive | None = None
    epochs: Positive | None = Field(default_factory=lambda given: None if given["steps"] else EPOCHS)
    max_steps: Positive | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    weights: str | None = None
    freeze: Annotated[tuple[str, ...], Words, Field(description="a list of labels")] = ()
    optimizer: AnyOptimizer = Field(default=Adam(), discriminator="kind")
    decay: Annotated[Literal["all", "weights"], Word, Field(description='"all" or "weights"')] = "all"
    rates: Annotated[dict[str, Rate], Field(description="a dictionary of labels and numbers")] = {}
    schedule: AnySchedule = Field(default=Constant(), discriminator="kind")
    clip_norm: Rate | None = None
    clip_value: Rate | None = None
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    loss: AnyLoss = Field(default=CrossEntropy(), discriminator="kind")
    aux_weight: AtLeastZero = 0.3
    metrics: Annotated[
        tuple[Literal["accuracy", "top5", "f1"], ...] | None,
        Words,
        Field(description='a list of "accuracy", "top5" and "f1"'),
    ] = None
    monitor: Annotated[Figure | None, Word, Field(description='one of "loss", "accuracy", "top5" and "f1"')] = None
    patience: Positive | None = None
    precision: Annotated[
        Literal["fp32", "bf16", "fp16"], Word, Field(description='one of "fp32", "bf16" and "fp16"')
    ] = "fp32"
    channels_last: bool | None = None
    compile: bool = False
    sync_batchnorm: bool = False
    keep: Positive = 2
    checkpoint_every: Annotated[int | str | None, BeforeValidator(_interval)] = None
    tensorboard: bool = False
    report: bool = True
    device: Annotated[str, AfterValidator(_device_name)] = "auto"
    workers: Annotated[int, Field(ge=0)] = 2

    _places: dict[str, Span] = PrivateAttr(default_factory=dict)

    @check_together(mode="after")
    def _one_length(self) -> Self:
        if self.epochs is not None and self.steps is not None:
            raise broken("steps", "none where epochs are given", self.steps)
        if self.epochs is None and self.steps is None:
            raise broken("epochs", "given where steps are not", None)
        return self

    @classmethod
    def from_entries(cls, entries: Mapping[str, Entry] | None) -> Recipe:
        """The recipe that a `train` block's entries describe (None: all defaults).

        Raises SpecError with every mistake, each at its place in the text.
        """
        reader = Reader(cls)
        values = {name: reader.entry(name, entry) for name, entry in (entries or {}).items()}
        recipe = reader.build(values, entries or {})
        if reader.found:
            raise SpecError(reader.found)
        return recipe

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe that `to_json` wrote. Raises pydantic's ValidationError for anything else."""
        return cls.model_validate_json(text)

    def to_json(self) -> str:
        """All entries with their values, defaults included, as a JSON object."""
        return self.model_dump_json(indent=2)

    def to_entries(self) -> RecipeEntries:
        """The entries of a `train` block that gives this recipe, so that overrides can be laid over them."""
        values = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: Entry(plain(value), self.place(name)) for name, value in values}

    def place(self, entry: str) -> Span | None:
        """Where the entry stands in the text; None for a default."""
        return self._places.get(entry)

    def total_steps(self, epoch_steps: int) -> int:
        """The optimizer steps of the whole run, `max_steps` aside, where an epoch has `epoch_steps`."""
        return self.steps if self.steps is not None else (self.epochs or 0) * epoch_steps

    @property
    def checkpoint_steps(self) -> int | None:
        """The steps between two checkpoints within an epoch, None where they do not go by steps."""
        return self.checkpoint_every if isinstance(self.checkpoint_every, int) else None

    @property
    def checkpoint_seconds(self) -> float | None:
        """The seconds between two checkpoints within an epoch, None where they do not go by time."""
        match = INTERVAL.fullmatch(self.checkpoint_every) if isinstance(self.checkpoint_every, str) else None
        return None if match is None else float(match[1]) * UNITS[match[2]]

    @property
    def folder(self) -> str | None:
        """The data set's root: the entry `root`, else the one the data set was given."""
        given = None if isinstance(self.dataset, Digits) else self.dataset.root
        return self.root if self.root is not None else given

    @property
    def normalize(self) -> Normalize | None:
        """The normalisation that is given, None where the training set's figures are to be used."""
        return next((part for part in self.augment if isinstance(part, Normalize)), None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]
