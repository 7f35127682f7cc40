"""The pictures of `archdsl draw`.

Each is a function that writes it to a file. Its keyword arguments are the options of `draw` that it takes, with their
defaults; `draw` rejects all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import typer

from archdsl.cli.options import FIGURES

if TYPE_CHECKING:
    from archdsl.cli.network import Chosen

#: The file types of drawings, and what `--theme` and `--direction` may be.
DRAWINGS = (".svg", ".png", ".pdf", ".tex")
Theme = Literal["auto", "light", "dark"]
Direction = Literal["down", "right"]
Name = Literal["network", "filters", "features", "activations", "embedding", "outputs", "mistakes", "confusion"]


class Picture(NamedTuple):
    """A picture.

    summary  what it shows, for the help
    draw     writes it; its arguments are the network, the path and the options
    formats  the extensions of its files, the default first
    weights  whether the network needs weights
    """

    summary: str
    draw: Callable[..., None]
    formats: Sequence[str] = FIGURES
    weights: bool = True

    @property
    def options(self) -> list[str]:
        """The options that it takes, as the parameters of `draw` are called."""
        return [one.name for one in signature(self.draw).parameters.values() if one.kind is Parameter.KEYWORD_ONLY]


def draw_network(
    found: Chosen,
    path: Path,
    *,
    depth: int | None = None,
    fold: Sequence[str] = (),
    unfold: Sequence[str] = (),
    fuse: bool = True,
    repeats: bool = True,
    direction: Direction | None = None,
    theme: Theme = "auto",
) -> None:
    """Draw the layers and blocks from input to output."""
    from archdsl.diagrams.flow import flow_scene
    from archdsl.drawing import write_drawing

    network = found.without_recipe().network
    scene = flow_scene(network, depth, fold=fold, unfold=unfold, fuse=fuse, repeats=repeats, direction=direction)
    write_drawing(scene, path, theme)


def _trained(picture: Name, found: Chosen, path: Path, layers: Sequence[str] = ()) -> None:
    """Draw what a network has learned, with the data of its recipe."""
    from archdsl.cli.recipe import Training

    recipe = Training(found, {}).for_evaluation()
    from archdsl.report.figures import draw, save
    from archdsl.train import trained

    module, setup = trained(found.network, recipe, found.known_weights, run=found.run)
    save(draw(picture, module, setup, layers), path)


def draw_filters(found: Chosen, path: Path, *, layer: Sequence[str] = ()) -> None:
    """Draw the kernels of layers."""
    _trained("filters", found, path, layer)


def draw_features(found: Chosen, path: Path, *, layer: Sequence[str] = ()) -> None:
    """Draw the output channels of layers for an image."""
    _trained("features", found, path, layer)


def draw_activations(found: Chosen, path: Path, *, layer: Sequence[str] = ()) -> None:
    """Draw the mean activation of layers."""
    _trained("activations", found, path, layer)


def draw_embedding(found: Chosen, path: Path, *, layer: Sequence[str] = ()) -> None:
    """Draw the outputs of a layer for test images as points."""
    if len(layer) > 1:
        raise typer.BadParameter("the picture `embedding` takes one layer", param_hint="--layer")
    _trained("embedding", found, path, layer)


def draw_outputs(found: Chosen, path: Path) -> None:
    """Draw images that the network returns."""
    _trained("outputs", found, path)


def draw_mistakes(found: Chosen, path: Path) -> None:
    """Draw the images of wrong predictions."""
    _trained("mistakes", found, path)


def draw_confusion(found: Chosen, path: Path) -> None:
    """Draw the confusion matrix."""
    _trained("confusion", found, path)


#: Every picture by its name, in the order of the help.
PICTURES: Mapping[Name, Picture] = {
    "network": Picture("the layers from input to output", draw_network, formats=DRAWINGS, weights=False),
    "filters": Picture("the kernels of convolutions", draw_filters),
    "features": Picture("the output channels of layers for a test image", draw_features),
    "activations": Picture("the mean activation of each layer over test images", draw_activations),
    "embedding": Picture("the outputs for test images as points", draw_embedding),
    "outputs": Picture("inputs, outputs and targets, where the target is an image", draw_outputs),
    "mistakes": Picture("the wrong predictions with the highest probability", draw_mistakes),
    "confusion": Picture("the confusion matrix on the test split", draw_confusion),
}
