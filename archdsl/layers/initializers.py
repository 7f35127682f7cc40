"""The functions of `torch.nn.init` by their names, with their arguments and defaults.

`default` keeps PyTorch's own initialisation. Here arguments and sizes are checked; the torch back end applies them.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from archdsl.diagnostics.codes.names import WrongInitializer
from archdsl.diagnostics.codes.shapes import ArgumentConflict
from archdsl.diagnostics.problem import Rejected
from archdsl.layers.base import Positive, Probability
from archdsl.shapes import Shape

INITIALIZERS: "dict[str, type[Initializer]]" = {}

#: The largest float32.
LARGEST = 3.4028234663852886e38
#: PyTorch draws uniformly between float32 numbers only, and with no deviation below 0.
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Deviation = Annotated[float, Field(ge=0, le=LARGEST)]
#: With a larger one the ends of xavier_uniform could be more than LARGEST apart.
Gain = Annotated[float, Field(ge=0, le=9e37)]
Nonlinearity = Literal[
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "selu",
]


class Initializer(BaseModel):
    """A way to fill a weight; subclasses with a `kind` are registered under that name.

    The fields are the arguments of `torch.nn.init.<kind>_` after the tensor.

    axes    the numbers of axes that the tensor may have, None for any
    square  True where only as many output channels are filled as there are input channels
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    kind: ClassVar[str]
    axes: ClassVar[range | None] = None
    square: ClassVar[bool] = False

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if "kind" in cls.__dict__:
            if cls.kind in INITIALIZERS:
                raise TypeError(f"{cls.__qualname__} and {INITIALIZERS[cls.kind].__qualname__} are both {cls.kind!r}")
            INITIALIZERS[cls.kind] = cls

    @property
    def function(self) -> str:
        """The name of the function of torch.nn.init, without its final `_`."""
        return self.kind

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of that function."""
        return self.model_dump()

    def require_sound(self) -> None:
        """Reject arguments that torch.nn.init rejects for every weight."""

    def require_fit(self, sizes: Shape) -> None:
        """Reject a weight of these sizes where torch.nn.init would."""
        if self.axes is None or len(sizes) in self.axes:
            return
        most = f" to {self.axes[-1]}" if len(self.axes) > 1 else ""
        need = f"{self.axes[0]}{most}" if self.axes[-1] < MANY else f"at least {self.axes[0]}"
        raise Rejected(WrongInitializer(self.kind, f"a weight of {need} axes"))


def _require_order(kind: str, a: float, b: float) -> None:
    if a > b:
        raise Rejected(ArgumentConflict(kind, f"a ({a}) is larger than b ({b})"), argument="a")


#: More axes than any weight has.
MANY = 64
FROM_TWO = range(2, MANY + 1)


class Default(Initializer):
    """The initialisation of PyTorch's own layer."""

    kind = "default"


class Uniform(Initializer):
    """From the uniform distribution on [a, b)."""

    kind = "uniform"

    a: Number = 0.0
    b: Number = 1.0

    def require_sound(self) -> None:
        _require_order(self.kind, self.a, self.b)
        if self.b - self.a > LARGEST:
            reason = f"a ({self.a}) and b ({self.b}) are further apart than the largest float32"
            raise Rejected(ArgumentConflict(self.kind, reason), argument="b")


class Normal(Initializer):
    """From the normal distribution."""

    kind = "normal"

    mean: Number = 0.0
    std: Deviation = 1.0


class TruncNormal(Initializer):
    """From the normal distribution, drawn again outside [a, b]."""

    kind = "trunc_normal"

    mean: Number = 0.0
    std: Annotated[float, Field(ge=1e-38, le=LARGEST)] = 1.0
    a: Number = -2.0
    b: Number = 2.0

    def require_sound(self) -> None:
        _require_order(self.kind, self.a, self.b)


class Constant(Initializer):
    """One number everywhere."""

    kind = "constant"

    val: Number


class Ones(Initializer):
    """1 everywhere."""

    kind = "ones"


class Zeros(Initializer):
    """0 everywhere."""

    kind = "zeros"


class Eye(Initializer):
    """The identity matrix."""

    kind = "eye"
    axes = range(2, 3)


class Dirac(Initializer):
    """Convolution kernels that return their channel, in each of `groups` parts of the output channels."""

    kind = "dirac"
    axes = range(3, 6)

    groups: Positive = 1

    def require_fit(self, sizes: Shape) -> None:
        super().require_fit(sizes)
        if sizes[0] % self.groups:
            need = f"a weight whose first axis is divisible by groups ({self.groups})"
            raise Rejected(WrongInitializer(self.kind, need), argument="groups")


class PartialDirac(Initializer):
    """Kernels that return each input channel once; other output channels keep PyTorch's own (Jordan 2024)."""

    kind = "partial_dirac"
    axes = range(3, 6)
    square = True

    @property
    def function(self) -> str:
        return "dirac"


class _Xavier(Initializer):
    axes = FROM_TWO

    gain: Gain = 1.0


class XavierUniform(_Xavier):
    """Uniform within gain*sqrt(6/(fan_in + fan_out)) (Glorot, Bengio 2010)."""

    kind = "xavier_uniform"


class XavierNormal(_Xavier):
    """Normal with deviation gain*sqrt(2/(fan_in + fan_out)) (Glorot, Bengio 2010)."""

    kind = "xavier_normal"


class _Kaiming(Initializer):
    axes = FROM_TWO

    a: Number = 0.0
    mode: Literal["fan_in", "fan_out"] = "fan_in"
    nonlinearity: Nonlinearity = "leaky_relu"


class KaimingUniform(_Kaiming):
    """Uniform within gain*sqrt(3/fan) (He and others 2015); `a` is the slope of a leaky ReLU after the layer."""

    kind = "kaiming_uniform"


class KaimingNormal(_Kaiming):
    """Normal with deviation gain/sqrt(fan) (He and others 2015); `a` is the slope of a leaky ReLU after the layer."""

    kind = "kaiming_normal"


class Orthogonal(Initializer):
    """A (semi-)orthogonal matrix (Saxe, McClelland, Ganguli 2013); other axes are joined with the second."""

    kind = "orthogonal"
    axes = FROM_TWO

    gain: Number = 1.0


class Sparse(Initializer):
    """Normal with deviation `std`, but a share `sparsity` of each column is 0 (Martens 2010)."""

    kind = "sparse"
    axes = range(2, 3)

    sparsity: Probability
    std: Deviation = 0.01
