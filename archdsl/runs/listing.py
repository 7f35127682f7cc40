"""What is known of runs from their folders, without torch: for a list of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from archdsl.diagnostics import SpecError
from archdsl.diagnostics.codes.training import NothingToResume
from archdsl.recipe import Recipe
from archdsl.runs.best import best_epoch, monitored
from archdsl.runs.find import folders_below
from archdsl.runs.folder import EpochMetrics, RunFolder, RunInfo
from archdsl.runs.sessions import Seen, Session, read_sessions, state_of

State = Literal[Seen, "damaged"]


@dataclass(frozen=True, slots=True)
class Run:
    """A run as a list shows it. Of a damaged one only the folder and the reason are known.

    epochs   complete epochs and those of the whole run, None where these are not known
    monitor  the figure that decides which epoch is the best
    params   the parameters of the network, None where its spec cannot be expanded
    reason   why the run stopped or failed, or what is wrong with its files
    """

    folder: Path
    state: State
    model: str = ""
    data: str = ""
    epochs: tuple[int, int | None] = (0, None)
    monitor: str = "loss"
    best: EpochMetrics | None = None
    last: EpochMetrics | None = None
    params: int | None = None
    started: datetime | None = None
    reason: str = ""

    @property
    def can_resume(self) -> bool:
        """Whether training can go on from a checkpoint."""
        return self.state in {"stopped", "killed", "failed"}


def runs_below(roots: Iterable[Path]) -> list[Run]:
    """The runs in folders at any depth, each once, the newest first, damaged ones last."""
    folders = dict.fromkeys(folder for root in roots for folder in folders_below(root))
    return sorted(map(read_run, folders), key=lambda run: (run.started is None, -_seconds(run), str(run.folder)))


def _seconds(run: Run) -> float:
    return 0.0 if run.started is None else run.started.timestamp()


def read_run(path: Path) -> Run:
    """What is known of a run folder; a damaged one is a run of that state."""
    folder = RunFolder(path)
    try:
        info, recipe, history = folder.read_info(), folder.read_recipe(), folder.read_metrics()
        started = datetime.fromisoformat(info.started).astimezone()
    except (SpecError, ValueError) as error:
        return Run(path, "damaged", reason=_reason(error))
    sessions = read_sessions(path)
    monitor = monitored(recipe, history)
    known = Run(path, "unknown", info.model, info.dataset, (len(history), None), monitor, params=_params(folder, info))
    run = replace(known, best=best_epoch(history, monitor), last=history[-1] if history else None, started=started)
    return _with_state(run, info, recipe, sessions)


def _with_state(run: Run, info: RunInfo, recipe: Recipe, sessions: Sequence[Session]) -> Run:
    """The run with its planned epochs and its state; one of an earlier version is finished after its last epoch."""
    planned = recipe.epochs
    steps = sessions[-1].steps if sessions else None
    if planned is None and steps and info.epoch_steps:
        planned = -(-steps // info.epoch_steps)
    state = state_of(sessions)
    if state == "unknown" and run.epochs[0] == planned:
        state = "finished"
    return replace(run, state=state, epochs=(run.epochs[0], planned), reason=sessions[-1].reason if sessions else "")


def _reason(error: SpecError | ValueError) -> str:
    """What is wrong with the files of a run, in a few words."""
    if not isinstance(error, SpecError):
        return f"run.json: {error}"
    [diagnostic] = error.diagnostics
    problem = diagnostic.problem
    return f"{problem.missing} is missing" if isinstance(problem, NothingToResume) else diagnostic.message


def _params(folder: RunFolder, info: RunInfo) -> int | None:
    """The parameters of the network that was trained."""
    if info.params is not None:
        return info.params
    from archdsl.elaborate import elaborate, load_module
    from archdsl.elaborate.modules import read

    try:
        module = load_module(read(folder.spec), folder.spec)
        return elaborate(module, info.model, input=info.input, settings=info.settings).params
    except SpecError:
        return None
