"""The optimizers of `torch.optim`, with their twins' arguments, order and defaults.

Not included are those that do not fit every network: LBFGS (several evaluations of the loss in a step), SparseAdam
(sparse gradients only) and Muon (matrices only).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field
from pydantic import model_validator as check_together

from archdsl.arguments.bind import broken
from archdsl.recipe.parts import AtLeastZero, Betas, Part, Rate, Share, listed


class Optimizer(Part):
    """An optimizer. `states` are the numbers that it keeps for each weight."""

    @property
    def states(self) -> int:
        return 1


class Sgd(Optimizer):
    """`torch.optim.SGD`."""

    kind: Literal["sgd"] = "sgd"
    lr: Rate = 1e-3
    momentum: AtLeastZero = 0.0
    dampening: AtLeastZero = 0.0
    weight_decay: AtLeastZero = 0.0
    nesterov: bool = False

    @check_together(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise broken("false without momentum or with dampening", "nesterov")
        return self

    @property
    def states(self) -> int:
        return int(self.momentum > 0)


class _AdamLike(Optimizer):
    """The arguments that all variants of Adam share."""

    lr: Rate = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: AtLeastZero = 1e-8
    weight_decay: AtLeastZero = 0.0

    @property
    def states(self) -> int:
        return 2 + bool(getattr(self, "amsgrad", False))


class Adam(_AdamLike):
    """`torch.optim.Adam`."""

    kind: Literal["adam"] = "adam"
    amsgrad: bool = False


class AdamW(_AdamLike):
    """`torch.optim.AdamW`."""

    kind: Literal["adamw"] = "adamw"
    weight_decay: AtLeastZero = 0.01
    amsgrad: bool = False


class Adamax(_AdamLike):
    """`torch.optim.Adamax`."""

    kind: Literal["adamax"] = "adamax"
    lr: Rate = 2e-3


class NAdam(_AdamLike):
    """`torch.optim.NAdam`."""

    kind: Literal["nadam"] = "nadam"
    lr: Rate = 2e-3
    momentum_decay: AtLeastZero = 4e-3
    decoupled_weight_decay: bool = False


class RAdam(_AdamLike):
    """`torch.optim.RAdam`."""

    kind: Literal["radam"] = "radam"
    decoupled_weight_decay: bool = False


class RmsProp(Optimizer):
    """`torch.optim.RMSprop`."""

    kind: Literal["rmsprop"] = "rmsprop"
    lr: Rate = 1e-2
    alpha: AtLeastZero = 0.99
    eps: AtLeastZero = 1e-8
    weight_decay: AtLeastZero = 0.0
    momentum: AtLeastZero = 0.0
    centered: bool = False

    @property
    def states(self) -> int:
        return 1 + (self.momentum > 0) + self.centered


class Adadelta(Optimizer):
    """`torch.optim.Adadelta`."""

    kind: Literal["adadelta"] = "adadelta"
    lr: Rate = 1.0
    rho: Share = 0.9
    eps: AtLeastZero = 1e-6
    weight_decay: AtLeastZero = 0.0

    @property
    def states(self) -> int:
        return 2


class Adafactor(Optimizer):
    """`torch.optim.Adafactor`. None in `eps` is the smallest step of the weights' type."""

    kind: Literal["adafactor"] = "adafactor"
    lr: Rate = 1e-2
    beta2_decay: Annotated[float, Field(le=0)] = -0.8
    eps: Annotated[
        tuple[AtLeastZero | None, AtLeastZero],
        BeforeValidator(listed),
        Field(description="a pair of numbers, the first of which may be none"),
    ] = (None, 1e-3)
    d: Annotated[float, Field(ge=1)] = 1.0
    weight_decay: AtLeastZero = 0.0

    @property
    def states(self) -> int:
        return 0  # a row and a column for each matrix


class Adagrad(Optimizer):
    """`torch.optim.Adagrad`."""

    kind: Literal["adagrad"] = "adagrad"
    lr: Rate = 1e-2
    lr_decay: AtLeastZero = 0.0
    weight_decay: AtLeastZero = 0.0
    initial_accumulator_value: AtLeastZero = 0.0
    eps: AtLeastZero = 1e-10


class Asgd(Optimizer):
    """`torch.optim.ASGD`."""

    kind: Literal["asgd"] = "asgd"
    lr: Rate = 1e-2
    lambd: AtLeastZero = 1e-4
    alpha: AtLeastZero = 0.75
    t0: AtLeastZero = 1e6
    weight_decay: AtLeastZero = 0.0


class Rprop(Optimizer):
    """`torch.optim.Rprop`, for training on the whole data set in one batch."""

    kind: Literal["rprop"] = "rprop"
    lr: Rate = 1e-2
    etas: Annotated[
        tuple[Annotated[float, Field(gt=0, lt=1)], Annotated[float, Field(gt=1)]],
        BeforeValidator(listed),
        Field(description="a pair of numbers, one below 1 and one above"),
    ] = (0.5, 1.2)
    step_sizes: Annotated[tuple[Rate, Rate], BeforeValidator(listed), Field(description="a pair of numbers")] = (
        1e-6,
        50,
    )

    @property
    def states(self) -> int:
        return 2


AnyOptimizer = Sgd | Adam | AdamW | RmsProp | Adadelta | Adafactor | Adagrad | Adamax | Asgd | NAdam | RAdam | Rprop
