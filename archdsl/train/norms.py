"""Normalization layers, by what they need of a batch and of weight decay."""

from __future__ import annotations

from torch import nn

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
NORMS = (*BATCH_NORMS, *INSTANCE_NORMS, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def has_batch_norm(module: nn.Module) -> bool:
    """Whether a batch of one sample cannot be normalized in training."""
    return any(isinstance(part, BATCH_NORMS) for part in module.modules())
