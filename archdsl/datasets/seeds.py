"""Random numbers as a function of the recipe's seed, the epoch and the step, so that any step can be repeated."""

from __future__ import annotations

from hashlib import blake2b

import torch
from torch import Tensor


def seed_for(seed: int, *keys: object) -> int:
    """A 63-bit seed for each purpose that `keys` name, the same on every machine."""
    text = "/".join(map(str, (seed, *keys)))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 1


def generator(seed: int, *keys: object) -> torch.Generator:
    """A generator on the CPU, seeded by `seed_for`."""
    return torch.Generator().manual_seed(seed_for(seed, *keys))


def seed_global(device: torch.device, seed: int) -> None:
    """Seed the default generators, which dropout draws from; `torch.manual_seed` is too slow for every step."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def epoch_order(samples: int, batch: int, seed: int, epoch: int, *, keep_lone: bool) -> list[Tensor]:
    """The rows of each batch of an epoch, shuffled. Without `keep_lone` a last batch of one sample is dropped."""
    order = in_batches(torch.randperm(samples, generator=generator(seed, "order", epoch)), batch)
    lone = len(order) > 1 and len(order[-1]) == 1
    return order[:-1] if lone and not keep_lone else order


def in_batches(rows: Tensor, batch: int) -> list[Tensor]:
    """The rows in batches; the last may be smaller."""
    return [rows[start : start + batch] for start in range(0, len(rows), batch)]
