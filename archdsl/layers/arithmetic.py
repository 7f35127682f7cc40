"""Functions of each number by itself that have no class in `torch.nn`: neg, exp, sin, clamp, float and others."""

from typing import ClassVar

from archdsl.layers.base import Layer, Number, OnnxBuilder, SameShape, TorchForm, Twin
from archdsl.shapes import Shape


class _Function(SameShape, Twin):
    """A function of each number by itself.

    op  the ONNX operator that computes it
    """

    twin = "modules.{name}"
    is_pointwise = True
    op: ClassVar[str]

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node(self.op, g.input)


class Neg(_Function):
    """The negative of each number, `torch.neg`: -x."""

    kind = "neg"
    saves = ()
    op = "Neg"


class Abs(_Function):
    """The absolute value of each number, `torch.abs`: |x|."""

    kind = "abs"
    op = "Abs"


class Exp(_Function):
    """The exponential of each number, `torch.exp`: e^x."""

    kind = "exp"
    saves = ("output",)
    autocast = "float32"
    op = "Exp"
    saves_output = True


class Log(_Function):
    """The natural logarithm of each number, `torch.log`; NaN for a negative one."""

    kind = "log"
    autocast = "float32"
    op = "Log"


class Sqrt(_Function):
    """The square root of each number, `torch.sqrt`; NaN for a negative one."""

    kind = "sqrt"
    saves = ("output",)
    op = "Sqrt"
    saves_output = True


class Sin(_Function):
    """The sine of each number, `torch.sin`."""

    kind = "sin"
    op = "Sin"


class Cos(_Function):
    """The cosine of each number, `torch.cos`."""

    kind = "cos"
    op = "Cos"


class Clamp(_Function):
    """Each number between two bounds, `torch.clamp`: min(max(x, `min`), `max`); either may be left out."""

    kind = "clamp"
    op = "Clip"

    min: Number | None = None
    max: Number | None = None

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        if self.min is None and self.max is None:
            raise self.conflict(None, "requires `min`, `max` or both", "for example clamp(min=0)")
        return x

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        bounds = ["" if bound is None else g.scalar(bound) for bound in (self.min, self.max)]
        return g.node("Clip", g.input, *bounds)


class Float(Layer):
    """Integers as floating-point numbers (float32), `Tensor.float`: what layers compute with."""

    kind = "float"
    dtypes = ("int64",)
    saves = ()
    saves_output = True

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        if not x:
            help = "`unsqueeze(1)` adds one, `embedding` gives each integer a vector"
            raise self.unfit(None, "the input is one integer for each sample, without an axis", help)
        return Shape(x)

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("modules.Float")

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node("Cast", g.input, to=1)  # TensorProto.FLOAT
