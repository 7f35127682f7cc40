"""Runs side by side: their results, the entries in which they differ, and the differences of their networks."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from archdsl.api import Network
from archdsl.arguments.values import spec_text
from archdsl.diff import Difference
from archdsl.report.entries import flat, network_of_run
from archdsl.report.facts import RunFacts, names, read_run
from archdsl.report.texts import duration, number
from archdsl.runs.best import best_epoch
from archdsl.runs.folder import EpochMetrics


@dataclass(frozen=True)
class RunResults:
    """A run to compare. `monitor` is the figure by which the runs are compared."""

    facts: RunFacts
    network: Network
    monitor: str

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def history(self) -> tuple[EpochMetrics, ...]:
        return self.facts.history

    @cached_property
    def best(self) -> EpochMetrics | None:
        """The epoch with the best value of the monitored figure, the first of equals."""
        return best_epoch(self.history, self.monitor)

    @property
    def last(self) -> EpochMetrics | None:
        return self.history[-1] if self.history else None

    @cached_property
    def test(self) -> dict[str, Any]:
        """The results on the test split at the end of the run; empty where it has not finished."""
        return self.facts.evaluation or {}

    @cached_property
    def entries(self) -> dict[str, str]:
        """Its model, settings and recipe as strings."""
        info = self.facts.info
        recipe = json.loads(self.facts.recipe.to_json())
        own = {"model": info.model, "data": info.dataset}
        taken = {*own, *recipe}
        settings = {f"model.{name}" if name in taken else name: value for name, value in info.settings.items()}
        return own | {name: spec_text(value) for name, value in settings.items()} | dict(flat(recipe))


def _figure(name: str, value: float | None) -> str:
    """A figure, empty where it was not measured."""
    return "" if value is None else number(value) if name == "loss" else f"{value:.2%}"


def _last(run: RunResults, name: str) -> str:
    return _figure(name.rpartition("_")[2], getattr(run.last, name, None))


def _best(run: RunResults) -> str:
    return _figure(run.monitor, run.best.figure(run.monitor) if run.best else None)


#: The rows of the results: a name, and the string for one run. `{}` is the figure by which the runs are compared.
ROWS: dict[str, Callable[[RunResults], str]] = {
    "state": lambda run: run.facts.state,
    "parameters": lambda run: f"{run.network.params:,}",
    "epochs": lambda run: f"{run.facts.epochs:,}",
    "steps": lambda run: f"{run.facts.steps:,}",
    "test accuracy": lambda run: _figure("accuracy", run.test.get("accuracy")),
    "test loss": lambda run: _figure("loss", run.test.get("loss")),
    "best val {}": _best,
    "in epoch": lambda run: f"{run.best.epoch:,}" if run.best else "",
    "last val accuracy": lambda run: _last(run, "val_accuracy"),
    "last val loss": lambda run: _last(run, "val_loss"),
    "last train loss": lambda run: _last(run, "train_loss"),
    "time": lambda run: duration(run.facts.train_seconds),
    "samples per second": lambda run: f"{run.last.images_per_second:,.0f}" if run.last else "",
}


@dataclass(frozen=True)
class Comparison:
    """Several runs, in the order given."""

    runs: tuple[RunResults, ...]

    @property
    def monitor(self) -> str:
        """The figure by which they are compared."""
        return self.runs[0].monitor

    def results(self) -> list[tuple[str, list[str]]]:
        """The results of the runs, one row per figure; without those that no run has."""
        rows = [(name.format(self.monitor), [text(run) for run in self.runs]) for name, text in ROWS.items()]
        return [(name, values) for name, values in rows if any(values) and set(values) != {"unknown"}]

    def differences(self) -> list[tuple[str, list[str]]]:
        """The entries that are not the same in all runs."""
        names = dict.fromkeys(name for run in self.runs for name in run.entries)
        rows = [(name, [run.entries.get(name, "") for run in self.runs]) for name in names]
        return [(name, values) for name, values in rows if len(set(values)) > 1]

    def networks(self) -> list[tuple[RunResults, Difference]]:
        """The runs whose networks differ from the first run's, with what differs."""
        first, *others = self.runs
        pairs = [(run, Difference(first.network, run.network)) for run in others]
        return [(run, found) for run, found in pairs if not found.is_empty]

    @property
    def winner(self) -> int | None:
        """The index of the run with the best value of the monitored figure; None where it is not alone."""
        values = [run.best.figure(self.monitor) if run.best else None for run in self.runs]
        known = [value for value in values if value is not None and not math.isnan(value)]
        if not known:
            return None
        best = (min if self.monitor == "loss" else max)(known)
        return values.index(best) if known.count(best) == 1 else None

    def to_dict(self) -> dict[str, Any]:
        """The comparison for JSON (docs/json.md)."""
        names = [run.name for run in self.runs]
        return {
            "monitor": self.monitor,
            "runs": {run.name: _facts(run) for run in self.runs},
            "differences": {name: dict(zip(names, values, strict=True)) for name, values in self.differences()},
        }


def _facts(run: RunResults) -> dict[str, Any]:
    return {
        "state": run.facts.state,
        "params": run.network.params,
        "epochs": run.facts.epochs,
        "steps": run.facts.steps,
        "test_accuracy": run.test.get("accuracy"),
        "test_loss": run.test.get("loss"),
        "best_val_accuracy": run.best.val_accuracy if run.best else None,
        "best_val_loss": run.best.val_loss if run.best else None,
        "best_epoch": run.best.epoch if run.best else None,
        "last_val_loss": run.last.val_loss if run.last else None,
        "seconds": run.facts.train_seconds,
    }


def compare_runs(paths: Sequence[Path]) -> Comparison:
    """Read run folders. Raises SpecError for a folder that is not a run (E632) or is damaged (E633)."""
    found = [read_run(path, name) for path, name in zip(paths, names(paths), strict=True)]
    monitor = _common_monitor(found)
    return Comparison(tuple(RunResults(run, network_of_run(run.folder), monitor) for run in found))


def _common_monitor(runs: Sequence[RunFacts]) -> str:
    """The figure that all runs watch; else the accuracy where all have it, or the loss."""
    monitors = {run.monitor for run in runs}
    if len(monitors) == 1:
        return monitors.pop()
    measured = all(run.history and run.history[-1].val_accuracy is not None for run in runs)
    return "accuracy" if measured else "loss"
