"""Normalisation: by batch, layer, group and instance, and across neighbouring channels.

Every output of a norm that computes its statistics from the sample depends on the whole map, which the receptive field
includes.
"""

from math import prod
from typing import Annotated

from pydantic import Field

from archdsl.layers.axes import onnx_reduce, onnx_reshape
from archdsl.layers.base import Layer, OnnxBuilder, Positive, SameShape, TorchForm, Twin, changed, require_divisible
from archdsl.layers.memory import Memory, numbers
from archdsl.shapes import Shape, Tensor
from archdsl.shapes.receptive_field import ReceptiveField

#: Added to the variance. PyTorch needs more than 0 to train a batch norm.
Epsilon = Annotated[float, Field(ge=0)]
_Deviation = Annotated[float, Field(gt=0)]


def _affine(sizes: Shape, *, affine: bool = True, bias: bool = True) -> dict[str, Tensor]:
    """`weight` and `bias` as in PyTorch's norms: no bias without a weight."""
    names = ("weight", "bias") if bias else ("weight",)
    return {name: Tensor(sizes) for name in names} if affine else {}


def _statistics(x: Shape, *, tracked: bool) -> dict[str, Tensor]:
    if not tracked:
        return {}
    moments = Tensor(Shape((x.channels,)))
    return {"running_mean": moments, "running_var": moments, "num_batches_tracked": Tensor(Shape(), "int64")}


def _weight_and_bias(x: Shape, g: OnnxBuilder) -> tuple[str, str]:
    """The two vectors that ONNX's norms need, one number for each channel: the layer's, or ones and zeros."""
    weight = g.weight("weight") if g.has("weight") else g.floats([1.0] * x.channels)
    bias = g.weight("bias") if g.has("bias") else g.floats([0.0] * x.channels)
    return weight, bias


def _normalise(value: str, axes: list[int], eps: float, g: OnnxBuilder) -> str:
    """(x - E[x]) / sqrt(Var[x] + eps) over `axes`, where ONNX has no operator for it."""
    centred = g.node("Sub", value, onnx_reduce(g, "ReduceMean", value, axes))
    variance = onnx_reduce(g, "ReduceMean", g.node("Mul", centred, centred), axes)
    return g.node("Div", centred, g.node("Sqrt", g.node("Add", variance, g.scalar(eps))))


def _scale_and_shift(value: str, sizes: Shape, g: OnnxBuilder) -> str:
    """Times `weight` plus `bias`, if there are any, in the shape `sizes` so that they broadcast."""
    for op, name in (("Mul", "weight"), ("Add", "bias")):
        if g.has(name):
            value = g.node(op, value, g.node("Reshape", g.weight(name), g.ints(sizes)))
    return value


def _per_channel(x: Shape) -> Shape:
    return Shape((x.channels, *(1 for _ in x.spatial)))


def _see_all(field: ReceptiveField, axes: range) -> ReceptiveField:
    for axis in axes:
        field = field.mix(axis)
    return field


def _moments(groups: int) -> Memory:
    """The memory of a norm that keeps the mean and deviation of so many groups of each sample."""
    return Memory(kept=(numbers(2 * groups),), inside=(numbers(2 * groups),))


class _Norm(SameShape):
    """A norm with a weight and a bias."""

    parameters = ("weight", "bias")


class _RunningNorm(_Norm):
    """Batch and instance norm: one mean and variance for each channel, with running averages of both."""

    cancels_bias = True

    eps: Epsilon = 1e-5
    momentum: float | None = 0.1
    affine: bool = True
    track_running_stats: bool = True

    def weights(self, x: Shape) -> dict[str, Tensor]:
        return _affine(Shape((x.channels,)), affine=self.affine)

    def buffers(self, x: Shape) -> dict[str, Tensor]:
        return _statistics(x, tracked=self.track_running_stats)

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        return field if self.track_running_stats else _see_all(field, range(1, len(x)))

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm(f"nn.{type(self).__name__}{max(x.rank, 1)}d", (x.channels,), changed(self))

    def _onnx_tracked(self, x: Shape, g: OnnxBuilder) -> str:
        moments = g.weight("running_mean"), g.weight("running_var")
        return g.node("BatchNormalization", g.input, *_weight_and_bias(x, g), *moments, epsilon=self.eps)


class BatchNorm(_RunningNorm):
    """Batch normalisation, `torch.nn.BatchNorm1d` (vectors too), `BatchNorm2d` or `BatchNorm3d` by the input.

    (x - E[x]) / sqrt(Var[x] + eps) * weight + bias for each channel: over the batch in training, with the
    running moments afterwards (Ioffe, Szegedy 2015). Weights 2*channels.
    """

    kind = "batchnorm"
    is_pointwise = True

    eps: Annotated[float, Field(gt=0)] = 1e-5

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self.require_spatial(x, (0, 1, 2, 3))
        return x

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        if self.track_running_stats:
            return self._onnx_tracked(x, g)
        axes = [0, *range(2, len(x) + 1)]
        return _scale_and_shift(_normalise(g.input, axes, self.eps, g), _per_channel(x), g)


class InstanceNorm(_RunningNorm):
    """Instance normalisation, `torch.nn.InstanceNorm1d`, `InstanceNorm2d` or `InstanceNorm3d` by the input.

    (x - E[x]) / sqrt(Var[x] + eps) for each channel of each sample (Ulyanov, Vedaldi, Lempitsky 2016);
    weights 2*channels with `affine`. PyTorch cannot normalise a single position.
    """

    kind = "instancenorm"

    affine: bool = False
    track_running_stats: bool = False

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self.require_spatial(x)
        if x.spatial.numel == 1:
            raise self.unfit(None, f"each channel of the input {x} is a single position, which has no variance")
        return x

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        if self.track_running_stats:
            return self._onnx_tracked(x, g)
        return g.node("InstanceNormalization", g.input, *_weight_and_bias(x, g), epsilon=self.eps)


class LayerNorm(_Norm):
    """Layer normalisation over the last axes of each sample, `torch.nn.LayerNorm`.

    (x - E[x]) / sqrt(Var[x] + eps) * weight + bias (Ba, Kiros, Hinton 2016). `normalized_shape` are the sizes
    of those axes; the default is all axes but the batch axis. Weights 2*numel(normalized_shape).
    """

    kind = "layernorm"
    autocast = "float32"

    normalized_shape: Positive | tuple[Positive, ...] | None = None
    eps: Epsilon = 1e-5
    elementwise_affine: bool = True
    bias: bool = True

    def sizes(self, x: Shape) -> Shape:
        """The sizes of the axes that are normalised together."""
        if self.normalized_shape is None:
            return x
        sizes = self.normalized_shape
        return Shape((sizes,) if isinstance(sizes, int) else sizes)

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        sizes = self.sizes(x)
        if not sizes or sizes != x[len(x) - len(sizes) :]:
            reason = f"normalized_shape is {sizes}, but the last axes of the input {x} are not"
            help = "leave normalized_shape out to normalise the whole sample"
            raise self.unfit("normalized_shape", reason, help)
        return x

    def memory(self, x: Shape, y: Shape) -> Memory:
        return _moments(x.numel // self.sizes(x).numel)

    def weights(self, x: Shape) -> dict[str, Tensor]:
        return _affine(self.sizes(x), affine=self.elementwise_affine, bias=self.bias)

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        return _see_all(field, range(len(x) - len(self.sizes(x)), len(x)))

    def torch(self, x: Shape) -> TorchForm:
        sizes = self.sizes(x)
        argument = sizes[0] if len(sizes) == 1 else tuple(sizes)
        return TorchForm("nn.LayerNorm", (argument,), changed(self, "eps", "elementwise_affine", "bias"))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        sizes = self.sizes(x)
        first = len(x) - len(sizes) + 1
        if g.opset < 17 or not g.has("weight"):
            value = _normalise(g.input, list(range(first, len(x) + 1)), self.eps, g)
            return _scale_and_shift(value, sizes, g)
        affine = [g.weight(name) for name in ("weight", "bias") if g.has(name)]
        return g.node("LayerNormalization", g.input, *affine, axis=first, epsilon=self.eps)


class ChannelLayerNorm(_Norm):
    """Layer normalisation over the channels of each position, as torchvision's LayerNorm2d.

    (x - E[x]) / sqrt(Var[x] + eps) * weight + bias (Ba, Kiros, Hinton 2016; for maps: Liu and others 2022).
    Weights 2*channels.
    """

    kind = "channel_layernorm"
    autocast = "float32"

    eps: Epsilon = 1e-5
    elementwise_affine: bool = True
    bias: bool = True

    def memory(self, x: Shape, y: Shape) -> Memory:
        return _moments(x.numel // x.channels)

    def weights(self, x: Shape) -> dict[str, Tensor]:
        return _affine(Shape((x.channels,)), affine=self.elementwise_affine, bias=self.bias)

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        return field.mix(0)

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("modules.ChannelLayerNorm", (x.channels,), changed(self))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return _scale_and_shift(_normalise(g.input, [1], self.eps, g), _per_channel(x), g)


class Normalize(SameShape, Twin):
    """(x - mean) / std with fixed numbers, one of each or one for each channel; no parameters.

    Makes the preparation of images part of the network, or divides scores by a temperature.
    """

    kind = "normalize"
    twin = "modules.{name}"
    saves = ()
    is_pointwise = True

    mean: float | tuple[float, ...] = 0.0
    std: _Deviation | tuple[_Deviation, ...] = 1.0

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        for name in ("mean", "std"):
            values = getattr(self, name)
            if isinstance(values, tuple) and len(values) != x.channels:
                raise self.unfit(name, f"{name} has {len(values)} numbers, but the input {x} has {x.channels} channels")
        return x

    def memory(self, x: Shape, y: Shape) -> Memory:
        return Memory(self.saves, inside=(numbers(x.numel),))  # x - mean

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        centred = g.node("Sub", g.input, self._operand(self.mean, x, g))
        return g.node("Div", centred, self._operand(self.std, x, g))

    def _operand(self, values: float | tuple[float, ...], x: Shape, g: OnnxBuilder) -> str:
        return g.floats(values, _per_channel(x)) if isinstance(values, tuple) else g.scalar(values)


class GroupNorm(_Norm):
    """Group normalisation, `torch.nn.GroupNorm`: each of `num_groups` parts of the channels is normalised by itself.

    (x - E[x]) / sqrt(Var[x] + eps) * weight + bias (Wu, He 2018). Weights 2*channels.
    """

    kind = "groupnorm"
    autocast = "float32"

    num_groups: Positive
    eps: Epsilon = 1e-5
    affine: bool = True

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        require_divisible(x.channels, "input channels", self.num_groups, "num_groups")
        return x

    def memory(self, x: Shape, y: Shape) -> Memory:
        return _moments(self.num_groups)

    def weights(self, x: Shape) -> dict[str, Tensor]:
        return _affine(Shape((x.channels,)), affine=self.affine)

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        return _see_all(field, range(1, len(x)))

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("nn.GroupNorm", (self.num_groups, x.channels), changed(self, "eps", "affine"))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        # GroupNormalization takes one weight for each channel only since opset 21.
        if g.opset >= 21:
            affine = _weight_and_bias(x, g)
            return g.node("GroupNormalization", g.input, *affine, num_groups=self.num_groups, epsilon=self.eps)
        groups = g.node("Reshape", g.input, g.ints([0, self.num_groups, -1]))
        ones, zeros = g.floats([1.0] * self.num_groups), g.floats([0.0] * self.num_groups)
        normal = g.node("InstanceNormalization", groups, ones, zeros, epsilon=self.eps)
        return _scale_and_shift(onnx_reshape(g, normal, x), _per_channel(x), g)


class LocalResponseNorm(Layer):
    """Local response normalisation across `size` neighbouring channels, `torch.nn.LocalResponseNorm`.

    x / (k + alpha/size * sum of the neighbours' squares)^beta (Krizhevsky, Sutskever, Hinton 2012, whose
    alpha is this one divided by `size`).
    """

    kind = "local_response_norm"
    autocast = "float32"

    size: Positive
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        if x.rank == 0:
            self.require_spatial(x)
        return x

    def memory(self, x: Shape, y: Shape) -> Memory:
        padded = x.with_channels(x.channels + self.size - 1)
        # The padded squares, their means with the factors, and the power of these.
        return Memory(kept=(Tensor(padded), Tensor(x), Tensor(x)), inside=(numbers(max(2 * x.numel, padded.numel)),))

    def torch(self, x: Shape) -> TorchForm:
        # PyTorch's module calls view() on a volume, which fails after a permutation.
        cls = "modules.LocalResponseNorm" if x.rank > 2 else "nn.LocalResponseNorm"
        return TorchForm(cls, (self.size,), changed(self, "alpha", "beta", "k"))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        # ONNX puts the odd neighbour of an even size on the other side than PyTorch, and ONNX Runtime rejects
        # an alpha or beta of 0 or less.
        if self.size % 2 and self.alpha > 0 and self.beta > 0:
            # ONNX Runtime supports images only.
            image = g.input if x.rank == 2 else onnx_reshape(g, g.input, Shape((x.channels, prod(x.spatial), 1)))
            value = g.node("LRN", image, size=self.size, alpha=self.alpha, beta=self.beta, bias=self.k)
            return value if x.rank == 2 else onnx_reshape(g, value, x)
        plane = onnx_reshape(g, g.node("Mul", g.input, g.input), Shape((1, x.channels, prod(x.spatial))))
        padded = g.node("Pad", plane, g.ints([0, 0, self.size // 2, 0, 0, 0, (self.size - 1) // 2, 0]))
        mean = g.node("AveragePool", padded, kernel_shape=[self.size, 1])
        base = g.node("Add", g.node("Mul", onnx_reshape(g, mean, x), g.scalar(self.alpha)), g.scalar(self.k))
        return g.node("Div", g.input, g.node("Pow", base, g.scalar(self.beta)))
