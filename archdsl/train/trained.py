"""A network with the weights of a run or a file, and its data: for evaluation and reports."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from archdsl.backends.torch import load_weights
from archdsl.backends.torch.weights import PREFIX
from archdsl.recipe import Recipe
from archdsl.runs.folder import RunFolder, run_of
from archdsl.train.evaluation import Evaluation
from archdsl.train.setup import Setup, Trainable, set_up


def run_evaluation(
    network: Trainable, recipe: Recipe | None, weights: str | Path, *, run: RunFolder | None = None
) -> Evaluation:
    """Evaluate `network` with saved weights on the test split of the recipe's data set.

    `weights` is a run folder or a safetensors file. Where it belongs to a run, or one is given as `run`, the run's
    recipe is used unless there is another, and images are normalized as in the run; else by the training set's
    statistics. Raises SpecError.
    """
    module, setup = trained(network, recipe, weights, run=run)
    return setup.evaluate(module, test=True)


def trained(
    network: Trainable, recipe: Recipe | None, weights: str | Path, *, run: RunFolder | None = None
) -> tuple[nn.Module, Setup]:
    """The network with saved weights on the recipe's device, and its data; arguments as in `run_evaluation`."""
    published = str(weights).startswith(PREFIX)
    run = run if published else run_of(weights) or run
    if recipe is None:
        recipe = Recipe() if run is None else run.read_recipe()
    setup = set_up(network, recipe, None if run is None or published else run.read_info())
    module = network.build(seed=recipe.seed)
    load_weights(module, weights)
    return module.to(setup.device), setup


def recipe_of_run(folder: str | Path) -> Recipe:
    """The recipe that a run was started with."""
    return RunFolder(Path(folder)).read_recipe()
