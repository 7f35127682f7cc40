"""The learning rate as a function of the step; only a plateau's reductions are state."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import cos, inf, pi
from typing import assert_never

from archdsl.recipe import schedules


def learning_rate(schedule: schedules.AnySchedule, base: float, step: int, epoch_steps: int, total: int) -> float:
    """The rate of optimizer step `step` (from 0) in a run of `total` steps, `epoch_steps` of them in an epoch.

    Schedules over the share of the run start after the warm-up; steps and milestones count from the start of the run.
    A plateau's reductions are not included (`Reductions`).
    """
    epoch = step // epoch_steps
    warm = warmup_steps(schedule, epoch_steps)
    after, length = max(step - warm, 0), max(total - warm, 1)
    done = min(after / length, 1)
    match schedule:
        case schedules.Constant() | schedules.Plateau():
            rate = base
        case schedules.Step():
            rate = base * schedule.gamma ** (epoch // schedule.every)
        case schedules.MultiStep():
            rate = base * schedule.gamma ** bisect_right(schedule.milestones, epoch)
        case schedules.Exponential():
            rate = base * schedule.gamma**epoch
        case schedules.Cosine():
            rate = schedule.minimum + (base - schedule.minimum) * (1 + cos(pi * done)) / 2
        case schedules.Linear():
            rate = base * (1 + (schedule.end_factor - 1) * done)
        case schedules.Polynomial():
            rate = base * (1 - done) ** schedule.power
        case schedules.OneCycle():
            rate = _one_cycle(schedule, base, after, length)
        case _:
            assert_never(schedule)
    return rate * _warmup_factor(schedule.warmup_start, step, warm) if step < warm else rate


def warmup_steps(schedule: schedules.AnySchedule, epoch_steps: int) -> int:
    """The length of the warm-up in optimizer steps."""
    return schedule.warmup_steps or round(schedule.warmup * epoch_steps)


def _warmup_factor(start: float, step: int, warm: int) -> float:
    """From `start` to 1; a warm-up from 0 starts with its second value, since a rate of 0 would waste a step."""
    return start + (1 - start) * step / warm if start else (step + 1) / warm


def _one_cycle(schedule: schedules.OneCycle, base: float, step: int, total: int) -> float:
    top, last = schedule.pct_start * total - 1, total - 1
    low = base / schedule.div_factor
    if step <= top:
        return _anneal(schedule, low, base, step / top if top else 1)
    return _anneal(schedule, base, low / schedule.final_div_factor, min((step - top) / (last - top), 1))


def _anneal(schedule: schedules.OneCycle, start: float, end: float, part: float) -> float:
    share = part if schedule.anneal_strategy == "linear" else (1 - cos(pi * part)) / 2
    return start + (end - start) * share


@dataclass
class Reductions:
    """The state of a plateau schedule, as in torch's `ReduceLROnPlateau`.

    factor     the current factor of the rate
    best       the best value so far of the monitored figure
    waited     epochs counted since then
    cooldown   epochs that will not be counted
    """

    factor: float = 1.0
    best: float | None = None
    waited: int = 0
    cooldown: int = 0

    def observe(self, schedule: schedules.Plateau, value: float, base: float, *, higher_is_better: bool) -> None:
        """Count an epoch with this value; reduce the rate after more than `patience` epochs without a better one."""
        margin = schedule.threshold if higher_is_better else -schedule.threshold
        best = self.best if self.best is not None else (-inf if higher_is_better else inf)
        bound = best * (1 + margin)
        if value > bound if higher_is_better else value < bound:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.cooldown:
            self.cooldown -= 1
            self.waited = 0
        if self.waited > schedule.patience:
            self.factor = max(self.factor * schedule.factor, schedule.min_lr / base)
            self.cooldown, self.waited = schedule.cooldown, 0
