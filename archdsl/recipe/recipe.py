"""The recipe itself: all entries of a `train` block with their defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PrivateAttr
from pydantic import model_validator as check_together

from archdsl.arguments.bind import broken
from archdsl.arguments.describe import is_whole
from archdsl.arguments.values import Entry, RecipeEntries
from archdsl.recipe.augmentations import AnyAugmentation, Normalize
from archdsl.recipe.datasets import AnyDataSet, Digits
from archdsl.recipe.losses import AnyLoss, CrossEntropy
from archdsl.recipe.optimizers import Adam, AnyOptimizer
from archdsl.recipe.parts import CONFIG, AtLeastZero, Part, Positive, Rate, Word, Words, plain
from archdsl.recipe.schedules import AnySchedule, Constant
from archdsl.text.source import Span


def _by_kind(union: Any) -> dict[str, type[Part]]:
    return {cls.model_fields["kind"].default: cls for cls in get_args(union)}


#: The entries that are constructs, and the classes of each by name.
FAMILIES: dict[str, dict[str, type[Part]]] = {
    "dataset": _by_kind(AnyDataSet),
    "optimizer": _by_kind(AnyOptimizer),
    "schedule": _by_kind(AnySchedule),
    "loss": _by_kind(AnyLoss),
    "augment": _by_kind(AnyAugmentation),
}
FAMILY_NAMES = {"dataset": "data set", "augment": "augmentation"}
LISTS = {"augment"}

INTERVAL = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h)")
#: The length of a run where neither epochs nor steps are given.
EPOCHS = 10
UNITS = {"s": 1, "min": 60, "h": 3600}


def _device_name(value: str) -> str:
    kind, _, number = value.partition(":")
    if kind not in {"auto", "cpu", "mps", "cuda"} or (":" in value and not (kind == "cuda" and number.isdecimal())):
        raise broken('one of "auto", "cpu", "cuda", "cuda:0", "mps"')
    return value


def _distinct(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) < len(value):
        raise broken("names that differ")
    return value


def _interval(value: object) -> object:
    """A number of steps, or a string such as "10min"."""
    is_steps = is_whole(value) and value > 0
    if value is None or is_steps or (isinstance(value, str) and INTERVAL.fullmatch(value)):
        return value
    raise broken('a number of steps, or a time such as "90s", "10min", "2h"')


Figure = Literal["loss", "accuracy", "top5", "f1"]


class Recipe(BaseModel):
    """How a network is trained; see docs/training.md for each entry.

    classes      the classes of the data set to use, numbered in this order
    target       what the output is compared with: the class, the image itself, or an image of the next class
    validation   share of the training set held back for validation; None validates on the test set
    steps        optimizer steps of the run, or
    epochs       passes over the training set; `max_steps` ends the run earlier without changing the schedule
    accumulate   parts in which a batch passes through the network, to save memory
    aux_weight   weight of the loss of each auxiliary output (0.3: Szegedy et al. 2014, section 5)
    decay        "weights" exempts norms and biases from the optimizer's weight decay
    rates        learning rates by label, in place of the optimizer's
    weights      a file or run to start from
    ema          decay of the moving average that is evaluated and saved in place of the weights
    monitor      the figure that decides on the best weights, `patience` and `plateau`
    report       whether the run ends with a report.html
    workers      processes that read images, where a folder is too large for memory
    sync_batchnorm  whether batch norm computes its statistics over the batches of all processes
    """

    model_config = CONFIG

    dataset: AnyDataSet = Field(default=Digits(), discriminator="kind")
    root: str | None = None
    classes: Annotated[tuple[str, ...], Words, AfterValidator(_distinct), Field(min_length=1)] | None = Field(
        default=None, description="a list of one class name or more"
    )
    target: Annotated[Literal["class", "picture", "next_class"], Word] = "class"
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
    decay: Annotated[Literal["all", "weights"], Word] = "all"
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
    monitor: Annotated[Figure | None, Word] = None
    patience: Positive | None = None
    precision: Annotated[Literal["fp32", "bf16", "fp16"], Word] = "fp32"
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
            raise broken("none where epochs are given", "steps")
        if self.epochs is None and self.steps is None:
            raise broken("given where steps are not", "epochs")
        return self

    def to_json(self) -> str:
        """All entries with their values, including defaults, as JSON; `model_validate_json` reads it."""
        return self.model_dump_json(indent=2)

    def to_entries(self) -> RecipeEntries:
        """The entries of a `train` block with this recipe, for overrides."""
        values = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: Entry(plain(value), self.place(name)) for name, value in values}

    def set_places(self, places: Mapping[str, Span]) -> None:
        """Remember where the entries are in the file."""
        self._places.update(places)

    def place(self, entry: str) -> Span | None:
        """Where the entry is in the file; None for a default."""
        return self._places.get(entry)

    def total_steps(self, epoch_steps: int) -> int:
        """The optimizer steps of the whole run without `max_steps`, where an epoch has `epoch_steps`."""
        return self.steps if self.steps is not None else (self.epochs or 0) * epoch_steps

    @property
    def checkpoint_steps(self) -> int | None:
        """The steps between two checkpoints within an epoch, None where the interval is a time or not given."""
        return self.checkpoint_every if isinstance(self.checkpoint_every, int) else None

    @property
    def checkpoint_seconds(self) -> float | None:
        """The seconds between two checkpoints within an epoch, None where the interval is not a time."""
        match = INTERVAL.fullmatch(self.checkpoint_every) if isinstance(self.checkpoint_every, str) else None
        return None if match is None else float(match[1]) * UNITS[match[2]]

    @property
    def folder(self) -> str | None:
        """The data set's root: the entry `root`, else the one the data set was given."""
        given: str | None = getattr(self.dataset, "root", None)
        return self.root if self.root is not None else given

    @property
    def normalize(self) -> Normalize | None:
        """The normalisation that is given, None where the training set's own mean and deviation are used."""
        return next((part for part in self.augment if isinstance(part, Normalize)), None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]
