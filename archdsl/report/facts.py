"""What a run folder says of its run: the facts that the report and comparisons show, read from its files alone."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from archdsl.recipe import Recipe
from archdsl.runs.best import best_epoch
from archdsl.runs.folder import EpochMetrics, RunFolder, RunInfo
from archdsl.runs.sessions import Seen, Session, read_sessions, state_of


@dataclass(frozen=True)
class RunFacts:
    """A run by its files. `name` is that of its folder, or a longer part of its path among several runs."""

    name: str
    folder: RunFolder
    info: RunInfo
    recipe: Recipe
    history: tuple[EpochMetrics, ...]
    sessions: tuple[Session, ...]
    environment: dict[str, Any]

    @property
    def state(self) -> Seen:
        """The state of the run; one of an earlier version is finished after its last epoch."""
        found = state_of(self.sessions)
        return "finished" if found == "unknown" and self.epochs == self.recipe.epochs else found

    @property
    def reason(self) -> str:
        """Why the run has ended as it did; empty where there is nothing to say."""
        return self.sessions[-1].reason if self.sessions else ""

    @property
    def monitor(self) -> str:
        """The figure that decides which weights are best."""
        measured = any(line.val_accuracy is not None for line in self.history)
        return self.recipe.monitor or ("accuracy" if measured else "loss")

    @property
    def tested(self) -> str:
        """What the samples of the final results are called."""
        return "test" if self.info.has_test else "validation"

    @cached_property
    def best(self) -> EpochMetrics | None:
        """The best epoch; one that a later epoch could still replace where the run has not finished."""
        return best_epoch(self.history, self.monitor)

    @property
    def epochs(self) -> int:
        """The epochs whose results are known; the last one may be part of an epoch."""
        return len(self.history)

    @property
    def steps(self) -> int:
        """The optimizer steps of these epochs."""
        return sum(line.steps for line in self.history)

    @property
    def is_cut_short(self) -> bool:
        """Whether the last epoch was only part of one (`max_steps`, `steps`)."""
        whole = self.info.epoch_steps
        return bool(whole and self.history and self.history[-1].steps < whole)

    @property
    def position(self) -> tuple[int, int]:
        """The complete epochs and the steps of the next one at the end of the last session."""
        return (self.sessions[-1].epoch, self.sessions[-1].step) if self.sessions else (self.epochs, 0)

    @property
    def planned_epochs(self) -> int | None:
        """The epochs that the whole run was to have; None where it is not known."""
        steps = self.sessions[-1].steps if self.sessions else 0
        return math.ceil(steps / self.info.epoch_steps) if steps and self.info.epoch_steps else None

    @property
    def has_trained_weights(self) -> bool:
        """Whether weights.safetensors holds more than the initial weights."""
        return bool(self.history) or (self.state == "stopped" and self.position != (0, 0))

    @property
    def train_seconds(self) -> float:
        """The time of the optimizer steps, without evaluation and loading, over all sessions."""
        return sum(line.seconds for line in self.history)

    @property
    def wall_seconds(self) -> float | None:
        """The time from the start to the end of each session, added up; None where one has no end."""
        times = [session.seconds for session in self.sessions]
        known = [time for time in times if time is not None]
        return sum(known) if times and len(known) == len(times) else None

    @property
    def started(self) -> datetime:
        return self.sessions[0].start if self.sessions else datetime.fromisoformat(self.info.started)

    @property
    def ended(self) -> datetime | None:
        """When the last session ended; None where it is running, was killed or is not known."""
        return self.sessions[-1].end if self.sessions else None

    @property
    def resume_command(self) -> str:
        return f"archdsl train --resume {shlex.quote(str(self.folder.path))}"

    @property
    def can_be_resumed(self) -> bool:
        """Whether resuming helps; after a loss that was not finite (E635) it would fail again."""
        return self.state in {"stopped", "killed", "failed"} and not self.reason.startswith("E635")

    @property
    def evaluation(self) -> dict[str, Any] | None:
        """The results at the end of the run; None where it has not finished, or has gone on since."""
        found = _json(self.folder.evaluation)
        return found if found.get("steps") == self.steps and self.steps else None


def read_run(path: Path, name: str | None = None) -> RunFacts:
    """Read a run folder. Raises SpecError for a folder that is not a run (E632) or is damaged (E633)."""
    folder = RunFolder(path)
    info, recipe, history = folder.read_info(), folder.read_recipe(), folder.read_metrics()
    name = name or path.resolve().name
    return RunFacts(name, folder, info, recipe, tuple(history), read_sessions(path), _json(folder.environment))


def _json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


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
