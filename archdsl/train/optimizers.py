"""Which weights are trained, and how: frozen layers, rates by label, weight decay, the optimizer of torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.recipe import NothingToTrain
from archdsl.recipe import (
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    AnyOptimizer,
    Asgd,
    NAdam,
    RAdam,
    Recipe,
    RmsProp,
    Rprop,
    Sgd,
)
from archdsl.recipe.fit import under

OPTIMIZERS: dict[type[AnyOptimizer], type[torch.optim.Optimizer]] = {
    Sgd: torch.optim.SGD,
    Adam: torch.optim.Adam,
    AdamW: torch.optim.AdamW,
    RmsProp: torch.optim.RMSprop,
    Adadelta: torch.optim.Adadelta,
    Adafactor: torch.optim.Adafactor,
    Adagrad: torch.optim.Adagrad,
    Adamax: torch.optim.Adamax,
    Asgd: torch.optim.ASGD,
    NAdam: torch.optim.NAdam,
    RAdam: torch.optim.RAdam,
    Rprop: torch.optim.Rprop,
}
#: Those that torch has one kernel for, for all weights together and on every device.
FUSED = (Sgd, Adam, AdamW)
#: The layers whose weights a norm multiplies with: decay only fights with the scale that follows.
NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def freeze(module: nn.Module, labels: Iterable[str]) -> list[nn.Module]:
    """Exempt everything under the labels from training; returns the modules that stay in eval mode then."""
    chosen = list(labels)
    for name, weight in module.named_parameters():
        if under(chosen, name):
            weight.requires_grad = False
    return [part for name, part in module.named_modules() if name in chosen]


def make_optimizer(recipe: Recipe, module: nn.Module, path: str = "", *, fused: bool = True) -> torch.optim.Optimizer:
    """The recipe's optimizer over the weights that are trained. Raises SpecError (E637) where there are none.

    Without `fused` there is no one kernel for all weights, which those in pieces do not have.
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
    """The weights by learning rate and decay, as an optimizer takes them; `base_lr` is what the schedule scales."""
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
    """The names of the norms' weights, of every bias, and of all other weights with a single axis."""
    norms = tuple(name for name, part in module.named_modules() if _is_norm(part))
    return {
        name
        for name, weight in module.named_parameters()
        if weight.ndim <= 1 or name.endswith("bias") or name.rpartition(".")[0] in norms
    }


def _is_norm(part: nn.Module) -> bool:
    return isinstance(part, NORMS)
