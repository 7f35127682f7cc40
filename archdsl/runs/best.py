"""The best epoch of a run: the one rule that the report, comparisons and messages share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archdsl.recipe import Recipe
    from archdsl.runs.folder import EpochMetrics


def is_better(monitor: str, value: float, best: float | None) -> bool:
    """Whether a value of the monitored figure is better than another; NaN is worse than any number."""
    if math.isnan(value):
        return best is None
    return best is None or math.isnan(best) or (value < best if monitor == "loss" else value > best)


def best_epoch(history: Sequence[EpochMetrics], monitor: str) -> EpochMetrics | None:
    """The epoch with the best value of `monitor`, the first of equals; None without epochs that measured it."""
    found: EpochMetrics | None = None
    for line in history:
        value = getattr(line, f"val_{monitor}")
        if value is not None and is_better(monitor, value, None if found is None else found.figure(monitor)):
            found = line
    return found


def monitored(recipe: Recipe, history: Sequence[EpochMetrics]) -> str:
    """The figure that decides which epoch is the best: the recipe's, else the accuracy if it was measured."""
    measured = any(line.val_accuracy is not None for line in history)
    return recipe.monitor or ("accuracy" if measured else "loss")
