"""Commands that look: summary, layers, show, explain. None of them needs torch, but `show --stage onnx` onnx."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Literal, get_args

import typer

from archdsl.cli.options import Input, Model, Settings, Spec, reject_unused
from archdsl.cli.spec import network_and_file, network_of, source_of
from archdsl.cli.streams import print_json


def summary(
    spec: Spec,
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
    depth: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Sum up scopes nested deeper than this (not for JSON).")
    ] = None,
    format: Annotated[Literal["table", "json", "csv", "markdown"], typer.Option(help="The form.")] = "table",
    columns: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Columns of the table (not for JSON); `--columns help` lists them."),
    ] = None,
) -> None:
    """Layers, shapes, parameters, MACs, memory and receptive field."""
    if format == "json":
        reject_unused("JSON, which has every layer with every figure", depth=depth, columns=columns)
    chosen = _columns(columns)
    network, file = network_and_file(spec, model, settings, input)
    from archdsl.view import summary as forms

    match format:
        case "table":
            from archdsl.elaborate import models_in
            from archdsl.view.tables import draw_summary, terminal_width

            others = [name for name in models_in(file) if name != network.name]
            width = terminal_width()
            draw_summary(network, file=sys.stdout, width=width, depth=depth, columns=chosen, others=others)
        case "json":
            print_json(forms.to_json(network))
        case "csv":
            print(forms.to_csv(network, depth, chosen))
        case "markdown":
            from archdsl.view.tables import SUMMARY_COLUMNS

            columns_by_title = {SUMMARY_COLUMNS[name].column.title: SUMMARY_COLUMNS[name].cell for name in chosen[1:]}
            print(forms.to_markdown(network, depth, columns_by_title if chosen else None))


def _columns(text: str | None) -> list[str]:
    """The names in `--columns`, the layer's own first; `help` lists what there is and ends the command."""
    if text is None:
        return []
    from archdsl.view.tables import SUMMARY_COLUMNS

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
#: Those that `--layer` chooses the layers of.
LAYERED = ("filters", "features", "activations", "embedding")
#: Scopes deeper than this are one box in the picture of a network.
DEPTH = 2


def show(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[PICTURE] SPEC", help=f"What to draw ({', '.join(get_args(Picture))}), and the spec."),
    ],
    stage: Annotated[
        Literal["tree", "graph", "torch", "onnx"] | None, typer.Option(help="Where to stop.", show_default="graph")
    ] = None,
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
    weights: Annotated[str | None, typer.Option(metavar="PATH", help="Weights or a run folder, for pictures.")] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Of a stage's text, or a picture: .png, .svg or .pdf."),
    ] = None,
    layer: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Another layer, by its name in the table; repeatable.")
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="In the picture `network` scopes deeper than this are one box.", show_default="2"
        ),
    ] = None,
) -> None:
    """A stage of the compiler, or a picture of a network.

    `archdsl show SPEC` prints a stage. `archdsl show PICTURE SPEC` draws the network, or with its weights what
    it has learned.
    """
    from archdsl.cli import pictures

    *before, spec = words
    if not before:
        reject_unused("a stage; it is for pictures", weights=weights, layer=layer, depth=depth)
        text = _stage_text(spec, stage or "graph", model, settings, input)
        if output is None:
            print(text)
            return
        pictures.write_text(output, f"{text}\n")
        print(f"wrote {output}")
        return
    picture = before[0]
    if len(before) > 1 or picture not in get_args(Picture):
        message = f"{' '.join(before)!r} is no picture; there are {', '.join(get_args(Picture))}"
        raise typer.BadParameter(message, param_hint="PICTURE")
    reject_unused("a picture", stage=stage)
    if picture != "network":
        reject_unused(f"the picture `{picture}`; it is for `network`", depth=depth)
    if picture not in LAYERED:
        reject_unused(f"the picture `{picture}`; it is for {', '.join(LAYERED)}", layer=layer)
    network = network_of(spec, model, settings, input, run=weights)
    usual = f"{network.name}-{picture}.{'svg' if picture == 'network' else 'png'}"
    path = usual if output is None else output
    if picture == "network":
        pictures.write_network(network, path, depth or DEPTH)
    else:
        pictures.write_picture(picture, network, weights, path, layer or [])
    print(f"wrote {path}")


def _stage_text(spec: str, stage: str, model: str | None, settings: Sequence[str] | None, input: str | None) -> str:
    """What a stage of the compiler makes of a spec."""
    if stage == "tree":
        from archdsl.syntax import parse, tree_text

        reject_unused("the tree, which is of the whole file", model=model, set=settings, input=input)
        return tree_text(parse(source_of(spec)))
    network = network_of(spec, model, settings, input)
    match stage:
        case "graph":
            from archdsl.cli.graph_text import graph_text

            return graph_text(network)
        case "torch":
            from archdsl.backends.torch import source

            return source(network)
        case _:
            from archdsl.cli.running import onnx_text

            return onnx_text(network)


def explain(code: Annotated[str, typer.Argument(metavar="CODE", help="Such as E402.")]) -> None:
    """What a diagnostic means, with examples."""
    from archdsl.cli.explanation import explanation

    print(explanation(code))
