"""`archdsl show`: a stage of the compiler as text, or a picture of a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from archdsl.cli.network import network_of, spec_path
from archdsl.cli.options import Input, Model, Settings, reject_unused, require_figure

if TYPE_CHECKING:
    from archdsl.api import Network

EXAMPLES = (
    "archdsl show specs/resnet.arch --model resnet18 --stage graph",
    "archdsl show lenet --stage torch",
    "archdsl show network resnet18 -o resnet18.svg",
    "archdsl show filters specs/lenet.arch --weights runs/lenet -o filters.png",
)

#: What `show` draws; only `network` needs no weights.
Picture = Literal["network", "filters", "features", "activations", "embedding", "outputs", "mistakes", "confusion"]
#: The pictures that take `--layer`.
LAYERED = ("filters", "features", "activations", "embedding")
#: In the picture of a network, scopes deeper than this are one box.
DEPTH = 2


def show(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[PICTURE] SPEC", help=f"What to draw ({', '.join(get_args(Picture))}), and the spec."),
    ],
    stage: Annotated[
        Literal["tree", "graph", "torch", "onnx"] | None,
        typer.Option(help="The stage of the compiler to print.", show_default="graph"),
    ] = None,
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
    weights: Annotated[str | None, typer.Option(metavar="PATH", help="Weights or a run folder, for pictures.")] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write the text, or the .png, .svg or .pdf."),
    ] = None,
    layer: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A layer to draw, by its name in the table; repeatable.")
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="For `network`: draw scopes deeper than this as one box.", show_default="2"
        ),
    ] = None,
) -> None:
    """Print a stage of the compiler, or draw a network.

    `archdsl show SPEC` prints a stage. `archdsl show PICTURE SPEC` draws the network, or what it has learned from
    its weights.
    """
    *before, spec = words
    if not before:
        reject_unused("a stage; it is for pictures", weights=weights, layer=layer, depth=depth)
        text = _stage_text(spec, stage or "graph", model, settings, input)
        if output is None:
            print(text)
            return
        _write_text(output, f"{text}\n")
    else:
        picture = _picture(before, stage, layer, depth)
        network = network_of(spec, model, settings, input, run=weights)
        output = output or f"{network.name}-{picture}.{'svg' if picture == 'network' else 'png'}"
        if picture == "network":
            _draw_network(network, output, depth or DEPTH)
        else:
            _draw_picture(picture, network, weights, output, layer or [])
    print(f"wrote {output}")


def _stage_text(
    spec: str, stage: str, model: str | None, settings: Sequence[str] | None, input: Sequence[str] | None
) -> str:
    """The output of a stage of the compiler."""
    if stage == "tree":
        from archdsl.elaborate import read
        from archdsl.syntax import parse, tree_text

        reject_unused("the tree, which is of the whole file", model=model, set=settings, input=input)
        return tree_text(parse(read(Path(spec_path(spec)))))
    network = network_of(spec, model, settings, input)
    match stage:
        case "graph":
            from archdsl.view.graph import graph_text

            return graph_text(network)
        case "torch":
            from archdsl.backends.torch import source

            return source(network)
        case _:
            from archdsl.backends.onnx import text

            return text(network, {name: x.numpy() for name, x in network.build(seed=0).state_dict().items()})


def _picture(words: Sequence[str], stage: str | None, layer: list[str] | None, depth: int | None) -> str:
    """The picture that the words before the spec name; rejects options that it does not take."""
    picture = " ".join(words)
    if picture not in get_args(Picture):
        message = f"there is no picture {picture!r}; expected {', '.join(get_args(Picture))}"
        raise typer.BadParameter(message, param_hint="PICTURE")
    reject_unused("a picture", stage=stage)
    if picture != "network":
        reject_unused(f"the picture `{picture}`; it is for `network`", depth=depth)
    if picture not in LAYERED:
        reject_unused(f"the picture `{picture}`; it is for {', '.join(LAYERED)}", layer=layer)
    return picture


def _write_text(path: str, text: str) -> None:
    """Write a text file. Raises SpecError (E708)."""
    from archdsl.files import write as files

    files.write_text(Path(path), text)


def _draw_network(network: Network, path: str, depth: int) -> None:
    """Write the diagram of a network as SVG."""
    from archdsl.view.picture import draw_network

    if Path(path).suffix.lower() != ".svg":
        raise typer.BadParameter(f"{path!r}: the extension must be .svg", param_hint="-o")
    _write_text(path, draw_network(network, depth))


def _draw_picture(picture: str, network: Network, weights: str | None, path: str, layers: Sequence[str]) -> None:
    """Write a picture of a trained network, with the data of its run or of the recipe."""
    if weights is None:
        raise typer.BadParameter(f"the picture `{picture}` needs the network's weights", param_hint="--weights")
    require_figure(path)
    if picture == "embedding" and len(layers) > 1:
        raise typer.BadParameter("the picture `embedding` takes one layer", param_hint="--layer")
    from archdsl.report.figures import draw, save
    from archdsl.train import trained

    module, setup = trained(network, None, weights)
    save(draw(picture, module, setup, layers), Path(path))
