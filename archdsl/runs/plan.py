"""What a run will do and what it has done, as facts: `wording` makes text of them, `--format json` prints them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from archdsl.arguments.values import stored_settings
from archdsl.runs.folder import EpochMetrics


class Resumed(NamedTuple):
    """How far a run was when it was resumed: complete epochs, and steps of the next one."""

    epoch: int
    step: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do, known before its first step. The fields are the keys of the JSON form (docs/json.md).

    model       the model with its settings, as a spec could call it
    inputs      the shapes of the inputs by name
    fit         for each input what is done to the data's images, empty for nothing
    place       where the files of the data are, "included" for a set without files
    test        the samples of the test split, 0 without one
    epochs      the number of epochs, the last one perhaps incomplete; `steps` is that of the whole run
    options     the other entries of the recipe that are not at their defaults, as a spec writes them
    images      whether each sample is one image
    """

    model: str
    settings: Mapping[str, Any]
    spec: str
    params: int
    trainable_params: int
    inputs: Mapping[str, tuple[int, ...]]
    fit: tuple[str, ...]
    dataset: str
    place: str
    train: int
    validation: int
    test: int
    validates_on_test: bool
    classes: int
    augment: tuple[str, ...]
    loss: str
    optimizer: str
    lr: float
    schedule: str
    options: Mapping[str, str]
    batch: int
    epochs: int
    epoch_steps: int
    steps: int
    precision: str
    device: str
    device_name: str
    threads: int
    processes: int
    folder: Path
    resumed: Resumed | None = None
    images: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The facts as JSON's types."""
        facts = {name: getattr(self, name) for name in self.__slots__ if name != "images"}
        resumed = None if self.resumed is None else self.resumed._asdict()
        return facts | {"settings": stored_settings(self.settings), "folder": str(self.folder), "resumed": resumed}

    @property
    def done(self) -> int:
        """The steps that were complete when the run was resumed."""
        return 0 if self.resumed is None else self.resumed.epoch * self.epoch_steps + self.resumed.step


class Figures(NamedTuple):
    """The figures of an evaluation: of classes in 0..1, None where they are not measured."""

    samples: int
    loss: float
    accuracy: float | None
    top5: float | None = None
    f1: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has done.

    state    "finished", or "early" where `patience` ended it
    monitor  the figure that decides which epoch is best
    best     the best whole epoch, None where no epoch ended
    last     the last epoch
    test     the results on a test split of its own
    waited   the epochs since the best one
    report   the report, where one was written
    images   whether each sample is one image, which `predict` takes
    """

    state: str
    folder: Path
    monitor: str
    best: EpochMetrics | None
    last: EpochMetrics | None
    test: Figures | None
    waited: int
    report: Path | None
    seconds: float
    images: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The facts as JSON's types."""
        return {
            "state": self.state,
            "folder": str(self.folder),
            "monitor": self.monitor,
            "best": None if self.best is None else asdict(self.best),
            "last": None if self.last is None else asdict(self.last),
            "test": None if self.test is None else self.test._asdict(),
            "report": None if self.report is None else str(self.report),
            "seconds": self.seconds,
        }
