"""What stands behind the `=` of `--set KEY=VALUE`: an expression of the language, where a bare word is a text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from archdsl.arguments.values import Construct, Entry, Typed
from archdsl.diagnostics import Diagnostic, Located, SpecError
from archdsl.elaborate.environment import Environment
from archdsl.elaborate.expressions import Evaluator
from archdsl.syntax import parse_expression
from archdsl.text.source import Source


def model_settings(texts: Sequence[str] | None, option: str, names: Environment) -> dict[str, Any]:
    """The parameters of a model by their names; the last of two counts.

    A bare word is what it means in the file (`unit=bottleneck`), a layer (`activation=relu`) or a string.
    """
    pairs = [_split(text, option, r"[^\W\d]\w*") for text in texts or ()]
    return {key: Typed(_value(value, f"{option} {key}", names).value) for key, value in pairs}


def recipe_overrides(texts: Sequence[str] | None, given: Mapping[str, object]) -> dict[str, Entry]:
    """The entries of `--set` (a key may have dots), and of the options with a name of their own, which win."""
    pairs = [_split(text, "--set", r"[^\W\d][\w.]*") for text in texts or ()]
    entries = {key: _entry(_value(value, f"--set {key}", Environment())) for key, value in pairs}
    return entries | {key: Entry(value) for key, value in given.items() if value is not None}


def _split(text: str, option: str, pattern: str) -> tuple[str, str]:
    key, _, value = map(str.strip, text.partition("="))
    if not value or not re.fullmatch(pattern, key):
        raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint=option)
    return key, value


def _value(text: str, place: str, names: Environment) -> Entry:
    """The value of a text, with its place in it; raises SpecError, pointing into the text."""
    expression = parse_expression(Source(place, text))
    try:
        value = Evaluator().evaluate(expression, names, constructs=True)
    except Located as error:
        placed = Diagnostic(error.problem, error.span, error.label, error.notes, error.helps)
        raise SpecError([placed]) from None
    return Entry(value, expression.span)


def _entry(entry: Entry) -> Entry:
    """An entry of a recipe, where a bare word is a string."""
    value = entry.value
    if isinstance(value, Construct) and not value.args and not value.kwargs:
        return Entry(value.name, entry.span)
    return entry
