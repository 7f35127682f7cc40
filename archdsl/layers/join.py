"""Layers that join the current tensor with taps: `concat(skip)`, `add(skip)`, `mul(gate)`."""

from typing import ClassVar

from archdsl.diagnostics.problem import Rejected
from archdsl.layers.axes import position
from archdsl.layers.base import Layer, OnnxBuilder, TorchForm, Twin
from archdsl.shapes import Shape, Window, broadcast


class _Join(Layer):
    """A layer that takes at least one tap."""

    takes_taps = True

    def windows(self, x: Shape) -> tuple[Window, ...]:
        """Each position by itself; the number of positions may grow."""
        return tuple(Window(1) for _ in x.spatial)

    def _require_operands(self, operands: tuple[Shape, ...]) -> None:
        if not operands:
            raise self.unfit(None, "requires at least one tap")

    def _reject(self, x: Shape, operand: Shape, rule: str) -> Rejected:
        return self.unfit(None, f"the current tensor is {x}, the tap is {operand}: {rule}")


class Concat(_Join):
    """The current tensor and the taps concatenated along `dim`, `torch.cat`; the other sizes must be equal.

    `dim` counts the batch axis as 0; the channels are 1.
    """

    kind = "concat"
    saves = ()

    dim: int = 1

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self._require_operands(operands)
        axis = position(self, "dim", self.dim, x)
        for operand in operands:
            others = (*operand[:axis], *operand[axis + 1 :])
            if len(operand) != len(x) or others != (*x[:axis], *x[axis + 1 :]):
                raise self._reject(x, operand, f"all sizes but those of dim={self.dim} must be equal")
        return Shape((*x[:axis], x[axis] + sum(operand[axis] for operand in operands), *x[axis + 1 :]))

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("modules.Concat", (self.dim,))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node("Concat", g.input, *g.operands, axis=self.dim)


class _Elementwise(_Join, Twin):
    """Addition and multiplication, with PyTorch's broadcasting of tensors with equally many axes."""

    twin = "modules.{name}"
    is_pointwise = True
    op: ClassVar[str]

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self._require_operands(operands)
        for operand in operands:
            joined = broadcast(x, operand)
            if joined is None:
                raise self._reject(x, operand, "sizes must be equal, or one of them 1")
            x = joined
        return x

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        value = g.input
        for operand in g.operands:
            value = g.node(self.op, value, operand)
        return value


class Add(_Elementwise):
    """The sum of the current tensor and the taps, `torch.add`; an axis of size 1 is repeated where needed."""

    kind = "add"
    saves = ()
    op = "Add"


class Mul(_Elementwise):
    """The product of the current tensor and the taps, `torch.mul`; an axis of size 1 is repeated where needed."""

    kind = "mul"
    saves = ("input", "operands")
    op = "Mul"
