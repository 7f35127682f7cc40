"""The pictures of a trained network in its report: mistakes, outputs, embedding, filters, feature maps, activations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from archdsl.diagnostics import SpecError
from archdsl.figures import maps
from archdsl.figures.colours import SEQUENTIAL, SIGNED
from archdsl.figures.kernels import WeightMaps, default_layers, weight_maps
from archdsl.figures.layers import run
from archdsl.figures.samples import Samples, first_samples, test_batches
from archdsl.figures.statistics import (
    POINTS,
    SAMPLES,
    Activation,
    activations,
    embedding_of,
    mistakes,
    principal_components,
)
from archdsl.report.images import Picture, heat, photo, scale
from archdsl.report.scatter import Plane, Point, plane, points_of
from archdsl.report.texts import number, percent
from archdsl.train.setup import Setup

#: Mistakes shown, and samples of a network that gives images.
MISTAKES, IMAGES = 24, 8
#: Activations are of so many elements of inputs, but of no fewer samples: 27 images of 3x224x224.
NUMEL, FEWEST = 2**22, 8


@dataclass(frozen=True)
class Key:
    """The scale of colours: its ends and its strip."""

    low: str
    high: str
    image: str


@dataclass(frozen=True)
class Table:
    """Rows under the names of their columns; the first cell of a row is its name."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Block:
    """Part of a section: tiles about `size` pixels wide, rows of tiles, a plane of points, or a table."""

    title: str = ""
    tiles: Sequence[Picture] = ()
    rows: Sequence[tuple[str, Sequence[Picture]]] = ()
    columns: Sequence[str] = ()
    size: int = 76
    key: Key | None = None
    plane: Plane | None = None
    table: Table | None = None


@dataclass(frozen=True)
class Section:
    """A section of pictures, with a sentence that explains them."""

    anchor: str
    heading: str
    about: str
    blocks: list[Block] = field(default_factory=list)


def sections(module: nn.Module, setup: Setup | None) -> list[Section]:
    """The pictures that there are for a network; without data those of its weights."""
    if setup is None:
        return _there([partial(_filters, module, None)])
    of_data = (_mistakes, _outputs, _values, _embedding, _filters, _features, _activations)
    return _there([partial(make, module, setup) for make in of_data])


def _there(makers: Sequence[Callable[[], Section | None]]) -> list[Section]:
    """The sections that can be made for the network; for example it may have no convolution."""
    found = []
    for make in makers:
        with suppress(SpecError):
            found.append(make())
    return [section for section in found if section is not None]


def _tested(setup: Setup) -> str:
    """What the samples of the pictures are called."""
    return "test" if setup.data.has_test else "validation"


def _mistakes(module: nn.Module, setup: Setup) -> Section | None:
    if not setup.classes:
        return None
    found = mistakes(module, test_batches(setup), MISTAKES)
    about = f"The {_tested(setup)} samples that were classified wrongly with the highest probability, the worst first."
    if not found:
        return Section("mistakes", "Mistakes", f"No {_tested(setup)} sample was classified wrongly.")
    tiles = []
    for one in found:
        words = f"predicted {one.predicted} ({percent(one.probability, 0)}), true {one.true}"
        tiles.append(photo(one.image, f"{_tested(setup)} sample {one.row}", words))
    return Section("mistakes", "Mistakes", about, [Block(tiles=tiles, size=104)])


def _outputs(module: nn.Module, setup: Setup) -> Section | None:
    """Inputs, outputs and targets where the target is an image."""
    samples = first_samples(setup, IMAGES)
    shape = _image_target(setup, samples)
    if shape is None or samples.shown is None or samples.targets is None:
        return None
    outputs = run(module, samples.inputs)[0].float().cpu().reshape(shape)
    targets = samples.targets.float().cpu().reshape(shape)
    rows = {"Inputs": samples.shown, "Outputs": outputs, "Targets": targets}
    blocks = [
        Block(title, [photo(image, f"{title.lower()[:-1]} {i}") for i, image in enumerate(images)], size=90)
        for title, images in rows.items()
    ]
    about = (
        f"The first {len(targets)} {_tested(setup)} samples: what goes in, what the network makes of it, and what it "
        "should be."
    )
    return Section("outputs", "Outputs", about, blocks)


def _image_target(setup: Setup, samples: Samples) -> tuple[int, ...] | None:
    """The shape of the targets as a batch of images; None where they are no images."""
    target = setup.data.target
    if target is None:
        return None
    if target.rank == 2:
        return (-1, *target)
    height, width = setup.data.fit.size
    return None if setup.recipe.target == "class" else (-1, target.numel // (height * width), height, width)


def _values(module: nn.Module, setup: Setup) -> Section | None:
    """Predicted against true values, for a network whose targets are numbers."""
    target = setup.data.target
    if target is None or _image_target(setup, first_samples(setup, 1)) is not None:
        return None
    pairs = [(run(module, part.inputs)[0].float().cpu().flatten(1), part.targets) for part in test_batches(setup)]
    found = torch.cat([outputs for outputs, _ in pairs])
    true = torch.cat([targets.float().flatten(1) for _, targets in pairs if targets is not None])
    about = (
        f"Predicted against true values of the {_tested(setup)} samples; on the line they are equal. R² is the share "
        "of the variance of the true values that the predictions explain."
    )
    planes = [Block(plane=_against(true[:, i], found[:, i], i, len(found[0]))) for i in range(min(4, found.shape[1]))]
    rows = [_errors(f"output {i}", true[:, i], found[:, i]) for i in range(found.shape[1])]
    table = Table(["", "mean absolute error", "root mean square error", "R²"], rows[:50])
    return Section("values", "Values", about, [*planes, Block(table=table)])


def _against(true: Tensor, found: Tensor, index: int, count: int) -> Plane:
    points = [Point(x, y, "1") for x, y in zip(true[:POINTS].tolist(), found[:POINTS].tolist(), strict=True)]
    name = f"output {index}" if count > 1 else "output"
    return plane(points, x="true value", y=f"predicted {name}", diagonal=True)


def _errors(name: str, true: Tensor, found: Tensor) -> list[str]:
    errors = (found - true).double()
    spread = (true - true.mean()).double().square().sum()
    explained = 1 - float(errors.square().sum() / spread) if spread else None
    return [name, number(float(errors.abs().mean())), number(float(errors.square().mean().sqrt())), number(explained)]


def _embedding(module: nn.Module, setup: Setup) -> Section | None:
    """The outputs of a metric network as points."""
    if setup.classes or setup.data.target is not None or not setup.data.classes:
        return None
    samples = first_samples(setup, POINTS)
    assert samples.targets is not None
    features, labels = embedding_of(module, samples), samples.targets
    points, shares = principal_components(features)
    found = plane(
        points_of(points, labels, setup.data.classes),
        x=f"first component ({percent(shares[0], 0)} of the variance)",
        y=f"second component ({percent(shares[1], 0)})",
        names=setup.data.classes,
    )
    near = nearest_share(features, labels)
    about = (
        f"The outputs for {len(labels):,} {_tested(setup)} samples on their first two principal components, coloured "
        f"by class. For {percent(near, 1)} of them the nearest other sample is of the same class."
    )
    return Section("embedding", "Embedding", about, [Block(plane=found)])


def nearest_share(features: Tensor, labels: Tensor) -> float:
    """The share of samples whose nearest other sample (Euclidean distance) has their label."""
    distances = torch.cdist(features.double(), features.double())
    distances.fill_diagonal_(torch.inf)
    return float((labels[distances.argmin(1)] == labels).double().mean())


def _filters(module: nn.Module, setup: Setup | None) -> Section | None:
    image = None if setup is None else setup.data.sample
    found = [weight_maps(module, name, image=image) for name in default_layers(module)]
    about = (
        "The weights of the first and the last convolution (of an MLP, of the first linear layer): red is negative, "
        "blue positive, on one scale for each layer; kernels that read colours are drawn in colour, grey being 0."
    )
    return Section("filters", "Filters", about, [_weights(each) for each in found if each.form != "line"])


def _weights(found: WeightMaps) -> Block:
    title = f"{found.label}: {found.note}"
    key = None if found.form == "colour" else Key(f"-{number(found.limit)}", number(found.limit), scale(SIGNED))
    if found.rows:
        rows = [(name, _row(tiles, found, name)) for name, tiles in zip(found.rows, found.tiles, strict=True)]
        return Block(title, rows=rows, columns=found.columns, key=key)
    flat = [tile for row in found.tiles for tile in row]
    names = [name for row in found.names for name in row] or [""] * len(flat)
    tiles = [_weight(tile, found, f"filter {name}", name) for tile, name in zip(flat, names, strict=True)]
    return Block(title, tiles, size=60 if len(flat) > 1 else 400, key=key)


def _row(tiles: Sequence[Tensor], found: WeightMaps, name: str) -> list[Picture]:
    """The tiles of a row, such as the channels of a filter."""
    return [_weight(tile, found, f"{name}, {column}", "") for tile, column in zip(tiles, found.columns, strict=False)]


def _weight(tile: Tensor, found: WeightMaps, alt: str, caption: str) -> Picture:
    if found.form == "colour":
        return photo(tile.permute(2, 0, 1), alt, caption)
    return heat(tile, -found.limit, found.limit, SIGNED, alt, caption)


def _features(module: nn.Module, setup: Setup) -> Section | None:
    samples = first_samples(setup, 1)
    output, found = maps.feature_maps(module, samples, maps.default_layers(module))
    told = maps.verdict(module, samples, 0, output, classes=bool(setup.classes))
    about = f"What layers make of one {_tested(setup)} sample: each tile is a channel, on one scale for each layer."
    words = str(told).replace(" %", "%").replace("%", "\u00a0%")
    blocks = [_maps(each) for each in found]
    if samples.shown is not None:
        blocks.insert(0, Block("The sample", [photo(samples.shown[0], "the sample", words)], size=110))
    return Section("features", "Feature maps", about, blocks)


def _maps(found: maps.FeatureMaps) -> Block:
    flat = [tile for row in found.tiles for tile in row]
    names = [name for row in found.names for name in row] or [""] * len(flat)
    low, colours = (-found.high, SIGNED) if found.signed else (0.0, SEQUENTIAL)
    tiles = [
        heat(tile, low, found.high, colours, f"channel {name}", name) for tile, name in zip(flat, names, strict=True)
    ]
    key = Key(number(low), number(found.high), scale(colours))
    return Block(f"{found.label}: {found.note}", tiles, size=76 if len(flat) > 1 else 400, key=key)


def _activations(module: nn.Module, setup: Setup) -> Section | None:
    samples = first_samples(setup, max(FEWEST, min(SAMPLES, NUMEL // setup.numel)))
    about = (
        f"The outputs of each layer over {len(samples)} {_tested(setup)} samples. A layer whose values are nearly all "
        "zero, or far larger than its neighbours', learns badly."
    )
    columns = ["layer", "mean", "standard deviation", "1 %", "median", "99 %", "zeros"]
    table = Table(columns, [_activation(one) for one in activations(module, samples)])
    return Section("activations", "Activations", about, [Block(table=table)])


def _activation(found: Activation) -> list[str]:
    low, _, median, _, high = found.quantiles
    values = (found.mean, found.std, low, median, high)
    return [found.label, *map(number, values), percent(found.zeros, 1)]
