"""Convolutions and pools with TensorFlow's "same" padding, whose amount depends on the size of the input.

As in `archdsl.backends.torch.modules`, a printed network has the code of those it needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def pad_same_upper(
    x: Tensor,
    kernel: int | Sequence[int],
    stride: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    mode: str = "constant",
    value: float = 0.0,
) -> Tensor:
    """Pad so that a window with this stride gives ceil(n / stride) outputs; an odd element goes to the end."""
    pads: list[int] = []
    for axis in range(x.dim() - 1, 1, -1):
        k, s, d = (one if isinstance(one, int) else one[axis - 2] for one in (kernel, stride, dilation))
        size = x.shape[axis]
        total = max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
        pads += [total // 2, total - total // 2]
    return functional.pad(x, pads, mode, value) if any(pads) else x


class SameConv(nn.modules.conv._ConvNd):
    """The part of a convolution that pads."""

    def forward(self, x: Tensor) -> Tensor:
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        padded = pad_same_upper(x, self.kernel_size, self.stride, self.dilation, mode)
        convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[x.dim() - 3]
        return convolve(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class Conv1dSame(SameConv, nn.Conv1d):
    """nn.Conv1d with TensorFlow's "same" padding."""


class Conv2dSame(SameConv, nn.Conv2d):
    """nn.Conv2d with TensorFlow's "same" padding."""


class Conv3dSame(SameConv, nn.Conv3d):
    """nn.Conv3d with TensorFlow's "same" padding."""


class SameMaxPool(nn.modules.pooling._MaxPoolNd):
    """The part of a max pool that pads."""

    def forward(self, x: Tensor) -> Tensor:
        padded = pad_same_upper(x, self.kernel_size, self.stride, self.dilation, value=float("-inf"))
        return super().forward(padded)  # type: ignore[no-any-return]


class MaxPool1dSame(SameMaxPool, nn.MaxPool1d):
    """nn.MaxPool1d with TensorFlow's "same" padding."""


class MaxPool2dSame(SameMaxPool, nn.MaxPool2d):
    """nn.MaxPool2d with TensorFlow's "same" padding."""


class MaxPool3dSame(SameMaxPool, nn.MaxPool3d):
    """nn.MaxPool3d with TensorFlow's "same" padding."""


class SameAvgPool(nn.modules.pooling._AvgPoolNd):
    """The part of a mean pool that pads; with `count_include_pad=False` the padding does not count."""

    def forward(self, x: Tensor) -> Tensor:
        window: tuple[Any, Any] = self.kernel_size, self.stride
        padded = pad_same_upper(x, *window)
        mean: Tensor = super().forward(padded)
        if self.count_include_pad or padded is x or getattr(self, "divisor_override", None):
            return mean
        ones = pad_same_upper(torch.ones_like(x[:1, :1]), *window)
        share: Tensor = super().forward(ones)
        return mean / share


class AvgPool1dSame(SameAvgPool, nn.AvgPool1d):
    """nn.AvgPool1d with TensorFlow's "same" padding."""


class AvgPool2dSame(SameAvgPool, nn.AvgPool2d):
    """nn.AvgPool2d with TensorFlow's "same" padding."""


class AvgPool3dSame(SameAvgPool, nn.AvgPool3d):
    """nn.AvgPool3d with TensorFlow's "same" padding."""
