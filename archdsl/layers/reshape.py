"""Layers that only rearrange: flatten, unflatten, permute, transpose, squeeze, unsqueeze, select, narrow, identity.

Axes count as in PyTorch: the batch axis is 0 and stays first. Their outputs are views of their inputs, hence
`saves_output`: overwriting one overwrites the other.
"""

from math import prod
from typing import Annotated

from pydantic import Field

from archdsl.layers.axes import onnx_reshape, position, require_axis_left
from archdsl.layers.base import Layer, OnnxBuilder, SameShape, TorchForm, Twin
from archdsl.shapes import Shape
from archdsl.shapes.receptive_field import ReceptiveField


class _View(Layer):
    """A layer whose output is a view of its input."""

    dtypes = ("float32", "int64")
    saves = ()
    saves_output = True
    is_view = True

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.input if y == x else onnx_reshape(g, g.input, y)


class Identity(_View, SameShape, Twin):
    """The input unchanged, `torch.nn.Identity`, for a label or as an argument that does nothing."""

    kind = "identity"


class Flatten(_View, Twin):
    """The axes from `start_dim` to `end_dim` as one, `torch.nn.Flatten`; by default a sample becomes a vector."""

    kind = "flatten"

    start_dim: int = 1
    end_dim: int = -1

    def _ends(self, x: Shape) -> tuple[int, int]:
        start, end = position(self, "start_dim", self.start_dim, x), position(self, "end_dim", self.end_dim, x)
        if start > end:
            reason = f"start_dim={self.start_dim} comes after end_dim={self.end_dim} in the input {x}"
            raise self.unfit("start_dim", reason)
        return start, end + 1

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        start, end = self._ends(x)
        return x.like((*x[:start], prod(x[start:end]), *x[end:]))

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        start, end = self._ends(x)
        axes = field.axes
        return field.arrange((*axes[:start], frozenset[int]().union(*axes[start:end]), *axes[end:]))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node("Flatten", g.input, axis=1) if len(x) > len(y) == 1 else super().onnx(x, y, g)


class Unflatten(_View, Twin):
    """One axis as several, `torch.nn.Unflatten`; one of the sizes may be -1 and is then computed."""

    kind = "unflatten"

    dim: int
    unflattened_size: tuple[int, ...]

    def sizes(self, x: Shape) -> tuple[int, ...]:
        """The sizes of the new axes; rejects those whose product is not the size of the old axis."""
        size, sizes = x[position(self, "dim", self.dim, x)], self.unflattened_size
        known = prod(n for n in sizes if n != -1)
        if sizes.count(-1) == 1 and known > 0 and size % known == 0:
            sizes = tuple(size // known if n == -1 else n for n in sizes)
        if not sizes or any(n < 1 for n in sizes) or prod(sizes) != size:
            reason = f"unflattened_size {self.unflattened_size} does not multiply to {size}, the size of dim={self.dim}"
            raise self.unfit("unflattened_size", reason)
        return sizes

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        axis = position(self, "dim", self.dim, x)
        return x.like((*x[:axis], *self.sizes(x), *x[axis + 1 :]))

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        axis, axes = position(self, "dim", self.dim, x), field.axes
        return field.arrange((*axes[:axis], *(axes[axis] for _ in self.unflattened_size), *axes[axis + 1 :]))


class _Permutation(_View):
    """A permutation of the axes: `order` is the old position of each axis of a Shape."""

    def order(self, x: Shape) -> tuple[int, ...]:
        raise NotImplementedError

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        return x.like(x[axis] for axis in self.order(x))

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        return field.arrange([field.axes[axis] for axis in self.order(x)])

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("modules.Permute", (self._dims(x),))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node("Transpose", g.input, perm=self._dims(x))

    def _dims(self, x: Shape) -> tuple[int, ...]:
        return (0, *(axis + 1 for axis in self.order(x)))


class Permute(_Permutation):
    """The axes in another order, `torch.permute`: `dims` are all axes of the input, the batch axis 0 first."""

    kind = "permute"

    dims: tuple[int, ...]

    def order(self, x: Shape) -> tuple[int, ...]:
        if len(self.dims) != len(x) + 1 or self.dims[0] not in (0, -len(self.dims)):
            every = tuple(range(len(x) + 1))
            reason = f"dims {self.dims} must order the axes {every} of the input {x} with the batch axis 0 first"
            raise self.unfit("dims", reason)
        order = tuple(position(self, "dims", dim, x) for dim in self.dims[1:])
        if len(set(order)) < len(order):
            raise self.unfit("dims", f"dims {self.dims} names an axis twice")
        return order


class Transpose(_Permutation):
    """Two axes change places, `torch.transpose`."""

    kind = "transpose"

    dim0: int
    dim1: int

    def order(self, x: Shape) -> tuple[int, ...]:
        first, second = position(self, "dim0", self.dim0, x), position(self, "dim1", self.dim1, x)
        swap = {first: second, second: first}
        return tuple(swap.get(axis, axis) for axis in range(len(x)))


class Squeeze(_View):
    """Removes axes of size 1, `torch.squeeze`: one, several, or by default all.

    As in PyTorch an axis of another size stays. At least one axis besides the batch axis must be left.
    """

    kind = "squeeze"

    dim: int | tuple[int, ...] | None = None

    def gone(self, x: Shape) -> tuple[int, ...]:
        """The positions in `x` of the axes to remove."""
        if self.dim is None:
            named = set(range(len(x)))
        else:
            dims = (self.dim,) if isinstance(self.dim, int) else self.dim
            named = {position(self, "dim", dim, x) for dim in dims}
            if len(named) < len(dims):
                raise self.unfit("dim", f"dim {self.dim} names an axis twice")
        return tuple(axis for axis in sorted(named) if x[axis] == 1)

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        gone = self.gone(x)
        require_axis_left(self, "dim", x, len(x) - len(gone))
        return x.like(size for axis, size in enumerate(x) if axis not in gone)

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        gone = self.gone(x)
        return field.arrange([axes for axis, axes in enumerate(field.axes) if axis not in gone])

    def torch(self, x: Shape) -> TorchForm:
        dims = tuple(axis + 1 for axis in self.gone(x))
        return TorchForm("modules.Squeeze", (dims,)) if dims else TorchForm("nn.Identity")


class Unsqueeze(_View):
    """A new axis of size 1 at `dim`, `torch.unsqueeze`."""

    kind = "unsqueeze"

    dim: int

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        axis = position(self, "dim", self.dim, x, new=1)
        return x.like((*x[:axis], 1, *x[axis:]))

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        axis = position(self, "dim", self.dim, x, new=1)
        return field.arrange((*field.axes[:axis], frozenset(), *field.axes[axis:]))

    def torch(self, x: Shape) -> TorchForm:
        axis = position(self, "dim", self.dim, x, new=1)
        if axis < len(x):
            return TorchForm("nn.Unflatten", (axis + 1, (1, x[axis])))
        return TorchForm("nn.Unflatten", (axis, (x[-1] if x else -1, 1)))


class Select(_View, Twin):
    """One position of an axis, which is removed, `torch.select`; a negative `index` counts from the end."""

    kind = "select"
    twin = "modules.{name}"

    dim: int
    index: int

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        axis = position(self, "dim", self.dim, x)
        if not -x[axis] <= self.index < x[axis]:
            reason = f"index {self.index} does not exist: dim={self.dim} of the input {x} has {x[axis]} positions"
            raise self.unfit("index", reason)
        require_axis_left(self, "dim", x, len(x) - 1)
        return x.like((*x[:axis], *x[axis + 1 :]))

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        axis = position(self, "dim", self.dim, x)
        return field.arrange((*field.axes[:axis], *field.axes[axis + 1 :]))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        axis = position(self, "dim", self.dim, x) + 1
        return onnx_reshape(g, g.node("Gather", g.input, g.ints([self.index]), axis=axis), y)


class Narrow(_View, Twin):
    """The positions `start` to `start + length` of an axis, `torch.narrow`; a negative `start` counts from the end."""

    kind = "narrow"
    twin = "modules.{name}"

    dim: int
    start: int
    length: Annotated[int, Field(gt=0)]

    def first(self, x: Shape) -> int:
        """The first position that is kept; rejects positions that do not exist."""
        size = x[position(self, "dim", self.dim, x)]
        first = self.start + size if self.start < 0 else self.start
        if not 0 <= first <= size - self.length:
            reason = f"{self.length} positions from {self.start} on do not exist: dim={self.dim} of {x} has {size}"
            raise self.unfit("start", reason)
        return first

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        axis = position(self, "dim", self.dim, x)
        self.first(x)
        return x.like((*x[:axis], self.length, *x[axis + 1 :]))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        axis = position(self, "dim", self.dim, x)
        first = self.start + x[axis] if self.start < 0 else self.start
        return g.node("Slice", g.input, g.ints([first]), g.ints([first + self.length]), g.ints([axis + 1]))
