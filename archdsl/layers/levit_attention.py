"""Self-attention with a learned bias for each distance, as in LeViT and EfficientFormer."""

from math import isqrt
from typing import Annotated

from pydantic import Field

from archdsl.diagnostics.codes.shapes import WrongRank
from archdsl.diagnostics.problem import Rejected
from archdsl.layers.attention import linear_weights, onnx_linear
from archdsl.layers.axes import onnx_reshape
from archdsl.layers.base import Layer, OnnxBuilder, Positive, TorchForm, changed
from archdsl.layers.memory import Memory, numbers
from archdsl.shapes import Shape, Tensor
from archdsl.shapes.receptive_field import ReceptiveField


class LevitAttention(Layer):
    """Self-attention on the tokens of a square (PxC) with an attention bias, as in LeViT and EfficientFormer.

    softmax(Q K^T / sqrt(key_dim) + B) V in each head, with `attn_ratio * key_dim` features in each value. The P tokens
    are the positions of a square, row by row, and B has a learned number for each distance of two in rows and columns
    (Graham and others 2021). Weights C*heads*(2*key_dim + value) + heads*value*C and P for each head.
    """

    kind = "levit_attention"
    autocast = "half"
    parameters = ("attention_biases", "qkv.weight", "qkv.bias", "proj.weight", "proj.bias")

    key_dim: Positive
    num_heads: Positive = 8
    attn_ratio: Annotated[float, Field(gt=0)] = 4.0

    @property
    def value_dim(self) -> int:
        """The features of a value in each head."""
        return int(self.attn_ratio * self.key_dim)

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        if len(x) != 2:
            help = "`flatten(2); transpose(1, 2)` converts a feature map to tokens" if len(x) == 3 else None
            raise Rejected(WrongRank(self.kind, "tokens (PxC)", str(x)), help=help)
        if isqrt(x[0]) ** 2 != x[0]:
            raise self.unfit(None, f"the {x[0]} tokens of the input {x} do not form a square")
        if self.value_dim < 1:
            raise self.conflict("attn_ratio", f"attn_ratio {self.attn_ratio} leaves no features in each value")
        return x

    def weights(self, x: Shape) -> dict[str, Tensor]:
        tokens, channels = x
        values = self.num_heads * self.value_dim
        projected = 2 * self.num_heads * self.key_dim + values
        biases = {"attention_biases": Tensor(Shape((self.num_heads, tokens)))}
        return biases | linear_weights("qkv", channels, projected) | linear_weights("proj", values, channels)

    def buffers(self, x: Shape) -> dict[str, Tensor]:
        return {"attention_bias_idxs": Tensor(Shape((x[0], x[0])), "int64")}

    def memory(self, x: Shape, y: Shape) -> Memory:
        # Queries, keys and values, the attended values, and the attention itself; inside also its logits.
        parts, pairs = 2 * x[0] * self.num_heads * (self.key_dim + self.value_dim), x[0] ** 2 * self.num_heads
        return Memory(kept=(numbers(parts + pairs),), inside=(numbers(parts + 2 * pairs),))

    def macs(self, x: Shape, y: Shape) -> int:
        tokens, channels = x
        key, value = self.num_heads * self.key_dim, self.num_heads * self.value_dim
        return tokens * channels * (2 * key + 2 * value) + tokens**2 * (key + value)

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        return field.mix(0).mix(1)

    def torch(self, x: Shape) -> TorchForm:
        keywords = changed(self, "num_heads", "attn_ratio")
        return TorchForm("modules.LevitAttention", (x[1], isqrt(x[0]), self.key_dim), keywords)

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        key, value, heads = self.key_dim, self.value_dim, self.num_heads
        joined = onnx_reshape(
            g, onnx_linear(g, g.input, "qkv.weight", g.weight("qkv.bias")), Shape((x[0], heads, 2 * key + value))
        )
        parts = [
            g.node("Slice", joined, g.ints([start]), g.ints([end]), g.ints([3]))
            for start, end in ((0, key), (key, 2 * key), (2 * key, 2 * key + value))
        ]
        # Batch x heads x tokens x features; the keys with the last two axes transposed.
        orders = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
        queries, keys, values = (
            g.node("Transpose", part, perm=order) for part, order in zip(parts, orders, strict=True)
        )
        bias = g.node("Gather", g.weight("attention_biases"), g.weight("attention_bias_idxs"), axis=1)
        products = g.node("MatMul", g.node("Mul", queries, g.scalar(key**-0.5)), keys)
        attended = g.node("MatMul", g.node("Softmax", g.node("Add", products, bias), axis=-1), values)
        joined = onnx_reshape(g, g.node("Transpose", attended, perm=[0, 2, 1, 3]), Shape((x[0], heads * value)))
        return onnx_linear(g, joined, "proj.weight", g.weight("proj.bias"))
