"""Convolutions and pools with TensorFlow's "same" padding, whose amount depends on the size of the input.

As in `archdsl.backends.torch.modules`, a printed network has the code of those it needs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


@torch.fx.wrap
def pad_same_upper(
    x: Tensor,
    kernel: int | list[int],
    stride: int | list[int],
    dilation: int | list[int] = 1,
    mode: str = "zeros",
    value: float = 0.0,
) -> Tensor:
    """Pad so that a window with this stride gives ceil(n / stride) outputs; an odd element goes to the end."""
    pads: list[int] = []
    for axis in range(x.dim() - 1, 1, -1):
        k, s, d = _of_axis(kernel, axis - 2), _of_axis(stride, axis - 2), _of_axis(dilation, axis - 2)
        size = x.shape[axis]
        total = max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
        pads += [total // 2, total - total // 2]
    return functional.pad(x, pads, "constant" if mode == "zeros" else mode, value) if max(pads) > 0 else x


def _of_axis(sizes: int | list[int], axis: int) -> int:
    return sizes if isinstance(sizes, int) else sizes[axis]


class Conv1dSame(nn.Conv1d):
    """nn.Conv1d with TensorFlow's "same" padding."""

    def forward(self, x: Tensor) -> Tensor:
        sizes, stride, dilation = list(self.kernel_size), list(self.stride), list(self.dilation)
        padded = pad_same_upper(x, sizes, stride, dilation, self.padding_mode)
        return functional.conv1d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class Conv2dSame(nn.Conv2d):
    """nn.Conv2d with TensorFlow's "same" padding."""

    def forward(self, x: Tensor) -> Tensor:
        sizes, stride, dilation = list(self.kernel_size), list(self.stride), list(self.dilation)
        padded = pad_same_upper(x, sizes, stride, dilation, self.padding_mode)
        return functional.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class Conv3dSame(nn.Conv3d):
    """nn.Conv3d with TensorFlow's "same" padding."""

    def forward(self, x: Tensor) -> Tensor:
        sizes, stride, dilation = list(self.kernel_size), list(self.stride), list(self.dilation)
        padded = pad_same_upper(x, sizes, stride, dilation, self.padding_mode)
        return functional.conv3d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class MaxPool1dSame(nn.MaxPool1d):
    """nn.MaxPool1d with TensorFlow's "same" padding."""

    def forward(self, x: Tensor) -> Tensor:
        padded = pad_same_upper(x, self.kernel_size, self.stride, self.dilation, value=-math.inf)  # type: ignore[arg-type]
        return functional.max_pool1d(padded, self.kernel_size, self.stride, 0, self.dilation, self.ceil_mode)


class MaxPool2dSame(nn.MaxPool2d):
    """nn.MaxPool2d with TensorFlow's "same" padding."""

    def forward(self, x: Tensor) -> Tensor:
        padded = pad_same_upper(x, self.kernel_size, self.stride, self.dilation, value=-math.inf)  # type: ignore[arg-type]
        return functional.max_pool2d(padded, self.kernel_size, self.stride, 0, self.dilation, self.ceil_mode)


class MaxPool3dSame(nn.MaxPool3d):
    """nn.MaxPool3d with TensorFlow's "same" padding."""

    def forward(self, x: Tensor) -> Tensor:
        padded = pad_same_upper(x, self.kernel_size, self.stride, self.dilation, value=-math.inf)  # type: ignore[arg-type]
        return functional.max_pool3d(padded, self.kernel_size, self.stride, 0, self.dilation, self.ceil_mode)


class AvgPool1dSame(nn.AvgPool1d):
    """nn.AvgPool1d with TensorFlow's "same" padding; with `count_include_pad=False` the padding does not count."""

    def forward(self, x: Tensor) -> Tensor:
        padded = pad_same_upper(x, self.kernel_size, self.stride)  # type: ignore[arg-type]
        mean = functional.avg_pool1d(padded, self.kernel_size, self.stride, 0, self.ceil_mode)
        if self.count_include_pad:
            return mean
        ones = pad_same_upper(torch.ones_like(x[:1, :1]), self.kernel_size, self.stride)  # type: ignore[arg-type]
        return mean / functional.avg_pool1d(ones, self.kernel_size, self.stride, 0, self.ceil_mode)


class AvgPool2dSame(nn.AvgPool2d):
    """nn.AvgPool2d with TensorFlow's "same" padding; with `count_include_pad=False` the padding does not count."""

    def forward(self, x: Tensor) -> Tensor:
        padded = pad_same_upper(x, self.kernel_size, self.stride)  # type: ignore[arg-type]
        mean = functional.avg_pool2d(
            padded, self.kernel_size, self.stride, 0, self.ceil_mode, True, self.divisor_override
        )
        if self.count_include_pad or self.divisor_override is not None:
            return mean
        ones = pad_same_upper(torch.ones_like(x[:1, :1]), self.kernel_size, self.stride)  # type: ignore[arg-type]
        return mean / functional.avg_pool2d(ones, self.kernel_size, self.stride, 0, self.ceil_mode)


class AvgPool3dSame(nn.AvgPool3d):
    """nn.AvgPool3d with TensorFlow's "same" padding; with `count_include_pad=False` the padding does not count."""

    def forward(self, x: Tensor) -> Tensor:
        padded = pad_same_upper(x, self.kernel_size, self.stride)  # type: ignore[arg-type]
        mean = functional.avg_pool3d(
            padded, self.kernel_size, self.stride, 0, self.ceil_mode, True, self.divisor_override
        )
        if self.count_include_pad or self.divisor_override is not None:
            return mean
        ones = pad_same_upper(torch.ones_like(x[:1, :1]), self.kernel_size, self.stride)  # type: ignore[arg-type]
        return mean / functional.avg_pool3d(ones, self.kernel_size, self.stride, 0, self.ceil_mode)
