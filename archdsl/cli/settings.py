"""What `--set KEY=VALUE` sets, in every command: a parameter of the model, or else an entry of the recipe.

`model.KEY` and `train.KEY` say which of the two is meant. A key with another dot reaches into an entry.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from archdsl.cli.values import model_settings, recipe_overrides
from archdsl.diagnostics import Diagnostic, Help, SpecError
from archdsl.diagnostics.codes.settings import RecipeUnused, UnknownSetting

if TYPE_CHECKING:
    from archdsl.arguments.values import Entry
    from archdsl.elaborate.modules import Module

MODEL, RECIPE = "model", "train"


def read_settings(texts: Sequence[str], module: Module, model: str | None) -> tuple[dict[str, Any], dict[str, Entry]]:
    """The parameters of a model (None: the file's own choice) and the entries of the recipe that the texts give.

    Raises SpecError: a key that is neither (E716), or a value that is no expression.
    """
    from archdsl.elaborate import default_model, parameters

    keys = [_key(text) for text in texts]
    name = model or default_model(module, keys)
    known = None if name is None else parameters(module, name)
    if known is None:  # there is no such model, which is said when it is made
        return {}, {}
    where = [_owner(key, known) for key in keys]
    unknown = [key for key, owner in zip(keys, where, strict=True) if owner is None]
    if unknown:
        raise SpecError([_unknown(key, str(name), known, module.source.path) for key in unknown])
    pairs = list(zip(texts, where, strict=True))
    own = [_unqualified(text, MODEL) for text, owner in pairs if owner == MODEL]
    others = [_unqualified(text, RECIPE) for text, owner in pairs if owner == RECIPE]
    return model_settings(own, "--set", module.globals), recipe_overrides(others, {})


def unused(entries: Iterable[str]) -> SpecError:
    """What to raise for entries of the recipe that a command does not use."""
    return SpecError([Diagnostic(RecipeUnused(name)) for name in entries])


def _key(text: str) -> str:
    return text.partition("=")[0].strip()


def _owner(key: str, parameters: Collection[str]) -> str | None:
    """Whose a key is; what is no key at all is left to whoever reads it."""
    first, dot, _ = key.partition(".")
    if dot and first in (MODEL, RECIPE):
        return first
    if key in parameters or not first.isidentifier():
        return MODEL
    return RECIPE if first in _entries() else None


def _entries() -> Collection[str]:
    from archdsl.recipe import Recipe

    return Recipe.model_fields


def _unqualified(text: str, owner: str) -> str:
    return text.strip().removeprefix(f"{owner}.")


def _unknown(key: str, model: str, parameters: Sequence[str], path: str) -> Diagnostic:
    from archdsl.text.suggest import suggestion

    name = key.partition(".")[0]
    meant = suggestion(name, [*parameters, *_entries()])
    listed = ", ".join(f"`{one}`" for one in parameters) or "none"
    help = f"did you mean `{meant}`?" if meant else f"the model's parameters are {listed}"
    return Diagnostic(UnknownSetting(name, model), path=path, helps=(Help(help),))
