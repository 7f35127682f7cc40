"""`archdsl summary`: the table of a network."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from archdsl.cli.network import chosen, without_recipe
from archdsl.cli.options import Input, Model, Require, Settings, Spec, input_sizes, reject_unused
from archdsl.cli.printing import print_json_text
from archdsl.cli.requirements import read_requirements, require
from archdsl.diagnostics import SpecError

EXAMPLES = (
    "archdsl summary specs/alexnet.arch",
    "archdsl summary specs/vgg.arch --model vgg16 --set classes=10 --input 3x64x64 --depth 2",
    "archdsl summary alexnet --format json",
    "archdsl summary resnet50 --batch 64 --precision bf16",
)


def summary(
    spec: Spec,
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
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
    """Print layers, shapes, parameters, MACs, memory, receptive field."""
    if format == "json":
        reject_unused("JSON, which has every layer with every figure", depth=depth, columns=columns)
    if batch is None:
        reject_unused("a summary without --batch", precision=precision)
    shown, bounds = _columns(columns), read_requirements(required)
    try:
        network, file, _ = without_recipe(chosen(spec, model, settings, input))
    except SpecError:
        if format == "table":
            _draw_known(spec, model, settings or (), input, depth, shown)
        raise
    from archdsl.view import summary as forms

    asked = None if batch is None else forms.ForBatch(batch, precision)
    if format == "csv":
        reject_unused("CSV, which has layers only", batch=batch)
    match format:
        case "table":
            from archdsl.elaborate import models_in
            from archdsl.view.tables import terminal_width

            others = [name for name in models_in(file) if name != network.name]
            width = terminal_width()
            forms.draw_summary(
                network, file=sys.stdout, width=width, depth=depth, columns=shown, others=others, batch=asked
            )
        case "json":
            print_json_text(forms.to_json(network, asked))
        case "csv":
            print(forms.to_csv(network, depth, shown))
        case "markdown":
            print(forms.to_markdown(network, depth, shown, asked))
    sys.stdout.flush()
    require(network, bounds)


def _draw_known(
    spec: str,
    model: str | None,
    settings: Sequence[str],
    input: Sequence[str] | None,
    depth: int | None,
    columns: list[str],
) -> None:
    """Draw the layers that are known of a network with errors."""
    from archdsl.api import locate
    from archdsl.cli.settings import read_settings
    from archdsl.elaborate.modules import load
    from archdsl.elaborate.run import Run, choose
    from archdsl.view.summary import draw_summary
    from archdsl.view.tables import terminal_width

    try:
        source, path, named = locate(spec)
        module, _ = load(source, path)
        values, _ = read_settings(settings, module, model or named)
        chosen_model = choose(module, model or named, values)
    except SpecError:
        return
    network = Run(module, chosen_model, input_sizes(input), values).network
    if network.layers:
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
        listed = ", ".join(COLUMNS)
        raise typer.BadParameter(f"there is no column {unknown[0]!r}; expected {listed}", param_hint="--columns")
    return list(dict.fromkeys(["name", *names]))
