"""The training recipe: the typed form of a `train { }` block. Works without torch.

Optimizers, schedules, losses, data sets and augmentations are classes in the module of their family. Their `kind` is
their name in a spec and their other fields are their arguments, in order; a new one is a class and its entry in the
family's union.
"""

from archdsl.recipe.reader import read_recipe, with_overrides
from archdsl.recipe.recipe import FAMILIES, Recipe

__all__ = ["FAMILIES", "Recipe", "read_recipe", "with_overrides"]
