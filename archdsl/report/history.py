"""The history of runs for a page: charts over the epochs, and a table of their figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from archdsl.report.charts import Chart, Series, Value
from archdsl.report.facts import RunFacts
from archdsl.report.texts import TITLES, duration, number, percent
from archdsl.runs.folder import EpochMetrics

#: The most epochs in a table.
ROWS = 500
TRAINING, VALIDATION = "2", "1"

Column = tuple[str, Callable[[EpochMetrics], str]]

COLUMNS: dict[str, Column] = {
    "train_loss": ("train loss", lambda line: number(line.train_loss)),
    "train_accuracy": ("train accuracy", lambda line: percent(line.train_accuracy)),
    "val_loss": ("val loss", lambda line: number(line.val_loss)),
    "val_accuracy": ("val accuracy", lambda line: percent(line.val_accuracy)),
    "val_top5": ("val top-5", lambda line: percent(line.val_top5)),
    "val_f1": ("val F1", lambda line: percent(line.val_f1)),
    "lr": ("learning rate", lambda line: rate(line.lr)),
    "images_per_second": ("images/s", lambda line: f"{line.images_per_second:,.0f}"),
    "seconds": ("time", lambda line: duration(line.seconds)),
}


def rate(value: float) -> str:
    """A learning rate in three digits."""
    return f"{value:.3g}"


def hundredths(value: float) -> str:
    """A share in percent, without the sign."""
    return f"{100 * value:.2f}" if math.isfinite(value) else "NaN"


def measured(history: Sequence[EpochMetrics]) -> list[str]:
    """The figures of validation that were measured in any epoch, loss first."""
    return [name for name in TITLES if any(getattr(line, f"val_{name}") is not None for line in history)]


def charts(run: RunFacts) -> list[Chart]:
    """The loss and the other figures of training and validation, and the learning rate."""
    history, found = run.history, []
    epochs = [line.epoch for line in history]
    best = None if run.best is None or len(history) < 2 else epochs.index(run.best.epoch)
    for name in measured(history):
        series = [Series("training", TRAINING, values)] if any_known(values := column(history, f"train_{name}")) else []
        series.append(Series("validation", VALIDATION, column(history, f"val_{name}")))
        mark = (len(series) - 1, best) if name == run.monitor and best is not None else None
        found.append(figure_chart(TITLES[name], name, epochs, series, mark))
    rates = [Series("at the end", "3", column(history, "lr"))]
    return [*found, Chart("Learning rate", epochs, rates, rate)] if history else []


def figure_chart(
    title: str, name: str, epochs: Sequence[int], series: Sequence[Series], best: tuple[int, int] | None = None
) -> Chart:
    """The chart of a loss, or of a share in percent."""
    title = title[0].upper() + title[1:]
    if name == "loss":
        return Chart(title, epochs, series, number, may_be_log=True, best=best)
    shares = [Series(one.name, one.colour, [None if v is None else 100 * v for v in one.values]) for one in series]
    return Chart(title, epochs, shares, lambda value: hundredths(value / 100), "\u00a0%", best=best)


def column(history: Sequence[EpochMetrics], name: str) -> list[Value]:
    """A figure of each epoch."""
    return [getattr(line, name, None) for line in history]


def any_known(values: Sequence[Value]) -> bool:
    """Whether any value was measured."""
    return any(value is not None for value in values)


def epoch_columns(history: Sequence[EpochMetrics]) -> list[Column]:
    """The columns of the table that have values."""
    return [COLUMNS[name] for name in COLUMNS if any_known(column(history, name))]


def epoch_rows(run: RunFacts) -> list[tuple[EpochMetrics, list[str]]]:
    """A row for each epoch; of more than ROWS some are left out, but not the best and the last."""
    every, columns = -(-len(run.history) // ROWS), epoch_columns(run.history)
    kept = [line for i, line in enumerate(run.history, 1) if i % every == 0 or line in (run.best, run.history[-1])]
    return [(line, [f"{line.epoch:,}", *(text(line) for _, text in columns)]) for line in kept]
