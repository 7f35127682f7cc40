"""The linear (fully connected) layer."""

from archdsl.layers.base import Layer, OnnxBuilder, Positive, TorchForm, changed, weight_and_bias
from archdsl.shapes import Shape, Tensor
from archdsl.shapes.receptive_field import ReceptiveField


class Linear(Layer):
    """Linear layer on the last axis of the input, `torch.nn.Linear`: x*weight^T + bias.

    Weights out*in, one bias for each output feature. `flatten` first to see the whole of an image.
    """

    kind = "linear"
    autocast = "half"
    parameters = ("weight", "bias")
    bias_axis = -1

    out_features: Positive
    bias: bool = True

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        return Shape((*x[:-1], self.out_features))

    def weights(self, x: Shape) -> dict[str, Tensor]:
        return weight_and_bias((self.out_features, x[-1]), self.out_features, bias=self.bias)

    def macs(self, x: Shape, y: Shape) -> int:
        return y.numel * x[-1]

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        return field.mix(len(x) - 1)

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("nn.Linear", (x[-1], self.out_features), changed(self, "bias"))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        bias = [g.weight("bias")] if g.has("bias") else []
        if len(x) == 1:
            return g.node("Gemm", g.input, g.weight("weight"), *bias, transB=1)
        product = g.node("MatMul", g.input, g.node("Transpose", g.weight("weight"), perm=[1, 0]))
        return g.node("Add", product, *bias) if bias else product
