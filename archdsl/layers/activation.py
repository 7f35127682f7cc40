"""Activations: functions of each number by itself, and the few that work along one axis."""

from math import pi, sqrt
from typing import ClassVar, Literal

from archdsl.diagnostics.codes.shapes import NotDivisible
from archdsl.diagnostics.problem import Rejected
from archdsl.layers.axes import position
from archdsl.layers.base import Layer, OnnxBuilder, Positive, SameShape, TorchForm, Twin, changed
from archdsl.layers.memory import Memory, numbers
from archdsl.shapes import Shape, Tensor, Window
from archdsl.shapes.receptive_field import ReceptiveField


class _Elementwise(SameShape, Twin):
    """A function of each number by itself.

    op  the ONNX operator that computes it without attributes
    """

    is_pointwise = True

    op: ClassVar[str]

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node(self.op, g.input)


class ReLU(_Elementwise):
    """Rectified linear unit, `torch.nn.ReLU`: max(0, x) (Nair, Hinton 2010)."""

    kind = "relu"
    saves = ("output",)
    op = "Relu"
    saves_output = True
    can_run_inplace = True

    inplace: bool = False


class LeakyReLU(_Elementwise):
    """Leaky ReLU, `torch.nn.LeakyReLU`: max(0, x) + negative_slope*min(0, x) (Maas, Hannun, Ng 2013)."""

    kind = "leaky_relu"
    # In place, the backward pass reads the output (and fails for a negative slope: no `can_run_inplace`).
    saves_output = True

    negative_slope: float = 0.01
    inplace: bool = False

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node("LeakyRelu", g.input, alpha=self.negative_slope)


class PReLU(Layer):
    """ReLU with a learned slope below 0, `torch.nn.PReLU`: max(0, x) + weight*min(0, x) (He and others 2015).

    `num_parameters` is 1 or the number of channels. `init_value` is PyTorch's `init`, the initial slope; `init`
    itself names an initializer in every layer.
    """

    kind = "prelu"
    autocast = "half"
    is_pointwise = True
    parameters = ("weight",)

    num_parameters: Positive = 1
    init_value: float = 0.25

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        if self.num_parameters not in (1, x.channels):
            reason = f"num_parameters ({self.num_parameters}) must be 1 or the number of channels ({x.channels})"
            raise self.unfit("num_parameters", reason)
        return x

    def weights(self, x: Shape) -> dict[str, Tensor]:
        return {"weight": Tensor(Shape((self.num_parameters,)))}

    def torch(self, x: Shape) -> TorchForm:
        keywords = changed(self, "num_parameters")
        if self.init_value != 0.25:
            keywords["init"] = self.init_value
        return TorchForm("nn.PReLU", keywords=keywords)

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        slope = g.weight("weight")
        if x.rank and self.num_parameters > 1:
            slope = g.node("Reshape", slope, g.ints([self.num_parameters, *(1 for _ in x.spatial)]))
        return g.node("PRelu", g.input, slope)


class ReLU6(_Elementwise):
    """ReLU clipped at 6, `torch.nn.ReLU6`: min(max(0, x), 6) (Krizhevsky 2010)."""

    kind = "relu6"
    saves_output = True
    can_run_inplace = True

    inplace: bool = False

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node("Clip", g.input, g.scalar(0.0), g.scalar(6.0))


class ELU(_Elementwise):
    """Exponential linear unit, `torch.nn.ELU`: x above 0, alpha*(exp(x) - 1) below (Clevert and others 2016)."""

    kind = "elu"
    saves_output = True  # in place

    alpha: float = 1.0
    inplace: bool = False

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node("Elu", g.input, alpha=self.alpha)


class SELU(_Elementwise):
    """Self-normalising ELU with fixed constants, `torch.nn.SELU` (Klambauer and others 2017)."""

    kind = "selu"
    op = "Selu"
    saves_output = True  # in place

    inplace: bool = False


class CELU(_Elementwise):
    """Continuously differentiable ELU, `torch.nn.CELU`: max(0, x) + min(0, alpha*(exp(x/alpha) - 1)) (Barron 2017)."""

    kind = "celu"
    saves_output = True  # in place

    alpha: float = 1.0
    inplace: bool = False

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        if self.alpha == 0:
            raise self.unfit("alpha", "alpha divides and cannot be 0")
        return x

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node("Celu", g.input, alpha=self.alpha)


class GELU(_Elementwise):
    """Gaussian error linear unit, `torch.nn.GELU`: x*P(N <= x), or its tanh form (Hendrycks, Gimpel 2016)."""

    kind = "gelu"

    approximate: Literal["none", "tanh"] = "none"

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        if g.opset >= 20:
            return g.node("Gelu", g.input, approximate=self.approximate)
        if self.approximate == "none":
            curve = g.node("Erf", g.node("Div", g.input, g.scalar(sqrt(2))))
        else:
            cube = g.node("Mul", g.node("Mul", g.node("Mul", g.input, g.input), g.input), g.scalar(0.044715))
            curve = g.node("Tanh", g.node("Mul", g.node("Add", g.input, cube), g.scalar(sqrt(2 / pi))))
        half = g.node("Mul", g.input, g.scalar(0.5))
        return g.node("Mul", half, g.node("Add", curve, g.scalar(1.0)))


class SiLU(_Elementwise):
    """Sigmoid linear unit or swish, `torch.nn.SiLU`: x*sigmoid(x) (Elfwing and others 2017)."""

    kind = "silu"

    inplace: bool = False

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node("Mul", g.input, g.node("Sigmoid", g.input))


class Mish(_Elementwise):
    """Mish, `torch.nn.Mish`: x*tanh(log(1 + exp(x))) (Misra 2019)."""

    kind = "mish"

    inplace: bool = False

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        if g.opset >= 18:
            return g.node("Mish", g.input)
        return g.node("Mul", g.input, g.node("Tanh", g.node("Softplus", g.input)))


class Sigmoid(_Elementwise):
    """Logistic function, `torch.nn.Sigmoid`: 1/(1 + exp(-x))."""

    kind = "sigmoid"
    saves = ("output",)
    op = "Sigmoid"
    saves_output = True


class Hardsigmoid(_Elementwise):
    """Sigmoid in three straight pieces, `torch.nn.Hardsigmoid`: min(max(0, x + 3), 6)/6."""

    kind = "hardsigmoid"

    inplace: bool = False

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node("HardSigmoid", g.input, alpha=1 / 6, beta=0.5)


class Hardswish(_Elementwise):
    """Swish in straight pieces, `torch.nn.Hardswish`: x*hardsigmoid(x) (Howard and others 2019)."""

    kind = "hardswish"

    inplace: bool = False

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        if g.opset >= 14:
            return g.node("HardSwish", g.input)
        return g.node("Mul", g.input, g.node("HardSigmoid", g.input, alpha=1 / 6, beta=0.5))


class Hardtanh(_Elementwise):
    """Identity between two bounds, `torch.nn.Hardtanh`: min(max(min_val, x), max_val)."""

    kind = "hardtanh"
    saves_output = True  # in place
    can_run_inplace = True

    min_val: float = -1.0
    max_val: float = 1.0
    inplace: bool = False

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        if self.max_val <= self.min_val:
            raise self.conflict("max_val", f"max_val ({self.max_val}) must be larger than min_val ({self.min_val})")
        return x

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node("Clip", g.input, g.scalar(self.min_val), g.scalar(self.max_val))


class Tanh(_Elementwise):
    """Hyperbolic tangent, `torch.nn.Tanh`."""

    kind = "tanh"
    saves = ("output",)
    op = "Tanh"
    saves_output = True


class Softplus(_Elementwise):
    """Smooth ReLU, `torch.nn.Softplus`: log(1 + exp(beta*x))/beta, and x itself where beta*x > threshold."""

    kind = "softplus"
    autocast = "float32"

    beta: float = 1.0
    threshold: float = 20.0

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        scaled = g.input if self.beta == 1 else g.node("Mul", g.input, g.scalar(self.beta))
        smooth = g.node("Softplus", scaled)
        if self.beta != 1:
            smooth = g.node("Div", smooth, g.scalar(self.beta))
        # Above 20 the two differ by less than exp(-20), which is 0 in float32.
        if self.threshold >= 20:
            return smooth
        return g.node("Where", g.node("Greater", scaled, g.scalar(self.threshold)), g.input, smooth)


class Softsign(_Elementwise):
    """Softsign, `torch.nn.Softsign`: x/(1 + |x|)."""

    kind = "softsign"
    op = "Softsign"

    def memory(self, x: Shape, y: Shape) -> Memory:
        return Memory(kept=(numbers(x.numel),), inside=(numbers(x.numel),))  # 1 + |x|


class LogSigmoid(_Elementwise):
    """Logarithm of the sigmoid, `torch.nn.LogSigmoid`: -log(1 + exp(-x))."""

    kind = "logsigmoid"

    def memory(self, x: Shape, y: Shape) -> Memory:
        return Memory(kept=(numbers(x.numel),), inside=(numbers(x.numel),))  # exp(-|x|)

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node("Neg", g.node("Softplus", g.node("Neg", g.input)))


class _AlongOneAxis(Layer):
    """A function along one axis, whose outputs see all of it; PyTorch and ONNX name it like its class."""

    saves = ("output",)
    saves_output = True
    autocast = "float32"

    dim: int = 1

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        position(self, "dim", self.dim, x)
        return x

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        return field.mix(position(self, "dim", self.dim, x))

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm(f"nn.{type(self).__name__}", keywords={"dim": self.dim})

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node(type(self).__name__, g.input, axis=self.dim)


class Softmax(_AlongOneAxis):
    """Softmax along one axis, `torch.nn.Softmax`: exp(x)/sum(exp(x)).

    `dim` counts the batch axis as 0. The default is the channels; PyTorch's `None` guesses the axis and warns.
    """

    kind = "softmax"


class LogSoftmax(_AlongOneAxis):
    """Logarithm of the softmax along one axis, `torch.nn.LogSoftmax`: x - log(sum(exp(x))).

    `dim` counts the batch axis as 0.
    """

    kind = "log_softmax"


class GLU(Twin):
    """Gated linear unit, `torch.nn.GLU`: a*sigmoid(b), where a and b are the halves of the input along `dim`.

    `dim` counts the batch axis as 0; -1, as in PyTorch, is the last axis (Dauphin and others 2016).
    """

    kind = "glu"

    dim: int = -1

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        axis = position(self, "dim", self.dim, x)
        if x[axis] % 2:
            raise Rejected(NotDivisible(f"the size of axis dim={self.dim}", x[axis], "the two halves", 2))
        return Shape((*x[:axis], x[axis] // 2, *x[axis + 1 :]))

    def windows(self, x: Shape) -> tuple[Window, ...]:
        """Each output depends on two inputs that are half the axis apart."""
        axis = position(self, "dim", self.dim, x)
        return tuple(
            Window(2, dilation=size // 2) if i == axis else Window(1) for i, size in enumerate(x.spatial, start=1)
        )

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        axis = position(self, "dim", self.dim, x)
        half, axes = x[axis] // 2, g.ints([axis + 1])
        value = g.node("Slice", g.input, g.ints([0]), g.ints([half]), axes)
        gate = g.node("Slice", g.input, g.ints([half]), g.ints([2 * half]), axes)
        return g.node("Mul", value, g.node("Sigmoid", gate))
