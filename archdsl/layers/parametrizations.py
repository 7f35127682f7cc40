"""The parametrizations of `torch.nn.utils.parametrizations`: a layer's `weight` computed from other parameters.

Their entries in the state_dict replace that of `weight`, under PyTorch's names. Here arguments and sizes are checked;
the torch back end applies them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from archdsl.arguments.values import spec_text
from archdsl.layers.base import NonNegative, Positive
from archdsl.shapes import Shape, Tensor

PARAMETRIZATIONS: "dict[str, type[Parametrization]]" = {}

#: Where PyTorch keeps what the parameter `weight` is computed from.
PREFIX = "parametrizations.weight"


class Parametrization(BaseModel):
    """A way to compute a weight; subclasses with a `kind` are registered under that name.

    The fields are the arguments of `torch.nn.utils.parametrizations.<kind>` after the module and the name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    kind: ClassVar[str]
    #: True where a weight of zeros cannot be written as what it is computed from.
    divides_by_norm: ClassVar[bool] = False

    if TYPE_CHECKING:  # a field of the subclasses, whose order is PyTorch's
        dim: int | None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        PARAMETRIZATIONS[cls.kind] = cls

    def axis(self, output_axis: int) -> int | None:
        """The axis of the weight that it works along, if any; the layer's output channels are on `output_axis`."""
        return self.dim

    def misfit(self, weight: Shape) -> str:
        """Why it cannot be applied to a weight of this shape; empty where it can."""
        axes = len(weight)
        if self.dim is None or -axes <= self.dim < axes:
            return ""
        return f"dim={self.dim} does not exist: the weight {weight} has the axes 0 to {axes - 1}"

    def parameters(self, weight: Shape, output_axis: int) -> dict[str, Tensor]:
        """The parameters that take the place of the weight, by their names after PREFIX."""
        raise NotImplementedError

    def buffers(self, weight: Shape, output_axis: int) -> dict[str, Tensor]:
        """The buffers besides, by their names after PREFIX."""
        return {}

    def replaced(self, weights: Mapping[str, Tensor], output_axis: int) -> dict[str, Tensor]:
        """A layer's parameters with those that the weight is computed from in its place."""
        own = {name: tensor for name, tensor in weights.items() if name != "weight"}
        return own | _inside(self.parameters(weights["weight"].shape, output_axis))

    def added(self, weights: Mapping[str, Tensor], output_axis: int) -> dict[str, Tensor]:
        """The buffers that a layer has besides its own."""
        return _inside(self.buffers(weights["weight"].shape, output_axis))

    @property
    def given(self) -> dict[str, Any]:
        """The arguments that are not at their defaults."""
        return self.model_dump(exclude_defaults=True)

    def __str__(self) -> str:
        given = ", ".join(f"{name}={spec_text(value)}" for name, value in self.given.items())
        return f"{self.kind}({given})" if given else self.kind


def _inside(entries: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{PREFIX}.{name}": tensor for name, tensor in entries.items()}


class WeightNorm(Parametrization):
    """`weight_norm`: g * v / |v|, with a norm for each index of `dim`, or one for the whole weight without it.

    Salimans and Kingma 2016. `original0` is g, `original1` is v.
    """

    kind = "weight_norm"
    divides_by_norm = True

    dim: NonNegative | None = 0

    def parameters(self, weight: Shape, output_axis: int) -> dict[str, Tensor]:
        sizes = () if self.dim is None else (size if axis == self.dim else 1 for axis, size in enumerate(weight))
        return {"original0": Tensor(Shape(sizes)), "original1": Tensor(weight)}


class SpectralNorm(Parametrization):
    """`spectral_norm`: the weight divided by its largest singular value, as a matrix with the rows of axis `dim`.

    Miyato and others 2018. The singular vectors are buffers, which each forward pass in training improves by
    `n_power_iterations` steps. Without `dim` the rows are the output channels.
    """

    kind = "spectral_norm"

    n_power_iterations: Positive = 1
    eps: Annotated[float, Field(gt=0)] = 1e-12
    dim: int | None = None

    def axis(self, output_axis: int) -> int:
        return output_axis if self.dim is None else self.dim

    def parameters(self, weight: Shape, output_axis: int) -> dict[str, Tensor]:
        return {"original": Tensor(weight)}

    def buffers(self, weight: Shape, output_axis: int) -> dict[str, Tensor]:
        if len(weight) == 1:  # a vector is its own singular vector
            return {}
        rows = weight[self.axis(output_axis)]
        return {"0._u": Tensor(Shape((rows,))), "0._v": Tensor(Shape((weight.numel // rows,)))}
