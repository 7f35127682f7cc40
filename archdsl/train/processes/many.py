"""A run in several processes: DDP and FSDP through Hugging Face Accelerate.

`recipe.batch` is the batch of all processes together. Each has its share of every batch, and the gradient is that of
the whole batch's mean. Decisions are synchronized over gloo, on the CPU, so that no device is waited for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, distributed, nn
from torch.distributed.rendezvous import rendezvous
from torch.distributed.tensor import DTensor, distribute_tensor

from archdsl.diagnostics import Diagnostic, Help, Rejected, SpecError
from archdsl.diagnostics.codes.training import NoDevice, NotTogether, ProcessLost
from archdsl.recipe import Recipe
from archdsl.train.losses import Loss
from archdsl.train.norms import has_batch_norm
from archdsl.train.processes.processes import NOTHING, Processes, Wish, told

T = TypeVar("T")
#: The messages of gloo and NCCL for a lost peer; PyTorch has no exception class for it.
GONE = (
    *("connection closed by peer", "connection reset by peer", "connection refused", "broken pipe"),
    *("timed out", "timeout", "remote process exit"),
)
#: Numbers the runs of these processes.
NUMBERS = count()


class Many(Processes):
    """One of several processes. All call each method together, but for `share` and what follows from it."""

    def __init__(self) -> None:
        store, self.rank, self.world = next(rendezvous("env://"))
        # A second run in the same processes must not read the entries of the first.
        self.store = distributed.PrefixStore(f"archdsl/{next(NUMBERS)}", store)  # type: ignore[attr-defined]
        self.owns_group = not distributed.is_initialized()
        if self.owns_group:
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            distributed.init_process_group(backend, store=self.store, rank=self.rank, world_size=self.world)
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self.keys = (self.rank,) if self.rank else ()
        self.least = 1
        self.wishes, self.outcome = [0] * len(Wish), torch.zeros(len(Wish), dtype=torch.int64)
        self.round: distributed.Work | None = None

    def choose_device(self, recipe: Recipe) -> torch.device:
        if recipe.device not in {"auto", "cpu", "cuda"}:
            raise Rejected(NoDevice(recipe.device, "each process uses its own"), argument="device")
        cpu = recipe.device == "cpu" or (recipe.device == "auto" and not torch.cuda.is_available())
        if not cpu and self.local_rank >= torch.cuda.device_count():
            reason = f"torch sees {torch.cuda.device_count()} CUDA devices for {self.local_rank + 1} processes"
            raise Rejected(NoDevice(f"cuda:{self.local_rank}", reason), argument="device")
        self.accelerator = Accelerator(cpu=cpu, mixed_precision="no")
        self.device = torch.device(self.accelerator.device)
        self.are_sharding = self.accelerator.is_fsdp2
        self._check(recipe)
        return self.device

    def notes(self, batch: int) -> list[str]:
        if self.world == 1:
            return []
        if self.smallest_share(batch) == batch:
            return [f"a batch of {batch} is too small for {self.world} processes: each computes all of it"]
        return [f"{self.world} processes share each batch of {batch}"]

    def _check(self, recipe: Recipe) -> None:
        """Reject (E646) what cannot be done in several processes."""
        if recipe.sync_batchnorm and self.device.type == "cpu":
            raise Rejected(NotTogether("sync_batchnorm", "PyTorch supports it on GPUs only"), argument="sync_batchnorm")
        if os.environ.get("ACCELERATE_USE_FSDP", "").lower() != "true":
            return
        if not self.are_sharding:
            reason = "FSDP requires GPUs and version 2: accelerate launch --use_fsdp --fsdp_version 2"
            raise Rejected(NotTogether("device", reason), argument="device")
        for entry in ("ema", "clip_value"):
            if getattr(recipe, entry) is not None:
                raise Rejected(NotTogether(entry, "FSDP does not support it; DDP does"), argument=entry)
        if recipe.precision == "fp16":
            reason = "FSDP does not support it; `bf16` has the range of single precision and needs no scaling"
            raise Rejected(NotTogether("precision", reason), argument="precision")

    # Errors

    def from_main(self, action: Callable[[], T]) -> T:
        found: list[Any] = [None, None]
        if self.is_main:
            try:
                found = [action(), None]
            except SpecError as error:
                found = [None, error.diagnostics]
        distributed.broadcast_object_list(found, device=torch.device("cpu"))
        value, diagnostics = found
        if diagnostics is not None:
            raise told(SpecError(diagnostics), here=self.is_main)
        result: T = value
        return result

    def everywhere(self, action: Callable[[], T]) -> T:
        """On each machine one process goes first, so that the others find what it downloads."""
        found: list[T] = []
        for is_turn in (self.local_rank == 0, self.local_rank != 0):
            error = None
            if is_turn:
                try:
                    found.append(action())
                except SpecError as caught:
                    error = caught
            self._end_all(error)
        return found[0]

    def _end_all(self, error: SpecError | None) -> None:
        """Raise the first error that any process has; that process prints it."""
        found = self.gather([None if error is None else error.diagnostics])
        for rank, diagnostics in enumerate(found):
            if diagnostics is not None:
                raise told(SpecError(diagnostics), here=rank == self.rank)

    def leave(self) -> None:
        """Leave the process group; all processes do so."""
        if self.owns_group:
            distributed.destroy_process_group()

    def is_first_to_tell(self) -> bool:
        """Whether no other process has asked yet; the launcher keeps the store while processes end."""
        with suppress(RuntimeError):
            return int(self.store.add("lost", 1)) == 1
        return True

    # Data and losses

    def _is_shared(self, samples: int) -> bool:
        return samples >= self.least * self.world

    def share(self, rows: Tensor) -> Tensor:
        return rows.tensor_split(self.world)[self.rank] if self._is_shared(len(rows)) else rows

    def smallest_share(self, samples: int) -> int:
        return samples // self.world if self._is_shared(samples) else samples

    def counts(self, samples: int) -> bool:
        return self.is_main or self._is_shared(samples)

    def loss(self, loss: Loss) -> Loss:
        """A share whose samples all have weight 0 has no mean, and contributes 0 to that of the batch."""

        def mean(outputs: Tensor, targets: Tensor) -> Tensor:
            return loss(outputs, targets) if float(loss.weight(targets)) else outputs.sum() * 0

        return replace(loss, mean=mean)

    def total_weight(self, weight: Tensor | int) -> Tensor | int:
        if isinstance(weight, Tensor):
            weight = weight.clone()
            distributed.all_reduce(weight)
            return weight
        return int(self.sum(torch.tensor(weight))) or 1

    def scaled(self, loss: Tensor) -> Tensor:
        """DDP and FSDP average the processes' gradients, which have to be summed."""
        return loss * self.world

    def sum(self, numbers: Tensor) -> Tensor:
        distributed.all_reduce(numbers)
        return numbers

    def gather(self, items: list[T]) -> list[T]:
        found: list[list[T]] = [[] for _ in range(self.world)]
        distributed.all_gather_object(found, items)
        return [item for each in found for item in each]

    # Agreement

    def start_step(self) -> None:
        """The result is read at the end of the step, without waiting."""
        self.outcome = torch.tensor(self.wishes)
        self.round = distributed.all_reduce(self.outcome, distributed.ReduceOp.MAX, async_op=True)

    def agreed(self, wish: Wish, value: int) -> int:
        if self.round is not None:
            self.round.wait()
            self.round = None
        granted = int(self.outcome[wish])
        self.wishes[wish] = 0 if granted else int(value)
        return granted

    def settled(self, wish: Wish, value: int) -> int:
        largest = torch.tensor(max(int(value), self.wishes[wish]))
        distributed.all_reduce(largest, distributed.ReduceOp.MAX)
        self.wishes[wish] = 0
        return int(largest)

    # The module

    def wrap(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> nn.Module:
        # A single sample could not be normalized.
        self.least = 2 if has_batch_norm(module) else 1
        wrapped: nn.Module
        if not self.are_sharding:
            wrapped = self.accelerator.prepare_model(module)
            return wrapped
        # It is the module itself, with sharded weights.
        wrapped, _ = self.accelerator.prepare(module, optimizer)
        return wrapped

    def gradients(self, wrapped: nn.Module, *, last: bool) -> AbstractContextManager[Any]:
        return NOTHING if last else self.accelerator.no_sync(wrapped)

    def clip_norm(self, weights: list[Tensor], bound: float) -> None:
        self.accelerator.clip_grad_norm_(weights, bound)

    def same_buffers(self, module: nn.Module) -> None:
        for buffer in module.buffers():
            distributed.broadcast(buffer, 0)

    def state(self, module: nn.Module) -> dict[str, Tensor]:
        return {name: self._gathered(tensor) for name, tensor in module.state_dict().items()}

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Any]]:
        state = optimizer.state_dict()["state"]
        return {number: {n: self._gathered(v) for n, v in one.items()} for number, one in state.items()}

    def _gathered(self, value: Any) -> Any:
        """A sharded tensor as a whole, on the CPU of the main process; other values unchanged."""
        if not isinstance(value, DTensor):
            return value
        whole = value.full_tensor()
        return whole.cpu() if self.is_main else torch.empty(0)

    def load(self, module: nn.Module, state: dict[str, Tensor]) -> None:
        own = module.state_dict()
        module.load_state_dict({name: _cut_as(own.get(name), tensor) for name, tensor in state.items()})

    def placed_as(self, weight: Tensor, value: Any) -> Any:
        cut = _cut_as(weight, value)
        return cut if isinstance(cut, DTensor) else super().placed_as(weight, cut)  # shards are always contiguous

    def whole(self, module: nn.Module, build: Callable[[], nn.Module]) -> nn.Module | None:
        """With FSDP no process has the whole module: the main process builds one."""
        if not self.are_sharding:
            return module if self.is_main else None
        state = self.state(module)
        if not self.is_main:
            return None
        fresh = build()
        fresh.load_state_dict(state)
        return fresh.to(self.device)


def _cut_as(like: Tensor | None, value: Any) -> Any:
    """A tensor sharded like `like`, where that is sharded and of the same shape; other values unchanged."""
    if isinstance(like, DTensor) and isinstance(value, Tensor) and value.shape == like.shape:
        return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
    return value


def is_lost(error: Exception) -> bool:
    """Whether an error means that another process cannot be reached."""
    if isinstance(error, distributed.DistNetworkError | distributed.DistStoreError):
        return True
    text = str(error).lower()
    is_transports = isinstance(error, distributed.DistError) or "gloo" in text
    return is_transports and any(word in text for word in GONE)


@contextmanager
def joined() -> Iterator[Many]:
    """Join the other processes until the end of the context. Raises SpecError (E645) where one of them is lost."""
    try:
        many = Many()
    except RuntimeError as error:
        problem = ProcessLost(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
        raise told(SpecError([Diagnostic(problem)]), here=True) from error
    try:
        yield many
    except SpecError as error:
        if error.here is None:  # an error of this process alone: the others find it gone
            raise told(error, here=True) from error
        many.leave()
        raise
    except RuntimeError as error:
        if not is_lost(error):
            raise
        helps = (Help(f"resume from the last checkpoint: {many.resume_command}"),) if many.resume_command else ()
        lost = SpecError([Diagnostic(ProcessLost(many.rank, many.world), helps=helps)])
        raise told(lost, here=many.is_first_to_tell()) from error
    many.leave()
