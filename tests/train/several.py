"""Runs in several processes: `torchrun ... -m tests.train.several JOBS.json OUT`, one job after the other.

A job is a list of a module's name, a recipe, a folder, whether it is resumed, and what happens: `nothing`, `kill R N`
(SIGKILL to process R in its step N, after the backward pass), `term R N` (SIGTERM there), `full R` (the disk
rejects process R), `nan R N` (the loss of process R is no number there), `reject R` (it cannot begin).
Each process writes a file OUT/JOB-RANK.json for each job: the exit code, and its diagnostics where it is to print
them. Accelerate has FSDP on GPUs only; where its variables ask for it, it is told here that the CPU is one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.training import NoDevice
from archdsl.files import write as files
from archdsl.files.write import cannot_write
from archdsl.recipe import Recipe
from archdsl.runs.progress import PlainProgress
from archdsl.train import run
from archdsl.train.step import Stepper
from tests.train.stub import Stub, cnn, layouts


def plain() -> nn.Module:
    """Nothing random, and no statistics over a batch."""
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(144, 10))


MODULES = {"plain": plain, "cnn": cnn, "layouts": layouts}


def in_step(number: int, action: Any) -> Any:
    """The stepper's update, with something before that of a step."""
    real, steps = Stepper._update, [0]

    def update(self: Stepper) -> None:
        steps[0] += 1
        if steps[0] == number:
            action()
        real(self)

    return patch.object(Stepper, "_update", update)


def no_number(number: int) -> Any:
    real, steps = Stepper._forward, [0]

    def forward(self: Stepper, inputs: tuple[Tensor, ...], targets: Tensor) -> tuple[Tensor, Tensor | None]:
        steps[0] += 1
        loss, hits = real(self, inputs, targets)
        return loss * torch.nan if steps[0] == number else loss, hits

    return patch.object(Stepper, "_forward", forward)


def full_disk(path: Path, write: Any) -> None:
    raise cannot_write(path, OSError(28, "No space left on device"))


def failing(*_: Any) -> None:
    raise SpecError([Diagnostic(NoDevice("cuda:7", "it is one of many"))])


@contextmanager
def happening(what: str, rank: int) -> Iterator[None]:
    kind, *numbers = what.split()
    if kind == "nothing" or int(numbers[0]) != rank:
        yield
        return
    patches: dict[str, Callable[[], Any]] = {
        "kill": lambda: in_step(int(numbers[1]), lambda: os.kill(os.getpid(), signal.SIGKILL)),
        "term": lambda: in_step(int(numbers[1]), lambda: os.kill(os.getpid(), signal.SIGTERM)),
        "full": lambda: patch.object(files, "_replace", full_disk),
        "nan": lambda: no_number(int(numbers[1])),
        "reject": lambda: patch.object(run, "set_up", failing),
    }
    with patches[kind]():
        yield


def do(module: str, recipe: str, folder: str, resume: bool, what: str) -> tuple[int, str]:
    """One job: the exit code, and what this process has to say."""
    where: dict[str, Any] = {"resume" if resume else "out": folder}
    given = Recipe.model_validate_json(recipe) if recipe else None
    try:
        with happening(what, int(os.environ.get("RANK", "0"))):
            result = run.run_training(Stub(MODULES[module]), given, **where, progress=PlainProgress())
    except SpecError as error:
        return 1, "" if error.here is False else str(error)
    return 128 + result.signal if result.interrupted else 0, ""


def shard_on_the_cpu() -> None:
    from accelerate import PartialState
    from accelerate.utils import DistributedType

    def backend(*_: Any, **__: Any) -> tuple[str, DistributedType]:
        return "gloo", DistributedType.MULTI_GPU

    PartialState._prepare_backend = backend
    os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"


def main(jobs: list[tuple[str, str, str, bool, str]], out: Path) -> int:
    torch.set_num_threads(1)
    # A launcher ends the others when one has ended; they say first how it was. In a run, its own handler answers.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.environ.get("ACCELERATE_USE_FSDP") == "true":
        shard_on_the_cpu()
    code = 0
    for number, job in enumerate(jobs):
        code, text = do(*job)
        said = json.dumps({"code": code, "text": text})
        (out / f"{number}-{os.environ['RANK']}.json").write_text(said, encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])))
