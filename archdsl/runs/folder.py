"""The folder of a run: its files, and how it is created and found."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import cache
from itertools import chain, count
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from archdsl.arguments.values import restored, stored_settings
from archdsl.diagnostics import Diagnostic, Help, SpecError
from archdsl.diagnostics.codes.training import DamagedRun, NothingToResume, RunFolderInUse
from archdsl.files.write import cannot_write
from archdsl.recipe import Recipe
from archdsl.runs.find import INFO, RUNS, instead_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """One line of metrics.jsonl. `epoch` counts from 1; `lr` is the last step's.

    Accuracies, top5 and f1 are shares in 0..1, None where they are not measured.
    """

    epoch: int
    steps: int
    train_loss: float
    train_accuracy: float | None
    val_loss: float
    val_accuracy: float | None
    lr: float
    images_per_second: float
    seconds: float
    val_top5: float | None = None
    val_f1: float | None = None

    def figure(self, name: str) -> float:
        """The validation's loss, accuracy, top5 or f1."""
        value: float | None = getattr(self, f"val_{name}")
        if value is None:
            raise ValueError(f"{name} was not measured")
        return value


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The content of run.json: enough to evaluate or export the folder alone.

    input, output   shapes without the batch axis; those of named inputs by their names
    mean, std       of the images, in 0..1, by which inputs are normalized
    sample          the shape of the data set's images; empty in runs of earlier versions
    splits          the samples for training, validation and test; empty in runs of earlier versions
    validation_is_test   whether validation and test are the same samples
    has_test        whether there are test samples; without any, those for validation are counted in their place
    epoch_steps     the optimizer steps of an epoch
    params          the parameters of the network; None in runs of earlier versions
    version         the form of settings: 1 had strings for layers, blocks and other values without JSON
    """

    model: str
    settings: dict[str, Any]
    spec: str
    dataset: str
    classes: tuple[str, ...]
    input: tuple[int, ...] | dict[str, tuple[int, ...]]
    output: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    started: str
    version: int = 2
    sample: tuple[int, ...] = ()
    splits: dict[str, int] = field(default_factory=dict)
    validation_is_test: bool | None = None
    has_test: bool = True
    epoch_steps: int | None = None
    params: int | None = None

    def to_json(self) -> str:
        """The text of run.json."""
        facts = {one.name: getattr(self, one.name) for one in fields(self)}
        return json.dumps(facts | {"settings": stored_settings(self.settings)}, indent=2)


class _File:
    """A file or folder of a run, as an attribute of its RunFolder."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, run: RunFolder, owner: type[RunFolder]) -> Path:
        return run.path / self.name


@dataclass(frozen=True)
class RunFolder:
    """A run's files (docs/training.md lists them)."""

    path: Path

    spec = _File("spec.arch")
    recipe = _File("recipe.json")
    info = _File(INFO)
    environment = _File("environment.json")
    sessions = _File("sessions.json")
    evaluation = _File("evaluation.json")
    metrics = _File("metrics.jsonl")
    weights = _File("weights.safetensors")
    best = _File("best.safetensors")
    checkpoints = _File("checkpoints")
    best_of_epochs = _File("checkpoints/best.safetensors")
    failed_batch = _File("failed_batch.json")
    report = _File("report.html")
    tensorboard = _File("tensorboard")

    def set_best_aside(self) -> None:
        """Keep the best weights of whole epochs, which those of part of an epoch are about to replace."""
        if self.best.exists():
            self.best.replace(self.best_of_epochs)

    def restore_best(self) -> None:
        """Undo `set_best_aside`, since the part of an epoch is trained further."""
        if self.best_of_epochs.exists():
            self.best_of_epochs.replace(self.best)

    def read_recipe(self) -> Recipe:
        """The resolved recipe of the run. Raises SpecError (E632, E633)."""
        return self._read(Recipe, self.recipe, self._text(self.recipe))

    def read_info(self) -> RunInfo:
        """What run.json holds. Raises SpecError (E632, E633)."""
        info = self._read(RunInfo, self.info, self._text(self.info))
        if info.version == 1:
            return info
        try:
            return replace(info, settings={name: restored(value) for name, value in info.settings.items()})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise damaged(self.info, str(error)) from error

    def read_metrics(self, epochs: int | None = None) -> list[EpochMetrics]:
        """The metrics of the first `epochs` epochs (None: of all). Raises SpecError (E633)."""
        lines = self._text(self.metrics).splitlines() if self.metrics.exists() else []
        return [self._read(EpochMetrics, self.metrics, line) for line in lines[:epochs]]

    def _text(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise missing(self.path, path.name) from error
        except (OSError, ValueError) as error:
            raise damaged(path, getattr(error, "strerror", None) or str(error)) from error

    def _read(self, cls: type[T], path: Path, text: str) -> T:
        """An object from the JSON of a file, with fields of the right types."""
        try:
            found: T = _adapter(cls).validate_json(text)  # type: ignore[arg-type]
            return found
        except ValidationError as error:
            details = error.errors()[0]
            # A union names its members, which are types and tell a reader nothing.
            where = ".".join(str(part) for part in details["loc"] if "[" not in str(part))
            raise damaged(path, f"{where}: {details['msg']}" if where else details["msg"]) from error


@cache
def _adapter(cls: type) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def damaged(path: Path, reason: str) -> SpecError:
    """The error (E633) for a file of a run that cannot be used."""
    return SpecError([Diagnostic(DamagedRun(path.name, reason), path=str(path))])


def missing(folder: Path, name: str, *helps: Help) -> SpecError:
    """The error (E632) for a folder without one of a run's files, with the runs that may have been meant."""
    helps = (*helps, *(instead_of(folder) if name == INFO else ()))
    return SpecError([Diagnostic(NothingToResume(str(folder), name), path=str(folder), helps=helps)])


def run_of(weights: str | Path) -> RunFolder | None:
    """The run that weights belong to: the folder itself, or the folder of a file; None where that is not a run's.

    Raises SpecError (E632) for a folder without run.json, which holds the model and the normalization.
    """
    path = Path(weights)
    folder = RunFolder(path if path.is_dir() else path.parent)
    if path.is_dir() and not folder.info.is_file():
        files = [file for file in (folder.weights, *sorted(path.glob("*.safetensors"))) if file.is_file()]
        helps = [Help(f"to use the weights without their run, give the file: {file}") for file in files[:1]]
        raise missing(path, folder.info.name, *helps)
    return folder if path.exists() and folder.info.is_file() else None


def create_run_folder(out: str | Path | None, model: str) -> RunFolder:
    """A new folder: `out`, or runs/<model>-<date>-<time>. Raises SpecError for one that is not empty (E631)."""
    path = Path(out) if out is not None else _unused(RUNS / f"{model}-{datetime.now():%Y%m%d-%H%M%S}")
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise SpecError([Diagnostic(RunFolderInUse(str(path)), helps=_instead_of(path), path=str(path))])
    except OSError as error:
        raise cannot_write(path, error) from error
    return RunFolder(path)


def _instead_of(path: Path) -> tuple[Help, ...]:
    """What to do where a run cannot be written to a folder because it is not empty."""
    other = _unused(path)
    helps = (Help(f"write to another folder: `--out {shlex.quote(str(other))}`"),)
    if not any(RunFolder(path).checkpoints.glob("step-*.safetensors")):
        return helps
    return (*helps, Help(f"or resume the run in it: `archdsl train --resume {shlex.quote(str(path))}`"))


def _unused(path: Path) -> Path:
    """The path, with a number appended where two runs start in the same second."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return next(each for each in chain([path], numbered) if not each.exists())


def find_run_folder(path: Path) -> RunFolder:
    """The run to resume in a folder. Raises SpecError (E632) where there is no checkpoint."""
    folder = RunFolder(path)
    if not any(folder.checkpoints.glob("step-*.safetensors")):
        raise missing(path, folder.checkpoints.name)
    return folder
