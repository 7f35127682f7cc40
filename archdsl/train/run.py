"""A run from its recipe to its end: set up the data, the device and the optimizer, then train."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from archdsl.diagnostics import Diagnostic, Help, SpecError
from archdsl.diagnostics.codes.training import OtherRun, OutOfMemory
from archdsl.recipe import Recipe
from archdsl.recipe.fit import untrained
from archdsl.runs.folder import RunFolder, RunInfo, create_run_folder, find_run_folder
from archdsl.runs.progress import Progress, make_progress
from archdsl.runs.tensorboard import require_tensorboard
from archdsl.train.interrupts import catching_interrupts
from archdsl.train.loop import AtEnd, Loop, Result
from archdsl.train.processes.launch import processes_of_run
from archdsl.train.processes.processes import Processes
from archdsl.train.setup import Setup, Trainable, placed, set_up
from archdsl.train.start import start_from
from archdsl.train.step import Stepper

#: What may differ when a run is resumed.
CHANGEABLE = {
    *("epochs", "steps", "max_steps", "patience"),
    *("root", "device", "workers"),
    *("keep", "checkpoint_every", "tensorboard", "report"),
}


def run_training(
    network: Trainable,
    recipe: Recipe | None = None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    quiet: bool = False,
    at_end: AtEnd | None = None,
    progress: Progress | None = None,
) -> Result:
    """Train `network` by `recipe` in the run folder `out` (default: runs/<model>-<date>-<time>).

    With `resume`, the run in that folder goes on, by its own recipe unless one is given, which may differ in CHANGEABLE
    only; on the CPU its weights are bit for bit those of a run that was never stopped. `out` must be None then.
    Progress is printed unless `quiet`. Where `Result.interrupted`, the exit code is 128 plus `Result.signal`.
    `at_end` is called before it returns (`archdsl.report.reporter(network)` writes the report). Where a launcher has
    started several processes, all call this: they train together, and the main one writes.

        result = run_training(archdsl.load("specs/lenet.arch"), Recipe(epochs=3))

    Raises:
        SpecError: data, recipe, folder, disk or memory do not allow it, or the loss is not finite.
    """
    if out is not None and resume is not None:
        raise ValueError("a resumed run stays in its folder: give either out or resume")
    with processes_of_run() as processes:
        progress = (progress or make_progress(quiet=quiet)) if processes.is_main else Progress()
        old, recipe, info = processes.from_main(lambda: _start(resume, recipe))
        setup = processes.everywhere(lambda: _set_up(network, recipe, info, processes))
        with placed(recipe, network.path), enough_memory(setup, network.path):
            module, notes = processes.everywhere(lambda: _module(network, setup, processes, fresh=old is None))
            stepper = Stepper(
                recipe,
                module.to(setup.device),
                setup.device,
                classes=len(setup.classes),
                aux=[head.output_name for head in network.aux],
                path=network.path,
                processes=processes,
            )
            folder = old or processes.from_main(lambda: create_run_folder(out, network.name))
            devices = [setup.device] if setup.device.type == "cuda" else []
            with progress, torch.random.fork_rng(devices), catching_interrupts() as stop:
                for note in (*setup.notes, *notes, *processes.notes(recipe.batch)):
                    progress.note(note)
                loop = Loop(network, setup, stepper, folder, progress, stop)
                if old is None:
                    loop.start()
                else:
                    loop.resume()
                return loop.train(at_end)


def _start(resume: str | Path | None, recipe: Recipe | None) -> tuple[RunFolder | None, Recipe, RunInfo | None]:
    """The folder of the run to resume, None for a new one; its recipe and its facts."""
    if resume is None:
        return None, recipe or Recipe(), None
    old = find_run_folder(Path(resume))
    started = old.read_recipe()
    if recipe is not None:
        _require_same(started, recipe, str(old.path))
    return old, recipe or started, old.read_info()


def _require_same(started: Recipe, recipe: Recipe, folder: str) -> None:
    """Reject (E634) a recipe that differs in more than CHANGEABLE from the one the run was started with."""
    for name in Recipe.model_fields:
        before, now = getattr(started, name), getattr(recipe, name)
        if name not in CHANGEABLE and before != now:
            raise SpecError(
                [Diagnostic(OtherRun(folder, name, str(now), str(before)), recipe.place(name), path=folder)]
            )


def _set_up(network: Trainable, recipe: Recipe, info: RunInfo | None, processes: Processes) -> Setup:
    require_tensorboard(recipe)
    if found := untrained(recipe, network, network.path):
        raise SpecError(found)
    return set_up(network, recipe, info, processes)


def _module(network: Trainable, setup: Setup, processes: Processes, *, fresh: bool) -> tuple[nn.Module, list[str]]:
    """The network's module with the weights to start from, and notes on them."""
    recipe = setup.recipe
    module = network.build(seed=recipe.seed)
    notes = start_from(module, recipe) if fresh else []
    if recipe.sync_batchnorm and processes.world > 1:
        module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
    return module, notes


@contextmanager
def enough_memory(setup: Setup, path: str) -> Iterator[None]:
    """Turn an error of too little memory on the device into a SpecError."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        # PyTorch has an exception class for accelerators, but none for the CPU.
        if not (isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)):
            raise
        recipe = setup.recipe
        samples = -(-recipe.batch // recipe.accumulate)
        accumulate = f"--set accumulate={2 * recipe.accumulate}"
        helps = (Help(f"start anew with `{accumulate}` or `--batch {max(recipe.batch // 2, 1)}`"),)
        problem = OutOfMemory(str(setup.device), samples)
        raise SpecError([Diagnostic(problem, recipe.place("batch"), helps=helps, path=path)]) from error
