"""Arguments that several commands share, and how their texts become values."""

from __future__ import annotations

import re
from typing import Annotated

import typer

Spec = Annotated[str, typer.Argument(metavar="SPEC", help="An .arch file, or a name from `archdsl zoo`.")]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME", help="Which model of the file.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A parameter of the model or an entry of the recipe, as a spec writes it; repeatable.",
    ),
]
Input = Annotated[str | None, typer.Option("--input", metavar="3x64x64", help="Another input size than the spec's.")]
WEIGHTS = typer.Option("--weights", metavar="W", help="A file, the folder of a run, or torchvision:NAME.")
Weights = Annotated[str | None, WEIGHTS]
GivenWeights = Annotated[str, WEIGHTS]
Json = Annotated[bool, typer.Option("--json", help="Short for --format json.")]


def sizes(text: str) -> tuple[int, ...]:
    """`3x64x64` as integers."""
    if not re.fullmatch(r"[0-9]{1,18}(x[0-9]{1,18})*", text):
        raise typer.BadParameter(f"{text!r} is not a size such as 3x224x224", param_hint="--input")
    found = tuple(map(int, text.split("x")))
    if 0 in found:
        raise typer.BadParameter(f"{text!r} has an axis without cells: every size is at least 1", param_hint="--input")
    return found


def reject_unused(where: str, **options: object) -> None:
    """Reject options that were given, but have no effect where they were."""
    for name, value in options.items():
        if value not in (None, [], False):
            raise typer.BadParameter(f"it has no effect on {where}", param_hint=f"--{name.replace('_', '-')}")
