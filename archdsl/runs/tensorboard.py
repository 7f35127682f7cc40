"""A run's figures for TensorBoard, where the recipe asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.commands import MissingPackage
from archdsl.recipe import Recipe
from archdsl.runs.folder import EpochMetrics


class Board:
    """Writes event files into a folder, without one nothing; entries there beyond `steps` steps are replaced."""

    def __init__(self, folder: Path | None = None, steps: int = 0) -> None:
        self.writer: Any = None
        if folder is not None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(folder), purge_step=steps + 1)

    def step(self, number: int, loss: float) -> None:
        """The loss of a step (from 1, over the whole run)."""
        if self.writer is not None:
            self.writer.add_scalar("step/train_loss", loss, number)

    def epoch(self, steps: int, metrics: EpochMetrics) -> None:
        """The figures of an epoch, after so many steps."""
        if self.writer is None:
            return
        for part in ("train", "val"):
            for name in ("loss", "accuracy", "top5", "f1"):
                if (value := getattr(metrics, f"{part}_{name}", None)) is not None:
                    self.writer.add_scalar(f"{name}/{part}", value, steps)
        self.writer.add_scalar("lr", metrics.lr, steps)
        self.writer.flush()

    def close(self) -> None:
        """Write everything to the disk."""
        if self.writer is not None:
            self.writer.close()


def require_tensorboard(recipe: Recipe) -> None:
    """Raise SpecError (E701) where the recipe asks for TensorBoard and its package is missing."""
    if not recipe.tensorboard:
        return
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        problem = MissingPackage("`tensorboard = true`", "tensorboard", "tensorboard")
        raise SpecError([Diagnostic(problem, recipe.place("tensorboard"))]) from error
