"""Layers that join the current tensor with taps or a number: `concat(skip)`, `mul(0.5)`, `matmul(keys)`."""

from typing import ClassVar

from archdsl.diagnostics.codes.shapes import WrongElements
from archdsl.diagnostics.problem import Rejected
from archdsl.layers.axes import position
from archdsl.layers.base import Layer, Number, OnnxBuilder, TorchForm, Twin
from archdsl.layers.memory import Memory
from archdsl.shapes import Shape, Window, broadcast
from archdsl.shapes.receptive_field import ReceptiveField


class _Join(Layer):
    """A layer that takes taps."""

    takes_taps = True

    def windows(self, x: Shape) -> tuple[Window, ...]:
        """Each position by itself; the number of positions may grow."""
        return tuple(Window(1) for _ in x.spatial)

    def _reject(self, x: Shape, operand: Shape, rule: str, help: str | None = None) -> Rejected:
        return self.unfit(None, f"the current tensor is {x}, the tap is {operand}: {rule}", help)

    def _require_equal_ranks(self, x: Shape, operand: Shape) -> None:
        """Reject another number of axes: PyTorch aligns the last ones, so that a batch axis would meet another axis."""
        if len(x) != len(operand):
            fewer, wanted = sorted((x, operand), key=len)
            sizes = "x".join(map(str, (fewer[0] if fewer else 1, *[1] * (len(wanted) - len(fewer)), *fewer[1:])))
            rule = (
                "they must have equally many axes, since PyTorch aligns the last ones and the batch axis is the first"
            )
            help = f"`unsqueeze` or `unflatten` adds axes of size 1 to {fewer}, for example {sizes}"
            raise self._reject(x, operand, rule, help)


class Concat(_Join):
    """The current tensor and the taps concatenated along `dim`, `torch.cat`; the other sizes must be equal.

    `dim` counts the batch axis as 0; the channels are 1.
    """

    kind = "concat"
    lists_taps = True
    dtypes = ("float32", "int64")
    saves = ()

    dim: int = 1

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        if not operands:
            raise self.unfit(None, "requires at least one tap")
        axis = position(self, "dim", self.dim, x)
        for operand in operands:
            if operand.dtype != x.dtype:
                raise Rejected(WrongElements(self.kind, x.dtype, operand.dtype))
            others = (*operand[:axis], *operand[axis + 1 :])
            if len(operand) != len(x) or others != (*x[:axis], *x[axis + 1 :]):
                raise self._reject(x, operand, f"all sizes but those of dim={self.dim} must be equal")
        return x.like((*x[:axis], x[axis] + sum(operand[axis] for operand in operands), *x[axis + 1 :]))

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("modules.Concat", (self.dim,))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node("Concat", g.input, *g.operands, axis=self.dim)


class _Elementwise(_Join, Twin):
    """Arithmetic with taps or a number, with PyTorch's broadcasting of tensors with equally many axes.

    op              the ONNX operator
    saves_of_input  what the backward pass reads where the other operand is a number
    """

    twin = "modules.{name}"
    takes_number = True
    lists_taps = True
    is_pointwise = True
    op: ClassVar[str]
    saves_of_input: ClassVar[tuple[str, ...]] = ()

    @property
    def number(self) -> float | None:
        """The number, if one is given."""
        raise NotImplementedError

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        if not operands and self.number is None:
            raise self.unfit(None, "requires a number or at least one tap")
        if operands and self.number is not None:
            raise self.conflict(None, "takes taps or a number, not both", f"write {self.kind} twice")
        for operand in operands:
            self._require_equal_ranks(x, operand)
            joined = broadcast(x, operand)
            if joined is None:
                raise self._reject(x, operand, "sizes must be equal, or one of them 1")
            x = joined
        return x

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        value = g.input
        for operand in g.operands if self.number is None else [g.scalar(self.number)]:
            value = g.node(self.op, value, operand)
        return value

    def memory(self, x: Shape, y: Shape) -> Memory:
        return Memory(self.saves if self.number is None else self.saves_of_input)


class _Operator(_Elementwise):
    """One of the four operations, whose number PyTorch calls `other`."""

    other: Number | None = None

    @property
    def number(self) -> float | None:
        return self.other


class Add(_Operator):
    """The current tensor plus taps or a number, `torch.add`; an axis of size 1 is repeated where needed."""

    kind = "add"
    saves = ()
    op = "Add"


class Sub(_Operator):
    """The current tensor minus taps or a number, `torch.sub`; an axis of size 1 is repeated where needed."""

    kind = "sub"
    saves = ()
    op = "Sub"


class Mul(_Operator):
    """The current tensor times taps or a number, `torch.mul`; an axis of size 1 is repeated where needed."""

    kind = "mul"
    saves = ("input", "operands")
    op = "Mul"


class Div(_Operator):
    """The current tensor divided by taps or a number, `torch.div`; an axis of size 1 is repeated where needed."""

    kind = "div"
    saves = ("input", "operands")
    op = "Div"


class Pow(_Elementwise):
    """The current tensor to the power of a number or taps, `torch.pow`; an axis of size 1 is repeated where needed.

    A negative number to a power that is no integer is NaN.
    """

    kind = "pow"
    op = "Pow"
    saves_output = True
    saves = ("input", "operands", "output")
    saves_of_input = ("input",)
    autocast = "float32"

    exponent: Number | None = None

    @property
    def number(self) -> float | None:
        return self.exponent


class MatMul(_Join):
    """The matrix product of the current tensor and a tap over their last two axes, `torch.matmul`.

    (..., n, k) times (..., k, m) is (..., n, m); the axes before, the batch axis first, are broadcast.
    """

    kind = "matmul"
    saves = ("input", "operands")
    autocast = "half"

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        if len(operands) != 1:
            raise self.unfit(None, f"requires one tap, found {len(operands)}")
        [other] = operands
        if len(x) < 2:
            raise self.unfit(None, f"the input {x} is no matrix: it must have two axes or more after the batch axis")
        self._require_equal_ranks(x, other)
        if x[-1] != other[-2]:
            rule = f"the last axis of the first ({x[-1]}) must be as long as the second last of the other ({other[-2]})"
            raise self._reject(x, other, rule, "`transpose(-2, -1)` makes the rows of a matrix its columns")
        leading = broadcast(Shape(x[:-2]), Shape(other[:-2]))
        if leading is None:
            raise self._reject(x, other, "the sizes before the last two must be equal, or one of them 1")
        return Shape((*leading, x[-2], other[-1]))

    def macs(self, x: Shape, y: Shape) -> int:
        return y.numel * x[-1]

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        field = field.mix(len(x) - 1)
        return field.arrange((*field.axes[:-1], frozenset()))

    def operand_field(self, field: ReceptiveField, operand: Shape) -> ReceptiveField:
        """Each number is a sum over the rows of the tap."""
        field = field.mix(len(operand) - 2)
        return field.arrange((*field.axes[:-2], frozenset(), field.axes[-1]))

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("modules.MatMul")

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node("MatMul", g.input, *g.operands)
