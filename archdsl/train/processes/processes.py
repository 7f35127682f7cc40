"""The processes of a run: a single one, unless `torchrun` or `accelerate launch` has started several.

A single process never imports what several need (archdsl.train.processes.many), nor computes anything for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.runtime import MissingPackage
from archdsl.recipe import Recipe

if TYPE_CHECKING:
    from archdsl.train.losses import Loss

T = TypeVar("T")
NOTHING = nullcontext()


class Wish(IntEnum):
    """What all processes have to do at the same step, although each has a clock and a terminal of its own."""

    STOP = 0
    LOOK = 1
    CHECKPOINT = 2


class Processes:
    """The only process of a run: every sample is its own, and it agrees with itself.

    What it does with a tensor is to hand it back.
    """

    rank = 0
    world = 1
    #: Where to compute; None leaves it to the recipe.
    device: torch.device | None = None
    #: What the seeds of a step have besides the step, so that no two processes draw the same.
    keys: tuple[int, ...] = ()
    #: Whether each process holds pieces of the weights only (FSDP).
    are_sharding = False
    #: The command that goes on with the run, for the message where a process is lost.
    resume_command = ""

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def choose(self, recipe: Recipe) -> None:
        """Take a device. Rejects (E636, E646) what does not work with these processes."""

    def from_main(self, action: Callable[[], T]) -> T:
        """What the main process gets from `action`, for all; its SpecError too."""
        return action()

    def everywhere(self, action: Callable[[], T]) -> T:
        """The result of `action`, once it has succeeded in all processes; a SpecError in one ends all."""
        return action()

    # Data and losses

    def share(self, rows: Tensor) -> Tensor:
        """The process's own rows of a batch; all of them where there are too few to share."""
        return rows

    def smallest_share(self, samples: int) -> int:
        """The fewest rows that any process has of a batch."""
        return samples

    def counts(self, samples: int) -> bool:
        """Whether what this process finds in its share of a batch is not found by another too."""
        return True

    def loss(self, loss: Loss) -> Loss:
        """The loss of a share."""
        return loss

    def total_weight(self, weight: Tensor | int) -> Tensor | int:
        """The weight of a batch, from that of the share."""
        return weight

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss whose gradient is to be taken, from the share's part of the batch's mean."""
        return loss

    def sum(self, numbers: Tensor) -> Tensor:
        """The sum over all processes; `numbers` lie on the CPU."""
        return numbers

    def gather(self, items: list[T]) -> list[T]:
        """The items of all processes, in the order of the processes."""
        return items

    # Agreement

    def start_step(self) -> None:
        """Tell the others the wishes of the step before."""

    def agreed(self, wish: Wish, value: int) -> int:
        """The value wished for: the largest of all, as of the last `start_step`."""
        return value

    def settled(self, wish: Wish, value: int) -> int:
        """The largest value now; all processes wait for each other."""
        return value

    # The module

    def convert(self, module: nn.Module, recipe: Recipe) -> nn.Module:
        """The module as these processes need it, before there is an optimizer."""
        return module

    def wrap(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> nn.Module:
        """What to call in training in place of the module, so that gradients are those of the whole batch."""
        return module

    def gradients(self, wrapped: nn.Module, *, last: bool) -> AbstractContextManager[Any]:
        """The context of a part of a batch; gradients are shared in that of the `last`."""
        return NOTHING

    def clip_norm(self, weights: list[Tensor], bound: float) -> None:
        """Bound the gradients' common norm."""
        clip_grad_norm_(weights, bound)

    def same_buffers(self, module: nn.Module) -> None:
        """Take over the main process's running statistics, which are those that are saved."""

    def state(self, module: nn.Module) -> dict[str, Tensor]:
        """The whole state_dict; needed in the main process only."""
        return module.state_dict()

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Any]]:
        """The whole state of each weight by its number; needed in the main process only."""
        found: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
        return found

    def load(self, module: nn.Module, state: dict[str, Tensor]) -> None:
        """Put a whole state_dict into the module."""
        module.load_state_dict(state)

    def load_optimizer(self, optimizer: torch.optim.Optimizer, state: dict[int, dict[str, Any]]) -> None:
        """Put the whole state of the weights into the optimizer."""
        groups = optimizer.param_groups
        weights = [weight for group in groups for weight in group["params"]]
        placed = {
            number: {name: self.placed_as(weights[number], value) for name, value in values.items()}
            for number, values in state.items()
        }
        optimizer.load_state_dict({"state": placed, "param_groups": optimizer.state_dict()["param_groups"]})

    def placed_as(self, weight: Tensor, value: Any) -> Any:
        """A value of an optimizer's state as the optimizer itself would have made it for the weight.

        Its elements have to be in the weight's order in memory: fused kernels pair the two by their addresses.
        """
        if not isinstance(value, Tensor) or value.shape != weight.shape:
            return value
        return torch.empty_like(weight, dtype=value.dtype, device=value.device).copy_(value)

    def whole(self, module: nn.Module, build: Callable[[], nn.Module]) -> nn.Module | None:
        """The module for the main process to work with alone, None elsewhere; `build` makes another one."""
        return module


ALONE = Processes()


def told(error: SpecError, *, here: bool | None) -> SpecError:
    """The error, marked whether this process of several is the one that prints it."""
    error.here = here
    return error


def are_several() -> bool:
    """Whether a launcher has started this process as one of several, or for FSDP."""
    world = os.environ.get("WORLD_SIZE", "1")
    sharded = os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
    return "RANK" in os.environ and ((world.isdecimal() and int(world) > 1) or sharded)


@contextmanager
def processes_of_run() -> Iterator[Processes]:
    """The processes that run together until the end of the context.

    Raises SpecError (E701) where the package for several is missing, (E645) where one of them is lost.
    """
    if not are_several():
        yield ALONE
        return
    try:
        import accelerate  # noqa: F401
    except ImportError as error:
        problem = MissingPackage("training in several processes", "accelerate", "distributed")
        raise SpecError([Diagnostic(problem)]) from error
    from archdsl.train.processes.many import joined

    with joined() as many:
        yield many
