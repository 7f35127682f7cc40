"""The modules that PyTorch has no class for. All work on a batch.

The printed source of a network contains the code of those it needs, so that they may use nothing but PyTorch,
the standard library and each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

# They are found here by the names that layers give them.
from archdsl.backends.torch.arithmetic import (  # noqa: F401
    Abs,
    Add,
    Argmax,
    Clamp,
    Constant,
    Cos,
    Described,
    Div,
    Exp,
    Float,
    Log,
    MatMul,
    Max,
    Mean,
    Mul,
    Neg,
    Norm,
    Pow,
    Sin,
    Sqrt,
    Sub,
    Sum,
)
from archdsl.backends.torch.attention import (  # noqa: F401
    LevitAttention,
    MultiheadAttention,
    RelativeMultiheadAttention,
    ShiftedWindowAttention,
    ShiftedWindowAttentionV2,
)
from archdsl.backends.torch.padding import (  # noqa: F401
    AvgPool1dSame,
    AvgPool2dSame,
    AvgPool3dSame,
    Conv1dSame,
    Conv2dSame,
    Conv3dSame,
    MaxPool1dSame,
    MaxPool2dSame,
    MaxPool3dSame,
)
from archdsl.backends.torch.recurrent import GRU, LSTM, RNN  # noqa: F401


class Keyed(nn.Module):
    """A module some of whose members have other names in the state_dict: `_keys` maps each attribute to its key."""

    _keys: ClassVar[dict[str, str]] = {}

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(self._keys.get(name, name))

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(self._keys.get(name, name), value)


class Permute(Described):
    """Reorder the axes, `torch.permute`. `dims` counts the batch axis as 0."""

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.dims = tuple(dims)

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims)


class Squeeze(Described):
    """Remove axes of size 1, `torch.squeeze`. `dims` counts the batch axis as 0."""

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.dims = tuple(dims)

    def forward(self, x: Tensor) -> Tensor:
        return x.squeeze(self.dims)


class Crop(Described):
    """The positions `start` to `start + size` of each spatial axis."""

    def __init__(self, starts: Sequence[int], sizes: Sequence[int]) -> None:
        super().__init__()
        self.starts, self.sizes = tuple(starts), tuple(sizes)

    def forward(self, x: Tensor) -> Tensor:
        return cropped(x, list(self.starts), list(self.sizes))


def cropped(x: Tensor, starts: list[int], sizes: list[int]) -> Tensor:
    """The positions `start` to `start + size` of each spatial axis."""
    for axis in range(len(starts)):
        x = x.narrow(axis + 2, starts[axis], sizes[axis])
    return x


class PadChannels(Described):
    """Zero channels before and after, and every `stride`-th position: the parameter-free shortcut of ResNet.

    He, Zhang, Ren, Sun: "Deep Residual Learning for Image Recognition", 2015, section 3.3, option A.
    """

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.before, self.after, self.stride = before, after, stride

    def forward(self, x: Tensor) -> Tensor:
        return padded_channels(x, self.before, self.after, self.stride)


@torch.fx.wrap
def padded_channels(x: Tensor, before: int, after: int, stride: int) -> Tensor:
    """Every `stride`-th position of each spatial axis, with zero channels before and after."""
    for axis in range(2, x.dim()):
        x = x.movedim(axis, -1)[..., ::stride].movedim(-1, axis)
    return functional.pad(x, [0, 0] * (x.dim() - 2) + [before, after])


class StochasticDepth(Described):
    """In training, zero each sample ("row") or the whole batch ("batch") with probability `p`, and scale the rest.

    Huang, Sun, Liu, Sedra, Weinberger: "Deep Networks with Stochastic Depth", 2016; it draws the same
    random numbers as torchvision.ops.StochasticDepth.
    """

    def __init__(self, p: float, mode: Literal["row", "batch"] = "row") -> None:
        super().__init__()
        if mode not in ("row", "batch"):
            raise ValueError(f'mode is "row" or "batch", not {mode!r}')
        self.p, self.mode = p, mode

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0.0:
            return x
        survival = 1.0 - self.p
        rows = x.shape[0] if self.mode == "row" else 1
        noise = torch.empty((rows,) + (1,) * (x.dim() - 1), dtype=x.dtype, device=x.device).bernoulli_(survival)
        if survival > 0.0:
            noise.div_(survival)
        return x * noise


class LocalResponseNorm(nn.LocalResponseNorm):
    """nn.LocalResponseNorm that also takes a volume whose memory is not contiguous."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.local_response_norm(x.contiguous(), self.size, self.alpha, self.beta, self.k)


class Concat(Described):
    """The input and the operands joined along `dim` (1: channels), `torch.cat`."""

    def __init__(self, dim: int = 1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor, operands: list[Tensor]) -> Tensor:
        return torch.cat([x] + operands, self.dim)  # noqa: RUF005  torch.jit takes no star here


class Select(Described):
    """One position of an axis, which goes, `torch.select`. `dim` counts the batch axis as 0."""

    def __init__(self, dim: int, index: int) -> None:
        super().__init__()
        self.dim, self.index = dim, index

    def forward(self, x: Tensor) -> Tensor:
        return x.select(self.dim, self.index)


class Narrow(Described):
    """The positions `start` to `start + length` of an axis, `torch.narrow`. `dim` counts the batch axis as 0."""

    def __init__(self, dim: int, start: int, length: int) -> None:
        super().__init__()
        self.dim, self.start, self.length = dim, start, length

    def forward(self, x: Tensor) -> Tensor:
        return x.narrow(self.dim, self.start, self.length)


class Normalize(Described):
    """(x - mean) / std with fixed numbers, one of each or one for each channel."""

    def __init__(self, mean: float | Sequence[float] = 0.0, std: float | Sequence[float] = 1.0) -> None:
        super().__init__()
        self.mean = float(mean) if isinstance(mean, int | float) else list(mean)
        self.std = float(std) if isinstance(std, int | float) else list(std)

    def forward(self, x: Tensor) -> Tensor:
        return normalized(x, self.mean, self.std)


@torch.fx.wrap
def normalized(x: Tensor, mean: float | list[float], std: float | list[float]) -> Tensor:
    """(x - mean) / std."""
    # Not buffers: those would be lost where a module is made on the meta device and its state loaded.
    sizes = [-1] + [1] * (x.dim() - 2)
    if isinstance(mean, float):  # noqa: SIM108  torch.jit types the branches of an expression alike
        x = x - mean
    else:
        x = x - torch.tensor(mean, dtype=x.dtype, device=x.device).reshape(sizes)
    if isinstance(std, float):
        return x / std
    return x / torch.tensor(std, dtype=x.dtype, device=x.device).reshape(sizes)


class ChannelLayerNorm(nn.LayerNorm):
    """nn.LayerNorm over the channels of each position: axis 1 instead of the last."""

    def forward(self, x: Tensor) -> Tensor:
        y = functional.layer_norm(x.movedim(1, -1), self.normalized_shape, self.weight, self.bias, self.eps)
        return y.movedim(-1, 1)


class Parameter(Described):
    """A learned tensor in place of the input, the same for each sample. Its shape may have a batch axis of 1."""

    def __init__(self, size: Sequence[int], batch_axis: bool = False) -> None:
        super().__init__()
        self.size, self.batch_axis = tuple(size), batch_axis
        self.value = nn.Parameter(torch.zeros((1, *self.size) if batch_axis else self.size))

    def forward(self, x: Tensor) -> Tensor:
        return self.value.expand([x.shape[0]] + list(self.size))  # noqa: RUF005
