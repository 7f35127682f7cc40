"""A run from its recipe to its end: set up the data, the device and the optimizer, then train."""

from __future__ import annotations

from pathlib import Path

import torch

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.training import OtherRun
from archdsl.recipe import Recipe
from archdsl.recipe.fit import untrained
from archdsl.runs.folder import RunFolder, RunInfo, create_run_folder, find_run_folder
from archdsl.runs.progress import Progress, make_progress
from archdsl.runs.tensorboard import require_tensorboard
from archdsl.train.interrupts import catching_interrupts
from archdsl.train.loop import AtEnd, Loop, Result
from archdsl.train.processes.launch import processes_of_run
from archdsl.train.setup import Trainable, enough_memory, placed, set_up
from archdsl.train.start import build_module
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

    With `resume`, the run in that folder continues, by its own recipe unless one is given, which may differ only in
    CHANGEABLE; on the CPU its weights are bit for bit those of a run that was never stopped. `out` must be None then.
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
        progress = (progress or make_progress("nothing" if quiet else "text")) if processes.is_main else Progress()
        old, recipe, info = processes.from_main(lambda: _start(network, resume, recipe))
        setup = processes.everywhere(lambda: set_up(network, recipe, info, processes))
        with placed(recipe, network.path), enough_memory(recipe, setup.device, network.path):
            module, notes = processes.everywhere(lambda: build_module(network, recipe, processes, fresh=old is None))
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
                loop = Loop(network, setup, stepper, folder, progress, stop)
                if old is None:
                    loop.start()
                else:
                    loop.resume()
                loop.tell([*setup.notes, *notes, *processes.notes(recipe.batch)])
                return loop.train(at_end)


def _start(
    network: Trainable, resume: str | Path | None, recipe: Recipe | None
) -> tuple[RunFolder | None, Recipe, RunInfo | None]:
    """The folder of the run to resume, None for a new one; its recipe and its facts."""
    old = info = None
    if resume is not None:
        old = find_run_folder(Path(resume))
        started, info = old.read_recipe(), old.read_info()
        if recipe is not None:
            _require_same(started, recipe, str(old.path))
        recipe = recipe or started
    recipe = recipe or Recipe()
    require_tensorboard(recipe)
    if found := untrained(recipe, network, network.path):
        raise SpecError(found)
    return old, recipe, info


def _require_same(started: Recipe, recipe: Recipe, folder: str) -> None:
    """Reject (E634) a recipe that differs in more than CHANGEABLE from the one the run was started with."""
    for name in Recipe.model_fields:
        before, now = getattr(started, name), getattr(recipe, name)
        if name not in CHANGEABLE and before != now:
            raise SpecError(
                [Diagnostic(OtherRun(folder, name, str(now), str(before)), recipe.place(name), path=folder)]
            )
