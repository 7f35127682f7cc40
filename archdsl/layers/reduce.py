"""Reductions of whole axes to one number: mean, sum, max, norm, argmax.

`dim` counts the batch axis as 0. The axes are removed, or with `keepdim` of size 1 afterwards.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from archdsl.layers.axes import onnx_reduce, position, require_axis_left
from archdsl.layers.base import Layer, OnnxBuilder, TorchForm, changed
from archdsl.shapes import IntegerShape, Shape
from archdsl.shapes.receptive_field import ReceptiveField

#: One axis or several.
Axes = int | tuple[int, ...]


class _Reduction(Layer):
    """A function of all numbers along the axes `dim`.

    op  the ONNX operator
    """

    op: ClassVar[str]

    dim: Axes
    keepdim: bool = False

    def axes(self, x: Shape) -> tuple[int, ...]:
        """The positions in `x` of the axes to reduce."""
        dims = (self.dim,) if isinstance(self.dim, int) else self.dim
        found = tuple(position(self, "dim", dim, x) for dim in dims)
        if not found:
            raise self.unfit("dim", "dim names no axis")
        if len(set(found)) < len(found):
            raise self.unfit("dim", f"dim {self.dim} names an axis twice")
        return found

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        gone = self.axes(x)
        if self.keepdim:
            return Shape(1 if axis in gone else size for axis, size in enumerate(x))
        require_axis_left(self, "dim", x, len(x) - len(gone), "`keepdim=true` leaves axes of size 1")
        return Shape(size for axis, size in enumerate(x) if axis not in gone)

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        gone = self.axes(x)
        for axis in gone:
            field = field.mix(axis)
        kept = [frozenset[int]() if axis in gone else axes for axis, axes in enumerate(field.axes)]
        return field.arrange(kept if self.keepdim else [kept[axis] for axis in range(len(x)) if axis not in gone])

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm(f"modules.{type(self).__name__}", (self.dim,), changed(self, "keepdim"))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return onnx_reduce(g, self.op, g.input, [axis + 1 for axis in self.axes(x)], keepdims=self.keepdim)


class Mean(_Reduction):
    """The mean along the axes `dim`, `torch.mean`.

    `dim` is one axis or several; it counts the batch axis as 0. With `keepdim` they stay as axes of size 1.
    """

    kind = "mean"
    saves = ()
    op = "ReduceMean"


class Sum(_Reduction):
    """The sum along the axes `dim`, `torch.sum`; `sum { }` with a body is the combinator.

    `dim` is one axis or several; it counts the batch axis as 0. With `keepdim` they stay as axes of size 1.
    """

    kind = "sum"
    saves = ()
    autocast = "float32"
    op = "ReduceSum"


class Max(_Reduction):
    """The maximum along the axes `dim`, `torch.amax`; where several are equal, they share the gradient.

    `dim` is one axis or several; it counts the batch axis as 0. With `keepdim` they stay as axes of size 1.
    """

    kind = "max"
    saves = ("input", "output")
    op = "ReduceMax"
    saves_output = True


class Norm(_Reduction):
    """The p-norm along the axes `dim`, `torch.linalg.vector_norm`: (sum of |x|^p)^(1/p); by default Euclid's.

    `dim` is one axis or several; it counts the batch axis as 0. With `keepdim` they stay as axes of size 1.
    """

    kind = "norm"
    saves = ("input", "output")
    autocast = "float32"
    saves_output = True

    p: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("modules.Norm", (self.dim,), changed(self, "keepdim", "p"))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        axes = [axis + 1 for axis in self.axes(x)]
        if self.p in (1, 2):
            return onnx_reduce(g, f"ReduceL{self.p:.0f}", g.input, axes, keepdims=self.keepdim)
        powers = g.node("Pow", g.node("Abs", g.input), g.scalar(self.p))
        total = onnx_reduce(g, "ReduceSum", powers, axes, keepdims=self.keepdim)
        return g.node("Pow", total, g.scalar(1 / self.p))


class Argmax(_Reduction):
    """The position of the maximum along the axis `dim`, `torch.argmax`, as an integer; of equal ones the first.

    `dim` counts the batch axis as 0. With `keepdim` it stays as an axis of size 1. No gradient passes.
    """

    kind = "argmax"
    op = "ArgMax"
    saves = ()

    dim: int

    def shape(self, x: Shape, *operands: Shape) -> IntegerShape:
        axis = position(self, "dim", self.dim, x)
        return IntegerShape((*x[:axis], *([1] if self.keepdim else []), *x[axis + 1 :]))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node("ArgMax", g.input, axis=self.axes(x)[0] + 1, keepdims=self.keepdim)
