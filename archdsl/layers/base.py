"""The base class of all layers: a layer type is one frozen class that holds everything about it.

The modules of layers have no `from __future__ import annotations`: evaluating annotations that are strings
doubles the time to create each class, in every command.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field, InstanceOf

from archdsl.diagnostics.codes.shapes import (
    ArgumentConflict,
    NotDivisible,
    WrongArgumentForShape,
    WrongElements,
    WrongRank,
)
from archdsl.diagnostics.problem import Rejected
from archdsl.layers.memory import Memory
from archdsl.shapes import Shape, Tensor, Window, in_module_order
from archdsl.shapes.receptive_field import ReceptiveField

#: An integer, or one integer for each spatial axis.
Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]
Sizes = Positive | tuple[Positive, ...]
Paddings = NonNegative | tuple[NonNegative, ...]
#: A number that is finite.
Number = Annotated[float, Field(allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class Operand:
    """A tap given by name (`key=memory`), as a layer's field: its index among the operands, and its shape."""

    index: int
    shape: Shape


#: The type of a field that takes a tap by name; the class lists such fields in `tap_arguments`.
TapArgument = InstanceOf[Operand] | None

KINDS: "dict[str, type[Layer]]" = {}

AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


@dataclass(frozen=True)
class TorchForm:
    """The PyTorch module of a layer: a class by its dotted name and the arguments of its constructor.

    `nn.` stands for `torch.nn.`, `modules.` for `archdsl.backends.torch.modules.`. A layer type of another
    project gives its class's full dotted path. `keywords` has only what differs from the defaults, so
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
    """Appends a layer's nodes to an ONNX graph.

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

    def integer(self, value: int) -> str:
        """An int64 scalar (rank 0)."""

    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Append a node of the standard domain; returns the name of its first output.

        The empty string is an optional input that is not given. Attributes that are None are left out.
        """


class Layer(BaseModel):
    """A layer with its arguments; subclasses with a `kind` are layer types, registered under that name.

    The fields are the arguments of the layer's `torch.nn` twin, with its names, order and defaults, without
    the input size. All shapes are without the batch axis. Everything here works without torch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    kind: ClassVar[str]
    #: The names of all parameters that `weights` may return for any arguments and input; see `has_parameter`.
    parameters: ClassVar[tuple[str, ...]] = ()
    #: True for layers that take taps as further tensors (`concat(skip)`).
    takes_taps: ClassVar[bool] = False
    #: True where the PyTorch module takes those taps as one list, not one argument each.
    lists_taps: ClassVar[bool] = False
    #: The arguments that take a tap by name (`key=memory`), which are fields of the type TapArgument.
    tap_arguments: ClassVar[tuple[str, ...]] = ()
    #: The types of elements that it accepts, the current tensor's and the taps'.
    dtypes: ClassVar[tuple[str, ...]] = ("float32",)
    #: True for those of them that take a number by position too (`mul(0.5)`): it is their first field.
    takes_number: ClassVar[bool] = False
    #: True where PyTorch's backward pass needs this layer's output, so that the next layer must not overwrite it.
    saves_output: ClassVar[bool] = False
    #: True where PyTorch's twin has `inplace` and the builder may set it if its input may be overwritten safely.
    can_run_inplace: ClassVar[bool] = False
    #: The axis of the output with one number of `bias` for each index; None for a layer without such a bias.
    bias_axis: ClassVar[int | None] = None
    #: True where the mean of each channel is subtracted, so that a bias directly before has no effect.
    cancels_bias: ClassVar[bool] = False
    #: What PyTorch's backward pass reads of "input", "output" and "operands" where the layer does not run in place.
    saves: ClassVar[tuple[str, ...]] = ("input",)
    #: True where the output is the input's own memory, or a part of it; for a dropout in eval mode.
    is_view: ClassVar[bool] = False
    #: True where, in eval mode, each number can be computed in place: from itself and a few figures of its channel.
    is_pointwise: ClassVar[bool] = False
    #: The type in which PyTorch's autocast runs it: that of its input, "half" or "float32".
    autocast: ClassVar[str] = "input"
    #: The axis of `weight` with one index for each output channel.
    output_axis: ClassVar[int] = 0
    #: True where the only weight is a parameter of the scope itself, named by the layer's label.
    is_parameter: ClassVar[bool] = False

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if "kind" in cls.__dict__:
            if cls.kind in KINDS:
                raise TypeError(f"{cls.__qualname__} and {KINDS[cls.kind].__qualname__} are both called {cls.kind!r}")
            KINDS[cls.kind] = cls

    @abstractmethod
    def shape(self, x: Shape, *operands: Shape) -> Shape:
        """The output shape for the input shape `x`; raises Rejected where PyTorch fails."""

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

    def memory(self, x: Shape, y: Shape) -> Memory:
        """What PyTorch's module holds in memory besides its input and output."""
        return Memory(self.saves)

    def windows(self, x: Shape) -> tuple[Window, ...] | None:
        """The window on each spatial axis, or None for a layer that works on each position by itself."""
        return None

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        """The receptive field after this layer, given the one before it."""
        windows = self.windows(x)
        return field if windows is None else field.slide(windows, y.spatial)

    @classmethod
    def has_parameter(cls, name: str) -> bool:
        """Whether `weights` may return a parameter of this name."""
        return name in cls.parameters

    @property
    def index_limit(self) -> int | None:
        """The integers that a layer on integers takes are below this; None for a layer that takes any."""
        return None

    def require_type(self, x: Shape) -> None:
        """Reject a tensor whose elements are of a type that the layer does not accept."""
        if x.dtype not in self.dtypes:
            raise Rejected(WrongElements(self.kind, " or ".join(self.dtypes), x.dtype))

    def operand_field(self, field: ReceptiveField, operand: Shape) -> ReceptiveField:
        """The receptive field of an operand as far as the output depends on it, given that of the tap."""
        return field

    def written_operands(self, operands: Sequence[str]) -> list[str]:
        """The operands as a call has them, in a spec and in the module's code: `skip`, or `key=memory` by name."""
        given = {name: getattr(self, name) for name in self.tap_arguments}
        names = {operand.index: f"{name}=" for name, operand in given.items() if operand is not None}
        return [names.get(i, "") + operand for i, operand in enumerate(operands)]

    def per_axis(self, name: str, value: int | Sequence[int], x: Shape) -> tuple[int, ...]:
        """One integer for each spatial axis of `x`, from an argument that may be a single integer."""
        if isinstance(value, int):
            return (value,) * x.rank
        if len(value) != x.rank:
            axes = "axis" if x.rank == 1 else "axes"
            raise self.unfit(name, f"{name} has {len(value)} numbers, but the input {x} has {x.rank} spatial {axes}")
        return tuple(value)

    def unfit(self, argument: str | None, reason: str, help: str | None = None) -> Rejected:
        """The error of an argument that does not fit the input."""
        return Rejected(WrongArgumentForShape(self.kind, reason), argument=argument, help=help)

    def conflict(self, argument: str | None, reason: str, help: str | None = None) -> Rejected:
        """The error of an argument that contradicts another one."""
        return Rejected(ArgumentConflict(self.kind, reason), argument=argument, help=help)

    def require_spatial(self, x: Shape, ranks: Sequence[int] = (1, 2, 3)) -> None:
        """Reject an input with a number of spatial axes for which PyTorch has no such layer."""
        if x.rank not in ranks:
            names = {0: "a vector", 1: "a sequence (CxL)", 2: "an image (CxHxW)", 3: "a volume (CxDxHxW)"}
            *most, last = (names[rank] for rank in ranks)
            expected = f"{', '.join(most)} or {last}" if most else last
            raise Rejected(WrongRank(self.kind, expected, str(x)))


class SameShape(Layer):
    """A layer whose output has the shape of its input."""

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        return x


class Twin(Layer):
    """A layer whose PyTorch module takes the same arguments, and nothing of the input's shape.

    Required arguments are printed by position, the others by name where they differ from their defaults.
    """

    #: The module's class: `{name}` is the name of this class, `{rank}` the number of spatial axes.
    twin: ClassVar[str] = "nn.{name}"

    def torch(self, x: Shape) -> TorchForm:
        fields = type(self).model_fields
        required = [name for name, field in fields.items() if field.is_required()]
        cls = self.twin.format(name=type(self).__name__, rank=x.rank)
        keywords = {name: value for name, value in changed(self).items() if name not in required}
        return TorchForm(cls, tuple(getattr(self, name) for name in required), keywords)


def require_divisible(number: int, what: str, divisor: int, divisor_name: str, help: str | None = None) -> None:
    """Reject a number that `divisor` does not divide, naming both."""
    if number % divisor:
        raise Rejected(NotDivisible(what, number, divisor_name, divisor), argument=divisor_name, help=help)


def weight_and_bias(weight: Sequence[int], out: int, *, bias: bool) -> dict[str, Tensor]:
    """The parameters of a layer with a matrix or kernel, and with a bias for each of `out` outputs if wanted."""
    weights = {"weight": Tensor(Shape(weight))}
    return weights | {"bias": Tensor(Shape((out,)))} if bias else weights


def changed(layer: Layer, *names: str) -> dict[str, Any]:
    """The named fields of a layer, or all, that differ from their defaults: the keywords to print."""
    fields = type(layer).model_fields
    return {name: getattr(layer, name) for name in names or fields if getattr(layer, name) != fields[name].default}
