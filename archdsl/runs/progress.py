"""What a run prints: its plan, its epochs with a bar below on a terminal, its outcome; as text, JSON or not at all."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from typing import Literal, Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

from archdsl.runs.folder import EpochMetrics
from archdsl.runs.plan import Outcome, Plan
from archdsl.runs.wording import (
    NAMES,
    EpochTable,
    Facts,
    clock,
    figure,
    lines_of,
    outcome_facts,
    plan_facts,
    share,
    terminal_width,
)

#: How a run is printed: for people, one JSON object in each line, its folder alone, or not at all.
Style = Literal["text", "json", "folder", "nothing"]
#: The narrowest bar, and the widest.
NARROW, WIDE = 8, 24
#: Seconds between two updates of the bar while the network is evaluated.
INTERVAL = 0.1


class Progress:
    """Prints nothing; the base of the others. A context for the time of the run."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Restore the terminal."""

    def note(self, text: str) -> None:
        """Print a line."""

    def start(self, plan: Plan) -> None:
        """Tell what the run will do."""

    def step(self, epoch: int, step: int, loss: float, accuracy: float | None, images_per_second: float) -> None:
        """Show the position (`epoch` and `step` from 1), the means of the epoch so far, and the speed."""

    def stage(self, name: str, done: int = 0, total: int = 0) -> None:
        """Show another work than training, with its position where `total` is known."""

    def epoch(self, metrics: EpochMetrics, *, best: bool) -> None:
        """Tell the results of an epoch, which may be the best so far."""

    def stop(self, where: str, resume: str) -> None:
        """Tell where the run was interrupted, and the command that resumes it."""
        self.note(f"stopped {where}; resume with: {resume}")

    def end(self, outcome: Outcome) -> None:
        """Tell what the run has done."""


class FolderProgress(Progress):
    """Prints the run folder alone."""

    def start(self, plan: Plan) -> None:
        print(plan.folder, flush=True)


class JsonProgress(Progress):
    """Prints one JSON object in each line (docs/json.md)."""

    def __init__(self) -> None:
        self.folder = ""

    def note(self, text: str) -> None:
        self._print("note", {"text": text})

    def start(self, plan: Plan) -> None:
        self.folder = str(plan.folder)
        self._print("start", plan.to_dict())

    def epoch(self, metrics: EpochMetrics, *, best: bool) -> None:
        self._print("epoch", asdict(metrics) | {"best": best})

    def stop(self, where: str, resume: str) -> None:
        self._print("end", {"state": "stopped", "folder": self.folder, "where": where, "resume": resume})

    def end(self, outcome: Outcome) -> None:
        self._print("end", outcome.to_dict())

    def _print(self, event: str, facts: dict[str, object]) -> None:
        print(json.dumps({"event": event} | {name: _as_json(value) for name, value in facts.items()}), flush=True)


def _as_json(value: object) -> object:
    """The value with null for what is no number, which JSON cannot express."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    return None if isinstance(value, float) and not isfinite(value) else value


class PlainProgress(Progress):
    """Prints lines."""

    def __init__(self) -> None:
        self.epochs = 0
        self.table: EpochTable | None = None

    @property
    def width(self) -> int:
        """The columns of a line."""
        return terminal_width()

    def note(self, text: str) -> None:
        self.lines([text])

    def lines(self, lines: Sequence[str], style: str = "") -> None:
        """Print lines; on a terminal in a style."""
        print("\n".join(lines), flush=True)

    def facts(self, facts: Facts) -> None:
        """Print facts, one below the other."""
        self.lines(lines_of(facts, self.width))

    def start(self, plan: Plan) -> None:
        self.epochs = plan.epochs
        self.facts(plan_facts(plan))

    def epoch(self, metrics: EpochMetrics, *, best: bool) -> None:
        if self.table is None:
            self.table = EpochTable(self.epochs, metrics, self.width)
            self.lines(["", self.table.header], "bold")
        self.lines([self.table.line(metrics, best=best)])

    def end(self, outcome: Outcome) -> None:
        self.lines([""])
        self.facts(outcome_facts(outcome))


class BarProgress(PlainProgress):
    """Draws a bar for the epoch with loss, accuracy, speed and the time left; completed epochs stay as lines."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.bar = Bar(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None, table_column=Column(min_width=NARROW, max_width=WIDE, ratio=1)),
            TextColumn("{task.fields[state]}", table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
            auto_refresh=False,
        )
        self.task = self.bar.add_task("", state="", visible=False)
        self.steps = self.done = self.total = 0
        self.started = self.shown = 0.0

    @property
    def width(self) -> int:
        return self.bar.console.width

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def lines(self, lines: Sequence[str], style: str = "") -> None:
        self._print(Text("\n".join(lines), style))

    def facts(self, facts: Facts) -> None:
        shown = Text("\n").join(Text(line) for line in lines_of(facts, self.width))
        shown.highlight_regex(rf"(?m)^\S.{{0,{NAMES - 1}}}(?=  )", "bold")
        self._print(shown)

    def _print(self, text: Text) -> None:
        self.bar.console.print(text, highlight=False, soft_wrap=True)

    def start(self, plan: Plan) -> None:
        super().start(plan)
        self.steps, self.done, self.total = plan.epoch_steps, plan.done, plan.steps
        self.started = time.monotonic()

    def step(self, epoch: int, step: int, loss: float, accuracy: float | None, images_per_second: float) -> None:
        complete = (epoch - 1) * self.steps + step
        pace = (time.monotonic() - self.started) / max(complete - self.done, 1)
        speed, left = f"{images_per_second:,.0f} images/s", f"{clock(pace * (self.total - complete))} left"
        hits = [] if accuracy is None else [f"accuracy {share(accuracy)}"]
        # What comes last is left out first where the terminal is narrow.
        self._show(f"epoch {epoch}/{self.epochs}", step, self.steps, [f"loss {figure(loss)}", left, *hits, speed])

    def stage(self, name: str, done: int = 0, total: int = 0) -> None:
        now = time.monotonic()
        if done == 0 or now - self.shown >= INTERVAL:
            self.shown = now
            self._show(name, done, total, [f"{done:,}/{total:,} samples"] if total else [])

    def epoch(self, metrics: EpochMetrics, *, best: bool) -> None:
        self.bar.update(self.task, visible=False, refresh=True)
        super().epoch(metrics, best=best)

    def end(self, outcome: Outcome) -> None:
        self.bar.update(self.task, visible=False, refresh=True)
        super().end(outcome)

    def _show(self, title: str, done: int, total: int, state: Sequence[str]) -> None:
        room = self.width - len(title) - NARROW - 2
        while state and len("  ".join(state)) > room:
            state = state[:-1]
        self.bar.update(
            self.task,
            description=title,
            completed=done,
            total=total or None,
            state="  ".join(state),
            visible=True,
            refresh=True,
        )


def make_progress(style: Style = "text") -> Progress:
    """The progress of a style; text suits standard output."""
    match style:
        case "nothing":
            return Progress()
        case "folder":
            return FolderProgress()
        case "json":
            return JsonProgress()
        case "text":
            is_terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
            return BarProgress(Console()) if is_terminal else PlainProgress()
