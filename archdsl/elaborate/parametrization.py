"""`parametrization = weight_norm`: the argument of every layer with a `weight`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from archdsl.arguments.bind import Given, assign_fields, given_of, make
from archdsl.arguments.describe import describe
from archdsl.arguments.values import Construct
from archdsl.diagnostics import Located
from archdsl.diagnostics.codes.names import BadArgument
from archdsl.diagnostics.codes.shapes import WrongParametrization
from archdsl.shapes import Tensor
from archdsl.text.source import Span

if TYPE_CHECKING:
    from archdsl.layers.initializers import Initializer
    from archdsl.layers.parametrizations import Parametrization

#: The names that stand for a parametrization wherever nothing else has them.
NAMES = ("spectral_norm", "weight_norm")
#: The parameter that is parametrized.
WEIGHT = "weight"


def is_parametrization(value: object) -> bool:
    """Whether a value is `weight_norm`, `spectral_norm(eps=1e-4)` and the like."""
    return isinstance(value, Construct) and value.name in NAMES


def made(kind: str, given: Given) -> Parametrization | None:
    """The value of an argument `parametrization`.

    Raises:
        Located: it is something else, or has a wrong argument.
    """
    from archdsl.layers.parametrizations import PARAMETRIZATIONS

    value = given.value
    if value is None:
        return None
    if not (isinstance(value, Construct) and value.name in NAMES):
        need = "must be " + ", ".join(f"`{name}`" for name in NAMES) + " or `none`"
        raise Located(BadArgument(f"`{kind}`", "parametrization", need, describe(value)), given.span)
    place = value.span if value.span is not None and value.span.is_inside(given.span) else given.span
    return make(f"`{value.name}`", PARAMETRIZATIONS[value.name], given_of(value, place), place)


def for_layer(kind: str, weights: Mapping[str, Tensor], own: Given | None) -> Parametrization | None:
    """The parametrization of a layer's weight, which its argument names.

    Raises:
        Located: as `made`; the layer has no such weight, or the weight does not fit.
    """
    found = None if own is None else made(kind, own)
    if own is None or found is None:
        return None
    if WEIGHT in weights:
        reason = found.misfit(weights[WEIGHT].shape)
    else:
        names = ", ".join(f"`{name}`" for name in weights) or "none"
        reason = f"this `{kind}` has no parameter `{WEIGHT}` (its parameters: {names})"
    if reason:
        raise Located(WrongParametrization(found.kind, reason), own.span)
    return found


def require_norm(found: Parametrization, init: Mapping[str, Initializer], own: Given) -> None:
    """Reject a weight of zeros that a parametrization divides by its norm.

    Raises:
        Located: at the argument.
    """
    first = init.get(WEIGHT)
    is_zero = first is not None and (first.kind == "zeros" or first.arguments.get("val") == 0)
    if found.divides_by_norm and is_zero:
        reason = "it divides by the norm of the weight, which the initializer makes zero"
        raise Located(WrongParametrization(found.kind, reason), own.span)


def require_arguments(name: str, given: Sequence[Given], span: Span) -> None:
    """Reject arguments that a parametrization does not have.

    Raises:
        Located: at the first one.
    """
    from archdsl.layers.parametrizations import PARAMETRIZATIONS

    assign_fields(f"`{name}`", PARAMETRIZATIONS[name], given, span)
