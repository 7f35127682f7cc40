"""The set-up that training and evaluation share: device, data, preparation and figures for a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from archdsl.datasets.data import Data, load_data
from archdsl.datasets.prepare import Preparation, Preparations
from archdsl.datasets.splits import Several, statistics
from archdsl.diagnostics import Diagnostic, Help, Rejected, SpecError
from archdsl.diagnostics.codes.training import OutOfMemory
from archdsl.recipe import Recipe, fit
from archdsl.runs.best import is_better
from archdsl.runs.folder import RunInfo
from archdsl.train.evaluation import Evaluation, evaluate
from archdsl.train.losses import loss_function
from archdsl.train.processes.processes import ALONE, Processes
from archdsl.train.step import autocast

#: The largest evaluation batch, in elements and in samples: larger than in training, since there are no gradients.
EVALUATION_NUMEL, EVALUATION_BATCH = 2**20, 1024


class Trainable(fit.Network, Protocol):
    """What training needs of a checked network (archdsl.api.Network)."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def spec(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def input_sizes(self) -> tuple[int, ...] | dict[str, tuple[int, ...]]: ...
    @property
    def aux(self) -> Sequence[Any]: ...
    def build(self, *, seed: int | None = None) -> nn.Module: ...


@dataclass(frozen=True, slots=True)
class Setup:
    """Data that suit a network, prepared on a device.

    numel    the elements of a sample's inputs
    classes  the names of the classes that the outputs score; empty where the loss compares values
    """

    recipe: Recipe
    device: torch.device
    data: Data
    preparation: Preparation | Preparations
    mean: tuple[float, ...]
    std: tuple[float, ...]
    numel: int
    notes: tuple[str, ...]
    classes: tuple[str, ...] = ()

    @property
    def figures(self) -> tuple[str, ...]:
        """The figures of an evaluation besides the loss."""
        given = self.recipe.metrics if self.recipe.metrics is not None else ("accuracy",)
        return tuple(dict.fromkeys((*given, self.monitor))) if self.classes else ()

    @property
    def monitor(self) -> str:
        """The figure that decides which weights are best: the accuracy, or the loss without classes."""
        return self.recipe.monitor or ("accuracy" if self.classes else "loss")

    def is_better(self, value: float, best: float | None) -> bool:
        """Whether a value of the monitored figure is better than another."""
        return is_better(self.monitor, value, best)

    def evaluate(
        self,
        module: nn.Module,
        *,
        test: bool = False,
        processes: Processes = ALONE,
        stops: Callable[[], bool] = lambda: False,
        watch: Callable[[int, int], object] = lambda done, total: None,
    ) -> Evaluation:
        """The module's results on the validation or the test split; raises Stopped once `stops` returns true.

        `watch` is called with the samples that are done and those of the split.
        """
        return evaluate(
            module,
            self.data.test if test else self.data.validation,
            self.preparation.evaluate,
            loss_function(self.recipe.loss, self.device),
            classes=self.classes,
            batch=max(self.recipe.batch, min(EVALUATION_BATCH, EVALUATION_NUMEL // self.numel)),
            top5="top5" in self.figures,
            autocast=lambda: autocast(self.recipe, self.device),
            processes=processes,
            stops=stops,
            watch=watch,
        )


def set_up(network: Trainable, recipe: Recipe, info: RunInfo | None = None, processes: Processes = ALONE) -> Setup:
    """Load the recipe's data and check that network, data and loss suit each other, before anything is computed.

    `info` is an earlier run's, whose normalization is used again. Raises SpecError (E61x, E62x, E636, E641, E642).
    """
    with placed(recipe, network.path):
        device = processes.choose_device(recipe)
        data = load_data(recipe, network.input_shape, network.inputs, network.integer_limits)
        notes = fit.check_output(recipe, network.output_shape, data)
        mean, std = _normalization(recipe, data, info)
        preparation = _preparation(recipe, data, mean, std, device)
        classes = data.classes if fit.is_classification(recipe) else ()
        fit.check_mixing(recipe, network.inputs)
        fit.check_figures(recipe, classes)
        numel = sum(shape.numel for shape in network.inputs.values())
        return Setup(
            recipe,
            device,
            data.to(device),
            preparation,
            mean,
            std,
            numel,
            tuple(notes),
            classes,
        )


def _preparation(
    recipe: Recipe, data: Data, mean: Sequence[float], std: Sequence[float], device: torch.device
) -> Preparation | Preparations:
    """The preparation of the recipe's batches; images of several inputs are normalized and augmented alike."""
    if not isinstance(data.train, Several):
        return Preparation(data.fit, data.sample, mean, std, recipe.augment, device)
    return Preparations(
        [
            None if each is None else Preparation(each, part.shape, mean, std, recipe.augment, device)
            for each, part in zip(data.fits, data.train.parts, strict=True)
        ]
    )


@contextmanager
def placed(recipe: Recipe, path: str) -> Iterator[None]:
    """Give a Rejected inside its place in the recipe's source, or else the spec's path."""
    try:
        yield
    except Rejected as rejected:
        raise SpecError([fit.diagnostic(rejected, recipe, path)]) from rejected


@contextmanager
def enough_memory(recipe: Recipe, device: torch.device, path: str) -> Iterator[None]:
    """Turn an error of too little memory on the device into a SpecError."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        # PyTorch has an exception class for accelerators, but none for the CPU.
        if not (isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)):
            raise
        samples = -(-recipe.batch // recipe.accumulate)
        accumulate = f"--set accumulate={2 * recipe.accumulate}"
        helps = (Help(f"start again with `{accumulate}` or `--batch {max(recipe.batch // 2, 1)}`"),)
        problem = OutOfMemory(str(device), samples)
        raise SpecError([Diagnostic(problem, recipe.place("batch"), helps=helps, path=path)]) from error


def _normalization(recipe: Recipe, data: Data, info: RunInfo | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if recipe.normalize is not None:
        return recipe.normalize.mean, recipe.normalize.std
    return statistics(data.train) if info is None else (info.mean, info.std)
