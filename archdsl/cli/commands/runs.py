"""`archdsl runs`: the runs below a folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from archdsl.cli.options import TableOrJson
from archdsl.cli.printing import print_json

if TYPE_CHECKING:
    from archdsl.runs.folder import EpochMetrics
    from archdsl.runs.listing import Run

State = Literal["running", "finished", "stopped", "failed", "killed", "unknown", "damaged"]
Order = Literal["started", "best", "params", "name"]

EXAMPLES = (
    "archdsl runs",
    "archdsl runs --state finished --sort best -n 5",
    "archdsl runs runs experiments --format json",
)

#: How many of the runs that can be resumed are named with their command.
SHOWN = 5


def runs(
    folders: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DIR...]", help="Folders to search, at any depth, or runs.", show_default="runs"),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this model.")] = None,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs on this data set.")] = None,
    state: Annotated[State | None, typer.Option(help="Only runs in this state.")] = None,
    sort: Annotated[
        Order, typer.Option(help="The newest, the best, the smallest (params), or the first by its name at the top.")
    ] = "started",
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, metavar="N", help="Only the first N.")] = None,
    format: TableOrJson = "table",
) -> None:
    """List runs: state, model, epochs, best and last figure."""
    from archdsl.runs.listing import runs_below

    roots = _roots(folders)
    found = _sorted(_matching(runs_below(roots), model, dataset, state), sort)[:limit]
    if format == "json":
        print_json([_facts(run) for run in found])
    elif found:
        _draw(found)
    else:
        where = ", ".join(map(str, roots))
        print(
            f"no such run in {where}" if model or dataset or state else f"no run in {where}; `archdsl train` makes one"
        )


def _roots(folders: Sequence[str] | None) -> list[Path]:
    """The folders to search. One that is named must be there; the default one need not."""
    from archdsl.runs.find import RUNS

    for folder in folders or ():
        if not Path(folder).is_dir():
            raise typer.BadParameter(f"there is no folder {folder}", param_hint="DIR")
    return [Path(folder) for folder in folders or ()] or [RUNS]


def _matching(runs: Sequence[Run], model: str | None, dataset: str | None, state: str | None) -> list[Run]:
    return [
        run for run in runs if model in {None, run.model} and dataset in {None, run.data} and state in {None, run.state}
    ]


def _sorted(runs: Sequence[Run], order: Order) -> list[Run]:
    """The runs in an order; those that lack its figure last. They come with the newest first."""
    match order:
        case "started":
            return list(runs)
        case "name":
            return sorted(runs, key=lambda run: str(run.folder))
        case "params":
            return sorted(runs, key=lambda run: (run.params is None, run.params or 0))
        case "best":
            return sorted(runs, key=_rank)


def _rank(run: Run) -> tuple[str, float]:
    """The sort key of a run by its best epoch, among those that monitor the same figure; a loss should be small."""
    if run.best is None:
        return "~", 0
    value = run.best.figure(run.monitor)
    return run.monitor, value if run.monitor == "loss" else -value


def _facts(run: Run) -> dict[str, Any]:
    """The object of a run (docs/json.md)."""
    return {
        "folder": str(run.folder),
        "state": run.state,
        "reason": run.reason,
        "model": run.model,
        "dataset": run.data,
        "epochs": run.epochs[0],
        "planned_epochs": run.epochs[1],
        "monitor": run.monitor,
        "best": None if run.best is None else asdict(run.best),
        "last": None if run.last is None else asdict(run.last),
        "params": run.params,
        "started": None if run.started is None else run.started.isoformat(timespec="seconds"),
        "resume": _resume(run),
    }


def _resume(run: Run) -> str | None:
    """The command that resumes a run, if it can be."""
    return f"archdsl train --resume {shlex.quote(str(run.folder))}" if run.can_resume else None


def _draw(runs: Sequence[Run]) -> None:
    """Print a table, and under it what is wrong with a run, or how it is resumed."""
    from archdsl.view.tables import Column, draw, terminal_width

    columns = [
        Column("run", fold=16),
        Column("state"),
        Column("model", fold=12, drop=3),
        Column("data", fold=12, drop=5),
        Column("epochs", right=True, drop=2),
        Column("best", right=True),
        Column("in", right=True, drop=7),
        Column("last", right=True, drop=4),
        Column("params", right=True, drop=6),
        Column("started", drop=1),
    ]
    draw(columns, [_row(run) for run in runs], file=sys.stdout, width=terminal_width())
    notes = [note for run in runs if (note := _note(run))]
    more = [f"{len(notes) - SHOWN} more, which --format json prints too"] if len(notes) > SHOWN else []
    if notes:
        print("\n" + "\n".join([*notes[:SHOWN], *more]))


def _row(run: Run) -> list[str]:
    done, planned = run.epochs
    return [
        str(run.folder),
        run.state,
        run.model,
        run.data,
        "" if run.state == "damaged" else f"{done}/{planned}" if planned is not None else str(done),
        _figure(run, run.best),
        "" if run.best is None else str(run.best.epoch),
        _figure(run, run.last),
        "" if run.params is None else f"{run.params:,}",
        "" if run.started is None else f"{run.started:%Y-%m-%d %H:%M}",
    ]


def _figure(run: Run, epoch: EpochMetrics | None) -> str:
    """The monitored figure of an epoch: accuracy without its name."""
    value = None if epoch is None else getattr(epoch, f"val_{run.monitor}")
    if value is None:
        return ""
    return f"loss {value:.4f}" if run.monitor == "loss" else f"{run.monitor} {value:.2%}".removeprefix("accuracy ")


def _note(run: Run) -> str:
    """What a table cannot say of a run."""
    resume = _resume(run)
    reason = f" ({run.reason})" if run.reason else ""
    if resume is not None:
        return f"{run.folder} {'was killed' if run.state == 'killed' else run.state}{reason}: {resume}"
    return f"{run.folder} is damaged: {run.reason}" if run.state == "damaged" else ""
