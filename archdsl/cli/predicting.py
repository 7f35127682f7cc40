"""The command predict: pictures in, the likeliest classes out."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from archdsl.cli.options import GivenWeights, Input, Json, Model, Settings, Spec
from archdsl.cli.spec import network_of
from archdsl.cli.streams import print_json

if TYPE_CHECKING:
    from archdsl.inference.predict import Prediction

Found = Sequence[Sequence["Prediction"]]


def predict(
    spec: Spec,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Picture files.")],
    weights: GivenWeights,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="How many classes of each picture.")] = 5,
    classes: Annotated[
        str | None, typer.Option(metavar="FILE", help="The names of the classes, one a line, in the outputs' order.")
    ] = None,
    mean: Annotated[str | None, typer.Option(metavar="A,B,C", help="Of each channel, for pictures in 0..1.")] = None,
    std: Annotated[str | None, typer.Option(metavar="A,B,C", help="Of each channel, together with --mean.")] = None,
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
    format: Annotated[Literal["table", "json"], typer.Option(help="The form.")] = "table",
    as_json: Json = False,
) -> None:
    """The likeliest classes of pictures, with their probabilities.

    Pictures are prepared and classes named as the weights need it, where that is known.
    """
    normalize = _normalize(mean, std)
    names = None if classes is None else _class_names(Path(classes))
    network = network_of(spec, model, settings, input, run=weights)
    from archdsl.backends.torch import load_weights
    from archdsl.inference.predict import check_pictures
    from archdsl.inference.predict import predict as classify

    check_pictures([Path(image) for image in images])  # before weights are downloaded
    module = network.build()
    load_weights(module, weights)
    found = classify(module, images, top=top, classes=names, normalize=normalize)
    if as_json or format == "json":
        print_json(_json(images, found))
    else:
        _draw(images, found)


def _normalize(mean: str | None, std: str | None) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    if (mean is None) != (std is None):
        raise typer.BadParameter("--mean and --std go together", param_hint="--mean" if std is None else "--std")
    return None if mean is None or std is None else (_numbers(mean, "--mean"), _numbers(std, "--std"))


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        numbers = tuple(map(float, text.split(",")))
        if not all(map(isfinite, numbers)):
            raise ValueError(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers such as 0.5,0.5,0.5", param_hint=option) from None
    if option == "--std" and not all(number > 0 for number in numbers):
        raise typer.BadParameter("a standard deviation is above 0", param_hint=option)
    return numbers


def _class_names(path: Path) -> list[str]:
    """The lines of a text file, without empty ones at its end."""
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise typer.BadParameter(f"cannot read {path}: {reason}", param_hint="--classes") from None
    return [line.strip() for line in lines]


def _json(images: Sequence[str], found: Found) -> str:
    """A JSON list, one object for each picture (docs/json.md)."""
    objects = [
        {
            "image": image,
            "predictions": [{"class": p.name, "index": p.index, "probability": p.probability} for p in best],
        }
        for image, best in zip(images, found, strict=True)
    ]
    return json.dumps(objects, indent=2, ensure_ascii=False)


def _draw(images: Sequence[str], found: Found) -> None:
    """One table; pictures are named where there are several."""
    from archdsl.view.tables import Column, draw, terminal_width

    columns = [Column("picture", fold=16), Column("class", fold=16), Column("probability", right=True)]
    rows = [
        [image if place == 0 else "", prediction.name, f"{prediction.probability:.2%}"]
        for image, best in zip(images, found, strict=True)
        for place, prediction in enumerate(best)
    ]
    first = 0 if len(images) > 1 else 1
    draw(columns[first:], [row[first:] for row in rows], file=sys.stdout, width=terminal_width())
