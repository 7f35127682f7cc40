"""`archdsl predict`: what a network gives for images."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli.network import Asked
from archdsl.cli.options import (
    Input,
    Model,
    NetworkArgument,
    Settings,
    StdinFilename,
    TableOrJson,
    Weights,
    reject_unused,
    require_extension,
)
from archdsl.cli.printing import print_json

if TYPE_CHECKING:
    from archdsl.api import Network

EXAMPLES = (
    "archdsl predict resnet50 cat.jpg --weights torchvision:IMAGENET1K_V2",
    "archdsl predict runs/lenet three.png --top 3",
    "archdsl predict runs/pair one=a.png other=b.png",
    "archdsl predict runs/autoencoder a.png -o restored.png",
)

#: How many classes are printed.
TOP = 5
#: The kinds of results in words.
GIVEN = {
    "classes": "classes",
    "scores": "scores of classes",
    "values": "values",
    "embedding": "an embedding",
    "image": "an image",
    "segmentation": "a mask",
    "outputs": "several outputs",
}


def predict(
    network: NetworkArgument,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...", help="Image files; for a network with several inputs NAME=FILE for each of them."
        ),
    ],
    weights: Weights = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write the image or mask as .png; for several images, a folder."
        ),
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How many classes to print for each image (5).")
    ] = None,
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
    """Print what a network gives for images.

    The likeliest classes, values, an embedding, an image or a mask, by what the network was trained for. Preprocessing
    and class names are those that the weights were trained with, where these are known.
    """
    normalize = _normalize(mean, std)
    names = None if classes is None else _class_names(Path(classes))
    chosen = Asked(network, model, settings, input, stdin_filename).weighted(weights).without_recipe()
    _ = chosen.known_weights  # Before images are read.
    from archdsl.inference.predict import check_samples
    from archdsl.inference.predict import predict as run

    samples = samples_of(chosen.network, images)
    check_samples(chosen.network, samples)  # Before weights are downloaded.
    if output is not None and len(samples) == 1:
        require_extension(output, (".png",))
    found = run(chosen.built(), samples, top=top or TOP, classes=names, normalize=normalize, run=chosen.run)
    from archdsl.cli.predictions import draw_found, facts, kind, write_files

    _require_effect(kind(found), top, output)
    titles = [one if isinstance(one, str) else ", ".join(one.values()) for one in samples]
    files: Sequence[str | None] = [None] * len(found)
    if output is not None:
        files = write_files(images_of(samples), found, output)
    if format == "json":
        print_json(facts(titles, found, files))
    else:
        draw_found(titles, found, files, top or TOP)


def _require_effect(kind: str, top: int | None, output: str | None) -> None:
    """Reject options that have no effect on what the network gives."""
    if kind not in ("classes", "scores", "segmentation"):
        reject_unused(f"a network that gives no classes but {GIVEN[kind]}", top=top)
    if kind not in ("image", "segmentation"):
        reject_unused(f"a network that gives no image or mask but {GIVEN[kind]}", output=output)


def images_of(samples: Sequence[str | dict[str, str]]) -> list[str]:
    """The first file of each sample."""
    return [one if isinstance(one, str) else next(iter(one.values())) for one in samples]


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
