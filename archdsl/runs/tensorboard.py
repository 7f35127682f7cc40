"""A run's figures for TensorBoard, where the recipe asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.commands import MissingPackage
from archdsl.recipe import Recipe
from archdsl.runs.folder import EpochMetrics


class Board:
    """Writes nothing."""

    def step(self, number: int, loss: float) -> None:
        """The loss of a step (from 1, over the whole run)."""

    def epoch(self, steps: int, metrics: EpochMetrics) -> None:
        """The figures of an epoch, after so many steps."""

    def close(self) -> None:
        """Bring everything to the disk."""


class TensorBoard(Board):
    """Writes event files into a folder; what was written there beyond `steps` steps is taken back."""

    def __init__(self, folder: Path, steps: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer: Any = SummaryWriter(str(folder), purge_step=steps + 1)

    def step(self, number: int, loss: float) -> None:
        self.writer.add_scalar("step/train_loss", loss, number)

    def epoch(self, steps: int, metrics: EpochMetrics) -> None:
        for part in ("train", "val"):
            for name in ("loss", "accuracy", "top5", "f1"):
                if (value := getattr(metrics, f"{part}_{name}", None)) is not None:
                    self.writer.add_scalar(f"{name}/{part}", value, steps)
        self.writer.add_scalar("lr", metrics.lr, steps)
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


def make_board(recipe: Recipe, folder: Path, steps: int) -> Board:
    """The recipe's. Raises SpecError (E701) where the package is missing."""
    if not recipe.tensorboard:
        return Board()
    require_tensorboard(recipe)
    return TensorBoard(folder, steps)


def require_tensorboard(recipe: Recipe) -> None:
    """Raise SpecError (E701) where the recipe asks for TensorBoard and its package is missing."""
    if not recipe.tensorboard:
        return
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        problem = MissingPackage("`tensorboard = true`", "tensorboard", "tensorboard")
        raise SpecError([Diagnostic(problem, recipe.place("tensorboard"))]) from error
