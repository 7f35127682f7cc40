"""Self-attention on tokens, windows and groups. All modules work on a batch, with the features last.

The names, shapes and first values of the parameters are those of torch.nn.MultiheadAttention and of
torchvision's Swin and MaxViT, so that their weights load.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class MultiheadAttention(nn.MultiheadAttention):
    """nn.MultiheadAttention on tokens, N x ... x S x D in and out, for each of the groups before the last two axes.

    Keys and values are made from the queries' tokens where no others are given. Vaswani and others: "Attention Is
    All You Need", 2017, section 3.2.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        kdim: int | None = None,
        vdim: int | None = None,
        is_causal: bool = False,
    ) -> None:
        super().__init__(embed_dim, num_heads, dropout, bias, kdim=kdim, vdim=vdim, batch_first=True)
        self.is_causal = is_causal

    def forward(self, x: Tensor, key: Tensor | None = None, value: Tensor | None = None) -> Tensor:  # type: ignore[override]
        if key is None and value is None:
            qkv = functional.linear(x.flatten(0, -3), self.in_proj_weight, self.in_proj_bias)
            queries, keys, values = _heads(qkv, self.num_heads).unbind(0)
        else:
            queries, keys, values = self._projected(x, x if key is None else key, value)
        y = _attend(queries, keys, values, None, None, self.dropout if self.training else 0.0, self.is_causal)
        return self.out_proj(y.transpose(1, 2).reshape(x.shape))  # type: ignore[no-any-return]

    def _projected(self, x: Tensor, key: Tensor, value: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of each head, groups x heads x positions x features."""
        # Not in variables of the type Tensor | None: torch.jit knows of each module which attributes are None.
        if self.in_proj_weight is None:
            q_weight, k_weight, v_weight = self.q_proj_weight, self.k_proj_weight, self.v_proj_weight  # type: ignore[unreachable]
        else:
            q_weight, k_weight, v_weight = self.in_proj_weight.chunk(3)
        if self.in_proj_bias is None:
            q_bias, k_bias, v_bias = None, None, None  # type: ignore[unreachable]
        else:
            q_bias, k_bias, v_bias = self.in_proj_bias.chunk(3)
        return (
            _head(functional.linear(x.flatten(0, -3), q_weight, q_bias), self.num_heads),
            _head(functional.linear(key.flatten(0, -3), k_weight, k_bias), self.num_heads),
            _head(
                functional.linear((key if value is None else value).flatten(0, -3), v_weight, v_bias), self.num_heads
            ),
        )

    def extra_repr(self) -> str:
        bias, widths = self.in_proj_bias is not None, f"kdim={self.kdim}, vdim={self.vdim}"
        head = f"{self.embed_dim}, num_heads={self.num_heads}, dropout={self.dropout}, bias={bias}"
        return f"{head}, {widths}, is_causal={self.is_causal}"


class ShiftedWindowAttention(nn.Module):
    """Attention inside windows of a map N x H x W x C, which may be shifted by some positions.

    Liu and others: "Swin Transformer", 2021, section 3.2; as torchvision has it. A map that is no multiple of
    the window gets zeros below and on the right. Along an axis where one window covers the map nothing is
    shifted.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        window_size: int | Sequence[int],
        shift_size: int | Sequence[int] = 0,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window_size, self.shift_size = _pair(window_size), _pair(shift_size)
        if channels % num_heads:
            raise ValueError(f"{channels} channels cannot be shared out among {num_heads} heads")
        if not all(0 <= shift < size for shift, size in zip(self.shift_size, self.window_size, strict=True)):
            raise ValueError(f"a shift by {self.shift_size} leaves windows of {self.window_size}")
        self.attention_dropout, self.dropout = attention_dropout, dropout
        self._add_position_table()
        self.relative_position_index: Tensor
        self.register_buffer("relative_position_index", relative_position_index(self.window_size).flatten())
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias)
        self.proj = nn.Linear(channels, channels, bias=proj_bias)
        self._add_scale(channels, num_heads)

    def _add_scale(self, channels: int, num_heads: int) -> None:
        """Add parameters that scale the products of queries and keys: none here."""

    def _add_position_table(self) -> None:
        self.relative_position_bias_table = _bias_table(self.window_size, self.num_heads)

    def position_bias(self) -> Tensor:
        """The bias added to the logit of each pair of positions of a window: heads x positions x positions."""
        positions = self.window_size[0] * self.window_size[1]
        return _paired(self.relative_position_bias_table, self.relative_position_index, positions)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self._qkv(shifted(x, self.window_size, self.shift_size))
        dropout = self.attention_dropout if self.training else 0.0
        y = window_attention(qkv, self.position_bias(), self._scale(), self.window_size, self.shift_size, dropout)
        y = functional.dropout(self.proj(y), self.dropout, self.training)
        return shifted_back(y, x.shape[1], x.shape[2], self.window_size, self.shift_size)

    def _qkv(self, x: Tensor) -> Tensor:
        return self.qkv(x)  # type: ignore[no-any-return]

    def _scale(self) -> Tensor | None:
        """The factor of the cosine of queries and keys for each head; None where their product is divided."""
        return None

    def extra_repr(self) -> str:
        text = f"{self.proj.in_features}, num_heads={self.num_heads}, window_size={self.window_size}"
        dropouts = f"attention_dropout={self.attention_dropout}, dropout={self.dropout}"
        return f"{text}, shift_size={self.shift_size}, {dropouts}"


class ShiftedWindowAttentionV2(ShiftedWindowAttention):
    """The same with the cosine of queries and keys, and a position bias from a small network.

    Liu and others: "Swin Transformer V2", 2021, section 3.2 and 3.3; as torchvision has it. Keys have no bias.
    """

    def _add_scale(self, channels: int, num_heads: int) -> None:
        self.logit_scale = nn.Parameter(torch.full((num_heads, 1, 1), math.log(10)))
        self.cpb_mlp = nn.Sequential(nn.Linear(2, 512), nn.ReLU(inplace=True), nn.Linear(512, num_heads, bias=False))
        if self.qkv.bias is not None:
            nn.init.zeros_(self.qkv.bias[channels : 2 * channels])

    def _add_position_table(self) -> None:
        """The offsets between two positions, from -8 to 8, on a logarithmic scale."""
        if min(self.window_size) < 2:
            raise ValueError(f"there are no offsets to scale in windows of {self.window_size}")
        axes = [torch.arange(1.0 - size, size) / (size - 1) * 8 for size in self.window_size]
        offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).unsqueeze(0)
        self.relative_coords_table: Tensor
        self.register_buffer("relative_coords_table", offsets.sign() * (offsets.abs() + 1).log2() / 3)

    def position_bias(self) -> Tensor:
        table = self.cpb_mlp(self.relative_coords_table).flatten(0, 2)
        positions = self.window_size[0] * self.window_size[1]
        return 16 * _paired(table, self.relative_position_index, positions).sigmoid()

    def _qkv(self, x: Tensor) -> Tensor:
        bias: Tensor | None = self.qkv.bias
        if bias is None:
            return self.qkv(x)  # type: ignore[no-any-return]
        queries, keys, values = bias.chunk(3)
        return functional.linear(x, self.qkv.weight, torch.cat([queries, torch.zeros_like(keys), values]))

    def _scale(self) -> Tensor | None:
        return self.logit_scale.clamp(max=math.log(100)).exp()


class RelativeMultiheadAttention(nn.Module):
    """Attention inside groups of P = p*p tokens, with a bias for each offset on the p x p grid: N x ... x P x C.

    Tu and others: "MaxViT", 2022, section 3.2; as torchvision has it, where the products are divided by
    sqrt(C), not by the square root of a head's features.
    """

    def __init__(self, channels: int, head_dim: int, positions: int) -> None:
        super().__init__()
        side = math.isqrt(positions)
        if channels % head_dim or side**2 != positions:
            raise ValueError(f"{channels} channels in heads of {head_dim}, {positions} positions in a square")
        self.num_heads, self.head_dim = channels // head_dim, head_dim
        self.relative_position_bias_table = _bias_table((side, side), self.num_heads)
        self.relative_position_index: Tensor
        self.register_buffer("relative_position_index", relative_position_index((side, side)))
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.merge = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        queries, keys, values = _heads(self.to_qkv(x).flatten(0, -3), self.num_heads).unbind(0)
        bias = _paired(self.relative_position_bias_table, self.relative_position_index, x.shape[-2])
        attended = _attend(queries, keys, values, bias.to(queries.dtype).unsqueeze(0), x.shape[-1] ** -0.5)
        return self.merge(attended.transpose(1, 2).reshape(x.shape))  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"{self.merge.in_features}, head_dim={self.head_dim}"


class LevitAttention(nn.Module):
    """Attention from the positions of a square to each other, with a bias for each distance: N x P x C in and out.

    Graham and others: "LeViT", 2021, section 4.2; the names are those of timm's EfficientFormer. The bias depends on
    how many rows and columns are between two positions.
    """

    def __init__(self, channels: int, side: int, key_dim: int, num_heads: int = 8, attn_ratio: float = 4.0) -> None:
        super().__init__()
        self.side, self.key_dim, self.num_heads, self.attn_ratio = side, key_dim, num_heads, attn_ratio
        values = int(attn_ratio * key_dim) * num_heads
        if not values:
            raise ValueError(f"attn_ratio={attn_ratio} leaves no features in each value")
        self.attention_biases = nn.Parameter(torch.zeros(num_heads, side**2))
        self.attention_bias_idxs: Tensor
        self.register_buffer("attention_bias_idxs", distance_index(side))
        self.qkv = nn.Linear(channels, 2 * num_heads * key_dim + values)
        self.proj = nn.Linear(values, channels)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(x).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
        queries, keys, values = parts.tensor_split((self.key_dim, 2 * self.key_dim), dim=3)
        bias = self.attention_biases[:, self.attention_bias_idxs]
        attended = _attend(queries, keys, values, bias.to(queries.dtype).unsqueeze(0))
        return self.proj(attended.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        sizes = f"{self.proj.out_features}, side={self.side}, key_dim={self.key_dim}"
        return f"{sizes}, num_heads={self.num_heads}, attn_ratio={self.attn_ratio}"


def distance_index(side: int) -> Tensor:
    """The number of the distance of each pair of positions of a square, positions x positions."""
    positions = torch.arange(side**2)
    rows, columns = positions // side, positions % side
    return (rows[:, None] - rows).abs() * side + (columns[:, None] - columns).abs()


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    rows, columns = (value, value) if isinstance(value, int) else value
    return rows, columns


def _bias_table(sizes: Sequence[int], heads: int) -> nn.Parameter:
    """One number for each offset of two positions of a window and each head."""
    table = nn.Parameter(torch.empty(math.prod(2 * size - 1 for size in sizes), heads))
    nn.init.trunc_normal_(table, std=0.02)
    return table


def relative_position_index(sizes: Sequence[int]) -> Tensor:
    """The number of the offset of each pair of positions of a window, positions x positions."""
    rows, columns = (axis.flatten() for axis in torch.meshgrid(*map(torch.arange, sizes), indexing="ij"))
    down, across = (axis[:, None] - axis[None, :] + size - 1 for axis, size in zip((rows, columns), sizes, strict=True))
    return down * (2 * sizes[1] - 1) + across


def _heads(qkv: Tensor, heads: int) -> Tensor:
    """Queries, keys and values of each head, 3 x N x heads x positions x features, from N x positions x 3C."""
    samples, positions, features = qkv.shape
    return qkv.reshape(samples, positions, 3, heads, features // heads // 3).permute(2, 0, 3, 1, 4)


def _head(x: Tensor, heads: int) -> Tensor:
    """N x heads x positions x features from N x positions x C."""
    samples, positions, features = x.shape
    return x.reshape(samples, positions, heads, features // heads).transpose(1, 2)


def _paired(table: Tensor, index: Tensor, positions: int) -> Tensor:
    """The rows of a table (offsets x heads) for each pair of positions: heads x positions x positions."""
    return table[index.flatten()].T.reshape(-1, positions, positions)


# What depends on the size of a map is in functions that torch.fx does not trace into, as torchvision has it.


@torch.fx.wrap
def shifted(x: Tensor, window_size: tuple[int, int], shift_size: tuple[int, int]) -> Tensor:
    """A map N x H x W x C with zeros up to multiples of the window, and shifted."""
    below, right = -x.shape[1] % window_size[0], -x.shape[2] % window_size[1]
    if below > 0 or right > 0:
        x = functional.pad(x, (0, 0, 0, right, 0, below))
    rows, columns = _shifts(x, window_size, shift_size)
    return x.roll((-rows, -columns), (1, 2)) if rows > 0 or columns > 0 else x


@torch.fx.wrap
def shifted_back(
    x: Tensor, height: int, width: int, window_size: tuple[int, int], shift_size: tuple[int, int]
) -> Tensor:
    """Undo `shifted` for a map that was `height` x `width`."""
    rows, columns = _shifts(x, window_size, shift_size)
    if rows > 0 or columns > 0:
        x = x.roll((rows, columns), (1, 2))
    return x[:, :height, :width] if x.shape[1] > height or x.shape[2] > width else x


def _shifts(x: Tensor, window_size: tuple[int, int], shift_size: tuple[int, int]) -> tuple[int, int]:
    """The shift along each axis: none where one window covers it."""
    rows = shift_size[0] if window_size[0] < x.shape[1] else 0
    columns = shift_size[1] if window_size[1] < x.shape[2] else 0
    return rows, columns


@torch.fx.wrap
def window_attention(
    qkv: Tensor,
    bias: Tensor,
    scale: Tensor | None,
    window_size: tuple[int, int],
    shift_size: tuple[int, int],
    dropout: float = 0.0,
) -> Tensor:
    """The attended values of the positions of each window, N x H x W x C, from N x H x W x 3C.

    `bias` is heads x positions x positions; with a `scale` for each head, the cosine of queries and keys is taken.
    """
    samples, height, width, features = qkv.shape
    heads, channels = bias.shape[0], features // 3
    down, across = height // window_size[0], width // window_size[1]
    split = qkv.reshape(samples, down, window_size[0], across, window_size[1], 3, heads, channels // heads)
    # 3 x N x windows down x windows across x heads x rows x columns x features
    parts = split.permute(5, 0, 1, 3, 6, 2, 4, 7)
    queries, keys, values = parts.flatten(1, 3).flatten(3, 4).unbind(0)
    factor: float | None = None
    if scale is not None:
        queries, keys, factor = functional.normalize(queries, dim=-1) * scale, functional.normalize(keys, dim=-1), 1.0
    bias = bias.to(queries.dtype)
    rows, columns = _shifts(qkv, window_size, shift_size)
    if rows > 0 or columns > 0:
        # Windows and heads share an axis, so that the samples share one mask.
        bias = (bias + shift_mask((height, width), window_size, (rows, columns), queries)).flatten(0, 1)
        shared = [samples, bias.shape[0], queries.shape[2], queries.shape[3]]
        queries, keys, values = queries.reshape(shared), keys.reshape(shared), values.reshape(shared)
    x = _attend(queries, keys, values, bias.unsqueeze(0), factor, dropout)
    return x.reshape(parts.shape[1:]).permute(0, 1, 4, 2, 5, 3, 6).reshape(samples, height, width, channels)


def shift_mask(sizes: tuple[int, int], window: tuple[int, int], shifts: tuple[int, int], like: Tensor) -> Tensor:
    """0 for the pairs of positions of a window that were neighbours before the map was shifted, else -100 as in Swin.

    Windows x 1 x positions x positions. Only the last windows hold positions from both ends of the map.
    """
    down = torch.arange(sizes[0], device=like.device) >= sizes[0] - shifts[0]
    across = torch.arange(sizes[1], device=like.device) >= sizes[1] - shifts[1]
    regions = 2 * down[:, None] + across[None, :]
    tiled = regions.reshape(sizes[0] // window[0], window[0], sizes[1] // window[1], window[1])
    windows = tiled.transpose(1, 2).reshape(-1, 1, window[0] * window[1])
    apart = windows[:, :, :, None] != windows[:, :, None, :]
    return apart.to(like.dtype) * -100.0


def _attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    bias: Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
    is_causal: bool = False,
) -> Tensor:
    """softmax(scale * QK^T + bias) V, with one of PyTorch's fused kernels where it has one.

    With `is_causal`, positions do not attend to later ones. Products are divided by the square root of the features
    where there is no `scale`.
    """
    return functional.scaled_dot_product_attention(queries, keys, values, bias, dropout, is_causal, scale=scale)
