"""`archdsl draw`: pictures of a network, and of what it has learned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from archdsl.cli.network import Asked
from archdsl.cli.options import (
    Input,
    Model,
    NetworkArgument,
    Settings,
    StdinFilename,
    TextOrJson,
    Weights,
    require_extension,
)
from archdsl.cli.pictures import PICTURES, Direction, Name, Picture, Theme
from archdsl.cli.printing import print_written

EXAMPLES = (
    "archdsl draw network resnet18 -o resnet18.svg",
    "archdsl draw volumes alexnet -o alexnet.pdf",
    "archdsl draw filters runs/lenet",
    "archdsl draw features runs/lenet --layer features.3 -o features.pdf",
    "archdsl draw gradcam runs/lenet --sample 3 -o gradcam.svg",
    "archdsl draw curves runs/lenet",
)

Fold = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Draw a scope, or each call of a block, as one box; repeatable."),
]
Unfold = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Draw what is inside a scope, or a block, at any depth; repeatable."),
]
Fuse = Annotated[
    bool | None,
    typer.Option("--fuse/--no-fuse", help="Draw norms and activations in the box of the layer before them."),
]
Repeats = Annotated[
    bool | None,
    typer.Option("--repeats/--no-repeats", help="Draw equal scopes one after the other once, with their number."),
]
Towards = Annotated[
    Direction | None, typer.Option(help="One column, or one row.", show_default="columns that fit a slide")
]
Colours = Annotated[
    Theme | None, typer.Option(help="Colours; auto follows the reader where the format can.", show_default="auto")
]
Count = Annotated[int | None, typer.Option(min=1, metavar="N", help="The most filters, channels or mistakes.")]
Sample = Annotated[
    int | None, typer.Option(min=0, metavar="N", help="A sample of the test split, from 0.", show_default="0")
]
ImageFiles = Annotated[
    list[str] | None,
    typer.Option("--image", metavar="FILE", help="An image file instead; for several inputs NAME=FILE for each."),
]
Class = Annotated[
    str | None, typer.Option("--class", metavar="NAME", help="A class by its name or number.", show_default="predicted")
]
Position = Annotated[
    str | None, typer.Option(metavar="Y,X", help="The position of a unit in its layer.", show_default="the centre")
]
Runs = Annotated[
    list[str] | None, typer.Option("--run", metavar="RUN", help="Another run whose curves are drawn; repeatable.")
]
#: Options whose names are not those of the parameters.
OPTIONS = {"target": "--class"}


def draw(
    picture: Annotated[
        Name, typer.Argument(metavar="PICTURE", help="; ".join(f"{name}: {p.summary}" for name, p in PICTURES.items()))
    ],
    network: NetworkArgument,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write it: .svg, .png, .pdf, or .tex (TikZ)."),
    ] = None,
    layer: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A layer to draw, by its name in the table; repeatable.")
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Draw scopes deeper than this as one box.", show_default="what fits"),
    ] = None,
    fold: Fold = None,
    unfold: Unfold = None,
    fuse: Fuse = None,
    repeats: Repeats = None,
    direction: Towards = None,
    theme: Colours = None,
    count: Count = None,
    sample: Sample = None,
    image: ImageFiles = None,
    target: Class = None,
    position: Position = None,
    run: Runs = None,
    weights: Weights = None,
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
    stdin_filename: StdinFilename = None,
    format: TextOrJson = "text",
) -> None:
    """Draw a network, or what it has learned.

    Except for `network` and `volumes`, PICTURE needs weights: those of a run folder as NETWORK, or `--weights`.
    """
    drawn = PICTURES[picture]
    options = _options(picture, drawn, _given(locals()))
    if image and sample is not None:
        raise typer.BadParameter(
            "--image takes the place of a sample of the test split, --sample", param_hint="--image"
        )
    if output is not None:
        require_extension(output, drawn.formats)
    asked = Asked(network, model, settings, input, stdin_filename)
    found = asked.weighted(weights) if drawn.weights or weights else asked.chosen()
    if drawn.weights:
        _ = found.known_weights
    path = Path(output or f"{found.network.name}-{picture}{drawn.formats[0]}")
    drawn.draw(found, path, **options)
    print_written(path, format)


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The options of pictures."""
    names = dict.fromkeys(name for picture in PICTURES.values() for name in picture.options)
    return {name: arguments[name] for name in names}


def _options(name: str, picture: Picture, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given; rejects those that the picture does not take."""
    options = {option: value for option, value in given.items() if value is not None}
    for option in options:
        if option not in picture.options:
            others = ", ".join(f"`{other}`" for other, one in PICTURES.items() if option in one.options)
            from archdsl.cli.usage import Ineffective

            raise Ineffective(OPTIONS.get(option, f"--{option}"), f"the picture `{name}`; it is for {others}")
    return options
