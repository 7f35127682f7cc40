"""The embedding table: a learned vector for each integer."""

from typing import ClassVar

from archdsl.layers.base import Layer, OnnxBuilder, Positive, TorchForm, changed
from archdsl.shapes import Shape, Tensor
from archdsl.shapes.receptive_field import ReceptiveField


class Embedding(Layer):
    """Embedding of integers, `torch.nn.Embedding`: each is replaced by its row of a learned table.

    One integer gives D features, S of them give SxD, with D = embedding_dim. Integers are from 0 to
    num_embeddings - 1; the row `padding_idx` starts as zeros and is not trained. Weights num_embeddings*D.
    """

    kind = "embedding"
    parameters = ("weight",)
    dtypes: ClassVar[tuple[str, ...]] = ("int64",)
    autocast = "float32"

    num_embeddings: Positive
    embedding_dim: Positive
    padding_idx: int | None = None
    scale_grad_by_freq: bool = False

    @property
    def index_limit(self) -> int:
        return self.num_embeddings

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        if self.padding_idx is not None and not -self.num_embeddings <= self.padding_idx < self.num_embeddings:
            reason = f"padding_idx {self.padding_idx} is not one of the {self.num_embeddings} rows"
            raise self.conflict("padding_idx", reason)
        return Shape((*x, self.embedding_dim))

    def weights(self, x: Shape) -> dict[str, Tensor]:
        return {"weight": Tensor(Shape((self.num_embeddings, self.embedding_dim)))}

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        return field.arrange((*field.axes, frozenset()))

    def torch(self, x: Shape) -> TorchForm:
        keywords = changed(self, "padding_idx", "scale_grad_by_freq")
        return TorchForm("nn.Embedding", (self.num_embeddings, self.embedding_dim), keywords)

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node("Gather", g.weight("weight"), g.input)
