"""A run in a process of its own that kills itself: `python -m tests.train.killed FOLDER WHEN RECIPE.json`.

WHEN is `step N` (with SIGKILL in the optimizer's step N), `write N` (in the middle of writing checkpoint N),
`rename N` (before checkpoint N takes its place), `term N` (SIGTERM after step N), `full N` (the disk takes no
more than N bytes in one file), or `never`. A folder with a checkpoint is resumed.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import nn

from archdsl.diagnostics import SpecError
from archdsl.files import tensors as files
from archdsl.recipe import Recipe
from archdsl.runs.progress import PlainProgress
from archdsl.train.run import run_training
from archdsl.train.step import Stepper
from tests.train.stub import Stub, cnn


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def die_in_step(number: int, with_signal: int = signal.SIGKILL) -> None:
    """Within the step, after the backward pass and before the optimizer's."""
    real, steps = Stepper._update, [0]

    def update(self: Stepper) -> None:
        steps[0] += 1
        if steps[0] == number:
            os.kill(os.getpid(), with_signal)
        real(self)

    Stepper._update = update  # type: ignore[method-assign]


def die_in_writing(number: int, *, renaming: bool) -> None:
    """With half of the file's bytes on the disk, or with all of them but under the temporary name."""
    module: Any = files
    real, written = module.save_file, [0]

    def save_file(tensors: Any, path: Path, metadata: Any) -> None:
        real(tensors, path, metadata)
        written[0] += path.name.startswith(".step-")
        if written[0] == number and path.name.startswith(".step-"):
            if not renaming:
                os.truncate(path, path.stat().st_size // 2)
            die()

    module.save_file = save_file


def main(folder: Path, when: str, recipe: Recipe, make: Callable[[], nn.Module] = cnn) -> int:
    """Train or resume; the exit code is 128 plus the signal's number where one was caught."""
    torch.set_num_threads(1)
    kind, _, number = when.partition(" ")
    match kind:
        case "step":
            die_in_step(int(number))
        case "term":
            die_in_step(int(number), signal.SIGTERM)
        case "write" | "rename":
            die_in_writing(int(number), renaming=kind == "rename")
        case "full":
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(number), int(number)))
    there = any((folder / "checkpoints").glob("step-*"))
    where: dict[str, Any] = {"resume" if there else "out": folder}
    try:
        result = run_training(Stub(make), recipe, **where, progress=PlainProgress())
    except SpecError as error:
        print(error)
        return 1
    return 128 + result.signal if result.interrupted else 0


if __name__ == "__main__":
    text = Path(sys.argv[3]).read_text(encoding="utf-8")
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], Recipe.model_validate_json(text)))
