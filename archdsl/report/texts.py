"""Numbers, times and sentences as a report writes them."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from archdsl.arguments.values import spec_text
from archdsl.diagnostics.render import plural
from archdsl.recipe import Recipe
from archdsl.recipe.parts import plain
from archdsl.report.charts import NONE
from archdsl.report.facts import RunFacts

#: The figures of a validation, as they are called.
TITLES = {"loss": "loss", "accuracy": "accuracy", "top5": "top-5 accuracy", "f1": "F1"}


def percent(share: float | None, digits: int = 2) -> str:
    """`87.61 %`, without a break before the sign; a dash where it was not measured."""
    return NONE if share is None else f"{share:.{digits}%}".replace("%", "\u00a0%") if math.isfinite(share) else "NaN"


def number(value: float | None) -> str:
    """A loss: four decimals, more digits only where these would be zeros."""
    if value is None:
        return NONE
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    return f"{value:,.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.3e}"


def figure(name: str, value: float | None) -> str:
    """The value of a figure: a loss as a number, all others in percent."""
    return number(value) if name == "loss" else percent(value)


def duration(seconds: float | None) -> str:
    """`40 ms`, `0.4 s`, `12 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds is None:
        return NONE
    if seconds < 0.0995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, second = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {second:02} s" if minutes else f"{second} s"
    hours, minute = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minute:02} min"


def moment(time: datetime) -> str:
    """`22 November 2026, 02:46`, in the time zone of the run."""
    return f"{time.day} {time:%B %Y, %H:%M}"


def period(start: datetime, end: datetime | None) -> str:
    """A start and an end, with the date once where both are of one day."""
    if end is None:
        return f"{moment(start)} –"
    if moment(start) == moment(end):
        return moment(start)
    return f"{moment(start)} – {f'{end:%H:%M}' if start.date() == end.date() else moment(end)}"


def length(run: RunFacts) -> str:
    """`3 epochs (39 steps)`; of a run that ended within an epoch, `2 epochs and 5 of 13 steps (31 steps)`."""
    steps = f"({plural(run.steps, 'step')})"
    if not run.is_cut_short:
        return f"{plural(run.epochs, 'epoch')} {steps}"
    part = f"{run.history[-1].steps} of {run.info.epoch_steps} steps"
    return f"{plural(run.epochs - 1, 'epoch')} and {part} {steps}" if run.epochs > 1 else f"{part} of an epoch"


def ending(run: RunFacts) -> str:
    """A sentence on how the run ended; empty for one that ended as planned."""
    epoch, step = run.position
    whole = f" of {run.info.epoch_steps}" if run.info.epoch_steps else ""
    planned = f" of {run.planned_epochs:,}" if run.planned_epochs else ""
    where = f"in epoch {epoch + 1}{planned}, after step {step}{whole}" if step else f"after epoch {epoch}{planned}"
    match run.state:
        case "finished":
            return f"It ended early: {run.reason}." if run.reason else ""
        case "stopped":
            return f"It was stopped {f'{run.reason} ' if run.reason.startswith('by') else ''}{where}."
        case "failed":
            return f"It failed in epoch {epoch + 1}{planned}: {run.reason.rstrip('.')}."
        case "killed":
            return "Its process ended without a message: it was killed, or the machine went down."
        case "running":
            return f"It is still running; this page shows the first {run.epochs}{planned} epochs."
    return ""


def weights_of(run: RunFacts) -> str:
    """Which weights the results are of."""
    epoch, step = run.position
    if run.state == "stopped" and step:
        found = f"the weights in epoch {epoch + 1}, after step {step}"
    else:
        found = f"the weights after {f'epoch {run.epochs}' if run.state != 'finished' else 'the last epoch'}"
    return f"{found} (their moving average, decay {run.recipe.ema:g})" if run.recipe.ema is not None else found


def entry_text(value: Any) -> str:
    """An entry of a recipe as a spec writes it."""
    return spec_text(plain(value))


def own_entries(recipe: Recipe) -> list[tuple[str, str, str]]:
    """The entries that differ from their defaults: name, value and default."""
    usual = Recipe()
    pairs = [(name, getattr(recipe, name), getattr(usual, name)) for name in Recipe.model_fields]
    return [(name, entry_text(value), entry_text(default)) for name, value, default in pairs if value != default]


def all_entries(recipe: Recipe) -> list[tuple[str, str]]:
    """Every entry with its value."""
    return [(name, entry_text(getattr(recipe, name))) for name in Recipe.model_fields]
