"""Training: recipe, data, augmentation, loop, checkpoints. Imports torch; the recipe itself is archdsl.recipe."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from archdsl.recipe import Recipe
from archdsl.runs.folder import EpochMetrics, RunFolder, run_of
from archdsl.runs.progress import make_progress
from archdsl.train.evaluation import ClassFigures, Evaluation
from archdsl.train.loop import AtEnd, Result, Setup, Trainable, set_up, train

__all__ = [
    "ClassFigures",
    "EpochMetrics",
    "Evaluation",
    "Result",
    "recipe_of_run",
    "run_evaluation",
    "run_training",
    "trained",
]


def run_training(
    network: Trainable,
    recipe: Recipe | None = None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    quiet: bool = False,
    at_end: AtEnd | None = None,
) -> Result:
    """Train `network` by `recipe` in the run folder `out` (None: runs/<model>-<date>-<time>).

    With `resume` the run in that folder goes on, by its own recipe where none is given; `out` must be None
    then. Progress goes to standard output unless `quiet`. Where `Result.interrupted`, the exit code is 130.
    `at_end` is called before it returns (`archdsl.report.reporter(network)` writes the report). Raises SpecError for
    whatever is wrong with data, folders, disk or loss.

        result = run_training(archdsl.load("specs/lenet.arch"), Recipe(epochs=3))
    """
    if out is not None and resume is not None:
        raise ValueError("a resumed run stays in its folder: give either out or resume")
    return train(
        network,
        recipe,
        None if out is None else Path(out),
        None if resume is None else Path(resume),
        make_progress(quiet=quiet),
        at_end,
    )


def recipe_of_run(folder: str | Path) -> Recipe:
    """The recipe that a run was started with: what overrides are laid over when it is resumed or evaluated."""
    return RunFolder(Path(folder)).read_recipe()


def run_evaluation(network: Trainable, recipe: Recipe | None, weights: str | Path) -> Evaluation:
    """Evaluate `network` with saved weights on the test part of the recipe's data set.

    `weights` is a run folder or a safetensors file. Where it belongs to a run, the run's recipe is taken if none is
    given, and pictures are normalised as in the run; else by the training set's figures. Raises SpecError.
    """
    module, setup = trained(network, recipe, weights)
    return setup.evaluate(module, test=True)


def trained(network: Trainable, recipe: Recipe | None, weights: str | Path) -> tuple[nn.Module, Setup]:
    """The network with saved weights on the recipe's device, and its data; arguments as in `run_evaluation`."""
    from archdsl.backends.torch import load_weights

    run = run_of(weights)
    if recipe is None:
        recipe = Recipe() if run is None else run.read_recipe()
    setup = set_up(network, recipe, None if run is None else run.read_info())
    module = network.build(seed=recipe.seed)
    load_weights(module, Path(weights))
    return module.to(setup.device), setup
