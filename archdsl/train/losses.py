"""Losses of class scores (batch x outputs) against labels (batch), as means over the batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, assert_never

from torch import Tensor
from torch.nn import functional

from archdsl.recipe import AnyLoss, CrossEntropy, Mse, Nll

Loss = Callable[[Tensor, Tensor], Tensor]


def loss_function(loss: AnyLoss) -> Loss:
    """The function that a recipe's `loss` stands for."""
    match loss:
        case CrossEntropy():
            return partial(functional.cross_entropy, label_smoothing=loss.label_smoothing)
        case Nll():
            return functional.nll_loss
        case Mse():
            return _squared_error
        case _:
            assert_never(loss)


def _squared_error(scores: Tensor, labels: Tensor) -> Tensor:
    return functional.mse_loss(scores, functional.one_hot(labels, scores.shape[1]).to(scores.dtype))


def class_scores(output: Any) -> Tensor:
    """The scores in what a network returned: its main output, a picture of one cell taken as a vector."""
    main: Tensor = output["out"] if isinstance(output, dict) else output
    return main.flatten(1) if main.ndim > 2 else main
