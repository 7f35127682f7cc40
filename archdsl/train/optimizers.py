"""The optimizer of a recipe: frozen layers, learning rates by label, weight decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.training import NothingToTrain
from archdsl.recipe import Recipe, optimizers
from archdsl.recipe.fit import under
from archdsl.recipe.optimizers import AnyOptimizer
from archdsl.train.norms import NORMS

OPTIMIZERS: dict[type[AnyOptimizer], type[torch.optim.Optimizer]] = {
    optimizers.Sgd: torch.optim.SGD,
    optimizers.Adam: torch.optim.Adam,
    optimizers.AdamW: torch.optim.AdamW,
    optimizers.RmsProp: torch.optim.RMSprop,
    optimizers.Adadelta: torch.optim.Adadelta,
    optimizers.Adafactor: torch.optim.Adafactor,
    optimizers.Adagrad: torch.optim.Adagrad,
    optimizers.Adamax: torch.optim.Adamax,
    optimizers.Asgd: torch.optim.ASGD,
    optimizers.NAdam: torch.optim.NAdam,
    optimizers.RAdam: torch.optim.RAdam,
    optimizers.Rprop: torch.optim.Rprop,
}
#: The optimizers that PyTorch has a fused kernel for on every device.
FUSED = (optimizers.Sgd, optimizers.Adam, optimizers.AdamW)


def freeze(module: nn.Module, labels: Iterable[str]) -> list[nn.Module]:
    """Freeze the weights under the labels; returns the modules to keep in eval mode."""
    chosen = list(labels)
    for name, weight in module.named_parameters():
        if under(chosen, name):
            weight.requires_grad = False
    return [part for name, part in module.named_modules() if name in chosen]


def make_optimizer(recipe: Recipe, module: nn.Module, path: str = "", *, fused: bool = True) -> torch.optim.Optimizer:
    """The recipe's optimizer over the trainable weights. Raises SpecError (E637) where there are none.

    FSDP's sharded weights need `fused=False`.
    """
    groups = parameter_groups(recipe, module)
    if not groups:
        raise SpecError([Diagnostic(NothingToTrain(), path=path)])
    part = recipe.optimizer
    arguments: dict[str, Any] = {name: getattr(part, name) for name in part.arguments()}
    if isinstance(part, FUSED):
        arguments["fused"] = fused
    return OPTIMIZERS[type(part)](groups, **arguments)


def parameter_groups(recipe: Recipe, module: nn.Module) -> list[dict[str, Any]]:
    """The optimizer's parameter groups, by learning rate and decay; the schedule scales `base_lr`."""
    exempt = _without_decay(module) if recipe.decay == "weights" else set()
    groups: dict[tuple[float, bool], list[Tensor]] = {}
    for name, weight in module.named_parameters():
        if weight.requires_grad:
            rate = recipe.rates.get(under(recipe.rates, name), recipe.optimizer.lr)
            groups.setdefault((rate, name in exempt), []).append(weight)
    return [
        {"params": weights, "lr": rate, "base_lr": rate} | ({"weight_decay": 0.0} if spared else {})
        for (rate, spared), weights in groups.items()
    ]


def _without_decay(module: nn.Module) -> set[str]:
    """The names of normalization weights, biases, and all other one-dimensional weights."""
    norms = {name for name, part in module.named_modules() if isinstance(part, NORMS)}
    return {
        name
        for name, weight in module.named_parameters()
        if weight.ndim <= 1 or name.endswith("bias") or name.rpartition(".")[0] in norms
    }
