"""The recipe that a command line asks for: that of the spec or of a run, with the options over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from archdsl.arguments.values import Entry
    from archdsl.cli.network import Chosen
    from archdsl.recipe import Recipe


#: Recipe entries without an effect on an evaluation.
IN_TRAINING = {
    *("epochs", "steps", "max_steps", "accumulate", "weights", "freeze", "optimizer", "decay", "rates", "schedule"),
    *("clip_norm", "clip_value", "ema", "aux_weight", "patience", "compile", "sync_batchnorm"),
    *("keep", "checkpoint_every", "tensorboard", "report"),
}


class Training:
    """A network, and what the command line says about its recipe: `options` (None: not given) go over `--set`."""

    def __init__(self, found: Chosen, options: Mapping[str, object]) -> None:
        from archdsl.arguments.values import Entry

        self.found = found
        named = {name: Entry(value) for name, value in options.items() if value is not None}
        self.overrides: dict[str, Entry] = found.entries | named

    def recipe(self) -> Recipe:
        """The recipe of the run if there is one, else of the spec, with the overrides.

        Rejects `--root` for the data set that has no files.
        """
        from archdsl.recipe import read_recipe, with_overrides
        from archdsl.recipe.datasets import Digits

        entries = self.found.network.recipe
        if self.found.run is not None:
            recorded = self.found.run.read_recipe()
            if not self.overrides:
                return recorded
            entries = recorded.to_entries()
        recipe = read_recipe(with_overrides(entries, self.overrides))
        if "root" in self.overrides and isinstance(recipe.dataset, Digits):
            raise typer.BadParameter("the data set digits is embedded and has no files", param_hint="--root")
        return recipe

    def for_evaluation(self) -> Recipe:
        """The recipe for the data, the loss and the device; rejects (E717) options that only training uses."""
        if in_training := [key for key in self.overrides if key.partition(".")[0] in IN_TRAINING]:
            from archdsl.cli.settings import unused

            raise unused(in_training)
        return self.recipe()
