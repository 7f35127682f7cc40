"""The folder of a run: what is in it, how it is made, and how it is found again."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import TypeAdapter, ValidationError

from archdsl.arguments.values import restored, stored_settings
from archdsl.diagnostics import Diagnostic, Help, Problem, SpecError
from archdsl.diagnostics.codes.training import DamagedRun, NothingToResume, RunFolderInUse
from archdsl.files.write import cannot_write
from archdsl.recipe import Recipe

T = TypeVar("T")

PACKAGES = ("archdsl", "torch", "torchvision", "numpy", "safetensors", "pydantic")


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
    """What run.json holds: enough to evaluate or export the folder alone.

    input, output   shapes without the batch axis
    mean, std       of the network's input pictures, in 0..1, as they are normalised
    sample          the shape of the data set's pictures; empty in runs of earlier versions
    version         how settings are written: 1 had strings for layers, blocks and other values without JSON
    """

    model: str
    settings: dict[str, Any]
    spec: str
    dataset: str
    classes: tuple[str, ...]
    input: tuple[int, ...]
    output: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    started: str
    version: int = 2
    sample: tuple[int, ...] = ()

    def to_json(self) -> str:
        """The text of run.json."""
        facts = {one.name: getattr(self, one.name) for one in fields(self)}
        return json.dumps(facts | {"settings": stored_settings(self.settings)}, indent=2)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run's files (docs/training.md lists them)."""

    path: Path

    @property
    def spec(self) -> Path:
        return self.path / "spec.arch"

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.json"

    @property
    def info(self) -> Path:
        return self.path / "run.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def failed_batch(self) -> Path:
        return self.path / "failed_batch.json"

    @property
    def weights(self) -> Path:
        return self.path / "weights.safetensors"

    @property
    def best(self) -> Path:
        return self.path / "best.safetensors"

    @property
    def curves(self) -> Path:
        return self.path / "curves.png"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    def set_best_aside(self) -> None:
        """Keep the best weights of whole epochs, which those of a part of an epoch are about to replace."""
        if self.best.exists():
            self.best.replace(self._best_of_epochs)

    def restore_best(self) -> None:
        """Undo `set_best_aside`: the part of an epoch goes on, and its evaluation never was."""
        if self._best_of_epochs.exists():
            self._best_of_epochs.replace(self.best)

    @property
    def _best_of_epochs(self) -> Path:
        return self.checkpoints / self.best.name

    def read_recipe(self) -> Recipe:
        """The resolved recipe of the run. Raises SpecError (E632, E633)."""
        try:
            return Recipe.from_json(self._text(self.recipe))
        except ValidationError as error:
            raise self._damaged(self.recipe, error.errors()[0]["msg"]) from error

    def read_info(self) -> RunInfo:
        """What run.json holds. Raises SpecError (E632, E633)."""
        try:
            info = _typed(RunInfo, json.loads(self._text(self.info)))
            if info.version > 1:
                return replace(info, settings={name: restored(value) for name, value in info.settings.items()})
            return info
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._damaged(self.info, str(error)) from error

    def read_metrics(self, epochs: int) -> list[EpochMetrics]:
        """The lines of the first `epochs` epochs; a last line that was cut off does not count."""
        lines = self._text(self.metrics).splitlines() if self.metrics.exists() else []
        history = []
        for line in lines[:epochs]:
            try:
                history.append(_typed(EpochMetrics, json.loads(line)))
            except ValueError as error:
                raise self._damaged(self.metrics, str(error)) from error
        return history

    def _text(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise _error(NothingToResume(str(self.path), path.name), self.path) from error
        except (OSError, ValueError) as error:
            raise self._damaged(path, getattr(error, "strerror", None) or str(error)) from error

    def _damaged(self, path: Path, reason: str) -> SpecError:
        return _error(DamagedRun(path.name, reason), path)


@cache
def _adapter(cls: type) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def _typed(cls: type[T], facts: Any) -> T:
    """An object of a file with fields of the right types. Raises ValueError for anything else."""
    try:
        found: T = _adapter(cls).validate_python(facts)  # type: ignore[arg-type]
        return found
    except ValidationError as error:
        details = error.errors()[0]
        where = ".".join(map(str, details["loc"]))
        raise ValueError(f"{where}: {details['msg']}" if where else details["msg"]) from error


def _error(problem: Problem, path: Path) -> SpecError:
    return SpecError([Diagnostic(problem, path=str(path))])


def run_of(weights: str | Path) -> RunFolder | None:
    """The run that weights belong to: the folder itself, or the one a file lies in; None where that is no run's.

    Raises SpecError (E632) for a folder without its run.json: the model of its weights and the normalisation of its
    pictures stand nowhere else.
    """
    path = Path(weights)
    folder = RunFolder(path if path.is_dir() else path.parent)
    if path.is_dir() and not folder.info.is_file():
        files = [file for file in (folder.weights, *sorted(path.glob("*.safetensors"))) if file.is_file()]
        helps = [Help(f"to use the weights without their run, give the file: {file}") for file in files[:1]]
        problem = NothingToResume(str(path), folder.info.name)
        raise SpecError([Diagnostic(problem, path=str(path), helps=tuple(helps))])
    return folder if path.exists() and folder.info.is_file() else None


def create_run_folder(out: str | Path | None, model: str) -> RunFolder:
    """A new folder: `out`, or runs/<model>-<date>-<time>. Raises SpecError for one that is not empty (E631)."""
    path = Path(out) if out is not None else _unused(Path("runs") / f"{model}-{datetime.now():%Y%m%d-%H%M%S}")
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise _error(RunFolderInUse(str(path)), path)
    except OSError as error:
        raise cannot_write(path, error) from error
    return RunFolder(path)


def _unused(path: Path) -> Path:
    """The path, or with a number behind it where two runs start in the same second."""
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def find_run_folder(path: Path) -> RunFolder:
    """The run to resume in a folder. Raises SpecError (E632) where there is no checkpoint."""
    folder = RunFolder(path)
    if not any(folder.checkpoints.glob("step-*.safetensors")):
        raise _error(NothingToResume(str(path), folder.checkpoints.name), path)
    return folder


def environment(device: torch.device) -> dict[str, Any]:
    """What a run ran on: versions, machine, threads."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {package: _version(package) for package in PACKAGES},
        "device": str(device),
        "device_name": name,
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
