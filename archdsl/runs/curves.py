"""The curves of a run: loss and accuracy over the epochs, for training and validation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.files.write import write_atomically
from archdsl.runs.folder import EpochMetrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRAINING, VALIDATION = "#1f77b4", "#d62728"


def draw_curves(history: Sequence[EpochMetrics], title: str, path: Path) -> None:
    """Write the curves as a PNG of 1400 x 525 pixels. The figure needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(curves(history, title))
    write_atomically(path, lambda temporary: canvas.print_figure(temporary, format="png"))


def curves(history: Sequence[EpochMetrics], title: str) -> Figure:
    """The curves as a figure of 1400 x 525 pixels."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(10, 3.75), dpi=140, layout="constrained")
    figure.suptitle(title)
    epochs = [line.epoch for line in history]
    scales = {"loss": 1, "accuracy": 100} if history[-1].val_accuracy is not None else {"loss": 1}
    every = figure.subplots(1, len(scales), squeeze=False)[0]
    for axes, (name, scale) in zip(every, scales.items(), strict=True):
        for part, colour in (("train", TRAINING), ("val", VALIDATION)):
            values = [scale * getattr(line, f"{part}_{name}") for line in history]
            label = {"train": "training", "val": "validation"}[part]
            axes.plot(epochs, values, color=colour, label=label, marker="." if len(epochs) <= 30 else "")
        axes.set(xlabel="epoch", ylabel=name if scale == 1 else f"{name} in %")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    return figure
