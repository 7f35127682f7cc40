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
    """An entry of the recipe is set for a command that uses no recipe."""

    code = "E717"
    text = "`{name}` is an entry of the recipe, which this command does not use"
    explanation = """
Only `train` and `eval` use a recipe. The other commands take the model's parameters with `--set`.
"""

    name: str
