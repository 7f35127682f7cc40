"""What the training loop asks of the processes of a run, and the answers of a single process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from enum import IntEnum
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from archdsl.diagnostics import Rejected, SpecError
from archdsl.diagnostics.codes.training import NoDevice
from archdsl.recipe import Recipe
from archdsl.train.losses import Loss

T = TypeVar("T")
NOTHING = nullcontext()


class Wish(IntEnum):
    """A request that all processes act on at the same step, although each has its own clock and signals."""

    STOP = 0
    LOOK = 1
    CHECKPOINT = 2


class Processes:
    """A single process: it trains on every sample, writes every file, and returns tensors unchanged."""

    rank = 0
    world = 1
    #: Added to the seeds of a step, so that no two processes draw the same random numbers.
    keys: tuple[int, ...] = ()
    #: Whether each process holds only shards of the weights (FSDP).
    are_sharding = False
    #: The command that resumes the run, shown where a process is lost.
    resume_command = ""

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def choose_device(self, recipe: Recipe) -> torch.device:
        """The device to compute on. Raises Rejected (E636, E646) for what does not work in these processes."""
        name = recipe.device
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        if name == "auto":
            return found if found is not None and found.type in {"cuda", "mps"} else torch.device("cpu")
        device = torch.device(name)
        if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            reason = f"torch sees {torch.cuda.device_count()} CUDA devices"
            raise Rejected(NoDevice(name, reason), argument="device")
        if device.type == "mps" and not torch.backends.mps.is_available():
            raise Rejected(NoDevice(name, "torch finds none"), argument="device")
        return device

    def notes(self, batch: int) -> list[str]:
        """What to print about the processes at the start of a run."""
        return []

    def from_main(self, action: Callable[[], T]) -> T:
        """The result of `action` in the main process, or its SpecError, in all processes."""
        return action()

    def everywhere(self, action: Callable[[], T]) -> T:
        """The result of `action` in this process; a SpecError in one process is raised in all."""
        return action()

    # Data and losses

    def share(self, rows: Tensor) -> Tensor:
        """The process's own rows of a batch; all rows where there are too few to share."""
        return rows

    def smallest_share(self, samples: int) -> int:
        """The smallest number of rows that a process has of a batch."""
        return samples

    def counts(self, samples: int) -> bool:
        """Whether this process's results on a batch count: False where each process computes the whole batch."""
        return True

    def loss(self, loss: Loss) -> Loss:
        """The loss function for a share of a batch."""
        return loss

    def total_weight(self, weight: Tensor | int) -> Tensor | int:
        """The weight of the whole batch, from that of this process's share."""
        return weight

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss to call `backward` on, from the share's part of the batch's mean."""
        return loss

    def sum(self, numbers: Tensor) -> Tensor:
        """The sum over all processes of a tensor on the CPU."""
        return numbers

    def gather(self, items: list[T]) -> list[T]:
        """The items of all processes, in the order of the processes."""
        return items

    # Agreement

    def start_step(self) -> None:
        """Send the requests of the previous step to the other processes."""

    def agreed(self, wish: Wish, value: int) -> int:
        """The largest value of all processes, as of the last `start_step`."""
        return value

    def settled(self, wish: Wish, value: int) -> int:
        """The largest value of all processes now; they wait for each other."""
        return value

    # The module

    def wrap(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> nn.Module:
        """The module to call in training, whose gradients are those of the whole batch."""
        return module

    def gradients(self, wrapped: nn.Module, *, last: bool) -> AbstractContextManager[Any]:
        """The context of a part of a batch; gradients are shared in that of the `last`."""
        return NOTHING

    def clip_norm(self, weights: list[Tensor], bound: float) -> None:
        """Clip the gradients' total norm."""
        clip_grad_norm_(weights, bound)

    def same_buffers(self, module: nn.Module) -> None:
        """Copy the main process's running statistics, which are the ones saved, to all processes."""

    def state(self, module: nn.Module) -> dict[str, Tensor]:
        """The unsharded state_dict; complete in the main process only."""
        return module.state_dict()

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Any]]:
        """The unsharded optimizer state by the parameter's number; complete in the main process only."""
        found: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
        return found

    def load(self, module: nn.Module, state: dict[str, Tensor]) -> None:
        """Load an unsharded state_dict."""
        module.load_state_dict(state)

    def load_optimizer(self, optimizer: torch.optim.Optimizer, state: dict[int, dict[str, Any]]) -> None:
        """Load unsharded optimizer state."""
        groups = optimizer.param_groups
        weights = [weight for group in groups for weight in group["params"]]
        placed = {
            number: {name: self.placed_as(weights[number], value) for name, value in values.items()}
            for number, values in state.items()
        }
        optimizer.load_state_dict({"state": placed, "param_groups": optimizer.state_dict()["param_groups"]})

    def placed_as(self, weight: Tensor, value: Any) -> Any:
        """An optimizer's state tensor in the memory layout of its weight, which fused kernels rely on."""
        if not isinstance(value, Tensor) or value.shape != weight.shape:
            return value
        return torch.empty_like(weight, dtype=value.dtype, device=value.device).copy_(value)

    def whole(self, module: nn.Module, build: Callable[[], nn.Module]) -> nn.Module | None:
        """The unsharded module in the main process, None elsewhere; `build` makes a fresh one to load."""
        return module


ALONE = Processes()


def told(error: SpecError, *, here: bool | None) -> SpecError:
    """The error, marked whether this process is the one that prints it."""
    error.here = here
    return error
