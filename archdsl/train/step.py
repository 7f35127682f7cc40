"""One step of the optimizer: forward in parts, backward, clipping, the optimizer, the moving average."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_value_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from archdsl.datasets.splits import Batch, each_input
from archdsl.recipe import Recipe
from archdsl.train.losses import Loss, class_numbers, class_scores, loss_function, main_output, predictions
from archdsl.train.optimizers import freeze, make_optimizer
from archdsl.train.processes.processes import ALONE, Processes
from archdsl.train.schedule import Reductions

TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(recipe: Recipe, device: torch.device) -> AbstractContextManager[Any]:
    """The context for the recipe's precision."""
    if recipe.precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, TYPES[recipe.precision])


def lies_channels_last(recipe: Recipe, device: torch.device) -> bool:
    """Whether to use the channels-last layout: as the recipe says, or else where convolutions are faster with it."""
    if recipe.channels_last is not None:
        return recipe.channels_last
    return device.type == "cpu" or (device.type == "cuda" and recipe.precision != "fp32")


def lay_channels_last(module: nn.Module) -> None:
    """Change the layout of 2D convolutions; `module.to(memory_format=...)` raises for 3D ones."""
    for weight in module.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.to(memory_format=torch.channels_last)


def _laid_out(images: Tensor) -> Tensor:
    """Images in the channels-last layout; other tensors as they are."""
    return images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 else images


class Stepper:
    """A module in training, with all state that a step changes.

    average     the moving average of the weights, which is evaluated and saved instead of them
    scaler      scales the loss in half precision, whose gradients would underflow
    reductions  the state of a plateau schedule
    wrapped     the module to call in training: itself, or one that shares its gradients with other processes
    """

    def __init__(
        self,
        recipe: Recipe,
        module: nn.Module,
        device: torch.device,
        *,
        classes: int = 0,
        aux: Sequence[str] = (),
        path: str = "",
        processes: Processes = ALONE,
    ) -> None:
        self.recipe, self.module, self.device, self.processes = recipe, module, device, processes
        self.classes, self.aux = classes, tuple(aux)
        self.loss: Loss = processes.loss(loss_function(recipe.loss, device))
        self.channels_last = lies_channels_last(recipe, device)
        if self.channels_last and not processes.are_sharding:  # FSDP needs contiguous weights
            lay_channels_last(module)
        self.frozen = freeze(module, recipe.freeze)
        self.optimizer = make_optimizer(recipe, module, path, fused=not processes.are_sharding)
        self.average: AveragedModel | None = None
        if recipe.ema is not None:
            function = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(module, multi_avg_fn=function, use_buffers=True)
        self.scaler = torch.amp.GradScaler(device.type) if recipe.precision == "fp16" else None
        self.reductions = Reductions()
        if recipe.compile:
            module.compile()
        self.wrapped = processes.wrap(module, self.optimizer)
        self.weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]

    @property
    def result(self) -> nn.Module:
        """The module to evaluate and save: the moving average if there is one."""
        return self.module if self.average is None else self.average.module

    def train_mode(self) -> None:
        """Set training mode; frozen parts stay in eval mode, which keeps their running statistics."""
        self.module.train()
        for part in self.frozen:
            part.eval()

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the next step; labels with a rate of their own scale in proportion."""
        base, left = self.recipe.optimizer.lr, self.reductions.factor
        for group in self.optimizer.param_groups:
            own = group["base_lr"]
            group["lr"] = left * (rate if own == base else rate * (own / base))

    def step(self, inputs: Batch, targets: Tensor, samples: int | None = None) -> tuple[Tensor, Tensor | None]:
        """Take a step; returns the batch's mean loss and number of hits (None without classes), still on the device.

        In several processes, each passes its share of a batch of `samples`, and the results are summed over them.
        """
        self.optimizer.zero_grad()
        processes = self.processes
        parts = list(self._parts(inputs, targets, processes.smallest_share(samples or len(targets))))
        is_part = len(parts) > 1 or processes.world > 1
        whole = processes.total_weight(self.loss.weight(targets)) if is_part else 1
        losses, hits = [], []
        for number, (part, wanted) in enumerate(parts, 1):
            with processes.gradients(self.wrapped, last=number == len(parts)):
                loss, right = self._forward(part, wanted)
                if is_part:
                    loss = loss * (self.loss.weight(wanted) / whole)
                self._backward(processes.scaled(loss))
            losses.append(loss.detach())
            hits.append(right)
        self._update()
        if len(parts) == 1:
            return losses[0], hits[0]
        counted = [right for right in hits if right is not None]
        return torch.stack(losses).sum(), torch.stack(counted).sum() if counted else None

    def _backward(self, loss: Tensor) -> None:
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()  # type: ignore[no-untyped-call]

    def _parts(self, batch: Batch, targets: Tensor, samples: int) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
        inputs = each_input(batch)
        if self.channels_last:
            inputs = tuple(map(_laid_out, inputs))
        if self.recipe.accumulate == 1:
            return iter([(inputs, targets)])
        count = max(1, min(self.recipe.accumulate, samples // 2))  # a single sample could not be normalized
        parts = zip(*(each.tensor_split(count) for each in inputs), strict=True)
        return zip(parts, targets.tensor_split(count), strict=True)

    def _forward(self, inputs: tuple[Tensor, ...], targets: Tensor) -> tuple[Tensor, Tensor | None]:
        with autocast(self.recipe, self.device):
            output = self.wrapped(*inputs)
        outputs = self._outputs(output)
        loss = self.loss(outputs, targets)
        for name in self.aux:
            loss = loss + self.recipe.aux_weight * self.loss(self._outputs(output[name]), targets)
        if not self.classes:
            return loss, None
        return loss, predictions(outputs.detach(), self.classes).eq(class_numbers(targets)).sum()

    def _outputs(self, output: Any) -> Tensor:
        """The outputs for the loss, in full precision."""
        outputs = class_scores(output) if self.classes else main_output(output)
        return outputs if self.recipe.precision == "fp32" else outputs.float()

    def _update(self) -> None:
        recipe, scaler = self.recipe, self.scaler
        if scaler is not None and (recipe.clip_value is not None or recipe.clip_norm is not None):
            scaler.unscale_(self.optimizer)
        if recipe.clip_value is not None:
            clip_grad_value_(self.weights, recipe.clip_value)
        if recipe.clip_norm is not None:
            self.processes.clip_norm(self.weights, recipe.clip_norm)
        if scaler is None:
            self.optimizer.step()
        else:
            scaler.step(self.optimizer)
            scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.module)
