"""The pictures of `archdsl draw`.

Each is a function that writes it to a file. Its keyword arguments are the options of `draw` that it takes, with their
defaults; `draw` rejects all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from archdsl.cli import learned
from archdsl.cli.options import FIGURES

if TYPE_CHECKING:
    from archdsl.cli.network import Chosen

#: The file types of drawings, and what `--theme` and `--direction` may be.
DRAWINGS = (".svg", ".png", ".pdf", ".tex")
Theme = Literal["auto", "light", "dark"]
Direction = Literal["down", "right"]
Name = Literal[
    "network",
    "volumes",
    "filters",
    "features",
    "activations",
    "embedding",
    "outputs",
    "mistakes",
    "confusion",
    "curves",
    "gradcam",
    "occlusion",
    "field",
]


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


def draw_volumes(found: Chosen, path: Path, *, depth: int | None = None, theme: Theme = "auto") -> None:
    """Draw the feature maps as blocks of their sizes."""
    from archdsl.diagrams.volumes import draw_volumes as volumes_scene
    from archdsl.drawing import write_drawing

    write_drawing(volumes_scene(found.without_recipe().network, depth), path, theme)


#: Every picture by its name, in the order of the help.
PICTURES: Mapping[Name, Picture] = {
    "network": Picture("the layers from input to output", draw_network, formats=DRAWINGS, weights=False),
    "volumes": Picture("the feature maps as blocks, to scale", draw_volumes, formats=DRAWINGS, weights=False),
    "filters": Picture("the weights of layers", learned.draw_filters),
    "features": Picture("the output channels of layers for an image", learned.draw_features),
    "activations": Picture("the distribution of each layer's output", learned.draw_activations),
    "embedding": Picture("the outputs for test images as points", learned.draw_embedding),
    "outputs": Picture("inputs, outputs and targets, where the output is an image", learned.draw_outputs),
    "mistakes": Picture("the wrong predictions with the highest probability", learned.draw_mistakes),
    "confusion": Picture("the confusion matrix on the test split", learned.draw_confusion),
    "curves": Picture("loss, accuracy and learning rate of runs over the epochs", learned.draw_curves, weights=False),
    "gradcam": Picture("which positions of a layer speak for a class", learned.draw_gradcam),
    "occlusion": Picture("how much a score falls where parts of an image are hidden", learned.draw_occlusion),
    "field": Picture("the receptive field of a unit", learned.draw_field),
}
