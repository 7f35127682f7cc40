"""`archdsl summary`: the table of a network."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from archdsl.cli.network import Asked, Chosen
from archdsl.cli.options import Input, Model, NetworkArgument, Require, Settings, StdinFilename, reject_unused
from archdsl.cli.printing import print_json_text
from archdsl.cli.requirements import read_requirements, require
from archdsl.diagnostics import SpecError

if TYPE_CHECKING:
    from archdsl.view.summary import ForBatch

EXAMPLES = (
    "archdsl summary alexnet",
    "archdsl summary vgg16 --set classes=10 --input 3x64x64 --depth 2",
    "archdsl summary runs/lenet --format json",
    "archdsl summary resnet50 --batch 64 --precision bf16",
)


def summary(
    network: NetworkArgument,
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
    stdin_filename: StdinFilename = None,
    depth: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Total the scopes nested deeper than this (not for JSON).")
    ] = None,
    format: Annotated[Literal["table", "json", "csv", "markdown"], typer.Option(help="Output format.")] = "table",
    columns: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Columns of the table (not for JSON); `--columns help` lists them."),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Also the memory that PyTorch needs for such a batch."),
    ] = None,
    precision: Annotated[
        Literal["fp32", "bf16", "fp16"] | None,
        typer.Option(help="Precision of that training, instead of the recipe's."),
    ] = None,
    required: Require = None,
) -> None:
    """Print the layers with shapes, parameters, MACs and memory."""
    if format == "json":
        reject_unused("JSON, which has every layer with every figure", depth=depth, columns=columns)
    if batch is None:
        reject_unused("a summary without --batch", precision=precision)
    if format == "csv":
        reject_unused("CSV, which has layers only", batch=batch)
    shown, bounds = _columns(columns), read_requirements(required)
    asked = Asked(network, model, settings, input, stdin_filename)
    try:
        found = asked.chosen().without_recipe()
    except SpecError:
        if format == "table":
            _draw_known(asked, depth, shown)
        raise
    from archdsl.view.summary import ForBatch

    _print(found, format, depth, shown, None if batch is None else ForBatch(batch, precision))
    sys.stdout.flush()
    require(found.network, bounds)


def _print(found: Chosen, format: str, depth: int | None, columns: list[str], batch: ForBatch | None) -> None:
    """Print the network in a format."""
    from archdsl.view import summary as forms

    match format:
        case "table":
            from archdsl.elaborate import models_in
            from archdsl.view.tables import terminal_width

            others = [name for name in models_in(found.file) if name != found.network.name]
            width = terminal_width()
            forms.draw_summary(
                found.network, file=sys.stdout, width=width, depth=depth, columns=columns, others=others, batch=batch
            )
        case "json":
            print_json_text(forms.to_json(found.network, batch))
        case "csv":
            print(forms.to_csv(found.network, depth, columns))
        case "markdown":
            print(forms.to_markdown(found.network, depth, columns, batch))


def _draw_known(asked: Asked, depth: int | None, columns: list[str]) -> None:
    """Draw the layers that are known of a network with errors."""
    from archdsl.view.summary import draw_summary
    from archdsl.view.tables import terminal_width

    if (network := asked.known()) is not None:
        draw_summary(network, file=sys.stdout, width=terminal_width(), depth=depth, columns=columns, partial=True)
        print(flush=True)


def _columns(text: str | None) -> list[str]:
    """The names in `--columns` after the layer's own; `help` lists all columns and ends the command."""
    if text is None:
        return []
    from archdsl.view.rows import COLUMNS

    names = [name.strip() for name in text.split(",")]
    if names == ["help"]:
        print("\n".join(COLUMNS))
        raise typer.Exit
    if unknown := [name for name in names if name not in COLUMNS]:
        from archdsl.cli.usage import UnknownValue

        message = f"there is no column `{unknown[0]}`; the columns are {', '.join(COLUMNS)}"
        raise UnknownValue(message, unknown[0], COLUMNS, param_hint="--columns")
    return list(dict.fromkeys(["name", *names]))
