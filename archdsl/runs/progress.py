"""What a run prints: a progress bar on a terminal, one line for each epoch elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from archdsl.runs.folder import EpochMetrics


class Progress:
    """Prints nothing; the base of the others. A context for the time of the run."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Restore the terminal."""

    def note(self, text: str) -> None:
        """Print a line."""

    def start(self, epochs: int, steps: int, done: int) -> None:
        """Start a run of `epochs` times `steps` steps, `done` of which are complete."""

    def step(self, epoch: int, step: int, loss: float, accuracy: float | None, images_per_second: float) -> None:
        """Show the position (`epoch` and `step` from 1), the means of the epoch so far, and the speed."""

    def epoch(self, metrics: EpochMetrics) -> None:
        """Print the results of an epoch."""


class PlainProgress(Progress):
    """Prints one line for each epoch and note."""

    def __init__(self) -> None:
        self.epochs = 0

    def note(self, text: str) -> None:
        print(text, flush=True)

    def start(self, epochs: int, steps: int, done: int) -> None:
        self.epochs = epochs

    def epoch(self, metrics: EpochMetrics) -> None:
        self.note(epoch_line(metrics, self.epochs))


class BarProgress(PlainProgress):
    """Draws a bar for the epoch with loss, accuracy, speed and the time left; completed epochs stay as lines."""

    def __init__(self, console: Console) -> None:
        columns = TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[state]}")
        self.bar = Bar(*columns, console=console, transient=True, auto_refresh=False)
        self.task = self.bar.add_task("", state="", visible=False)
        self.epochs = self.steps = self.done = 0
        self.started = 0.0

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def note(self, text: str) -> None:
        self.bar.console.print(text, highlight=False, markup=False)

    def start(self, epochs: int, steps: int, done: int) -> None:
        self.epochs, self.steps, self.done = epochs, steps, done
        self.started = time.monotonic()

    def step(self, epoch: int, step: int, loss: float, accuracy: float | None, images_per_second: float) -> None:
        complete = (epoch - 1) * self.steps + step
        pace = (time.monotonic() - self.started) / max(complete - self.done, 1)
        left = clock(pace * (self.epochs * self.steps - complete))
        state = f"loss {loss:.4f}{_share('accuracy', accuracy)}  {images_per_second:,.0f} images/s  {left} left"
        title, total = f"epoch {epoch}/{self.epochs}", self.steps
        self.bar.update(
            self.task, description=title, completed=step, total=total, state=state, visible=True, refresh=True
        )


def make_progress(*, quiet: bool) -> Progress:
    """The progress that suits standard output."""
    if quiet:
        return Progress()
    return BarProgress(Console()) if sys.stdout.isatty() else PlainProgress()


def epoch_line(metrics: EpochMetrics, epochs: int) -> str:
    """The results of an epoch in one line."""
    m = metrics
    others = _share("top5", m.val_top5) + _share("f1", m.val_f1)
    return (
        f"epoch {m.epoch:>{len(str(epochs))}}/{epochs}"
        f"  train loss {m.train_loss:.4f}{_share('accuracy', m.train_accuracy)}"
        f"  val loss {m.val_loss:.4f}{_share('accuracy', m.val_accuracy)}{others}"
        f"  lr {m.lr:.3g}  {m.images_per_second:,.0f} images/s  {clock(m.seconds)}"
    )


def _share(name: str, value: float | None) -> str:
    """A figure in percent, empty where it is not measured."""
    return "" if value is None else f"  {name} {value:6.2%}"


def clock(seconds: float) -> str:
    """`0:07`, `12:34`, `3:04:05`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
