"""The learning rate as a function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

from bisect import bisect_right
from math import cos, pi
from typing import assert_never

from archdsl.recipe import AnySchedule, Constant, Cosine, MultiStep, Step


def learning_rate(schedule: AnySchedule, base: float, step: int, epoch_steps: int, epochs: int) -> float:
    """The rate of optimizer step `step` (from 0) in a run of `epochs` epochs of `epoch_steps` steps.

    During `warmup` (in epochs, a fraction counts) the rate rises linearly from near 0 to the schedule's own;
    a cosine starts where the warm-up ends, steps and milestones are counted from the start of the run.
    """
    epoch = step // epoch_steps
    warm = round(schedule.warmup * epoch_steps)
    match schedule:
        case Constant():
            rate = base
        case Step():
            rate = base * schedule.gamma ** (epoch // schedule.every)
        case MultiStep():
            rate = base * schedule.gamma ** bisect_right(schedule.milestones, epoch)
        case Cosine():
            part = max(step - warm, 0) / max(epochs * epoch_steps - warm, 1)
            rate = schedule.minimum + (base - schedule.minimum) * (1 + cos(pi * min(part, 1))) / 2
        case _:
            assert_never(schedule)
    return rate * (step + 1) / warm if step < warm else rate
