"""Pictures of weights and of what layers compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from archdsl.drawing.themes import Theme
from archdsl.figures import kernels, maps
from archdsl.figures.layers import title_of
from archdsl.figures.maps import FeatureMaps, Verdict, verdict
from archdsl.figures.samples import Given, Samples, samples_of
from archdsl.figures.sheet import Block, Scale, sheet
from archdsl.figures.statistics import Activation
from archdsl.figures.statistics import activations as measured
from archdsl.figures.style import figure as made
from archdsl.figures.style import percent, styled
from archdsl.shapes import Shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


#: Columns beside the distributions, and their right ends in points from the axes.
COLUMNS = {"mean": 44, "std": 84, "zeros": 118}


def filters(
    module: nn.Module,
    layers: Sequence[str] = (),
    *,
    count: int | None = None,
    image: Shape | None = None,
    theme: Theme = "light",
) -> Figure:
    """The weights of layers as tiles: kernels, and for linear layers on images one image for each unit.

    Args:
        module: any module.
        layers: names of convolutions and linear layers; by default the first and the last convolution.
        count: the most filters of each.
        image: the shape of the images, for a network that takes them as vectors.
        theme: of the page and text.

    Raises:
        SpecError: there is no such layer (E741), or nothing to draw (E742).
    """
    found = [kernels.weight_maps(module, name, count, image) for name in layers or kernels.default_layers(module)]
    blocks = [
        Block(
            one.label,
            one.tiles,
            one.note,
            Scale("colour" if one.form == "colour" else "signed", -one.limit, one.limit, one.clipped),
            one.names,
            one.rows,
            one.columns,
        )
        for one in found
    ]
    with styled(theme) as colours:
        return sheet(f"Filters of {title_of(module)}", "", blocks, colours)


def features(
    module: nn.Module,
    images: Given,
    layers: Sequence[str] = (),
    *,
    count: int = maps.COUNT,
    classes: bool = True,
    theme: Theme = "light",
) -> Figure:
    """The outputs of layers for the first of some images, with the image, its class and the prediction.

    Args:
        module: any module; eval mode is used.
        images: as the module takes them, paths of files, or `Samples`.
        layers: names of layers and scopes; by default the first and the last convolution.
        count: the most channels of each.
        classes: whether the network's outputs are scores of classes.
        theme: of the page and text.

    Raises:
        SpecError: there is no such layer (E741), or nothing to draw (E742).
    """
    samples = samples_of(module, images)[:1]
    output, found = maps.feature_maps(module, samples, layers or maps.default_layers(module), count)
    told = verdict(module, samples, 0, output, classes=classes)
    blocks = [] if samples.shown is None else [_input_block(samples, told)]
    blocks += [_map_block(one) for one in found]
    with styled(theme) as colours:
        return sheet(f"Feature maps of {title_of(module)}", sample_name(samples, 0), blocks, colours)


def sample_name(samples: Samples, row: int) -> str:
    """`sample 3 of the test split of digits`, or the name of a file."""
    if samples.targets is None or not samples.rows:
        return samples.name
    return f"sample {samples.rows[row]} of the {samples.name}"


def _input_block(samples: Samples, told: Verdict) -> Block:
    assert samples.shown is not None
    text = [f"true: {told.true}"] if told.true else []
    if told.index is not None:
        text.append(f"predicted: {told.predicted} ({percent(told.probability)})")
    return Block("input", [[hwc(samples.shown[0])]], side=1.3, text=text or [" "])


def _map_block(found: FeatureMaps) -> Block:
    scale = Scale("signed" if found.signed else "sequential", -found.high if found.signed else 0.0, found.high)
    return Block(found.label, found.tiles, found.note, scale, found.names)


def hwc(image: Tensor) -> Tensor:
    """An image (C x H x W) as H x W x 3."""
    return (image.expand(3, -1, -1) if image.shape[0] == 1 else image).permute(1, 2, 0)


def activations(module: nn.Module, images: Given, layers: Sequence[str] = (), *, theme: Theme = "light") -> Figure:
    """The distribution of each layer's output over images: quantiles, mean, and the share of zeros.

    Args:
        module: any module; eval mode is used.
        images: as the module takes them, paths of files, or `Samples`.
        layers: names of layers and scopes; by default all layers.
        theme: of the page and text.

    Raises:
        SpecError: there is no such layer (E741), or its output is not a tensor (E742).
    """
    samples = samples_of(module, images)
    found = measured(module, samples, layers)
    where = f"{len(samples)} samples of the {samples.name}" if samples.targets is not None else samples.name
    with styled(theme) as colours:
        figure = made(8.4, 1.35 + 0.19 * len(found), f"Activations of {title_of(module)}", where, colours["soft"])
        axes = figure.subplots()
        _distributions(axes, found, colours)
        return figure


def _distributions(axes: Axes, found: Sequence[Activation], colours: Mapping[str, str]) -> None:
    """A row for each layer: a line from the 1 % to the 99 % quantile, a thick one for the middle half, the mean."""
    rows = list(range(len(found)))
    low, first, median, third, high = zip(*(one.quantiles for one in found), strict=True)
    axes.hlines(rows, low, high, color="#0072b2", linewidth=1.1)
    axes.hlines(rows, first, third, color="#0072b2", linewidth=4.5, alpha=0.75)
    axes.plot(median, rows, "|", color=colours["surface"], markersize=5)
    axes.plot([one.mean for one in found], rows, "D", color="#d55e00", markersize=3.2)
    axes.set_yticks(rows, [one.label for one in found], fontsize=7, color=colours["ink"])
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.axvline(0, color=colours["line"], linewidth=0.8, zorder=0)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    _wide_range(axes, [*low, *high])
    axes.set_xlabel("value (thin line: 1 % to 99 %, thick: the middle half, diamond: mean)")
    for row, one in zip(rows, found, strict=True):
        _beside(axes, row, [_number(one.mean), _number(one.std), percent(one.zeros)], colours["ink"])
    _beside(axes, -0.9, list(COLUMNS), colours["soft"])


def _beside(axes: Axes, row: float, texts: Sequence[str], colour: str) -> None:
    """Texts in the columns at the right of a row."""
    for text, place in zip(texts, COLUMNS.values(), strict=True):
        axes.annotate(
            text,
            (1, row),
            (place, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            fontsize=6.5,
            va="center",
            ha="right",
            color=colour,
            annotation_clip=False,
        )


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _wide_range(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic axis beyond the usual size of values, where some are much larger."""
    sizes = sorted(abs(value) for value in values if value)
    if sizes and sizes[-1] > 50 * sizes[len(sizes) // 2]:
        axes.set_xscale("symlog", linthresh=sizes[len(sizes) // 2])
