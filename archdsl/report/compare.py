"""Runs side by side: their results, and the entries in which they differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.arguments.values import spec_text
from archdsl.report.entries import flat, network_of_run
from archdsl.runs.folder import EpochMetrics, RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class RunResults:
    """A run to compare. `entries` are its model, settings and recipe as strings."""

    name: str
    params: int | None
    history: tuple[EpochMetrics, ...]
    entries: dict[str, str]

    @property
    def best(self) -> EpochMetrics | None:
        """The epoch with the highest validation accuracy (the lowest loss without one), the first of several."""
        return min(self.history, key=lambda line: (-(line.val_accuracy or 0.0), line.val_loss), default=None)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"


#: The rows of the results table: a name, and the text for one run.
ROWS: dict[str, Callable[[RunResults], str]] = {
    "parameters": lambda run: "" if run.params is None else f"{run.params:,}",
    "epochs": lambda run: str(len(run.history)),
    "best val accuracy": lambda run: _percent(run.best.val_accuracy if run.best else None),
    "in epoch": lambda run: str(run.best.epoch) if run.best else "",
    "last val accuracy": lambda run: _percent(run.history[-1].val_accuracy if run.history else None),
    "last val loss": lambda run: f"{run.history[-1].val_loss:.4f}" if run.history else "",
    "last train loss": lambda run: f"{run.history[-1].train_loss:.4f}" if run.history else "",
    "seconds": lambda run: f"{sum(line.seconds for line in run.history):,.0f}",
    "images per second": lambda run: f"{run.history[-1].images_per_second:,.0f}" if run.history else "",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several runs, in the order given."""

    runs: tuple[RunResults, ...]

    def results(self) -> list[tuple[str, list[str]]]:
        """The results of the runs, one row per figure."""
        return [(name, [text(run) for run in self.runs]) for name, text in ROWS.items()]

    def differences(self) -> list[tuple[str, list[str]]]:
        """The entries that are not the same in all runs."""
        names = dict.fromkeys(name for run in self.runs for name in run.entries)
        rows = [(name, [run.entries.get(name, "") for run in self.runs]) for name in names]
        return [(name, values) for name, values in rows if len(set(values)) > 1]

    def to_dict(self) -> dict[str, Any]:
        """The comparison for JSON (docs/json.md)."""
        results = {
            run.name: {
                "params": run.params,
                "epochs": len(run.history),
                "best_val_accuracy": run.best.val_accuracy if run.best else None,
                "best_epoch": run.best.epoch if run.best else None,
                "last_val_loss": run.history[-1].val_loss if run.history else None,
                "seconds": sum(line.seconds for line in run.history),
            }
            for run in self.runs
        }
        names = [run.name for run in self.runs]
        return {
            "runs": results,
            "differences": {name: dict(zip(names, values, strict=True)) for name, values in self.differences()},
        }


def compare_runs(paths: Sequence[Path]) -> Comparison:
    """Read run folders. Raises SpecError for a folder that is not a run (E632) or is damaged (E633)."""
    return Comparison(tuple(_read(path, name) for path, name in zip(paths, names(paths), strict=True)))


def names(paths: Sequence[Path]) -> list[str]:
    """A different name for each folder: as few of the last parts of its path as possible."""
    parts = [path.absolute().resolve().parts for path in paths]
    most = max(map(len, parts), default=1)
    for length in range(1, most):
        found = ["/".join(one[-length:]) for one in parts]
        if len(set(found)) == len(set(parts)):
            break
    else:
        found = ["/".join(one) for one in parts]
    times = [found[: i + 1].count(name) for i, name in enumerate(found)]
    return [name if time == 1 else f"{name} ({time})" for name, time in zip(found, times, strict=True)]


def _read(path: Path, name: str) -> RunResults:
    folder = RunFolder(path)
    info = folder.read_info()
    recipe = json.loads(folder.read_recipe().to_json())
    own = {"model": info.model, "data": info.dataset}
    settings = {f"model.{name}" if name in {*own, *recipe} else name: value for name, value in info.settings.items()}
    entries = own | {name: spec_text(value) for name, value in settings.items()} | dict(flat(recipe))
    network = network_of_run(folder)
    return RunResults(name, network.params, tuple(folder.read_metrics()), entries)


def comparison_figure(found: Comparison) -> Figure:
    """Plot the validation loss and accuracy of the runs over the epochs."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(10, 3.75), dpi=140, layout="constrained")
    for axes, name, scale in zip(figure.subplots(1, 2), ("loss", "accuracy"), (1, 100), strict=True):
        for run in found.runs:
            points = [(line.epoch, getattr(line, f"val_{name}")) for line in run.history]
            known = [(epoch, scale * value) for epoch, value in points if value is not None]
            axes.plot(*zip(*known, strict=True) if known else ([], []), label=run.name, marker=".")
        axes.set(xlabel="epoch", ylabel=f"validation {name}" + (" in %" if scale != 1 else ""))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    return figure
