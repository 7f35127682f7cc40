"""Pictures of results: embeddings, images that a network returns, mistakes, confusion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from archdsl.drawing.themes import Theme
from archdsl.figures.draw_weights import hwc
from archdsl.figures.layers import nothing, run, title_of
from archdsl.figures.samples import Given, Samples, samples_of
from archdsl.figures.sheet import Block, sheet
from archdsl.figures.statistics import Mistake, embedding_of, principal_components
from archdsl.figures.statistics import mistakes as largest_mistakes
from archdsl.figures.style import MARKERS, SERIES, percent, styled
from archdsl.figures.style import figure as made

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Classes in a legend, with their counts in a confusion matrix, and with their names on its axes.
LEGEND, COUNTS, NAMES = 10, 20, 110
#: Images in a row, and rows of mistakes.
IMAGES = 8


def embedding(module: nn.Module, images: Given, layer: str | None = None, *, theme: Theme = "light") -> Figure:
    """The outputs of a network, or of a layer, for images as points, coloured by class or value.

    Two outputs are drawn as they are, more on their first two principal components.

    Args:
        module: any module; eval mode is used.
        images: as the module takes them, paths of files, or `Samples` with their targets.
        layer: the name of a layer, by default the network's output.
        theme: of the page and text.

    Raises:
        SpecError: there is no such layer (E741), or fewer than two images (E742).
    """
    samples = samples_of(module, images)
    if len(samples) < 2:
        raise nothing("embedding", "there is one sample only")
    values = embedding_of(module, samples, layer)
    what = "outputs" if layer is None else f"outputs of {layer}"
    if values.shape[1] == 2:
        points, names = values.double(), ["first output", "second output"]
    else:
        points, shares = principal_components(values)
        names = [
            f"{word} principal component ({percent(share)} of the variance)"
            for word, share in zip(("first", "second"), shares, strict=True)
        ]
    with styled(theme) as colours:
        title = f"Embedding of {title_of(module)}: {what} for {len(samples)} samples"
        figure = made(7.6, 6.2, title, samples.name, colours["soft"])
        axes = figure.subplots()
        _points(figure, axes, points, samples, colours)
        axes.set(xlabel=names[0], ylabel=names[1])
        axes.grid()
        axes.set_axisbelow(True)
        return figure


def _points(figure: Figure, axes: Axes, points: Tensor, samples: Samples, colours: Mapping[str, str]) -> None:
    """The points with a legend of the classes, of the values, or of neither."""
    targets = samples.targets
    x, y = points.T.numpy()
    if targets is None or targets.dim() > 2 or (targets.is_floating_point() and targets[0].numel() != 1):
        axes.scatter(x, y, s=14, color=SERIES[0], linewidths=0)
    elif targets.is_floating_point():
        drawn = axes.scatter(x, y, s=14, c=targets.flatten().numpy(), cmap="viridis", linewidths=0)
        figure.colorbar(drawn, ax=axes, label="target", shrink=0.6)
    else:
        _classes(axes, points, samples, colours)


def _classes(axes: Axes, points: Tensor, samples: Samples, colours: Mapping[str, str]) -> None:
    """The points of each class; of many classes, the name stands at their median."""
    assert samples.targets is not None
    present = sorted(set(samples.targets.tolist()))
    few = len(present) <= LEGEND
    for i, number in enumerate(present):
        own = points[samples.targets == number]
        name = samples.classes[number] if number < len(samples.classes) else str(number)
        marker = MARKERS[(i if few else i // len(SERIES)) % len(MARKERS)]
        colour = SERIES[i % len(SERIES)]
        x, y = own.T.numpy()
        axes.scatter(x, y, s=16, label=name, color=colour, marker=marker, linewidths=0, alpha=0.8)
        if not few:
            across, up = own.median(0).values.tolist()
            axes.text(across, up, name, fontsize=6.5, ha="center", va="center", color=colours["ink"], weight="bold")
    if few:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, markerscale=1.4, title="class")


def outputs(module: nn.Module, images: Given, wanted: Tensor | None = None, *, theme: Theme = "light") -> Figure:
    """Inputs, outputs and targets, for a network that returns images.

    Args:
        module: any module whose output is an image, or a vector of one; eval mode is used.
        images: as the module takes them, paths of files, or `Samples` with images as targets.
        wanted: the targets, of the output's shape, if the samples do not have them.
        theme: of the page and text.

    Raises:
        SpecError: the output is not an image (E742).
    """
    samples = samples_of(module, images)[:IMAGES]
    shown = samples.images("outputs")
    found = as_images(run(module, samples.inputs)[0].float().cpu(), shown)
    if wanted is None and samples.targets is not None and samples.targets.is_floating_point():
        wanted = samples.targets
    rows = [("input", shown), ("output", found)]
    if wanted is not None:
        target = as_images(wanted[: len(samples)].float().cpu(), shown)
        rows.append(("target", target))
    names = [[f"sample {row}" for row in samples.rows]]
    blocks = [
        Block(
            f"{name} ({'x'.join(map(str, images.shape[1:]))})",
            [[hwc(one.clamp(0, 1)) for one in images]],
            "",
            None,
            names,
        )
        for name, images in rows
    ]
    if wanted is not None and target.shape == found.shape:
        errors = (found - target).square().flatten(1).mean(1)
        blocks[1] = Block(*_with_errors(blocks[1], errors))
    with styled(theme) as colours:
        return sheet(f"Outputs of {title_of(module)}", samples.name, blocks, colours)


def _with_errors(block: Block, errors: Tensor) -> tuple[str, Sequence[Sequence[Tensor]], str, None, list[list[str]]]:
    return block.heading, block.tiles, "", None, [[f"mse {error:.2g}" for error in errors.tolist()]]


def as_images(output: Tensor, shown: Tensor) -> Tensor:
    """Outputs as images (N x C x H x W), vectors in the shape of the images that are shown.

    Raises:
        SpecError: they are no images (E742).
    """
    if output.dim() == 4 and output.shape[1] in {1, 3} and output.shape[2:].numel() > 1:
        return output
    if output.flatten(1).shape[1] == shown[0].numel():
        return output.reshape(shown.shape)
    size = "x".join(map(str, output.shape[1:]))
    image = "x".join(map(str, shown.shape[1:]))
    raise nothing("outputs", f"the network's output is not an image: {size} values for an image of {image}")


def mistakes(
    module: nn.Module, images: Samples | Iterable[Samples], count: int = 24, *, theme: Theme = "light"
) -> Figure:
    """The wrong predictions with the highest probability.

    Args:
        module: any classifier; eval mode is used.
        images: `Samples` with their classes, or an iterable of such.
        count: the most images.
        theme: of the page and text.

    Raises:
        SpecError: the samples have no classes (E742).
    """
    seen: list[int] = []
    where = ""

    def classed() -> Iterator[Samples]:
        nonlocal where
        for each in [images] if isinstance(images, Samples) else images:
            if each.targets is None or each.targets.is_floating_point():
                raise nothing("mistakes", "the classes of the samples are not known")
            where = each.name
            seen.append(len(each))
            yield each

    found = largest_mistakes(module, classed(), count)
    starts = range(0, len(found), IMAGES)
    tiles = [[hwc(one.image) for one in found[start : start + IMAGES]] for start in starts]
    names = [[_told(one) for one in found[start : start + IMAGES]] for start in starts]
    heading = f"{len(found)} wrong predictions" if len(found) < count else f"the {count} most certain wrong predictions"
    note = "those with the highest probability first" if found else ""
    block = Block(heading, tiles, note, None, names) if found else Block("no mistakes", [], note)
    with styled(theme) as colours:
        return sheet(f"Mistakes of {title_of(module)}", f"{sum(seen)} samples of the {where}", [block], colours)


def _told(mistake: Mistake) -> str:
    """`predicted 3 (54 %)` and below `true 5`, on three lines for long names."""
    first = f"predicted {_short(mistake.predicted)} ({percent(mistake.probability)})"
    return f"{first if len(first) < 20 else first.replace(' ', chr(10), 1)}\ntrue {_short(mistake.true)}"


def _short(name: str, most: int = 12) -> str:
    """A class name that fits above a tile."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def confusion(
    counts: Sequence[Sequence[int]],
    classes: Sequence[str],
    *,
    title: str = "Confusion matrix",
    data: str = "",
    theme: Theme = "light",
) -> Figure:
    """A confusion matrix, each row shaded by shares: counts for up to 20 classes, the most frequent errors for more.

    Args:
        counts: for each true class (row), how often each class was predicted (column), as in `Evaluation.confusion`.
        classes: their names.
        title: of the figure.
        data: where the samples are from.
        theme: of the page and text.
    """
    table = torch.tensor(counts, dtype=torch.float64)
    shares = table / table.sum(1, keepdim=True).clamp(min=1)
    right, number = int(table.diagonal().sum()), int(table.sum())
    where = f"{data + ': ' if data else ''}{right} of {number} right ({percent(right / max(number, 1), 1)})"
    many = len(classes) > COUNTS
    side = 8.2 if many else 2.0 + 0.42 * len(classes)
    with styled(theme) as colours:
        figure = made(side + (3.4 if many else 1.1), side + (0.3 if many else 0.7), title, where, colours["soft"])
        axes, *side_axes = figure.subplots(1, 1 + many, width_ratios=[side, 2.6][: 1 + many], squeeze=False)[0]
        drawn = axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
        axes.set_anchor("N")
        bar = figure.colorbar(drawn, ax=axes, label="share of the true class", shrink=0.5)
        bar.outline.set_visible(False)
        _class_axes(axes, classes)
        if many:
            _most_confused(side_axes[0], table, classes)
        else:
            _counts(axes, counts, shares)
        return figure


def _class_axes(axes: Axes, classes: Sequence[str]) -> None:
    axes.set(xlabel="predicted class", ylabel="true class")
    size = 7.5 if len(classes) <= COUNTS else max(4.0, 7.5 * 30 / len(classes))
    if len(classes) <= NAMES:
        turn = 0 if max(map(len, classes), default=0) <= 2 else 90
        axes.set_xticks(range(len(classes)), classes, rotation=turn, fontsize=size)
        axes.set_yticks(range(len(classes)), classes, fontsize=size)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _counts(axes: Axes, counts: Sequence[Sequence[int]], shares: Tensor) -> None:
    for i, row in enumerate(counts):
        for j, number in enumerate(row):
            # Colours of their own: cells are light or dark in both themes.
            colour = "#f8fbff" if shares[i, j] > 0.5 else "#0b1a2b"
            axes.text(j, i, str(number or "·"), ha="center", va="center", fontsize=7, color=colour)


def _most_confused(axes: Axes, table: Tensor, classes: Sequence[str]) -> None:
    """The most frequent errors as a list beside the matrix."""
    wrong = table.clone().fill_diagonal_(0)
    best = wrong.flatten().topk(min(20, wrong.numel()))
    pairs = [(int(n), divmod(int(i), len(classes))) for n, i in zip(best.values, best.indices, strict=True) if n > 0]
    lines = [
        f"{number} x {_short(classes[true], 16)} as {_short(classes[other], 16)}" for number, (true, other) in pairs
    ]
    text = "most frequent errors\n\n" + "\n".join(lines or ["none"])
    axes.text(0, 1, text, fontsize=7, va="top", linespacing=1.5)
    axes.set_axis_off()
