"""The pictures of trained networks of `archdsl draw`: each function writes one, with the options that it takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

    from archdsl.cli.network import Chosen
    from archdsl.drawing.themes import Theme
    from archdsl.figures import Samples
    from archdsl.runs.folder import EpochMetrics
    from archdsl.shapes import Shape
    from archdsl.train.setup import Setup


class _Subject(NamedTuple):
    """A trained network with samples to draw it on; `classes` whether its outputs are scores of classes."""

    module: nn.Module
    samples: Samples
    classes: bool


def _trained(found: Chosen) -> tuple[nn.Module, Setup]:
    """A network with its weights, and the data of its recipe."""
    from archdsl.cli.recipe import Training

    recipe = Training(found, {}).for_evaluation()
    from archdsl.train import trained

    return trained(found.network, recipe, found.known_weights, run=found.run)


def _subject(found: Chosen, image: Sequence[str], sample: int, count: int = 1) -> _Subject:
    """A network and `count` samples from one of the test split on, or the sample in image files."""
    from archdsl.figures.samples import test_samples

    if image:
        return _subject_of_image(found, image)
    module, setup = _trained(found)
    last = min(sample + count, max(len(setup.data.test.labels), sample + 1))
    return _Subject(module, test_samples(setup, range(sample, last)), bool(setup.classes))


def _subject_of_image(found: Chosen, image: Sequence[str]) -> _Subject:
    """A network and an image of one's own, prepared as the weights need it: no data set is read."""
    from archdsl.cli.commands.predict import samples_of
    from archdsl.figures.samples import image_samples
    from archdsl.recipe.fit import is_classification

    [sample, *others] = samples_of(found.network, image)
    if others:
        raise typer.BadParameter("one image is drawn, with several inputs one NAME=FILE for each", param_hint="--image")
    output = found.network.output_shape
    classes = all(size == 1 for size in output[1:]) and output.channels > 1
    if found.run is not None:
        classes = is_classification(found.run.read_recipe())
    module = found.built()
    return _Subject(module, image_samples(module, [sample]), classes)


def _save(figure: Figure, path: Path, theme: Theme) -> None:
    from archdsl.figures import save

    save(figure, path, theme)


def draw_filters(
    found: Chosen, path: Path, *, layer: Sequence[str] = (), count: int | None = None, theme: Theme = "auto"
) -> None:
    """Draw the weights of layers."""
    from archdsl import figures

    image = _stored_image(found)
    module = found.without_recipe().built()
    _save(figures.filters(module, layer, count=count, image=image, theme=theme), path, theme)


def _stored_image(found: Chosen) -> Shape | None:
    """The shape of the images of the run's data set, for a network that takes them as vectors."""
    from archdsl.shapes import Shape

    info = None if found.run is None else found.run.read_info()
    return Shape(info.sample) if info is not None and len(info.sample) == 3 else None


def draw_features(
    found: Chosen,
    path: Path,
    *,
    layer: Sequence[str] = (),
    count: int | None = None,
    sample: int = 0,
    image: Sequence[str] = (),
    theme: Theme = "auto",
) -> None:
    """Draw the output channels of layers for an image."""
    from archdsl import figures
    from archdsl.figures.maps import COUNT

    module, samples, classes = _subject(found, image, sample)
    made = figures.features(module, samples, layer, count=count or COUNT, classes=classes, theme=theme)
    _save(made, path, theme)


def draw_activations(found: Chosen, path: Path, *, layer: Sequence[str] = (), theme: Theme = "auto") -> None:
    """Draw the distribution of the outputs of layers."""
    from archdsl import figures
    from archdsl.figures.samples import first_samples
    from archdsl.figures.statistics import SAMPLES

    module, setup = _trained(found)
    _save(figures.activations(module, first_samples(setup, SAMPLES), layer, theme=theme), path, theme)


def draw_embedding(found: Chosen, path: Path, *, layer: Sequence[str] = (), theme: Theme = "auto") -> None:
    """Draw the outputs of a layer for test images as points."""
    if len(layer) > 1:
        raise typer.BadParameter("the picture `embedding` takes one layer", param_hint="--layer")
    from archdsl import figures
    from archdsl.figures.samples import first_samples
    from archdsl.figures.statistics import POINTS

    module, setup = _trained(found)
    samples = first_samples(setup, POINTS)
    _save(figures.embedding(module, samples, layer[0] if layer else None, theme=theme), path, theme)


def draw_outputs(
    found: Chosen, path: Path, *, sample: int = 0, image: Sequence[str] = (), theme: Theme = "auto"
) -> None:
    """Draw images that the network returns."""
    from archdsl import figures
    from archdsl.figures.draw_results import IMAGES

    subject = _subject(found, image, sample, IMAGES)
    _save(figures.outputs(subject.module, subject.samples, theme=theme), path, theme)


def draw_mistakes(found: Chosen, path: Path, *, count: int = 24, theme: Theme = "auto") -> None:
    """Draw the images of wrong predictions."""
    from archdsl import figures
    from archdsl.figures.samples import test_batches

    module, setup = _trained(found)
    _require_classes("mistakes", setup)
    _save(figures.mistakes(module, test_batches(setup), count, theme=theme), path, theme)


def draw_confusion(found: Chosen, path: Path, *, theme: Theme = "auto") -> None:
    """Draw the confusion matrix."""
    from archdsl import figures

    module, setup = _trained(found)
    _require_classes("confusion", setup)
    result = setup.evaluate(module, test=True)
    title, data = f"Confusion matrix of {found.network.name}", f"test split of {setup.data.name}"
    _save(figures.confusion(result.confusion, result.classes, title=title, data=data, theme=theme), path, theme)


def _require_classes(picture: str, setup: Setup) -> None:
    if not setup.classes:
        from archdsl.figures.layers import nothing

        raise nothing(picture, "the network does not predict classes")


def draw_curves(found: Chosen, path: Path, *, run: Sequence[str] = (), theme: Theme = "auto") -> None:
    """Draw the history of runs."""
    from archdsl.runs.folder import RunFolder

    if found.run is None:
        raise typer.BadParameter(
            "the picture `curves` is of a run folder: `archdsl draw curves runs/NAME`", param_hint="NETWORK"
        )
    from archdsl import figures
    from archdsl.report.facts import names

    paths = [found.run.path, *map(Path, run)]
    histories: dict[str, Sequence[EpochMetrics]] = {}
    for name, folder in zip(names(paths), paths, strict=True):
        RunFolder(folder).read_info()  # a folder that is no run is an error
        histories[name] = RunFolder(folder).read_metrics()
    title = f"Training of {found.network.name} ({paths[0]})" if len(paths) == 1 else f"Training of {len(paths)} runs"
    _save(figures.curves(histories, title=title, theme=theme), path, theme)


def draw_gradcam(
    found: Chosen,
    path: Path,
    *,
    layer: Sequence[str] = (),
    target: str | None = None,
    sample: int = 0,
    image: Sequence[str] = (),
    theme: Theme = "auto",
) -> None:
    """Draw which positions of layers speak for a class."""
    from archdsl import figures

    module, samples, classes = _subject(found, image, sample)
    made = figures.gradcam(module, samples, layer, target=target, classes=classes, theme=theme)
    _save(made, path, theme)


def draw_occlusion(
    found: Chosen,
    path: Path,
    *,
    layer: Sequence[str] = (),
    target: str | None = None,
    sample: int = 0,
    image: Sequence[str] = (),
    theme: Theme = "auto",
) -> None:
    """Draw how much a score falls where parts of an image are hidden."""
    from archdsl import figures

    module, samples, classes = _subject(found, image, sample)
    made = figures.occlusion(module, samples, layer, target=target, classes=classes, theme=theme)
    _save(made, path, theme)


def draw_field(
    found: Chosen,
    path: Path,
    *,
    layer: Sequence[str] = (),
    position: str | None = None,
    sample: int = 0,
    image: Sequence[str] = (),
    theme: Theme = "auto",
) -> None:
    """Draw the receptive field of a unit."""
    if len(layer) > 1:
        raise typer.BadParameter("the picture `field` takes one layer", param_hint="--layer")
    unit = None if position is None else _position(position)
    from archdsl import figures
    from archdsl.figures.receptive import SAMPLES

    module, samples, _ = _subject(found, image, sample, SAMPLES)
    made = figures.field(module, samples, layer[0] if layer else None, position=unit, theme=theme)
    _save(made, path, theme)


def _position(text: str) -> tuple[int, ...]:
    """The position of a unit: `3,4`."""
    if not all(part.isdecimal() and part.isascii() for part in text.split(",")):
        raise typer.BadParameter(f"`{text}` is not a position such as 3,4", param_hint="--position")
    return tuple(map(int, text.split(",")))
