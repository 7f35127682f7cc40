"""The pictures of a trained network, drawn with matplotlib without a display."""

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
    evaluating,
    mistakes,
    outputs_of,
    part,
    pictures,
    principal_components,
)
from archdsl.train.setup import Setup

#: Filters and channels shown of a layer.
TILES = 8
DPI = 140
#: Inches: the side of a tile, from one tile to the next, a line of small text, the title, the margins.
SIDE, CELL, LINE, HEAD, MARGIN = 0.95, 1.03, 0.18, 0.45, 0.12


def draw(picture: str, module: nn.Module, setup: Setup, layers: Sequence[str] = ()) -> Figure:
    """One of PICTURES of a network, for the named layers or those that the picture shows by itself.

    Raises SpecError: there is no such layer, or nothing to draw.
    """
    return PICTURES[picture](module, setup, layers)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, SVG or PDF by the ending; an older file is replaced only by a complete one."""
    canvas = FigureCanvasAgg(figure)
    form = path.suffix[1:].lower() or "png"
    write_atomically(path, lambda beside: canvas.print_figure(beside, format=form, dpi=DPI))


def _reject(picture: str, reason: str) -> SpecError:
    return SpecError([Diagnostic(NothingToDraw(picture, reason))])


def _figure(width: float, height: float, title: str) -> Figure:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    figure.suptitle(title, fontsize=11)
    return figure


def _first_and_last(names: Sequence[str], picture: str) -> list[str]:
    if not names:
        raise _reject(picture, "the network has no convolution")
    return list(dict.fromkeys([names[0], names[-1]]))


# Filters


def filters(module: nn.Module, setup: Setup, layers: Sequence[str] = ()) -> Figure:
    """The first eight filters of the first and the last convolution, one a tile.

    A filter over one or three channels is one picture; of others the first eight channels are one row each.
    """
    names = list(layers) or _first_and_last(convolutions(module), "filters")
    grids = [_filter_tiles(part(module, name), name) for name in names]
    return _rows_of_tiles(grids, names, "filters (first eight)")


def _filter_tiles(layer: nn.Module, name: str) -> list[list[Tensor]]:
    """Rows of tiles (H x W or H x W x 3)."""
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor) or weight.dim() not in (3, 4):
        raise _reject("filters", f"{name} has no kernel with one or two axes")
    kernels = weight.detach().float().cpu()[:TILES]
    kernels = kernels[:, :, None] if kernels.dim() == 3 else kernels
    if kernels.shape[1] == 3:
        return [[_unit(kernel).permute(1, 2, 0) for kernel in kernels]]
    return [[kernel[channel] for kernel in kernels] for channel in range(min(TILES, kernels.shape[1]))]


def _unit(image: Tensor) -> Tensor:
    """The numbers spread over 0..1."""
    low, high = image.min(), image.max()
    return (image - low) / (high - low).clamp(min=1e-12)


def _rows_of_tiles(grids: Sequence[list[list[Tensor]]], names: Sequence[str], title: str) -> Figure:
    """A block of rows for each layer, its name before them."""
    rows = [
        (name if i == 0 else "", row) for grid, name in zip(grids, names, strict=True) for i, row in enumerate(grid)
    ]
    named = len([name for name, _ in rows if name])
    axes = _sheet(HEAD + CELL * len(rows) + LINE * named, title)
    y = HEAD
    for name, tiles in rows:
        if name:
            y += LINE
            axes.text(MARGIN, y, name, fontsize=8, va="bottom")
        for column, tile in enumerate(tiles):
            _image(axes, tile, MARGIN + column * CELL, y)
        y += CELL
    return _figure_of(axes)


def _sheet(height: float, title: str) -> Axes:
    """Axes over a whole figure, in inches from its upper left corner, to put tiles on.

    Axes of their own for each tile, and a layout of these, would take most of the time that a report takes.
    """
    figure = Figure(figsize=(2 * MARGIN + CELL * TILES, height + MARGIN), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, figure.get_figwidth()), ylim=(figure.get_figheight(), 0))
    axes.text(figure.get_figwidth() / 2, HEAD / 2, title, fontsize=11, ha="center", va="center")
    return axes


def _figure_of(axes: Axes) -> Figure:
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    return figure


def _image(axes: Axes, tile: Tensor, x: float, y: float) -> None:
    """A tile with its upper left corner at (x, y), its longer side SIDE inches."""
    scale = SIDE / max(tile.shape[:2])
    extent = (x, x + tile.shape[1] * scale, y + tile.shape[0] * scale, y)
    colours = "gray" if tile.dim() == 2 else None
    axes.imshow(tile.numpy(), cmap=colours, interpolation="nearest", extent=extent, aspect="auto")


# What the network makes of pictures


def features(module: nn.Module, setup: Setup, layers: Sequence[str] = ()) -> Figure:
    """The first eight channels behind the first and the last convolution, for one test picture."""
    names = list(layers) or _first_and_last(convolutions(module), "features")
    outputs = outputs_of(module, setup, names, 1)
    grids = []
    for name in names:
        if name not in outputs or outputs[name].dim() != 4:
            raise _reject("features", f"the output of {name} has no two spatial axes")
        grids.append([list(outputs[name][0, :TILES].float().cpu())])
    image, _ = pictures(setup, 1)
    return _rows_of_tiles([[[displayed(image[0])]], *grids], ["input", *names], "feature maps of a test picture")


def displayed(image: Tensor) -> Tensor:
    """A stored picture (uint8, C x H x W) as matplotlib takes it: H x W, or H x W x 3 in 0..1."""
    picture = image.float().cpu() / 255
    return picture[0] if picture.shape[0] != 3 else picture.permute(1, 2, 0)


def mean_activations(module: nn.Module, setup: Setup, layers: Sequence[str] = ()) -> Figure:
    """Every layer's mean activation over test pictures, with its standard deviation."""
    found = [each for each in activations(module, setup) if not layers or each.name in layers]
    for name in layers:
        part(module, name)
    if not found:
        raise _reject("activations", "none of these layers gives a tensor of its own")
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
    """The network's output (or a layer's) for test pictures, on its two principal components, coloured by class."""
    images, labels = pictures(setup, POINTS)
    if layers:
        values = outputs_of(module, setup, layers[:1], POINTS).get(layers[0])
        if values is None:
            raise _reject("embedding", f"{layers[0]} gives no tensor of its own")
    else:
        values = _outputs(module, setup, images)
    points, shares = principal_components(values.flatten(1).cpu())
    explained = f"{shares[0]:.0%} and {shares[1]:.0%} of the variance"
    figure = _figure(7, 5.6, f"features on two principal components: {explained}")
    axes = figure.subplots()
    for number, name in enumerate(setup.data.classes):
        chosen = (labels == number).cpu()
        x, y = points[chosen].T.numpy()
        axes.scatter(x, y, s=9, label=name, color=f"C{number % 10}")
    axes.legend(fontsize=7, markerscale=2, ncols=1 + len(setup.data.classes) // 12)
    axes.grid(alpha=0.3)
    return figure


def _outputs(module: nn.Module, setup: Setup, images: Tensor) -> Tensor:
    with evaluating(module):
        output = module(setup.preparation.evaluate(images))
    main: Tensor = output["out"] if isinstance(output, dict) else output
    return main


def outputs(module: nn.Module, setup: Setup, layers: Sequence[str] = ()) -> Figure:
    """For a network whose output is a picture: inputs, outputs and targets of test pictures, one below the other."""
    if setup.data.target is None:
        raise _reject("outputs", "the network's output is no picture")
    images, targets = pictures(setup, TILES)
    shape = (len(images), -1, *setup.data.fit.size)
    found = _outputs(module, setup, images).reshape(shape)
    rows = [images, 255 * found.clamp(0, 1), 255 * targets.reshape(shape)]
    grids = [[[displayed(image) for image in row]] for row in rows]
    return _rows_of_tiles(grids, ["input", "output", "target"], "what the network makes of test pictures")


# Mistakes


def worst(module: nn.Module, setup: Setup, layers: Sequence[str] = ()) -> Figure:
    """The wrong predictions that the network was surest of."""
    if not setup.classes:
        raise _reject("mistakes", "the network is not trained to tell classes apart")
    found = mistakes(module, setup)
    title = "the surest mistakes" if found else "no mistakes on the test split"
    height = CELL + 2 * LINE
    axes = _sheet(HEAD + height * -(-len(found) // TILES), title)
    for number, mistake in enumerate(found):
        row, column = divmod(number, TILES)
        x, y = MARGIN + column * CELL, HEAD + row * height + 2 * LINE
        words = f"{mistake.predicted} {mistake.probability:.0%}\nis {mistake.true}"
        axes.text(x + SIDE / 2, y - 0.04, words, fontsize=7, ha="center", va="bottom")
        _image(axes, displayed(mistake.image), x, y)
    return _figure_of(axes)


def confusion(module: nn.Module, setup: Setup, layers: Sequence[str] = ()) -> Figure:
    """The confusion matrix on the test split: rows are the true classes, shaded by their share."""
    if not setup.classes:
        raise _reject("confusion", "the network is not trained to tell classes apart")
    found = setup.evaluate(module, test=True)
    return confusion_matrix(found.confusion, found.classes)


def confusion_matrix(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """A confusion matrix as a picture; numbers are written where they can be read."""
    table = torch.tensor(counts, dtype=torch.float64)
    shares = table / table.sum(1, keepdim=True).clamp(min=1)
    side = min(9.0, 2.2 + 0.42 * len(classes))
    figure = _figure(side + 0.8, side, "confusion matrix (rows: true class, columns: predicted)")
    axes = figure.subplots()
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= 20:
        axes.set_xticks(range(len(classes)), classes, rotation=60, ha="right", fontsize=7)
        axes.set_yticks(range(len(classes)), classes, fontsize=7)
        for (i, j), number in [((i, j), int(table[i, j])) for i in range(len(classes)) for j in range(len(classes))]:
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
