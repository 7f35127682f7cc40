"""The entries of a recipe that are constructs, and what each may be."""

from __future__ import annotations

from typing import Any, get_args

from archdsl.recipe.augmentations import AnyAugmentation
from archdsl.recipe.datasets import AnyDataSet
from archdsl.recipe.losses import AnyLoss
from archdsl.recipe.optimizers import AnyOptimizer
from archdsl.recipe.parts import Part
from archdsl.recipe.schedules import AnySchedule


def _by_kind(union: Any) -> dict[str, type[Part]]:
    return {cls.model_fields["kind"].default: cls for cls in get_args(union)}


#: The entries that are constructs, and what each may be.
FAMILIES: dict[str, dict[str, type[Part]]] = {
    "dataset": _by_kind(AnyDataSet),
    "optimizer": _by_kind(AnyOptimizer),
    "schedule": _by_kind(AnySchedule),
    "loss": _by_kind(AnyLoss),
    "augment": _by_kind(AnyAugmentation),
}
FAMILY_NAMES = {"dataset": "data set", "augment": "augmentation"}
LISTS = {"augment"}
