"""Random weights that show mistakes: none is zero, and signals keep their size on the way to the output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils.parametrize import ParametrizationList

#: Added to the biases of convolutions and running norms: open rectifiers keep rounding errors from growing with depth.
OFFSET = 0.2
#: The scales of norms with running moments: branches that add little keep a deep residual network tame.
GAMMA = (0.15, 0.4)


def run_with_random_weights(
    module: nn.Module, inputs: Tensor | Sequence[Tensor], gain: float = 1.0
) -> tuple[dict[str, Tensor], Any]:
    """Random weights for a module in eval mode, by the keys of its state_dict, and its outputs for `inputs`.

    Linear maps change the size of their input by the factor `gain`. Norms have the moments of this batch. The module
    itself keeps its weights.
    """
    state = random_state(module, gain)
    with torch.no_grad(), _calibrating(module):
        return state, functional_call(module, state, inputs if isinstance(inputs, Tensor) else tuple(inputs))


def random_state(module: nn.Module, gain: float = 1.0) -> dict[str, Tensor]:
    """Random values for every parameter of a module, by its key, the same each time; buffers are copied.

    What a parametrization computes a weight from is copied too: the parts belong together.
    """
    random = torch.Generator().manual_seed(0)
    if not any(_is_norm(layer) for layer in module.modules()):
        gain *= sqrt(2.0)  # as rectifiers need it
    state = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    for prefix, layer in module.named_modules():
        for name, _ in layer.named_parameters(recurse=False):
            if not isinstance(layer, ParametrizationList):
                _fill(state[f"{prefix}.{name}" if prefix else name], name, layer, random, gain)
    return state


def _fill(weight: Tensor, name: str, layer: nn.Module, random: torch.Generator, gain: float) -> None:
    """Draw one parameter so that signals keep their size; offsets are small against them."""
    if isinstance(layer, nn.Embedding):
        weight.normal_(0, 1, generator=random)
    elif name.endswith("weight") and weight.dim() > 1:
        weight.normal_(0, gain / sqrt(_fan_in(weight, layer)), generator=random)
    elif name == "weight" and isinstance(layer, _NormBase):
        weight.uniform_(*GAMMA, generator=random)
    else:
        weight.normal_(0, 0.1, generator=random)
        if name == "weight" and _is_norm(layer):
            weight += 1
        elif name == "bias" and isinstance(layer, _ConvNd | _NormBase):
            weight += OFFSET


def _fan_in(weight: Tensor, layer: nn.Module) -> int:
    """How many terms an output value of a linear map has."""
    if isinstance(layer, _ConvTransposeNd):
        return max(1, weight.shape[0] // layer.groups * weight[0, 0].numel())
    return max(1, weight[0].numel())


def _is_norm(layer: nn.Module) -> bool:
    return "norm" in type(layer).__name__.lower()


@contextmanager
def _calibrating(module: nn.Module) -> Iterator[None]:
    """Let each norm that keeps running moments take those of the first batch it sees."""
    seen: set[int] = set()

    def calibrate(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        if id(layer) not in seen:
            seen.add(id(layer))
            _take_moments(layer, arguments[0])

    norms = [layer for layer in module.modules() if isinstance(layer, _NormBase) and layer.track_running_stats]
    handles = [layer.register_forward_pre_hook(calibrate) for layer in norms]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _take_moments(layer: Any, x: Tensor) -> None:
    """Normalise by the moments of `x`. With a weight to make up for it, the variance is so small that eps matters."""
    axes = [0, *range(2, x.dim())]
    variance, mean = torch.var_mean(x, axes, correction=0)
    layer.running_mean.copy_(mean)
    if layer.affine:
        small = layer.eps * (1 + 9 * torch.linspace(0, 1, len(variance)))
        layer.weight.mul_(((small + layer.eps) / (variance + layer.eps)).sqrt())
        variance = small
    layer.running_var.copy_(variance)
