"""Losses of a network's outputs against targets, as means over the batch.

Targets are class numbers (N, int64) or floating tensors: values of the output's own shape, or a share for each of the
network's outputs (mixed labels).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, assert_never

import torch
from torch import Tensor
from torch.nn import functional

from archdsl.recipe.losses import L1, AnyLoss, Bce, CrossEntropy, Huber, Mse, Nll, PairwiseDistance, SmoothL1

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss, called with outputs and targets.

    weight  the divisor of the mean over a batch, from which the mean of a whole follows from those of its parts
    """

    mean: Callable[[Tensor, Tensor], Tensor]
    weight: Callable[[Tensor], Tensor | int] = len

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.mean(outputs, targets)


def loss_function(loss: AnyLoss, device: torch.device = CPU) -> Loss:
    """The function of a recipe's `loss`, for outputs on `device`."""
    match loss:
        case CrossEntropy() | Nll():
            weight = _weights(loss.weight, device)
            options: dict[str, Any] = {"weight": weight, "ignore_index": loss.ignore_index}
            if isinstance(loss, Nll):
                return Loss(partial(_nll, **options), _class_weight(weight, loss.ignore_index))
            mean = partial(functional.cross_entropy, label_smoothing=loss.label_smoothing, **options)
            return Loss(mean, _class_weight(weight, loss.ignore_index))
        case Mse():
            return _against_values(functional.mse_loss)
        case L1():
            return _against_values(functional.l1_loss)
        case Huber():
            return _against_values(partial(functional.huber_loss, delta=loss.delta))
        case SmoothL1():
            return _against_values(partial(functional.smooth_l1_loss, beta=loss.beta))
        case Bce():
            weight = _weights(loss.pos_weight, device)
            return _against_values(partial(functional.binary_cross_entropy_with_logits, pos_weight=weight))
        case PairwiseDistance():
            return Loss(_pairwise_distance, lambda targets: len(targets) * (len(targets) - 1) // 2)
        case _:
            assert_never(loss)


def _weights(numbers: tuple[float, ...] | None, device: torch.device) -> Tensor | None:
    return None if numbers is None else torch.tensor(numbers, device=device)


def _class_weight(weight: Tensor | None, ignored: int) -> Callable[[Tensor], Tensor | int]:
    """The sum of the samples' weights, 0 for those of the ignored class."""
    if weight is None and ignored < 0:
        return len

    def total(targets: Tensor) -> Tensor | int:
        if targets.is_floating_point():
            return len(targets)
        counted = targets[targets != ignored] if targets.device.type == "cpu" else targets
        ones = torch.ones_like(counted, dtype=torch.float32) if weight is None else weight[counted]
        return torch.where(counted != ignored, ones, 0).sum()

    return total


def _nll(outputs: Tensor, targets: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    """PyTorch's nll_loss takes class numbers only; here targets may be a share for each class."""
    if not targets.is_floating_point():
        return functional.nll_loss(outputs, targets, weight, ignore_index=ignore_index)
    terms = outputs * targets if weight is None else outputs * targets * weight
    return -terms.sum() / len(targets)


def _against_values(function: Callable[..., Tensor]) -> Loss:
    return Loss(lambda outputs, targets: function(outputs, as_values(targets, outputs)))


def as_values(targets: Tensor, outputs: Tensor) -> Tensor:
    """Targets of the outputs' shape; class numbers become one-hot, or stay numbers for a single output."""
    if targets.is_floating_point():
        return targets.to(outputs.dtype)
    if outputs.shape[1] == 1:
        return targets[:, None].to(outputs.dtype)
    return functional.one_hot(targets, outputs.shape[1]).to(outputs.dtype)


def _pairwise_distance(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean over all pairs of (|f_i - f_j| - |t_i - t_j|)^2; 0 for a single sample."""
    if len(outputs) < 2:
        return outputs.sum() * 0
    wanted = functional.pdist(targets.view(len(targets), -1).to(outputs.dtype))
    return functional.mse_loss(functional.pdist(outputs.flatten(1)), wanted)


def main_output(output: Any) -> Tensor:
    """A network's main output, also where it returned auxiliary ones."""
    main: Tensor = output["out"] if isinstance(output, dict) else output
    return main


def class_scores(output: Any) -> Tensor:
    """The class scores of a network's output; 1x1 maps are flattened."""
    main = main_output(output)
    return main.flatten(1) if main.ndim > 2 else main


def predictions(scores: Tensor, classes: int) -> Tensor:
    """The class of each sample: the highest of the first `classes` scores, or the sign of a single score."""
    return (scores[:, 0] > 0).long() if scores.shape[1] == 1 else scores[:, :classes].argmax(1)


def class_numbers(targets: Tensor) -> Tensor:
    """The class of each target; for mixed labels the one with the largest share."""
    return targets.argmax(1) if targets.is_floating_point() else targets
