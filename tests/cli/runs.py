"""Run folders as training leaves them, written by hand: for tests of commands that only read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: 8 * 8 * 4 + 4 + 4 * 10 + 10 parameters for a width of 4.
SPEC = "model small(width = 4) { input(1x8x8); flatten; linear(width); relu; linear(10) }\n"


def write_run(
    path: Path,
    *,
    spec: str = SPEC,
    accuracies: Sequence[float | None] = (0.5, 0.75, 0.7),
    losses: Sequence[float] = (1.0, 0.5, 0.25),
    state: str = "finished",
    started: str = "2026-01-02T03:04:05+00:00",
    settings: dict[str, Any] | None = None,
    recipe: dict[str, Any] | None = None,
    **info: Any,
) -> Path:
    """A run of a spec with the validation's figures of its epochs."""
    path.mkdir(parents=True)
    (path / "spec.arch").write_text(spec)
    facts: dict[str, Any] = {
        "model": "small",
        "settings": {"width": 4} if settings is None else settings,
        "spec": "small.arch",
        "dataset": "digits",
    }
    facts |= {"classes": [str(i) for i in range(10)], "input": [1, 8, 8], "output": [10], "mean": [0.3], "std": [0.4]}
    (path / "run.json").write_text(json.dumps(facts | {"started": started, "epoch_steps": 23} | info))
    (path / "recipe.json").write_text(json.dumps({"epochs": 3} | (recipe or {})))
    lines = [_epoch(i, *figures) for i, figures in enumerate(zip(losses, accuracies, strict=False), 1)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    session = {"command": ["archdsl", "train", "small.arch"], "started": started, "state": state, "steps": 69}
    (path / "sessions.json").write_text(json.dumps([session | {"epoch": len(lines), "reason": ""}]))
    return path


def _epoch(epoch: int, loss: float, accuracy: float | None) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "steps": 23 * epoch,
        "train_loss": loss,
        "train_accuracy": accuracy,
        "val_loss": loss,
        "val_accuracy": accuracy,
        "lr": 0.1,
        "images_per_second": 100.0,
        "seconds": 2.0,
    }
