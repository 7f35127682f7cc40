"""Weights of a layer as tiles: kernels, the images that linear layers weigh, matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, prod, sqrt
from typing import Literal

from torch import Tensor, nn

from archdsl.figures.layers import (
    CONVOLUTIONS,
    TRANSPOSED,
    convolutions,
    label,
    network_or_none,
    nothing,
    part,
    places_of,
)
from archdsl.figures.layers import leaves as leaves_of
from archdsl.graph.lower import Program, Value
from archdsl.graph.network import Network
from archdsl.graph.nodes import LayerNode
from archdsl.recipe.fit import COLOUR, image_of
from archdsl.shapes import Shape

#: Filters shown of a layer, and where each is a row of channels or slices; channels of each filter.
COUNT, ROWS, CHANNELS = 16, 8, 8
#: The most rows or columns of a matrix.
MATRIX = 256
#: Weights beyond the scale: it ends at this quantile where the largest weight is more than twice as large.
QUANTILE = 0.995
#: Layers that leave the elements of a tensor as they are, so that a layer after them sees the tensor before.
PASSING = {"flatten", "dropout", "reshape", "squeeze", "unsqueeze", "relu", "leaky_relu", "sigmoid", "tanh"}
#: Layers that change the scale of an image and leave its colours.
SCALING = {"normalize"}


@dataclass(frozen=True, slots=True)
class WeightMaps:
    """Weights of a layer as rows of tiles.

    form     `signed`: H x W, drawn on the scale -limit..limit; `colour`: H x W x 3 in 0..1, where 0.5 is a weight of
             0 and 0 and 1 are -limit and limit; `line`: a vector, drawn as a curve
    names    for each tile its number; empty where rows and columns have headings
    note     how many there are and which are shown
    clipped  whether some weights are beyond the limit
    """

    label: str
    form: Literal["signed", "colour", "line"]
    tiles: list[list[Tensor]]
    note: str
    limit: float
    clipped: bool = False
    names: list[list[str]] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)


def default_layers(module: nn.Module) -> list[str]:
    """The first and the last convolution; without one, the first linear layer.

    Raises:
        SpecError: there is neither (E742).
    """
    names = (
        convolutions(module) or [name for name in leaves_of(module) if isinstance(part(module, name), nn.Linear)][:1]
    )
    if not names:
        raise nothing("filters", "the network has no convolution and no linear layer")
    wide = [name for name in names if not _is_pointwise(part(module, name))] or names
    return list(dict.fromkeys([wide[0], wide[-1]]))


def _is_pointwise(layer: nn.Module) -> bool:
    return prod(getattr(layer, "kernel_size", (2,))) == 1


def weight_maps(module: nn.Module, name: str, count: int | None = None, image: Shape | None = None) -> WeightMaps:
    """The weights of a layer as tiles.

    Args:
        module: any module; of one that a spec built it is known what each layer reads.
        name: of a convolution or a linear layer.
        count: the most filters; by default 16, or 8 where each is a row.
        image: the shape of the images, for a network that takes them as vectors.

    Raises:
        SpecError: there is no such layer (E741), or it has no such weights (E742).
    """
    layer = part(module, name)
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor) or not isinstance(layer, (*CONVOLUTIONS, *TRANSPOSED, nn.Linear)):
        inside = [each for each in leaves_of(layer) if isinstance(part(layer, each), (*CONVOLUTIONS, nn.Linear))]
        here = f"; inside are {', '.join(f'{name}.{each}' for each in inside[:8])}" if inside else ""
        raise nothing("filters", f"{name} is neither a convolution nor a linear layer{here}")
    values = weight.detach().float().cpu()
    limit, clipped = _scale(values)
    found = _Weights(label(module, name), values, limit, clipped, count)
    if isinstance(layer, nn.Linear):
        seen = _image_before(module, name, image)
        return found.matrix() if seen is None else found.images(*seen)
    kernels = _by_output(layer, values)
    return found.kernels(kernels, colour=kernels.shape[1] == COLOUR and _reads_image(module, name))


def _scale(values: Tensor) -> tuple[float, bool]:
    """The end of the colours' scale, and whether there are larger weights."""
    sizes = values.abs().flatten()
    largest = float(sizes.max()) if len(sizes) else 0.0
    usual = float(sizes.kthvalue(max(1, ceil(QUANTILE * len(sizes)))).values) if len(sizes) else 0.0
    if usual and largest > 2 * usual:
        return usual, True
    return largest or 1.0, False


def _by_output(layer: nn.Module, values: Tensor) -> Tensor:
    """Kernels as output channels x input channels of their group x positions."""
    if not isinstance(layer, TRANSPOSED):
        return values
    groups, (inputs, outputs, *kernel) = layer.groups, values.shape
    grouped = values.view(groups, inputs // groups, outputs, *kernel).transpose(1, 2)
    return grouped.reshape(groups * outputs, inputs // groups, *kernel)


@dataclass(frozen=True, slots=True)
class _Weights:
    """The weights of a layer on their way to tiles."""

    label: str
    values: Tensor
    limit: float
    clipped: bool
    count: int | None

    def kernels(self, kernels: Tensor, *, colour: bool) -> WeightMaps:
        """Tiles of kernels: each filter is one, or for several channels a row."""
        filters, channels, *kernel = kernels.shape
        if prod(kernel) == 1:
            return self.matrix(kernels.flatten(1))
        is_tile = len(kernel) == 1 or (len(kernel) == 2 and (colour or channels == 1))
        shown = kernels[: self.count or (COUNT if is_tile else ROWS)]
        note = some(len(shown), filters, "filters")
        if len(kernel) == 3:
            return self._volumes(shown, note, colour=colour)
        if filters == 1 and not is_tile:
            first = kernels[0, : self.count or COUNT]
            return self._tiles(list(first), f"{note}, {some(len(first), channels, 'channels')}", "signed")
        if len(kernel) == 1:
            form: Literal["signed", "line"] = "line" if channels == 1 else "signed"
            if channels > 1:
                note += f", {some(COUNT, channels, 'channels')} (rows)"
            return self._tiles([one[0] if channels == 1 else one[:COUNT] for one in shown], note, form)
        if colour:
            return self._tiles([self._coloured(one) for one in shown], note, "colour")
        if channels == 1:
            return self._tiles([one[0] for one in shown], note, "signed")
        return self._grid([list(one[:CHANNELS]) for one in shown], f"{note}, {some(CHANNELS, channels, 'channels')}")

    def _volumes(self, shown: Tensor, note: str, *, colour: bool) -> WeightMaps:
        """Kernels with three axes: each filter is a row of slices, of all colours or of the first channel."""
        slices = [[one[:, place] for place in range(shown.shape[2])] for one in shown]
        columns = [f"slice {place}" for place in range(shown.shape[2])]
        rows = [f"filter {i}" for i in range(len(shown))]
        if colour:
            tiles = [[self._coloured(each) for each in row] for row in slices]
        else:
            tiles = [[each[0] for each in row] for row in slices]
            note += f", channel 0 of {shown.shape[1]}" if shown.shape[1] > 1 else ""
        form: Literal["signed", "colour"] = "colour" if colour else "signed"
        return WeightMaps(self.label, form, tiles, note, self.limit, self.clipped, [], rows, columns)

    def images(self, shape: Shape, is_image: bool) -> WeightMaps:
        """Tiles of a linear layer on a flattened image or map: one for each unit, or for several channels a row."""
        is_tile = shape.channels == 1 or is_image
        units = self.values[: self.count or (COUNT if is_tile else ROWS)].view(-1, *shape)
        note = some(len(units), len(self.values), "units")
        if shape.channels == COLOUR and is_image:
            return self._tiles([self._coloured(one) for one in units], note, "colour")
        if shape.channels == 1:
            return self._tiles([one[0] for one in units], note, "signed")
        note += f", {some(CHANNELS, shape.channels, 'channels')}"
        return self._grid([list(one[:CHANNELS]) for one in units], note, row="unit")

    def matrix(self, values: Tensor | None = None) -> WeightMaps:
        """All weights as one tile: a row for each output."""
        values = self.values if values is None else values
        outputs, inputs = values.shape
        shown = values[:MATRIX, :MATRIX]
        note = f"rows: {some(MATRIX, outputs, 'outputs')}; columns: {some(MATRIX, inputs, 'inputs')}"
        return WeightMaps(self.label, "signed", [[shown]], note, self.limit, self.clipped)

    def _coloured(self, kernel: Tensor) -> Tensor:
        """Channels x H x W as an image, on the scale of the layer."""
        return (0.5 + kernel.permute(1, 2, 0) / (2 * self.limit)).clamp(0, 1)

    def _tiles(self, tiles: Sequence[Tensor], note: str, form: Literal["signed", "colour", "line"]) -> WeightMaps:
        """Numbered tiles in rows of eight, or of fewer where that fills the rows better."""
        width = columns_for(len(tiles))
        starts = range(0, len(tiles), width)
        names = [[str(i) for i in range(start, min(start + width, len(tiles)))] for start in starts]
        rows = [list(tiles[start : start + width]) for start in starts]
        return WeightMaps(self.label, form, rows, note, self.limit, self.clipped, names)

    def _grid(self, rows: list[list[Tensor]], note: str, row: str = "filter") -> WeightMaps:
        names = [f"{row} {i}" for i in range(len(rows))]
        columns = [f"channel {i}" for i in range(len(rows[0]))]
        return WeightMaps(self.label, "signed", rows, note, self.limit, self.clipped, [], names, columns)


def columns_for(number: int) -> int:
    """How many of a number of tiles stand in a row: eight, or fewer for few."""
    return min(number, 8) if number <= 16 or number % 8 == 0 else min(10, ceil(sqrt(2 * number)))


def some(shown: int, number: int, what: str) -> str:
    """`first 16 of 64 filters`, or `64 filters` if all are shown."""
    what = what.removesuffix("s") if number == 1 else what
    return f"{number} {what}" if shown >= number else f"first {shown} of {number} {what}"


# What a layer reads


def _reads_image(module: nn.Module, name: str) -> bool:
    """Whether a convolution over three channels reads the colours of an image, so that its kernels have colours."""
    network = network_or_none(module)
    if network is None:
        return convolutions(module)[:1] == [name]
    source = _source(network, name)
    return source is not None and any(source is each for each in network.program.inputs)


def _image_before(module: nn.Module, name: str, image: Shape | None) -> tuple[Shape, bool] | None:
    """The map whose elements a linear layer weighs, and whether it is the image; None where it weighs a vector."""
    network = network_or_none(module)
    if network is None:
        return None
    source = _source(network, name)
    if source is None:
        return None
    is_input = any(source is each for each in network.program.inputs)
    if is_input and source.shape.rank == 0:
        fits = image is not None and image.numel == source.shape.numel
        shape = image if fits else image_of(source.shape)
        return None if shape is None else (shape, True)
    made = _makers(network.program).get(source)
    channels_first = is_input or (made is not None and places_of(network.fields[made[1].name].axes, 2) == [2, 3])
    weighs_all = channels_first and _is_map(source.shape) and source.shape.numel == _width(network, name)
    return (source.shape, is_input) if weighs_all else None


def _width(network: Network, name: str) -> int:
    """The number of inputs of a linear layer."""
    return next(layer.input[-1] for layer in network.layers if layer.name == name)


def _source(network: Network, name: str) -> Value | None:
    """The tensor that a layer reads, before flattenings and what changes each element by itself."""
    made = _makers(network.program)
    found = next((i for i, node in made.values() if node.name == name), None)
    while found is not None:
        maker = made.get(found)
        if maker is None or maker[1].kind not in PASSING | SCALING:
            return found
        if _is_map(found.shape) and maker[1].kind not in SCALING:
            return found
        found = maker[0]
    return None


def _is_map(shape: Shape) -> bool:
    return shape.rank == 2 and prod(shape.spatial) > 1


def _makers(program: Program) -> dict[Value, tuple[Value, LayerNode]]:
    """For each tensor that a layer makes its input and the layer."""
    steps = ((step, step.node) for step in program.operations if step.outputs)
    return {step.outputs[0]: (step.inputs[0].source, node) for step, node in steps if isinstance(node, LayerNode)}
