"""What a kind of layer is: one frozen class that holds everything about it.

The modules of layers do without `from __future__ import annotations`: evaluating annotations kept as text
doubles the time it takes to make each class, and every command pays it.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field

from archdsl.diagnostics.codes.shapes import WrongArgumentForShape, WrongRank
from archdsl.diagnostics.problem import Rejected
from archdsl.shapes import Shape, Tensor, Window, in_module_order
from archdsl.shapes.receptive_field import ReceptiveField

#: An integer, or one integer for each spatial axis.
Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]
Sizes = Positive | tuple[Positive, ...]
Paddings = NonNegative | tuple[NonNegative, ...]
Probability = Annotated[float, Field(ge=0, le=1)]

KINDS: "dict[str, type[Layer]]" = {}

AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


@dataclass(frozen=True)
class TorchForm:
    """How PyTorch makes a layer: a class by its dotted name and the arguments of its constructor.

    `nn.` stands for `torch.nn.`, `modules.` for `archdsl.backends.torch.modules.`. A kind defined outside this
    project gives its class's full dotted path. `keywords` holds only what differs from the defaults, so
    that the printed source reads as one would write it.
    """

    cls: str
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        arguments = [repr(value) for value in self.arguments]
        arguments += [f"{name}={value!r}" for name, value in self.keywords.items()]
        return f"{self.cls}({', '.join(arguments)})"


class OnnxBuilder(Protocol):
    """What the ONNX back end hands to a layer, so that the layer can write its own nodes.

    Values are named by strings. `input` is the layer's input, `operands` are the taps it takes.
    """

    opset: int
    input: str
    operands: tuple[str, ...]

    def has(self, name: str) -> bool:
        """Whether the layer has this parameter or buffer (folding a batch norm adds a `bias`)."""

    def weight(self, name: str) -> str:
        """The initializer that holds the layer's parameter or buffer `name`."""

    def ints(self, values: Sequence[int]) -> str:
        """An int64 vector constant, shared where the same one is used again."""

    def floats(self, values: Sequence[float], shape: Sequence[int] | None = None) -> str:
        """A float32 constant of this shape (a vector without one), shared where the same one is used again."""

    def scalar(self, value: float) -> str:
        """A float32 scalar constant (rank 0)."""

    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Append a node of the standard domain; returns the name of its first output.

        An absent optional input is the empty string. Attributes that are None are left out.
        """


class Layer(BaseModel):
    """A kind of layer with its arguments bound; subclasses with a `kind` are registered under that name.

    The fields are the arguments of the layer's `torch.nn` twin, with its names, order and defaults, less
    the input size. All shapes are without the batch axis. Everything here works without torch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    kind: ClassVar[str]
    #: The names of all parameters that `weights` can give, whatever the arguments; known without an input.
    parameters: ClassVar[tuple[str, ...]] = ()
    #: True for the kinds that take taps as further tensors (`concat(skip)`).
    takes_taps: ClassVar[bool] = False
    #: True where PyTorch's backward pass needs this layer's own output, so that what follows must not overwrite it.
    saves_output: ClassVar[bool] = False
    #: True where PyTorch's twin has `inplace`, and the builder may switch it on where nobody can tell.
    can_run_inplace: ClassVar[bool] = False
    #: True where the one weight is a parameter of the scope itself, called by the layer's label.
    is_parameter: ClassVar[bool] = False

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if "kind" in cls.__dict__:
            if cls.kind in KINDS:
                raise TypeError(f"{cls.__qualname__} and {KINDS[cls.kind].__qualname__} are both called {cls.kind!r}")
            KINDS[cls.kind] = cls

    @abstractmethod
    def shape(self, x: Shape, *operands: Shape) -> Shape:
        """The output shape for the input shape `x`; raises Rejected where PyTorch would reject too."""

    @abstractmethod
    def torch(self, x: Shape) -> TorchForm:
        """The module that PyTorch runs for the input shape `x`."""

    @abstractmethod
    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        """Append this layer's nodes (as in eval mode) to `g`; returns the name of the output value."""

    def weights(self, x: Shape) -> dict[str, Tensor]:
        """The parameters by their names in the state_dict, in PyTorch's order."""
        return {}

    def buffers(self, x: Shape) -> dict[str, Tensor]:
        """The buffers by their names in the state_dict, in PyTorch's order."""
        return {}

    def state(self, x: Shape) -> dict[str, Tensor]:
        """Weights and buffers by their names in the state_dict, in its order."""
        return in_module_order(self.weights(x) | self.buffers(x))

    def macs(self, x: Shape, y: Shape) -> int:
        """Multiply-adds for one sample. A multiply-add is one; a bias, a norm, an activation or a pool adds none."""
        return 0

    def windows(self, x: Shape) -> tuple[Window, ...] | None:
        """The window on each spatial axis, or None for a layer that works on each position by itself."""
        return None

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        """The receptive field behind this layer, given the one before it."""
        windows = self.windows(x)
        return field if windows is None else field.slide(windows, y.spatial)

    def per_axis(self, name: str, value: int | Sequence[int], x: Shape) -> tuple[int, ...]:
        """One integer for each spatial axis of `x`, from an argument that may be a single integer."""
        if isinstance(value, int):
            return (value,) * x.rank
        if len(value) != x.rank:
            axes = "axis" if x.rank == 1 else "axes"
            reason = f"{name} has {len(value)} numbers, but the input {x} has {x.rank} spatial {axes}"
            raise Rejected(WrongArgumentForShape(self.kind, reason), argument=name)
        return tuple(value)

    def require_spatial(self, x: Shape, ranks: Sequence[int] = (1, 2, 3)) -> None:
        """Reject an input whose number of spatial axes PyTorch has no such layer for."""
        if x.rank not in ranks:
            names = {0: "a vector", 1: "a sequence (CxL)", 2: "an image (CxHxW)", 3: "a volume (CxDxHxW)"}
            expected = " or ".join(names[rank] for rank in ranks)
            raise Rejected(WrongRank(self.kind, expected, str(x)))


def changed(layer: Layer, *names: str) -> dict[str, Any]:
    """The named fields of a layer that differ from their defaults: the keywords worth printing."""
    fields = type(layer).model_fields
    return {name: getattr(layer, name) for name in names if getattr(layer, name) != fields[name].default}
