"""The first values of the weights: PyTorch's own, then what the spec says of a layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from archdsl.graph import LayerNode

if TYPE_CHECKING:
    from archdsl.initializers import Initializer


def initialise(module: nn.Module, node: LayerNode) -> None:
    """Apply a layer's initialisers with the functions of torch.nn.init, and freeze it if the spec does."""
    for name, initializer in node.init.items():
        fill = getattr(nn.init, f"{initializer.kind}_")
        fill(module.get_parameter(name), **keywords_of(initializer))
    if not node.trainable:
        module.requires_grad_(False)


def keywords_of(initializer: Initializer) -> dict[str, Any]:
    """An initialiser's fields: the keyword arguments of its function in torch.nn.init."""
    return dict(vars(initializer))


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Draw from `seed` inside, on the default device; torch's own generators are as before afterwards."""
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
