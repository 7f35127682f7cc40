"""A learned tensor: embeddings, class tokens, layer scales."""

from archdsl.layers.base import Layer, OnnxBuilder, Positive, TorchForm, changed
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
        batch = g.node("Slice", g.node("Shape", g.input), g.ints([0]), g.ints([1]))
        return g.node("Expand", value, g.node("Concat", batch, g.ints(y), axis=0))
