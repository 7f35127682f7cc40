"""E716 to E719: settings on the command line."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class UnknownSetting(Problem):
    """`--set` names neither a parameter of the model nor an entry of the recipe."""

    code = "E716"
    text = "`{name}` is neither a parameter of model `{model}` nor an entry of a recipe"
    explanation = """
`--set KEY=VALUE` sets the model's parameter of that name. Where the model has none, it sets the entry of the recipe:
`--set epochs=5`, `--set optimizer.lr=0.01`. `model.KEY` and `train.KEY` say which of the two is meant; the model's
parameters stand in the first line of `archdsl summary`, the entries in docs/training.md.
"""

    name: str
    model: str


class RecipeUnused(Problem):
    """An entry of the recipe is set for a command that does not use it."""

    code = "E717"
    text = "`{name}` is an entry of the recipe that this command does not use"
    explanation = """
`train` uses the whole recipe, `eval` what is about the data, the loss and the device. The other commands use no recipe:
they take the model's parameters with `--set`.
"""

    name: str
