"""Figures of a trained network, drawn with matplotlib without a display."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor, nn

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.pictures import NothingToDraw
from archdsl.files.write import write_atomically
from archdsl.report.measure import (
    POINTS,
    activations,
    convolutions,
    first_images,
    mistakes,
    part,
    principal_components,
    run,
    shown,
)
from archdsl.train.setup import Setup

#: Filters and channels shown of a layer.
TILES = 8
DPI = 140
#: Inches: the side of a tile, the distance of tiles, a line of small text, the title, the margins.
SIDE, STEP, LINE, HEAD, MARGIN = 0.95, 1.03, 0.18, 0.45, 0.12


def draw(picture: str, module: nn.Module, setup: Setup, layers: Sequence[str] = ()) -> Figure:
    """Draw one of PICTURES of a network, for the named layers or default ones.

    Raises SpecError: there is no such layer (E741), or nothing to draw (E742).
    """
    return PICTURES[picture](module, setup, layers)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, SVG or PDF by the extension; replaces an existing file only when complete."""
    canvas = FigureCanvasAgg(figure)
    form = path.suffix[1:].lower() or "png"
    write_atomically(path, lambda beside: canvas.print_figure(beside, format=form, dpi=DPI))


def _nothing(picture: str, reason: str) -> SpecError:
    return SpecError([Diagnostic(NothingToDraw(picture, reason))])


def _figure(width: float, height: float, title: str) -> Figure:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    figure.suptitle(title, fontsize=11)
    return figure


def _first_and_last(module: nn.Module, picture: str) -> list[str]:
    names = convolutions(module)
    if not names:
        raise _nothing(picture, "the network has no convolution")
    return list(dict.fromkeys([names[0], names[-1]]))


# Tiles


def _rows_of_tiles(grids: Sequence[list[list[Tensor]]], names: Sequence[str], title: str) -> Figure:
    """Draw a block of rows for each layer, with its name above."""
    rows = [
        (name if i == 0 else "", row) for grid, name in zip(grids, names, strict=True) for i, row in enumerate(grid)
    ]
    named = len([name for name, _ in rows if name])
    figure, axes = _sheet(HEAD + STEP * len(rows) + LINE * named, title)
    y = HEAD
    for name, tiles in rows:
        if name:
            y += LINE
            axes.text(MARGIN, y, name, fontsize=8, va="bottom")
        for column, tile in enumerate(tiles):
            _image(axes, tile, MARGIN + column * STEP, y)
        y += STEP
    return figure


def _sheet(height: float, title: str) -> tuple[Figure, Axes]:
    """Axes over a whole figure, in inches from its upper left corner, on which tiles are drawn.

    Separate axes for each tile, and their layout, would take most of the time of a report.
    """
    figure = Figure(figsize=(2 * MARGIN + STEP * TILES, height + MARGIN), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, figure.get_figwidth()), ylim=(figure.get_figheight(), 0))
    axes.text(figure.get_figwidth() / 2, HEAD / 2, title, fontsize=11, ha="center", va="center")
    return figure, axes


def _image(axes: Axes, tile: Tensor, x: float, y: float) -> None:
    """Draw a tile with its upper left corner at (x, y) and its longer side SIDE inches long."""
    scale = SIDE / max(tile.shape[:2])
    extent = (x, x + tile.shape[1] * scale, y + tile.shape[0] * scale, y)
    colours = "gray" if tile.dim() == 2 else None
    axes.imshow(tile.numpy(), cmap=colours, interpolation="nearest", extent=extent, aspect="auto")


def displayed(image: Tensor) -> Tensor:
    """A stored image (uint8, C x H x W) as matplotlib takes it: H x W, or H x W x 3 in 0..1."""
    scaled = image.float().cpu() / 255
    return scaled[0] if scaled.shape[0] != 3 else scaled.permute(1, 2, 0)


# The pictures


def filters(module: nn.Module, setup: Setup, layers: Sequence[str] = ()) -> Figure:
    """The first eight filters of the first and the last convolution.

    A filter with one or three channels is one tile; of other filters the first eight channels are drawn in rows.
    """
    names = list(layers) or _first_and_last(module, "filters")
    grids = [_filter_tiles(part(module, name), name) for name in names]
    return _rows_of_tiles(grids, names, "filters (first eight)")


def _filter_tiles(layer: nn.Module, name: str) -> list[list[Tensor]]:
    """Rows of tiles (H x W or H x W x 3)."""
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor) or weight.dim() not in (3, 4):
        raise _nothing("filters", f"{name} has no kernel with one or two axes")
    kernels = weight.detach().float().cpu()[:TILES]
    kernels = kernels[:, :, None] if kernels.dim() == 3 else kernels
    if kernels.shape[1] == 3:
        return [[_unit(kernel).permute(1, 2, 0) for kernel in kernels]]
    return [[kernel[channel] for kernel in kernels] for channel in range(min(TILES, kernels.shape[1]))]


def _unit(image: Tensor) -> Tensor:
    """The values scaled to 0..1."""
    low, high = image.min(), image.max()
    return (image - low) / (high - low).clamp(min=1e-12)


def features(module: nn.Module, setup: Setup, layers: Sequence[str] = ()) -> Figure:
    """The first eight output channels of the first and the last convolution, for one test image."""
    names = list(layers) or _first_and_last(module, "features")
    image, _ = first_images(setup, 1)
    _, outputs = run(module, setup, image, names)
    grids = [[[displayed(shown(image)[0])]]]
    for name in names:
        if name not in outputs or outputs[name].dim() != 4:
            raise _nothing("features", f"the output of {name} does not have two spatial axes")
        grids.append([list(outputs[name][0, :TILES].float().cpu())])
    return _rows_of_tiles(grids, ["input", *names], "feature maps of a test image")


def mean_activations(module: nn.Module, setup: Setup, layers: Sequence[str] = ()) -> Figure:
    """The mean activation of every layer over test images, with its standard deviation."""
    found = [each for each in activations(module, setup) if not layers or each.name in layers]
    for name in layers:
        part(module, name)
    if not found:
        raise _nothing("activations", "the output of these layers is not a tensor")
    figure = _figure(8.5, 1.0 + 0.19 * len(found), "mean activation of each layer (bar: standard deviation)")
    axes = figure.subplots()
    places = range(len(found))
    means, deviations = [each.mean for each in found], [each.std for each in found]
    axes.barh(places, means, xerr=deviations, color="#7aa6d8", ecolor="#9aa4af")
    axes.set_yticks(places, [each.name for each in found], fontsize=7)
    axes.invert_yaxis()
    axes.axvline(0, color="#55606d", linewidth=0.8)
    axes.grid(axis="x", alpha=0.3)
    return figure


def embedding(module: nn.Module, setup: Setup, layers: Sequence[str] = ()) -> Figure:
    """The network's (or a layer's) outputs for test images, on two principal components, coloured by class."""
    images, labels = first_images(setup, POINTS)
    values, outputs = run(module, setup, images, layers[:1])
    if layers:
        if layers[0] not in outputs:
            raise _nothing("embedding", f"the output of {layers[0]} is not a tensor")
        values = outputs[layers[0]]
    points, shares = principal_components(values.flatten(1).cpu())
    explained = f"{shares[0]:.0%} and {shares[1]:.0%} of the variance"
    figure = _figure(7, 5.6, f"features on two principal components: {explained}")
    axes = figure.subplots()
    for number, name in enumerate(setup.data.classes):
        x, y = points[(labels == number).cpu()].T.numpy()
        axes.scatter(x, y, s=9, label=name, color=f"C{number % 10}")
    axes.legend(fontsize=7, markerscale=2, ncols=1 + len(setup.data.classes) // 12)
    axes.grid(alpha=0.3)
    return figure


def outputs(module: nn.Module, setup: Setup, layers: Sequence[str] = ()) -> Figure:
    """Inputs, outputs and targets of test images, for a network whose output is an image."""
    if setup.data.target is None:
        raise _nothing("outputs", "the network's output is not an image")
    images, targets = first_images(setup, TILES)
    shape = (len(targets), -1, *setup.data.fit.size)
    found = run(module, setup, images)[0].reshape(shape)
    rows = [shown(images), 255 * found.clamp(0, 1), 255 * targets.reshape(shape)]
    grids = [[[displayed(image) for image in row]] for row in rows]
    return _rows_of_tiles(grids, ["input", "output", "target"], "outputs for test images")


def worst(module: nn.Module, setup: Setup, layers: Sequence[str] = ()) -> Figure:
    """The wrong predictions with the highest probabilities."""
    _require_classes("mistakes", setup)
    found = mistakes(module, setup)
    title = "mistakes with the highest probability" if found else "no mistakes on the test split"
    height = STEP + 2 * LINE
    figure, axes = _sheet(HEAD + height * -(-len(found) // TILES), title)
    for number, mistake in enumerate(found):
        row, column = divmod(number, TILES)
        x, y = MARGIN + column * STEP, HEAD + row * height + 2 * LINE
        words = f"{mistake.predicted} {mistake.probability:.0%}\nis {mistake.true}"
        axes.text(x + SIDE / 2, y - 0.04, words, fontsize=7, ha="center", va="bottom")
        _image(axes, displayed(mistake.image), x, y)
    return figure


def _require_classes(picture: str, setup: Setup) -> None:
    if not setup.classes:
        raise _nothing(picture, "the network does not predict classes")


def confusion(module: nn.Module, setup: Setup, layers: Sequence[str] = ()) -> Figure:
    """The confusion matrix on the test split."""
    _require_classes("confusion", setup)
    found = setup.evaluate(module, test=True)
    return confusion_matrix(found.confusion, found.classes)


def confusion_matrix(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """A confusion matrix, each row shaded by shares; the counts are printed for up to 20 classes."""
    table = torch.tensor(counts, dtype=torch.float64)
    shares = table / table.sum(1, keepdim=True).clamp(min=1)
    side = min(9.0, 2.2 + 0.42 * len(classes))
    figure = _figure(side + 0.8, side, "confusion matrix (rows: true class, columns: predicted class)")
    axes = figure.subplots()
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= 20:
        axes.set_xticks(range(len(classes)), classes, rotation=60, ha="right", fontsize=7)
        axes.set_yticks(range(len(classes)), classes, fontsize=7)
        for i, row in enumerate(counts):
            for j, number in enumerate(row):
                colour = "white" if shares[i, j] > 0.5 else "#1c2733"
                axes.text(j, i, str(number or "·"), ha="center", va="center", fontsize=6.5, color=colour)
    return figure


#: The pictures by their names on the command line.
PICTURES: dict[str, Callable[[nn.Module, Setup, Sequence[str]], Figure]] = {
    "filters": filters,
    "features": features,
    "activations": mean_activations,
    "embedding": embedding,
    "outputs": outputs,
    "mistakes": worst,
    "confusion": confusion,
}
