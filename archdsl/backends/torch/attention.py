"""Self-attention on tokens, windows and groups. All modules work on a batch, with the features last.

The names, shapes and first values of the parameters are those of torch.nn.MultiheadAttention and of
torchvision's Swin and MaxViT, so that their weights load.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Added to the logit of a masked pair of positions, as in Swin.
MASKED = -100.0


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
            queries, keys, values = _heads(qkv, self.num_heads)
        else:
            queries, keys, values = self._projected(x, x if key is None else key, value)
        y = _attend(queries, keys, values, dropout=self.dropout, training=self.training, is_causal=self.is_causal)
        return self.out_proj(y.transpose(1, 2).reshape(x.shape))  # type: ignore[no-any-return]

    def _projected(self, x: Tensor, key: Tensor, value: Tensor | None) -> Iterator[Tensor]:
        """Queries, keys and values of each head, groups x heads x positions x features."""
        packed: Tensor | None = self.in_proj_weight
        weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight) if packed is None else packed.chunk(3)
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        sources = (x, key, key if value is None else value)
        for source, weight, bias in zip(sources, weights, biases, strict=True):
            made = functional.linear(source.flatten(0, -3), weight, bias)
            yield made.reshape(*made.shape[:-1], self.num_heads, -1).transpose(1, 2)

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
        return _paired(self.relative_position_bias_table, self.get_buffer("relative_position_index"))

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        below, right = (-size % window for size, window in zip((height, width), self.window_size, strict=True))
        if below or right:
            x = functional.pad(x, (0, 0, 0, right, 0, below))
        rows, columns = self._shifts(x.shape[1:3])
        if rows or columns:
            x = x.roll((-rows, -columns), (1, 2))
        x = functional.dropout(self.proj(self._attended(x, (rows, columns))), self.dropout, self.training)
        if rows or columns:
            x = x.roll((rows, columns), (1, 2))
        return x[:, :height, :width] if below or right else x

    def _shifts(self, sizes: Sequence[int]) -> list[int]:
        axes = zip(self.shift_size, self.window_size, sizes, strict=True)
        return [shift if window < size else 0 for shift, window, size in axes]

    def _qkv(self, x: Tensor) -> Tensor:
        return self.qkv(x)  # type: ignore[no-any-return]

    def _scaled(self, queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor, float]:
        """Queries, keys, and the factor that makes their products logits."""
        return queries, keys, queries.shape[-1] ** -0.5

    def _attended(self, x: Tensor, shifts: Sequence[int]) -> Tensor:
        """The attended values of the positions of each window, N x H x W x C."""
        size, (rows, columns), heads = x.shape, self.window_size, self.num_heads
        grid = (size[1] // rows, rows, size[2] // columns, columns)
        split = self._qkv(x).reshape(size[0], *grid, 3, heads, size[3] // heads)
        # 3 x N x windows down x windows across x heads x rows x columns x features
        parts = split.permute(5, 0, 1, 3, 6, 2, 4, 7)
        queries, keys, values = parts.flatten(1, 3).flatten(3, 4)
        queries, keys, scale = self._scaled(queries, keys)
        bias = self.position_bias().to(queries.dtype)
        if any(shifts):
            # Windows and heads share an axis, so that the samples share one mask.
            bias = (bias + shift_mask(size[1:3], self.window_size, shifts, queries)).flatten(0, 1)
            shared = (size[0], bias.shape[0], *queries.shape[2:])
            queries, keys, values = (part.reshape(shared) for part in (queries, keys, values))
        dropout = self.attention_dropout
        x = _attend(queries, keys, values, bias.unsqueeze(0), scale, dropout, training=self.training)
        return x.reshape(parts.shape[1:]).permute(0, 1, 4, 2, 5, 3, 6).reshape(size)

    def extra_repr(self) -> str:
        text = f"{self.proj.in_features}, num_heads={self.num_heads}, window_size={self.window_size}"
        dropouts = f"attention_dropout={self.attention_dropout}, dropout={self.dropout}"
        return f"{text}, shift_size={self.shift_size}, {dropouts}"


class ShiftedWindowAttentionV2(ShiftedWindowAttention):
    """The same with the cosine of queries and keys, and a position bias from a small network.

    Liu and others: "Swin Transformer V2", 2021, section 3.2 and 3.3; as torchvision has it. Keys have no bias.
    """

    relative_coords_table: Tensor

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
        self.register_buffer("relative_coords_table", offsets.sign() * (offsets.abs() + 1).log2() / 3)

    def position_bias(self) -> Tensor:
        table = self.cpb_mlp(self.relative_coords_table).flatten(0, 2)
        return 16 * _paired(table, self.get_buffer("relative_position_index")).sigmoid()

    def _qkv(self, x: Tensor) -> Tensor:
        bias: Tensor | None = self.qkv.bias
        if bias is None:
            return super()._qkv(x)
        queries, keys, values = bias.chunk(3)
        return functional.linear(x, self.qkv.weight, torch.cat([queries, torch.zeros_like(keys), values]))

    def _scaled(self, queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor, float]:
        scale = self.logit_scale.clamp(max=math.log(100)).exp()
        return functional.normalize(queries, dim=-1) * scale, functional.normalize(keys, dim=-1), 1.0


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
        self.register_buffer("relative_position_index", relative_position_index((side, side)))
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.merge = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        queries, keys, values = _heads(self.to_qkv(x).flatten(0, -3), self.num_heads)
        bias = _paired(self.relative_position_bias_table, self.get_buffer("relative_position_index"))
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
        self.register_buffer("attention_bias_idxs", distance_index(side))
        self.qkv = nn.Linear(channels, 2 * num_heads * key_dim + values)
        self.proj = nn.Linear(values, channels)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(x).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
        queries, keys, values = parts.tensor_split((self.key_dim, 2 * self.key_dim), dim=3)
        bias = self.attention_biases[:, self.get_buffer("attention_bias_idxs")]
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


def _paired(table: Tensor, index: Tensor) -> Tensor:
    """The rows of a table (offsets x heads) for each pair of positions: heads x positions x positions."""
    positions = math.isqrt(index.numel())
    return table[index.flatten()].T.reshape(-1, positions, positions)


def shift_mask(sizes: Sequence[int], window: Sequence[int], shifts: Sequence[int], like: Tensor) -> Tensor:
    """0 for the pairs of positions of a window that were neighbours before the map was shifted, else MASKED.

    Windows x 1 x positions x positions. Only the last windows hold positions from both ends of the map.
    """
    height, width = (
        torch.arange(size, device=like.device) >= size - shift for size, shift in zip(sizes, shifts, strict=True)
    )
    regions = 2 * height[:, None] + width[None, :]
    tiled = regions.reshape(sizes[0] // window[0], window[0], sizes[1] // window[1], window[1])
    windows = tiled.transpose(1, 2).reshape(-1, 1, window[0] * window[1])
    apart = windows[:, :, :, None] != windows[:, :, None, :]
    return apart.to(like.dtype) * MASKED


def _attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    bias: Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
    *,
    training: bool = False,
    is_causal: bool = False,
) -> Tensor:
    """softmax(scale * QK^T + bias) V, with one of PyTorch's fused kernels where it has one.

    With `is_causal`, positions do not attend to later ones.
    """
    p = dropout if training else 0.0
    return functional.scaled_dot_product_attention(queries, keys, values, bias, p, is_causal, scale=scale)
