"""The initial values of weights: PyTorch's own, then those of the spec's initialisers; parametrizations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.utils import parametrizations

from archdsl.graph import LayerNode


def initialise(module: nn.Module, node: LayerNode) -> None:
    """Apply a layer's initialisers with the functions of torch.nn.init."""
    for name, initializer in node.init.items():
        if initializer.kind != "default":
            fill = getattr(nn.init, f"{initializer.function}_")
            weight = module.get_parameter(name).data
            fill(weight[: weight.size(1)] if initializer.square else weight, **initializer.arguments)


def parametrize(module: nn.Module, node: LayerNode) -> None:
    """Apply a layer's parametrization to its weight, which has its first value already."""
    if node.parametrization is not None:
        function = getattr(parametrizations, node.parametrization.kind)
        function(module, "weight", **node.parametrization.given)


def freeze(module: nn.Module, node: LayerNode) -> None:
    """Freeze the parameters that the spec does."""
    for name in node.frozen:
        module.get_parameter(name).requires_grad_(False)


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Draw from `seed` inside, on the default device; afterwards torch's own generators are as they were before."""
    if seed is None:
        yield
        return
    device = torch.get_default_device()
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.manual_seed(seed)
        yield
