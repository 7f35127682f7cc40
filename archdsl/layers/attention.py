"""Attention: each token attends to all tokens of its sequence or of another one. The features are the last axis."""

from math import inf, prod

from pydantic import Field

from archdsl.diagnostics.codes.shapes import WrongRank
from archdsl.diagnostics.problem import Rejected
from archdsl.layers.axes import onnx_reshape
from archdsl.layers.base import (
    Layer,
    OnnxBuilder,
    Positive,
    Probability,
    TapArgument,
    TorchForm,
    changed,
    require_divisible,
    weight_and_bias,
)
from archdsl.layers.memory import Memory, numbers
from archdsl.shapes import Shape, Tensor
from archdsl.shapes.receptive_field import ReceptiveField


def linear_weights(name: str, features: int, out: int, *, bias: bool = True) -> dict[str, Tensor]:
    """The parameters of a linear layer inside an attention layer, by their names there."""
    return {f"{name}.{key}": tensor for key, tensor in weight_and_bias((out, features), out, bias=bias).items()}


def onnx_linear(g: OnnxBuilder, value: str, weight: str, bias: str = "") -> str:
    """A product with a weight, plus `bias` unless that is empty."""
    product = g.node("MatMul", value, g.node("Transpose", g.weight(weight), perm=[1, 0]))
    return g.node("Add", product, bias) if bias else product


def onnx_bias(g: OnnxBuilder, name: str) -> str:
    """The bias of this name; empty where the layer has none."""
    return g.weight(name) if g.has(name) else ""


def onnx_parts(g: OnnxBuilder, qkv: str, sizes: Shape, heads: int) -> tuple[str, str, str]:
    """Queries, keys and values, batch x ... x heads x positions x features; the keys with the last two transposed."""
    found = []
    for part in range(3):
        ends = (g.ints([part * sizes[-1]]), g.ints([(part + 1) * sizes[-1]]), g.ints([-1]))
        found.append(onnx_heads(g, g.node("Slice", qkv, *ends), sizes, heads, transposed=part == 1))
    return found[0], found[1], found[2]


def onnx_heads(g: OnnxBuilder, value: str, sizes: Shape, heads: int, *, transposed: bool) -> str:
    """A value of these sizes in heads: batch x ... x heads x positions x features, or the last two transposed."""
    *lead, positions, channels = sizes
    before, axis = list(range(len(lead) + 1)), len(lead) + 1
    split = onnx_reshape(g, value, Shape((*lead, positions, heads, channels // heads)))
    last = [axis + 2, axis] if transposed else [axis, axis + 2]
    return g.node("Transpose", split, perm=[*before, axis + 1, *last])


def onnx_attend(g: OnnxBuilder, logits: str, values: str, sizes: Shape) -> str:
    """softmax(logits) V with the heads concatenated: batch x sizes."""
    attended = g.node("MatMul", g.node("Softmax", logits, axis=-1), values)
    lead = len(sizes) - 1
    return onnx_reshape(g, g.node("Transpose", attended, perm=[*range(lead), lead + 1, lead, lead + 2]), sizes)


class MultiheadAttention(Layer):
    """Attention of tokens (...xSxD) to themselves or to those of taps, `torch.nn.MultiheadAttention`.

    softmax(Q K^T / sqrt(D / num_heads)) V in each head (Vaswani and others 2017). Queries come from the input,
    keys from the tap `key` (the input without one) and values from the tap `value` (the keys' tensor without one);
    with `is_causal`, a token attends only to itself and those before it. Weights 4*D^2, biases 4*D; keys and
    values of other widths have D*kdim and D*vdim. Axes before the tokens are groups that do not see each other.
    """

    kind = "multihead_attention"
    parameters = (
        "in_proj_weight",
        "q_proj_weight",
        "k_proj_weight",
        "v_proj_weight",
        "in_proj_bias",
        "out_proj.weight",
        "out_proj.bias",
    )
    tap_arguments = ("key", "value")
    autocast = "half"

    num_heads: Positive
    dropout: Probability = 0.0
    bias: bool = True
    key: TapArgument = Field(None, description="a tap, given by name")
    value: TapArgument = Field(None, description="a tap, given by name")
    is_causal: bool = False

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        if len(x) < 2:
            raise Rejected(WrongRank(self.kind, "tokens (SxD, or groups of tokens ...xSxD)", str(x)))
        help = "`flatten(2); transpose(1, 2)` converts a feature map to tokens" if len(x) == 3 else None
        require_divisible(x[-1], "input features", self.num_heads, "num_heads", help)
        key, value = self._sources(x)
        for name, source in (("key", key), ("value", value)):
            if source[:-2] != x[:-2] or len(source) != len(x):
                reason = f"the queries are {x}, the {name} is {source}: the axes before the tokens must be equal"
                raise self.unfit(name, reason)
        if value[-2] != key[-2]:
            raise self.unfit("value", f"the key is {key}, the value is {value}: they must have equally many tokens")
        if self.is_causal and key[-2] != x[-2]:
            reason = f"is_causal requires as many keys as queries, found {key[-2]} and {x[-2]}"
            raise self.unfit("is_causal", reason)
        return x

    def _sources(self, x: Shape) -> tuple[Shape, Shape]:
        """The tensors that keys and values are made from."""
        key = self.key.shape if self.key else x
        return key, self.value.shape if self.value else key

    def _is_packed(self, x: Shape) -> bool:
        """Whether one matrix makes queries, keys and values, as in PyTorch where all are D wide."""
        return all(source[-1] == x[-1] for source in self._sources(x))

    def memory(self, x: Shape, y: Shape) -> Memory:
        sources = self._sources(x)
        # Queries, keys and values, and the attended values; for the backward pass the logarithm of each row's sum.
        inside = 2 * x.numel + sum(source.numel // source[-1] * x[-1] for source in sources)
        sums = prod(x[:-1]) * self.num_heads
        return Memory(("input", "operands"), kept=(numbers(inside + sums),), inside=(numbers(inside),))

    def weights(self, x: Shape) -> dict[str, Tensor]:
        features = x[-1]
        if self._is_packed(x):
            weights = {"in_proj_weight": Tensor(Shape((3 * features, features)))}
        else:
            sources = zip("qkv", (x, *self._sources(x)), strict=True)
            weights = {f"{part}_proj_weight": Tensor(Shape((features, source[-1]))) for part, source in sources}
        if self.bias:
            weights["in_proj_bias"] = Tensor(Shape((3 * features,)))
        return weights | linear_weights("out_proj", features, features, bias=self.bias)

    def macs(self, x: Shape, y: Shape) -> int:
        key, value = self._sources(x)
        return x[-1] * (2 * x.numel + key.numel + value.numel + 2 * prod(x[:-1]) * key[-2])

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        return field.mix(len(x) - 2).mix(len(x) - 1)

    def operand_field(self, field: ReceptiveField, operand: Shape) -> ReceptiveField:
        # The output's tokens and features are the queries', not those of keys and values.
        mixed = field.mix(len(operand) - 2).mix(len(operand) - 1)
        return mixed.arrange((*mixed.axes[:-2], frozenset(), frozenset()))

    def torch(self, x: Shape) -> TorchForm:
        names = ("kdim", "vdim")
        widths = {name: one[-1] for name, one in zip(names, self._sources(x), strict=True) if one[-1] != x[-1]}
        keywords = {**changed(self, "dropout", "bias"), **widths, **changed(self, "is_causal")}
        return TorchForm("modules.MultiheadAttention", (x[-1], self.num_heads), keywords)

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        queries, keys, values = self._onnx_projected(x, g)
        scaled = g.node("Mul", queries, g.scalar((x[-1] // self.num_heads) ** -0.5))
        logits = g.node("MatMul", scaled, keys)
        if self.is_causal:
            places = range(x[-2])
            seen = g.node("Less", g.floats(places, (x[-2], 1)), g.floats(places, (1, x[-2])))
            logits = g.node("Where", seen, g.scalar(-inf), logits)
        attended = onnx_attend(g, logits, values, x)
        return onnx_linear(g, attended, "out_proj.weight", onnx_bias(g, "out_proj.bias"))

    def _onnx_projected(self, x: Shape, g: OnnxBuilder) -> tuple[str, str, str]:
        """Queries, keys and values of each head, the keys with their last two axes transposed."""
        if self.key is None and self.value is None:
            qkv = onnx_linear(g, g.input, "in_proj_weight", onnx_bias(g, "in_proj_bias"))
            return onnx_parts(g, qkv, x, self.num_heads)
        key = g.operands[self.key.index] if self.key else g.input
        value = g.operands[self.value.index] if self.value else key
        found = []
        for part, (name, source) in enumerate(zip((g.input, key, value), (x, *self._sources(x)), strict=True)):
            product = g.node("MatMul", name, g.node("Transpose", self._onnx_weight(part, x, g), perm=[1, 0]))
            if self.bias:
                product = g.node("Add", product, _onnx_rows(g, g.weight("in_proj_bias"), part, x[-1]))
            sizes = Shape((*source[:-1], x[-1]))
            found.append(onnx_heads(g, product, sizes, self.num_heads, transposed=part == 1))
        return found[0], found[1], found[2]

    def _onnx_weight(self, part: int, x: Shape, g: OnnxBuilder) -> str:
        if self._is_packed(x):
            return _onnx_rows(g, g.weight("in_proj_weight"), part, x[-1])
        return g.weight(f"{'qkv'[part]}_proj_weight")


def _onnx_rows(g: OnnxBuilder, packed: str, part: int, rows: int) -> str:
    """The rows of one part of a weight that holds those of queries, keys and values."""
    return g.node("Slice", packed, g.ints([part * rows]), g.ints([(part + 1) * rows]), g.ints([0]))
