"""The module that a run starts with, and its weights: fresh, of another run, of a file, or published ones."""

from __future__ import annotations

import warnings
from pathlib import Path

from torch import nn

from archdsl.backends.torch import load_weights
from archdsl.backends.torch.weights import PREFIX, copy_into, read_weights
from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.training import WeightsDoNotFit
from archdsl.recipe import Recipe
from archdsl.text.lists import listed
from archdsl.train.processes.processes import Processes
from archdsl.train.setup import Trainable

#: The number of entries named in a note.
SHOWN = 4


def build_module(
    network: Trainable, recipe: Recipe, processes: Processes, *, fresh: bool
) -> tuple[nn.Module, list[str]]:
    """The network's module, where `fresh` with the recipe's weights, and notes on them."""
    module = network.build(seed=recipe.seed)
    notes = start_from(module, recipe) if fresh else []
    if recipe.sync_batchnorm and processes.world > 1:
        module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
    return module, notes


def start_from(module: nn.Module, recipe: Recipe) -> list[str]:
    """Load the recipe's `weights` into a fresh module; returns notes.

    Entries that are missing or of another shape, such as another head's, stay fresh. Raises SpecError for a file that
    cannot be read (E72x) and for weights of another network (E644).
    """
    if recipe.weights is None:
        return []
    if not recipe.weights.startswith(PREFIX):
        return _fitting(module, recipe, recipe.weights)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_weights(module, recipe.weights)
    return [f"weights of {recipe.weights}", *(str(one.message) for one in caught)]


def _fitting(module: nn.Module, recipe: Recipe, source: str) -> list[str]:
    """Load the entries that fit."""
    state = read_weights(Path(source).expanduser())
    own = module.state_dict()
    fresh = [key for key, tensor in own.items() if key not in state or state[key].shape != tensor.shape]
    if len(fresh) * 2 > len(own):
        problem = WeightsDoNotFit(source, len(own) - len(fresh), len(own))
        raise SpecError([Diagnostic(problem, recipe.place("weights"), path=source)])
    unused = [key for key in state if key not in own]
    copy_into(module, state, source, skip={*fresh, *unused})
    notes = [f"weights of {source}"]
    notes += [f"not loaded because they do not fit: {listed(fresh, SHOWN)}"] if fresh else []
    return notes + ([f"not used: {listed(unused, SHOWN)}"] if unused else [])
