"""The curves of runs, drawn without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.pictures import NothingToDraw
from archdsl.drawing.themes import Theme
from archdsl.figures.style import SERIES, styled
from archdsl.figures.style import figure as made

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from archdsl.runs.folder import EpochMetrics


def curves(runs: Mapping[str, Sequence[EpochMetrics]], *, title: str = "Training", theme: Theme = "light") -> Figure:
    """Loss, accuracy and learning rate over the epochs, for training and validation.

    Args:
        runs: the metrics of each run by its name, as `RunFolder.read_metrics` returns them.
        title: of the figure.
        theme: of the page and text.

    Raises:
        SpecError: no run has metrics (E742).
    """
    runs = {name: history for name, history in runs.items() if history}
    if not runs:
        raise SpecError([Diagnostic(NothingToDraw("curves", "no epoch has been finished"))])
    has_accuracy = any(line.val_accuracy is not None for history in runs.values() for line in history)
    panels = ["loss", *(["accuracy"] if has_accuracy else []), "lr"]
    with styled(theme) as colours:
        figure = made(3.6 * len(panels), 3.7 + 0.16 * len(runs), title, "", colours["soft"])
        every = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, panel in zip(every, panels, strict=True):
            _panel(axes, panel, runs)
        handles, labels = every[0].get_legend_handles_labels()
        legend = figure.legend(handles, labels, loc="outside lower left", ncols=4, frameon=False)
        for text in legend.get_texts():
            text.set_color(colours["ink"])
        return figure


def _panel(axes: Axes, panel: str, runs: Mapping[str, Sequence[EpochMetrics]]) -> None:
    """One figure of all runs."""
    from matplotlib.ticker import MaxNLocator

    scale = 100 if panel == "accuracy" else 1
    for i, (name, history) in enumerate(runs.items()):
        for part, line in (("train", "--"), ("val", "-")) if panel != "lr" else (("", "-"),):
            points = [(one.epoch, getattr(one, f"{part}_{panel}" if part else "lr")) for one in history]
            known = [(epoch, scale * value) for epoch, value in points if value is not None]
            colour = SERIES[i % len(SERIES)] if len(runs) > 1 or part != "train" else SERIES[1]
            word = {"train": "training", "val": "validation", "": "learning rate"}[part]
            label = word if len(runs) == 1 else f"{name}, {word}"
            marker = "o" if len(known) <= 30 else ""
            style = "-" if len(runs) == 1 else line
            axes.plot(
                *zip(*known, strict=True) if known else ([], []),
                style,
                color=colour,
                label=label,
                marker=marker,
                markersize=3,
            )
    titles = {"loss": "loss", "accuracy": "accuracy in %", "lr": "learning rate at the end of the epoch"}
    axes.set(xlabel="epoch", title=titles[panel])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    longest = max(len(history) for history in runs.values())
    if longest == 1:
        axes.set_xlim(0.5, 1.5)
        axes.set_xticks([1])
    if panel == "lr":  # from 0: a constant rate would have a scale of a few percent around it
        axes.set_ylim(bottom=0)
    axes.grid()
    axes.set_axisbelow(True)
