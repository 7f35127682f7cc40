"""Helpers for comparing the zoo with other libraries: a trained state, and differences of outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

#: Pictures are as they are, much smaller and larger by turns, as the export's own comparison has them.
SCALES = (1.0, 0.01, 3.0)
#: The least difference of two images' outputs, as a share of the largest output: else a mistake could hide.
APART = 1e-3

#: What is added to the biases of convolutions and batch norms.
OFFSET = 0.2


def settle(module: nn.Module, size: Sequence[int]) -> nn.Module:
    """Give a module the state of one that was trained on inputs of this size; it is in eval mode afterwards.

    Fresh norms, biases and scales would hide mistakes, and let the signal fade until all outputs are the same.
    """
    norms = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
    with torch.no_grad():
        for weight in module.parameters():
            if weight.dim() <= 1 or bool((weight == weight.flatten()[0]).all()):
                weight.add_(torch.randn_like(weight) * 0.1)
        for layer in module.modules():
            if isinstance(layer, _BatchNorm | nn.Conv2d | nn.Conv3d) and layer.bias is not None:
                # Rectifiers open for the larger part keep rounding errors from growing with the depth.
                layer.bias += OFFSET
        if not any("norm" in type(layer).__name__.lower() for layer in module.modules()):
            for layer in module.modules():
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        for layer in norms:
            # Branches that add little keep a deep residual network as tame as training leaves it.
            nn.init.uniform_(layer.weight, 0.15, 0.4)
        if norms:
            _calibrate(module.eval(), norms, torch.randn(len(SCALES), *size))
    return module.eval()


def _calibrate(module: nn.Module, norms: Sequence[_BatchNorm], x: Tensor) -> None:
    """Set the running figures of the norms to those of a batch; all else is as in evaluation."""
    before = [layer.momentum for layer in norms]
    for layer in norms:
        layer.train()
        layer.momentum = 1.0
    module(x * torch.tensor(SCALES).view(-1, *[1] * (x.dim() - 1)))
    for layer, momentum in zip(norms, before, strict=True):
        layer.momentum = momentum


def shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    return {key: (tuple(tensor.shape), tensor.dtype) for key, tensor in state.items()}


def require_apart(outputs: Tensor) -> None:
    """Fail where the inputs of a batch hardly change the outputs."""
    assert (outputs[0] - outputs[1]).abs().max() > APART * outputs.abs().max()


def difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference, as a share of the largest output where that is over 1."""
    assert found.shape == expected.shape
    return (found - expected).abs().max().item() / max(1.0, expected.abs().max().item())
