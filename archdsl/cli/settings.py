"""`--set KEY=VALUE` in every command: a parameter of the model or an entry of the recipe.

`model.KEY` and `train.KEY` say which of the two is meant. A key with another dot reaches into an entry. A value is an
expression of the language, in which a bare word may be a string.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from archdsl.arguments.values import Construct, Entry, Typed
from archdsl.diagnostics import Diagnostic, Help, Located, SpecError, did_you_mean
from archdsl.diagnostics.codes.commands import RecipeUnused, UnknownSetting
from archdsl.elaborate.environment import Environment
from archdsl.elaborate.expressions import Evaluator
from archdsl.syntax import parse_expression
from archdsl.text.source import Source, Span

if TYPE_CHECKING:
    from archdsl.elaborate.modules import Module

MODEL, RECIPE = "model", "train"


def read_settings(given: Sequence[str], module: Module, model: str | None) -> tuple[dict[str, Any], dict[str, Entry]]:
    """The model parameters and the recipe entries in `given`; `model` None is the file's default model.

    Raises SpecError for a key that is neither (E716) or a value that is not an expression.
    """
    from archdsl.elaborate import default_model, parameters

    keys = [text.partition("=")[0].strip() for text in given]
    name = model or default_model(module, keys)
    known = None if name is None else parameters(module, name)
    if known is None:  # There is no such model; loading it reports that.
        return {}, {}
    owners = [_owner(key, known) for key in keys]
    if unknown := [text for text, owner in zip(given, owners, strict=True) if owner is None]:
        raise SpecError([_unknown(text.strip(), str(name), known) for text in unknown])
    pairs = list(zip(given, owners, strict=True))
    own = [text.strip().removeprefix(f"{MODEL}.") for text, owner in pairs if owner == MODEL]
    others = [text.strip().removeprefix(f"{RECIPE}.") for text, owner in pairs if owner == RECIPE]
    return model_settings(own, module.globals), _recipe_entries(others)


def model_settings(given: Sequence[str], names: Environment) -> dict[str, Any]:
    """Model parameters by name; the last of two counts.

    A bare word is what it means in the file (`unit=bottleneck`), a layer (`activation=relu`) or a string.
    """
    pairs = [_split(text, r"[^\W\d]\w*") for text in given]
    return {key: Typed(_value(key, value, names).value) for key, value in pairs}


def unused(entries: Iterable[str]) -> SpecError:
    """The error for recipe entries that a command does not use."""
    return SpecError([Diagnostic(RecipeUnused(name)) for name in entries])


def _recipe_entries(given: Sequence[str]) -> dict[str, Entry]:
    """Recipe entries by key, which may have dots. A bare word is a string."""
    pairs = [_split(text, r"[^\W\d][\w.]*") for text in given]
    entries = {key: _value(key, value, Environment()) for key, value in pairs}
    return {key: Entry(_bare_word(entry.value), entry.span) for key, entry in entries.items()}


def _bare_word(value: Any) -> Any:
    return value.name if isinstance(value, Construct) and not value.args and not value.kwargs else value


def _split(text: str, pattern: str) -> tuple[str, str]:
    key, _, value = map(str.strip, text.partition("="))
    if not value or not re.fullmatch(pattern, key):
        raise typer.BadParameter(f"`{text}` is not KEY=VALUE", param_hint="--set")
    return key, value


def _value(key: str, text: str, names: Environment) -> Entry:
    """Evaluate an expression; raises SpecError with the place in the expression."""
    expression = parse_expression(Source(f"--set {key}", text))
    try:
        value = Evaluator().evaluate(expression, names, constructs=True)
    except Located as error:
        raise SpecError([error.diagnostic()]) from None
    return Entry(value, expression.span)


def _owner(key: str, parameters: Collection[str]) -> str | None:
    """Whether a key belongs to the model or the recipe; one that is malformed is rejected later."""
    first, dot, _ = key.partition(".")
    if dot and first in (MODEL, RECIPE):
        return first
    if key in parameters or not first.isidentifier():
        return MODEL
    return RECIPE if first in _entries() else None


def _entries() -> Collection[str]:
    from archdsl.recipe import Recipe

    return Recipe.model_fields


def _unknown(text: str, model: str, parameters: Sequence[str]) -> Diagnostic:
    from archdsl.recipe.reader import argument_of

    key = text.partition("=")[0].strip()
    name = key.partition(".")[0]
    span = Span(Source("--set", text), 0, len(name))
    argument = argument_of(name) if key == name else None
    if argument is not None:
        family, _, meant = argument
        return Diagnostic(
            UnknownSetting(name, model), span, helps=(Help("it is an argument", span, f"{family}.{meant}"),)
        )
    listed = ", ".join(f"`{one}`" for one in parameters) or "none"
    otherwise = f"the model's parameters are {listed}"
    return Diagnostic(
        UnknownSetting(name, model), span, helps=did_you_mean(name, [*parameters, *_entries()], span, otherwise)
    )
