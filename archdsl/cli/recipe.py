"""The recipe that a command line asks for: that of the spec or of a run, with the options over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import typer

from archdsl.cli.network import chosen

if TYPE_CHECKING:
    from archdsl.api import Network
    from archdsl.arguments.values import Entry
    from archdsl.recipe import Recipe


class Training(NamedTuple):
    """A network, and what the command line says about its recipe."""

    network: Network
    overrides: Mapping[str, Entry]

    def recipe(self, run: str | None) -> Recipe:
        """The recipe of the run if there is one, else of the spec, with the overrides.

        Rejects `--root` for the data set that has no files.
        """
        from archdsl.recipe import read_recipe, with_overrides
        from archdsl.recipe.datasets import Digits

        entries = self.network.recipe
        if run is not None:
            from archdsl.train import recipe_of_run

            recorded = recipe_of_run(run)
            if not self.overrides:
                return recorded
            entries = recorded.to_entries()
        recipe = read_recipe(with_overrides(entries, self.overrides))
        if "root" in self.overrides and isinstance(recipe.dataset, Digits):
            raise typer.BadParameter("the data set digits is embedded and has no files", param_hint="--root")
        return recipe


def training(
    spec: str,
    model: str | None,
    settings: Sequence[str] | None,
    parameters: Sequence[str] | None,
    input: Sequence[str] | None,
    run: str | None,
    options: Mapping[str, object],
) -> Training:
    """Find a network and the overrides of its recipe; `options` (None: not given) override `settings`."""
    from archdsl.arguments.values import Entry

    given = [*(settings or ()), *(f"model.{text}" for text in parameters or ())]
    found = chosen(spec, model, given, input, run=run)
    named = {name: Entry(value) for name, value in options.items() if value is not None}
    return Training(found.network, found.entries | named)
