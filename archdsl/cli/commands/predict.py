"""`archdsl predict`: the likeliest classes of images."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archdsl.cli.network import Asked
from archdsl.cli.options import Input, Model, NetworkArgument, Settings, StdinFilename, TableOrJson, Weights
from archdsl.cli.printing import print_json

if TYPE_CHECKING:
    from archdsl.api import Network
    from archdsl.inference.predict import Prediction

EXAMPLES = (
    "archdsl predict resnet50 cat.jpg --weights torchvision:IMAGENET1K_V2",
    "archdsl predict runs/lenet three.png --top 3",
    "archdsl predict runs/pair one=a.png other=b.png",
)

Found = Sequence[Sequence["Prediction"]]


def predict(
    network: NetworkArgument,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...", help="Image files; for a network with several inputs NAME=FILE for each of them."
        ),
    ],
    weights: Weights = None,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="How many classes to print for each image.")] = 5,
    classes: Annotated[
        str | None, typer.Option(metavar="FILE", help="The class names, one per line, in the order of the outputs.")
    ] = None,
    mean: Annotated[str | None, typer.Option(metavar="A,B,C", help="Mean per channel, for images in 0..1.")] = None,
    std: Annotated[str | None, typer.Option(metavar="A,B,C", help="Standard deviation per channel.")] = None,
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
    stdin_filename: StdinFilename = None,
    format: TableOrJson = "table",
) -> None:
    """Predict the likeliest classes of images.

    Preprocessing and class names are those that the weights were trained with, where these are known.
    """
    normalize = _normalize(mean, std)
    names = None if classes is None else _class_names(Path(classes))
    chosen = Asked(network, model, settings, input, stdin_filename).weighted(weights).without_recipe()
    _ = chosen.known_weights  # Before images are read.
    from archdsl.inference.predict import check_samples
    from archdsl.inference.predict import predict as classify

    samples = samples_of(chosen.network, images)
    check_samples(chosen.network, samples)  # Before weights are downloaded.
    found = classify(chosen.built(), samples, top=top, classes=names, normalize=normalize)
    titles = [one if isinstance(one, str) else ", ".join(one.values()) for one in samples]
    if format == "json":
        print_json(_facts(titles, found))
    else:
        _draw(titles, found)


def samples_of(network: Network, given: Sequence[str]) -> list[str] | list[dict[str, str]]:
    """The files of each sample: a name that comes again begins another one."""
    if len(network.inputs) == 1:
        return list(given)
    samples: list[dict[str, str]] = [{}]
    for one in given:
        name, _, file = one.rpartition("=")
        if name in samples[-1]:
            samples.append({})
        samples[-1][name] = file
    return samples


def _normalize(mean: str | None, std: str | None) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    if (mean is None) != (std is None):
        raise typer.BadParameter(
            "--mean and --std must be given together", param_hint="--mean" if std is None else "--std"
        )
    return None if mean is None or std is None else (_numbers(mean, "--mean"), _numbers(std, "--std"))


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        numbers = tuple(map(float, text.split(",")))
        if not all(map(isfinite, numbers)):
            raise ValueError(text)
    except ValueError:
        raise typer.BadParameter(f"`{text}` is not a list of numbers such as 0.5,0.5,0.5", param_hint=option) from None
    if option == "--std" and not all(number > 0 for number in numbers):
        raise typer.BadParameter("standard deviations must be greater than 0", param_hint=option)
    return numbers


def _class_names(path: Path) -> list[str]:
    """The lines of a text file without trailing empty ones."""
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise typer.BadParameter(f"cannot read {path}: {reason}", param_hint="--classes") from None
    return [line.strip() for line in lines]


def _facts(images: Sequence[str], found: Found) -> list[dict[str, Any]]:
    """One object for each image (docs/json.md)."""
    return [
        {
            "image": image,
            "predictions": [{"class": p.name, "index": p.index, "probability": p.probability} for p in best],
        }
        for image, best in zip(images, found, strict=True)
    ]


def _draw(images: Sequence[str], found: Found) -> None:
    """Print a table; images are named if there are several."""
    from archdsl.view.tables import Column, draw, terminal_width

    columns = [Column("image", fold=16), Column("class", fold=16), Column("probability", right=True)]
    rows = [
        [image if place == 0 else "", prediction.name, f"{prediction.probability:.2%}"]
        for image, best in zip(images, found, strict=True)
        for place, prediction in enumerate(best)
    ]
    first = 0 if len(images) > 1 else 1
    draw(columns[first:], [row[first:] for row in rows], file=sys.stdout, width=terminal_width())
