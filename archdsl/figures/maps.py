"""What layers compute for one sample, as maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from archdsl.figures.kernels import columns_for, some
from archdsl.figures.layers import NO_TENSOR, convolutions, label, leaves, maps, nothing, run
from archdsl.figures.samples import Samples
from archdsl.figures.statistics import probabilities
from archdsl.figures.style import percent

#: Channels shown of a layer.
COUNT = 16


@dataclass(frozen=True, slots=True)
class FeatureMaps:
    """The first channels of a layer's output for one sample, on one scale.

    tiles   rows of maps (H x W), by their numbers `names`; of a sequence, or a vector, one tile: channels x positions
    signed  whether there are negative values: the scale is then -high..high
    high    the end of the scale, which begins at 0 or at -high
    """

    label: str
    tiles: list[list[Tensor]]
    names: list[list[str]]
    note: str
    high: float
    signed: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a network says of a sample; all empty for one without classes."""

    true: str = ""
    predicted: str = ""
    probability: float = 0.0
    index: int | None = None

    def __str__(self) -> str:
        words = [f"true {self.true}"] if self.true else []
        if self.index is not None:
            words.append(f"predicted {self.predicted} ({percent(self.probability)})")
        return ", ".join(words)


def verdict(module: nn.Module, samples: Samples, row: int, output: Tensor, *, classes: bool) -> Verdict:
    """The class that the output for a sample predicts, with its probability; `classes` whether it predicts any."""
    if not classes:
        return Verdict(samples.true(row))
    chances = probabilities(module, output, len(samples.classes))[row]
    index = int(chances.argmax())
    name = samples.classes[index] if index < len(samples.classes) else str(index)
    return Verdict(samples.true(row), name, float(chances[index]), index)


def default_layers(module: nn.Module) -> list[str]:
    """The first and the last convolution; without one, the first and the last layer."""
    names = convolutions(module) or leaves(module)
    return list(dict.fromkeys([names[0], names[-1]])) if names else []


def feature_maps(
    module: nn.Module, samples: Samples, names: Sequence[str], count: int = COUNT
) -> tuple[Tensor, list[FeatureMaps]]:
    """The outputs of layers for the first of some samples, and the network's output for it.

    Raises:
        SpecError: there is no such layer (E741), or its output is not a tensor of numbers (E742).
    """
    output, outputs = run(module, samples[:1].inputs, names)
    found = []
    for name in names:
        if name not in outputs or not outputs[name].is_floating_point():
            raise nothing("features", f"{name} {NO_TENSOR}")
        found.append(_tiles(module, name, outputs[name].float().cpu(), count))
    return output, found


def _tiles(module: nn.Module, name: str, output: Tensor, count: int) -> FeatureMaps:
    found = maps(module, name, output)
    if found is None or found.dim() == 2 or torch.Size(found.shape[2:]).numel() == 1:
        return _strip(label(module, name), output.flatten(1)[0], count)
    channels = found[0, :count]
    note = some(len(channels), found.shape[1], "channels")
    if channels.dim() == 2:
        return _scaled(label(module, name), [[channels]], [], f"{note} (rows) x {channels.shape[1]} positions")
    if channels.dim() == 4:
        channels, depth = channels[:, channels.shape[1] // 2], channels.shape[1]
        note += f", slice {depth // 2} of {depth}"
    width = columns_for(len(channels))
    starts = range(0, len(channels), width)
    tiles = [list(channels[start : start + width]) for start in starts]
    names = [[str(start + i) for i in range(len(row))] for start, row in zip(starts, tiles, strict=True)]
    return _scaled(label(module, name), tiles, names, note)


def _strip(text: str, values: Tensor, count: int) -> FeatureMaps:
    """A vector as a strip of up to 64 values in a row."""
    shown = values[: max(64, 4 * count)]
    width = min(len(shown), 64)
    filled = torch.full((-(-len(shown) // width) * width,), torch.nan)
    filled[: len(shown)] = shown
    return _scaled(text, [[filled.view(-1, width)]], [], some(len(shown), len(values), "values"))


def _scaled(text: str, tiles: list[list[Tensor]], names: list[list[str]], note: str) -> FeatureMaps:
    values = torch.cat([tile.flatten() for row in tiles for tile in row])
    values = values[values.isfinite()]
    high = float(values.abs().max()) if len(values) else 0.0
    return FeatureMaps(text, tiles, names, note, high or 1.0, bool((values < 0).any()))
