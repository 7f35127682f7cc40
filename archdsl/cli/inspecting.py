"""Commands that look: summary, layers, show, explain. None of them needs torch, but `show --stage onnx` onnx."""

from __future__ import annotations

import sys
from typing import Annotated, Literal, get_args

import typer

from archdsl.cli.options import Input, Model, Settings, Spec
from archdsl.cli.spec import network_and_file, network_of, source_of
from archdsl.cli.streams import print_json


def summary(
    spec: Spec,
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
    depth: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Sum up scopes nested deeper than this (JSON is never cut).")
    ] = None,
    format: Annotated[Literal["table", "json", "csv", "markdown"], typer.Option(help="The form.")] = "table",
    columns: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Columns of the table; `--columns help` lists them.")
    ] = None,
) -> None:
    """Layers, shapes, parameters, MACs, memory and receptive field."""
    chosen = _columns(columns)
    network, file = network_and_file(spec, model, settings, input)
    from archdsl import summary as forms

    match format:
        case "table":
            from archdsl.elaborate import models_in
            from archdsl.tables import draw_summary, terminal_width

            others = [name for name in models_in(file) if name != network.name]
            width = terminal_width()
            draw_summary(network, file=sys.stdout, width=width, depth=depth, columns=chosen, others=others)
        case "json":
            print_json(forms.to_json(network))
        case "csv":
            print(forms.to_csv(network, depth))
        case "markdown":
            print(forms.to_markdown(network, depth))


def _columns(text: str | None) -> list[str]:
    """The names in `--columns`, the layer's own first; `help` lists what there is and ends the command."""
    if text is None:
        return []
    from archdsl.tables import SUMMARY_COLUMNS

    names = [name.strip() for name in text.split(",")]
    if names == ["help"]:
        print("\n".join(SUMMARY_COLUMNS))
        raise typer.Exit
    if unknown := [name for name in names if name not in SUMMARY_COLUMNS]:
        listed = ", ".join(SUMMARY_COLUMNS)
        raise typer.BadParameter(f"no column {unknown[0]!r}; there are {listed}", param_hint="--columns")
    return list(dict.fromkeys(["name", *names]))


def layers(
    kind: Annotated[str | None, typer.Argument(metavar="KIND", help="One kind, with all its arguments.")] = None,
    format: Annotated[Literal["text", "json"], typer.Option(help="The form.")] = "text",
) -> None:
    """The kinds of layers and their arguments."""
    from archdsl.cli import catalogue

    if format == "json":
        print_json(catalogue.layers_json(kind))
    elif kind is None:
        catalogue.draw_layers()
    else:
        print(catalogue.layer_text(kind))


#: What `show` draws. The first of them needs no weights.
Picture = Literal["network", "filters", "features", "activations", "embedding", "outputs", "mistakes", "confusion"]


def show(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[PICTURE] SPEC", help=f"What to draw ({', '.join(get_args(Picture))}), and the spec."),
    ],
    stage: Annotated[Literal["tree", "graph", "torch", "onnx"], typer.Option(help="Where to stop.")] = "graph",
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
    weights: Annotated[str | None, typer.Option(metavar="PATH", help="Weights or a run folder, for pictures.")] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="The picture's file: .png, .svg or .pdf.")
    ] = None,
    layer: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Another layer, by its name in the table; repeatable.")
    ] = None,
    depth: Annotated[int, typer.Option(min=1, metavar="N", help="Scopes deeper than this are one box.")] = 2,
) -> None:
    """A stage of the compiler, or a picture of a network.

    `archdsl show SPEC` prints a stage. `archdsl show PICTURE SPEC` draws the network, or with its weights what
    it has learned.
    """
    *before, spec = words
    if before:
        picture = before[0]
        if len(before) > 1 or picture not in get_args(Picture):
            message = f"{' '.join(before)!r} is no picture; there are {', '.join(get_args(Picture))}"
            raise typer.BadParameter(message, param_hint="PICTURE")
        network = network_of(spec, model, settings, input, run=weights)
        from archdsl.cli import pictures

        path = output or f"{network.name}-{picture}.{'svg' if picture == 'network' else 'png'}"
        if picture == "network":
            pictures.write_network(network, path, depth)
        else:
            pictures.write_picture(picture, network, weights, path, layer or [])
        print(f"wrote {path}")
        return
    if stage == "tree":
        from archdsl.syntax import parse, tree_text

        print(tree_text(parse(source_of(spec))))
        return
    network = network_of(spec, model, settings, input)
    match stage:
        case "graph":
            from archdsl.cli.graph_text import graph_text

            print(graph_text(network))
        case "torch":
            from archdsl.torch import source

            print(source(network))
        case "onnx":
            from archdsl.cli.running import onnx_text

            print(onnx_text(network))


def explain(code: Annotated[str, typer.Argument(metavar="CODE", help="Such as E402.")]) -> None:
    """What a diagnostic means, with examples."""
    from archdsl.cli.explanation import explanation

    print(explanation(code))
