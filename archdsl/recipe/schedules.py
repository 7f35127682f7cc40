"""Schedules of the learning rate."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic import model_validator as check_together

from archdsl.arguments.bind import broken
from archdsl.recipe.parts import AtLeastZero, Count, Part, Positive, Rate, Share, Word, listed


class Schedule(Part):
    """A schedule of the learning rate, with a linear warm-up of `warmup` epochs or `warmup_steps` steps.

    warmup_start  the share of the rate to start from (`LinearLR`'s start_factor); 0 is one step's share
    """

    warmup: AtLeastZero = 0.0
    warmup_steps: Count = 0
    warmup_start: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @classmethod
    def arguments(cls) -> list[str]:
        """A schedule's own arguments, then those of the warm-up."""
        shared = list(Schedule.model_fields)
        return [name for name in cls.model_fields if name not in shared] + shared[1:]

    @check_together(mode="after")
    def _one_unit_of_warmup(self) -> Self:
        if self.warmup and self.warmup_steps:
            raise broken("0 where warmup is given in epochs", "warmup_steps")
        return self


def _rising(value: tuple[int, ...]) -> tuple[int, ...]:
    if not value or any(a >= b for a, b in pairwise(value)):
        raise broken("one or more rising epochs")
    return value


class Constant(Schedule):
    """The optimizer's learning rate throughout."""

    kind: Literal["constant"] = "constant"


class Step(Schedule):
    """The rate times `gamma` after every `every` epochs (`StepLR`)."""

    kind: Literal["step"] = "step"
    every: Positive
    gamma: Rate = 0.1


class MultiStep(Schedule):
    """The rate times `gamma` after each of the epochs `milestones` (`MultiStepLR`)."""

    kind: Literal["multistep"] = "multistep"
    milestones: Annotated[
        tuple[Positive, ...], BeforeValidator(listed), AfterValidator(_rising), Field(description="a list of epochs")
    ]
    gamma: Rate = 0.1


class Exponential(Schedule):
    """The rate times `gamma` after every epoch (`ExponentialLR`)."""

    kind: Literal["exponential"] = "exponential"
    gamma: Rate


class Cosine(Schedule):
    """Half a cosine from the optimizer's rate to `minimum`, step by step (`CosineAnnealingLR`)."""

    kind: Literal["cosine"] = "cosine"
    minimum: AtLeastZero = 0.0


class Linear(Schedule):
    """A straight line from the optimizer's rate to `end_factor` times it, step by step (`LinearLR`)."""

    kind: Literal["linear"] = "linear"
    end_factor: Share = 0.0


class Polynomial(Schedule):
    """The rate times (1 - the completed share of the run) to the `power`, step by step (`PolynomialLR`)."""

    kind: Literal["polynomial"] = "polynomial"
    power: Rate = 1.0


class OneCycle(Schedule):
    """One cycle: up to the optimizer's rate and down again in one run (`OneCycleLR`; Smith and Topin 2017).

    pct_start         share of the run in which the rate rises
    div_factor        the rate starts at the optimizer's divided by this
    final_div_factor  and ends at that start divided by this
    """

    kind: Literal["onecycle"] = "onecycle"
    pct_start: Share = 0.3
    anneal_strategy: Annotated[Literal["cos", "linear"], Word] = "cos"
    div_factor: Rate = 25.0
    final_div_factor: Rate = 1e4


class Plateau(Schedule):
    """The rate times `factor` when the monitored figure has not improved for `patience` epochs (`ReduceLROnPlateau`).

    An improvement is by the share `threshold` of the best value or more; `cooldown` epochs after a reduction do not
    count; the rate never falls below `min_lr`.
    """

    kind: Literal["plateau"] = "plateau"
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    patience: Count = 10
    threshold: AtLeastZero = 1e-4
    cooldown: Count = 0
    min_lr: AtLeastZero = 0.0


AnySchedule = Constant | Step | MultiStep | Exponential | Cosine | Linear | Polynomial | OneCycle | Plateau
