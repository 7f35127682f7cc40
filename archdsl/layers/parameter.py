"""Tensors that replace the current one: learned (embeddings, class tokens, layer scales) and constant (anchors)."""

from collections.abc import Iterator, Sequence

from archdsl.layers.axes import onnx_for_each_sample
from archdsl.layers.base import Layer, Number, OnnxBuilder, Positive, TorchForm, changed
from archdsl.shapes import Shape, Tensor
from archdsl.shapes.receptive_field import ReceptiveField


class Parameter(Layer):
    """A learned tensor of the shape `size` in place of the current one, `torch.nn.Parameter`; zeros at first.

    Its key in the state_dict is the label itself. With `batch_axis` its first size is 1, as in the embeddings
    of ViT (Dosovitskiy and others 2020); each sample gets the same values.
    """

    kind = "parameter"
    parameters = ("value",)
    is_parameter = True
    dtypes = ("float32", "int64")
    saves = ()
    saves_output = True

    size: Positive | tuple[Positive, ...]
    batch_axis: bool = False

    @property
    def sizes(self) -> Shape:
        """The shape for one sample."""
        return Shape((self.size,) if isinstance(self.size, int) else self.size)

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        return self.sizes

    def weights(self, x: Shape) -> dict[str, Tensor]:
        return {"value": Tensor(Shape((1, *self.sizes)) if self.batch_axis else self.sizes)}

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        return field.nothing(len(y))

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("modules.Parameter", (tuple(self.sizes),), changed(self, "batch_axis"))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        value = g.weight("value")
        if not self.batch_axis:
            value = g.node("Reshape", value, g.ints([1, *y]))
        return onnx_for_each_sample(g, value, y)


Row = tuple[Number, ...]
#: Numbers in one to four axes.
Numbers = Row | tuple[Row, ...] | tuple[tuple[Row, ...], ...] | tuple[tuple[tuple[Row, ...], ...], ...]


def _sizes(values: Numbers) -> list[int]:
    """The sizes of nested tuples, as far as the first of each tells."""
    sizes = [len(values)]
    while sizes[-1] and isinstance(values[0], tuple):
        values = values[0]
        sizes.append(len(values))
    return sizes


def _flat(values: Numbers, sizes: Sequence[int]) -> Iterator[float]:
    """All numbers in order; raises ValueError where the sizes are others."""
    if len(values) != sizes[0]:
        raise ValueError(f"a list of {len(values)} is beside one of {sizes[0]}")
    for one in values:
        if isinstance(one, tuple):
            yield from _flat(one, sizes[1:])
        else:
            yield one


class Constant(Layer):
    """Fixed numbers in place of the current tensor, the same for each sample: a list, or lists in lists.

    `constant([1, 2, 3])` has 3 features, `constant([[1, 2, 3], [4, 5, 6]])` is 2x3. It has no entry in the state_dict.
    """

    kind = "constant"
    dtypes = ("float32", "int64")
    saves = ()
    saves_output = True

    value: Numbers

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        sizes = _sizes(self.value)
        if 0 in sizes:
            raise self.unfit("value", "a list is empty")
        try:
            list(_flat(self.value, sizes))
        except ValueError as error:
            raise self.unfit("value", f"the lists must be equally long: {error}") from None
        return Shape(sizes)

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        return field.nothing(len(y))

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("modules.Constant", (self.value,))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return onnx_for_each_sample(g, g.floats(list(_flat(self.value, y)), (1, *y)), y)
