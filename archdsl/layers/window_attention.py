"""Self-attention with learned position biases: in windows, shifted or not, and in groups.

softmax(scale * QK^T + bias) V, with one linear layer for queries, keys and values, and one for the output. The
features are the last axis. Multiply-adds for each position: 4*C^2 for the linear layers, and 2*C for each position
that it attends to.
"""

from math import isqrt, log, prod
from typing import ClassVar

from archdsl.diagnostics.codes.shapes import WrongRank
from archdsl.diagnostics.problem import Rejected
from archdsl.layers.attention import linear_weights, onnx_attend, onnx_bias, onnx_linear, onnx_parts
from archdsl.layers.axes import onnx_reduce, onnx_reshape
from archdsl.layers.base import (
    Layer,
    NonNegative,
    OnnxBuilder,
    Positive,
    Probability,
    TorchForm,
    changed,
    require_divisible,
)
from archdsl.layers.memory import Memory, numbers
from archdsl.shapes import Shape, Tensor, Window
from archdsl.shapes.receptive_field import ReceptiveField

#: Added to the logit of a pair of positions that only a shift has made neighbours, as in Swin.
_MASKED = -100.0
#: The hidden features of the network that computes Swin V2's position bias.
_HIDDEN = 512


def _macs(positions: int, seen: int, channels: int) -> int:
    """Of the linear layers on each position, and its products with the positions it attends to."""
    return positions * channels * (4 * channels + 2 * seen)


def _onnx_paired(g: OnnxBuilder, table: str, positions: int, heads: int) -> str:
    """A table's rows for each pair of positions, heads x positions x positions."""
    rows = g.node("Gather", table, g.weight("relative_position_index"))
    return g.node("Transpose", g.node("Reshape", rows, g.ints([positions, positions, heads])), perm=[2, 0, 1])


class _WindowAttention(Layer):
    """Both versions of Swin's attention, in windows on a map HxWxC, shifted or not.

    A map that is not a multiple of the window gets zeros below and on the right. An axis that one window
    covers is not shifted.
    """

    autocast = "half"

    num_heads: Positive
    window_size: Positive | tuple[Positive, Positive]
    shift_size: NonNegative | tuple[NonNegative, NonNegative] = 0
    qkv_bias: bool = True
    proj_bias: bool = True
    attention_dropout: Probability = 0.0
    dropout: Probability = 0.0
    #: Tensors that normalising queries and keys adds.
    _unit: ClassVar[int] = 0

    @property
    def window(self) -> tuple[int, int]:
        """Rows and columns of a window."""
        return (self.window_size,) * 2 if isinstance(self.window_size, int) else self.window_size

    @property
    def shift(self) -> tuple[int, int]:
        """The shift that is asked for, of rows and columns."""
        return (self.shift_size,) * 2 if isinstance(self.shift_size, int) else self.shift_size

    def padded(self, x: Shape) -> Shape:
        """The map with the zeros that complete its last windows."""
        return Shape((*(-(-size // window) * window for size, window in zip(x[:2], self.window, strict=True)), x[2]))

    def shifts(self, x: Shape) -> tuple[int, ...]:
        """The shift of each axis of this map."""
        axes = zip(self.shift, self.window, self.padded(x), strict=False)
        return tuple(shift if window < size else 0 for shift, window, size in axes)

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        if len(x) != 3:
            raise Rejected(WrongRank(self.kind, "a map with its channels last (HxWxC)", str(x)))
        require_divisible(x[-1], "input features", self.num_heads, "num_heads")
        if any(shift >= size for shift, size in zip(self.shift, self.window, strict=True)):
            reason = f"shift_size {self.shift_size} must be less than window_size {self.window_size}"
            raise self.unfit("shift_size", reason)
        return x

    def buffers(self, x: Shape) -> dict[str, Tensor]:
        return {"relative_position_index": Tensor(Shape((prod(self.window) ** 2,)), "int64")}

    def memory(self, x: Shape, y: Shape) -> Memory:
        inner = self.padded(x)
        pairs = inner.numel // inner[2] * prod(self.window) * self.num_heads
        moved = inner != x or any(self.shifts(x))
        # Queries, keys and values, the scaled queries and keys, the attended values, and the attention itself.
        kept = numbers((6 + self._unit + moved) * inner.numel + pairs)
        masked = pairs if any(self.shifts(x)) else 0
        inside = numbers((7 + 3 * self._unit + moved) * inner.numel + masked)
        return Memory(() if moved else ("input",), kept=(kept,), inside=(inside,))

    def _projections(self, x: Shape) -> dict[str, Tensor]:
        channels = x[-1]
        inside = linear_weights("qkv", channels, 3 * channels, bias=self.qkv_bias)
        return inside | linear_weights("proj", channels, channels, bias=self.proj_bias)

    def macs(self, x: Shape, y: Shape) -> int:
        rows, columns, channels = self.padded(x)
        return _macs(rows * columns, prod(self.window), channels)

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        axes = field.axes
        windows = [Window(min(window, size)) for window, size in zip(self.window, x[:2], strict=True)]
        return field.arrange((axes[2], *axes[:2])).slide(windows, x[:2]).arrange(axes).mix(2)

    def torch(self, x: Shape) -> TorchForm:
        arguments = (x[-1], self.num_heads, self.window_size)
        keywords = changed(self, "shift_size", "qkv_bias", "proj_bias", "attention_dropout", "dropout")
        return TorchForm(f"modules.{type(self).__name__}", arguments, keywords)

    def _onnx_position_bias(self, g: OnnxBuilder) -> str:
        """Heads x positions x positions; a runtime computes it once, from the weights alone."""
        raise NotImplementedError

    def _onnx_qkv_bias(self, x: Shape, g: OnnxBuilder) -> str:
        return onnx_bias(g, "qkv.bias")

    def _onnx_logits(self, queries: str, keys: str, x: Shape, g: OnnxBuilder) -> str:
        raise NotImplementedError

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        rows, columns, channels = self.padded(x)
        (high, wide), shifts = self.window, self.shifts(x)
        down, across = rows // high, columns // wide
        padding = [0, 0, 0, 0, 0, rows - x[0], columns - x[1], 0]
        value = g.node("Pad", g.input, g.ints(padding)) if any(padding) else g.input
        value = onnx_reshape(g, _onnx_roll(g, value, shifts), Shape((down, high, across, wide, channels)))
        sizes = Shape((down * across, high * wide, channels))
        value = onnx_reshape(g, g.node("Transpose", value, perm=[0, 1, 3, 2, 4, 5]), sizes)

        value = self._onnx_attention(value, sizes, x, g)
        value = onnx_linear(g, value, "proj.weight", onnx_bias(g, "proj.bias"))

        value = onnx_reshape(g, value, Shape((down, across, high, wide, channels)))
        value = onnx_reshape(g, g.node("Transpose", value, perm=[0, 1, 3, 2, 4, 5]), self.padded(x))
        value = _onnx_roll(g, value, [-shift for shift in shifts])
        return g.node("Slice", value, g.ints([0, 0]), g.ints(x[:2]), g.ints([1, 2])) if any(padding) else value

    def _onnx_attention(self, value: str, sizes: Shape, x: Shape, g: OnnxBuilder) -> str:
        """Attention within windows, batch x windows x positions x channels."""
        qkv = onnx_linear(g, value, "qkv.weight", self._onnx_qkv_bias(x, g))
        queries, keys, values = onnx_parts(g, qkv, sizes, self.num_heads)
        bias = self._onnx_position_bias(g)
        if any(self.shifts(x)):
            bias = g.node("Add", bias, self._onnx_mask(x, g))
        logits = g.node("Add", self._onnx_logits(queries, keys, x, g), bias)
        return onnx_attend(g, logits, values, sizes)

    def _onnx_mask(self, x: Shape, g: OnnxBuilder) -> str:
        """Windows x 1 x positions x positions: 0 for pairs that were neighbours before the shift."""
        regions = self.regions(x)
        windows = len(regions) // prod(self.window)
        down = g.floats(regions, (windows, 1, prod(self.window), 1))
        across = g.floats(regions, (windows, 1, 1, prod(self.window)))
        return g.node("Where", g.node("Equal", down, across), g.scalar(0.0), g.scalar(_MASKED))

    def regions(self, x: Shape) -> list[int]:
        """The part of the map before the shift that each position is from, window by window."""
        (rows, columns, _), (high, wide), (down, across) = self.padded(x), self.window, self.shifts(x)
        return [
            2 * (row >= rows - down) + (column >= columns - across)
            for top in range(0, rows, high)
            for left in range(0, columns, wide)
            for row in range(top, top + high)
            for column in range(left, left + wide)
        ]


def _onnx_roll(g: OnnxBuilder, value: str, shifts: tuple[int, ...] | list[int]) -> str:
    """The map's axes, from 1 on, rolled to the left, or to the right by negative shifts."""
    for axis, shift in enumerate(shifts, start=1):
        if shift:
            end = 2**62
            front = g.node("Slice", value, g.ints([shift]), g.ints([end]), g.ints([axis]))
            back = g.node("Slice", value, g.ints([0]), g.ints([shift]), g.ints([axis]))
            value = g.node("Concat", front, back, axis=axis)
    return value


class ShiftedWindowAttention(_WindowAttention):
    """Self-attention in windows of a map HxWxC, as torchvision's ShiftedWindowAttention.

    softmax(Q K^T / sqrt(C / num_heads) + B) V, where B has a learned number for each offset of two positions
    (Swin: Liu and others 2021). With `shift_size` the map is rolled before and back after, and positions that
    were not neighbours do not attend to each other. Weights 4*C^2 and (2*M - 1)^2 for each head, M the window.
    """

    kind = "shifted_window_attention"
    parameters = (
        "relative_position_bias_table",
        "qkv.weight",
        "qkv.bias",
        "proj.weight",
        "proj.bias",
    )

    def weights(self, x: Shape) -> dict[str, Tensor]:
        offsets = prod(2 * size - 1 for size in self.window)
        table = {"relative_position_bias_table": Tensor(Shape((offsets, self.num_heads)))}
        return table | self._projections(x)

    def _onnx_position_bias(self, g: OnnxBuilder) -> str:
        return _onnx_paired(g, g.weight("relative_position_bias_table"), prod(self.window), self.num_heads)

    def _onnx_logits(self, queries: str, keys: str, x: Shape, g: OnnxBuilder) -> str:
        scaled = g.node("Mul", queries, g.scalar((x[-1] // self.num_heads) ** -0.5))
        return g.node("MatMul", scaled, keys)


class ShiftedWindowAttentionV2(_WindowAttention):
    """The second version of `shifted_window_attention`, as torchvision's ShiftedWindowAttentionV2.

    softmax(cos(Q, K) * s + B) V: s is learned for each head and at most 100, and a network of two linear layers
    with 512 hidden features computes B from the offsets on a logarithmic scale (Swin V2: Liu and others
    2021), once for a batch; its multiply-adds are counted with the first sample. Keys have no bias. Weights
    4*C^2, and 3*512 + 513 for each head.
    """

    kind = "shifted_window_attention_v2"
    _unit = 1
    parameters = (
        "logit_scale",
        "qkv.weight",
        "qkv.bias",
        "proj.weight",
        "proj.bias",
        "cpb_mlp.0.weight",
        "cpb_mlp.0.bias",
        "cpb_mlp.2.weight",
    )

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        y = super().shape(x, *operands)
        if min(self.window) < 2:
            reason = f"window_size {self.window_size} must be at least 2 on both axes"
            raise self.unfit("window_size", reason)
        return y

    def weights(self, x: Shape) -> dict[str, Tensor]:
        scale = {"logit_scale": Tensor(Shape((self.num_heads, 1, 1)))}
        network = linear_weights("cpb_mlp.0", 2, _HIDDEN)
        network |= linear_weights("cpb_mlp.2", _HIDDEN, self.num_heads, bias=False)
        return scale | self._projections(x) | network

    def buffers(self, x: Shape) -> dict[str, Tensor]:
        offsets = Shape((1, *(2 * size - 1 for size in self.window), 2))
        return {"relative_coords_table": Tensor(offsets)} | super().buffers(x)

    def macs(self, x: Shape, y: Shape) -> int:
        offsets = prod(2 * size - 1 for size in self.window)
        return super().macs(x, y) + offsets * _HIDDEN * (2 + self.num_heads)

    def _onnx_position_bias(self, g: OnnxBuilder) -> str:
        offsets = g.node("Reshape", g.weight("relative_coords_table"), g.ints([-1, 2]))
        hidden = g.node("Relu", onnx_linear(g, offsets, "cpb_mlp.0.weight", g.weight("cpb_mlp.0.bias")))
        table = onnx_linear(g, hidden, "cpb_mlp.2.weight")
        paired = _onnx_paired(g, table, prod(self.window), self.num_heads)
        return g.node("Mul", g.node("Sigmoid", paired), g.scalar(16.0))

    def _onnx_qkv_bias(self, x: Shape, g: OnnxBuilder) -> str:
        if not self.qkv_bias:
            return ""
        channels = x[-1]
        return g.node("Mul", g.weight("qkv.bias"), g.floats([1.0] * channels + [0.0] * channels + [1.0] * channels))

    def _onnx_logits(self, queries: str, keys: str, x: Shape, g: OnnxBuilder) -> str:
        cosines = g.node("MatMul", _onnx_unit(g, queries, 4), _onnx_unit(g, keys, 3))
        return g.node("Mul", cosines, g.node("Exp", g.node("Min", g.weight("logit_scale"), g.scalar(log(100)))))


def _onnx_unit(g: OnnxBuilder, value: str, axis: int) -> str:
    """A value divided by its length along an axis, as torch.nn.functional.normalize."""
    length = onnx_reduce(g, "ReduceL2", value, [axis])
    return g.node("Div", value, g.node("Max", length, g.scalar(1e-12)))


class RelativeMultiheadAttention(Layer):
    """Self-attention in groups of tokens (...xPxC), as torchvision's RelativePositionalMultiHeadAttention.

    softmax(Q K^T / sqrt(C) + B) V in each head of `head_dim` features (MaxViT: Tu and others 2022). The P
    tokens are the positions of a square, row by row, and B has a learned number for each offset of two. Weights
    4*C^2 and (2*sqrt(P) - 1)^2 for each head.
    """

    kind = "relative_multihead_attention"
    autocast = "half"

    def memory(self, x: Shape, y: Shape) -> Memory:
        pairs = x.numel // self.head_dim * x[-2]
        # Scaled queries and keys, values, the attended values, and the attention itself.
        return Memory(kept=(numbers(4 * x.numel + pairs),), inside=(numbers(4 * x.numel),))

    parameters = (
        "relative_position_bias_table",
        "to_qkv.weight",
        "to_qkv.bias",
        "merge.weight",
        "merge.bias",
    )

    head_dim: Positive

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        if len(x) < 2:
            raise Rejected(WrongRank(self.kind, "groups of tokens (...xPxC)", str(x)))
        require_divisible(x[-1], "input features", self.head_dim, "head_dim")
        if isqrt(x[-2]) ** 2 != x[-2]:
            raise self.unfit(None, f"the {x[-2]} tokens of the input {x} do not form a square")
        return x

    def weights(self, x: Shape) -> dict[str, Tensor]:
        *_, tokens, channels = x
        table = Shape(((2 * isqrt(tokens) - 1) ** 2, channels // self.head_dim))
        weights = {"relative_position_bias_table": Tensor(table)}
        return weights | linear_weights("to_qkv", channels, 3 * channels) | linear_weights("merge", channels, channels)

    def buffers(self, x: Shape) -> dict[str, Tensor]:
        return {"relative_position_index": Tensor(Shape((x[-2], x[-2])), "int64")}

    def macs(self, x: Shape, y: Shape) -> int:
        return _macs(prod(x[:-1]), x[-2], x[-1])

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        return field.mix(len(x) - 2).mix(len(x) - 1)

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("modules.RelativeMultiheadAttention", (x[-1], self.head_dim, x[-2]))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        heads = x[-1] // self.head_dim
        qkv = onnx_linear(g, g.input, "to_qkv.weight", g.weight("to_qkv.bias"))
        queries, keys, values = onnx_parts(g, qkv, x, heads)
        products = g.node("MatMul", g.node("Mul", queries, g.scalar(x[-1] ** -0.5)), keys)
        bias = _onnx_paired(g, g.weight("relative_position_bias_table"), x[-2], heads)
        attended = onnx_attend(g, g.node("Add", products, bias), values, x)
        return onnx_linear(g, attended, "merge.weight", g.weight("merge.bias"))
