"""Arguments that several commands share, and how their texts become values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from archdsl.values import Entry

Spec = Annotated[str, typer.Argument(metavar="SPEC", help="An .arch file, or a name from `archdsl zoo`.")]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME", help="Which model of the file.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the model, as a spec writes it; repeatable."),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="KEY=VALUE", help="A parameter of the model, as a spec writes it; repeatable."),
]
Input = Annotated[str | None, typer.Option("--input", metavar="3x64x64", help="Another input size than the spec's.")]
Weights = Annotated[
    str | None, typer.Option("--weights", metavar="PATH", help="Weights, or the folder of the run that made them.")
]


def key_values(texts: Sequence[str] | None, option: str, key: str = r"[^\W\d]\w*") -> dict[str, Any]:
    """`KEY=VALUE` texts as values by their keys (the last of two counts); a bare word is a text."""
    if not texts:
        return {}
    from archdsl.syntax import parse_value

    values = {}
    for text in texts:
        name, _, value = map(str.strip, text.partition("="))
        if not value or not re.fullmatch(key, name):
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint=option)
        values[name] = parse_value(value)
    return values


def recipe_overrides(texts: Sequence[str] | None, given: Mapping[str, Any]) -> dict[str, Entry]:
    """The entries of `--set` (a key may have dots) and of the options with a name of their own, which win."""
    from archdsl.values import Entry

    values = key_values(texts, "--set", key=r"[^\W\d][\w.]*")
    values |= {name: value for name, value in given.items() if value is not None}
    return {name: Entry(value) for name, value in values.items()}


def sizes(text: str) -> tuple[int, ...]:
    """`3x64x64` as integers."""
    if not re.fullmatch(r"[0-9]{1,18}(x[0-9]{1,18})*", text):
        raise typer.BadParameter(f"{text!r} is not a size such as 3x224x224", param_hint="--input")
    return tuple(map(int, text.split("x")))
