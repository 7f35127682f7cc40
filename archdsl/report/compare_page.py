"""The comparison of runs as one HTML file without external resources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archdsl.arguments.values import spec_text
from archdsl.files.write import write_text
from archdsl.report.charts import NONE, Chart, Series, Value
from archdsl.report.compare import Comparison, RunResults
from archdsl.report.history import any_known, figure_chart, rate
from archdsl.report.render import render
from archdsl.report.texts import TITLES, all_entries, figure
from archdsl.text.lists import listed
from archdsl.view.diff import change_rows, checkpoint_lines, shape_lines, totals

#: The figures that are drawn, with their titles.
DRAWN = {
    "val_loss": "Validation loss",
    **{f"val_{name}": f"Validation {title}" for name, title in TITLES.items() if name != "loss"},
    "train_loss": "Training loss",
    "train_accuracy": "Training accuracy",
    "lr": "Learning rate",
}
#: The number of different colours; further runs repeat them, dashed.
COLOURS = 8


def write_comparison(found: Comparison, path: Path) -> None:
    """Write the page of a comparison."""
    write_text(path, comparison_page(found))


def comparison_page(found: Comparison) -> str:
    """The page's text."""
    drawn = charts(found.runs)
    contents = [("results", "Results"), ("curves", "Curves"), ("differences", "Differences"), ("networks", "Networks")]
    context = {
        "title": f"Comparison of {listed([run.name for run in found.runs], 4)}",
        "contents": contents if drawn else [each for each in contents if each[0] != "curves"],
        "runs": found.runs,
        "lead": lead(found),
        "winner": found.winner,
        "results": [(name, [_spaced(value) for value in values]) for name, values in found.results()],
        "charts": drawn,
        "differences": differences(found.runs),
        "networks": [_network(found.runs[0], run, difference) for run, difference in found.networks()],
    }
    return render("compare.html", context)


def _spaced(value: str) -> str:
    """A value with a space before its sign, as pages have it."""
    return value.replace("%", "\u00a0%")


def lead(found: Comparison) -> str:
    """Which run is the best, by which figure."""
    if found.winner is None:
        return f"The runs are compared by their best validation {found.monitor}."
    run = found.runs[found.winner]
    assert run.best is not None
    value = figure(found.monitor, run.best.figure(found.monitor))
    return f"{run.name} has the best validation {TITLES[found.monitor]}: {value} in epoch {run.best.epoch:,}."


def charts(runs: Sequence[RunResults]) -> list[Chart]:
    """The figures of all runs over the epochs, one line for each run."""
    last = max((line.epoch for run in runs for line in run.history), default=0)
    epochs = list(range(1, last + 1))
    found = []
    for name, title in DRAWN.items():
        values = [_values(run, name, epochs) for run in runs]
        if not any(map(any_known, values)):
            continue
        series = [Series(run.name, _colour(i), one) for i, (run, one) in enumerate(zip(runs, values, strict=True))]
        kind = "loss" if name.endswith("loss") else "share"
        found.append(Chart(title, epochs, series, rate) if name == "lr" else figure_chart(title, kind, epochs, series))
    return found


def differences(runs: Sequence[RunResults]) -> list[tuple[str, list[str]]]:
    """The model, its parameters, the data and the entries of the recipe that differ, as specs write them."""
    entries = [_entries(run) for run in runs]
    names = dict.fromkeys(name for one in entries for name in one)
    rows = [(name, [one.get(name, NONE) for one in entries]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _entries(run: RunResults) -> dict[str, str]:
    info = run.facts.info
    settings = {f"parameter {name}": spec_text(value) for name, value in info.settings.items()}
    return {"model": info.model, "data": info.dataset, **settings, **dict(all_entries(run.facts.recipe))}


def _values(run: RunResults, name: str, epochs: Sequence[int]) -> list[Value]:
    known = {line.epoch: getattr(line, name) for line in run.history}
    return [known.get(epoch) for epoch in epochs]


def _colour(index: int) -> str:
    return f"{index % COLOURS + 1}{' dashed' if index >= COLOURS else ''}"


def _network(first: RunResults, run: RunResults, found: Any) -> dict[str, Any]:
    titles = [first.name, run.name]
    return {
        "titles": titles,
        "changes": change_rows(found),
        "totals": totals(found),
        "lines": [*shape_lines(found), checkpoint_lines(found.fit, titles)[0]],
    }
