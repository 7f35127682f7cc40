"""Initializers: the functions of torch.nn.init with their arguments, and what these refuse."""

import inspect
from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError
from torch.nn import init

from archdsl.diagnostics import Refused
from archdsl.initializers import INITIALIZERS, Constant, Dirac, Initializer, Nonlinearity, TruncNormal, Uniform
from archdsl.shapes import Shape

#: Those that are not functions of torch.nn.init.
OURS = {"default", "partial_dirac"}
FUNCTIONS = {name: cls for name, cls in INITIALIZERS.items() if name not in OURS}
REQUIRED: dict[str, dict[str, Any]] = {"constant": {"val": 0.5}, "sparse": {"sparsity": 0.5}}
SIZES = [(4,), (4, 3), (4, 3, 2), (4, 3, 2, 2), (4, 3, 2, 2, 2), (4, 3, 2, 2, 2, 2)]


def test_they_are_torchs() -> None:
    """All functions of torch.nn.init that fill a tensor, but for copies under older names."""
    functions = {
        name[:-1]
        for name, function in vars(init).items()
        if name.endswith("_") and not name.startswith("_") and inspect.isfunction(function)
    }
    assert set(FUNCTIONS) == functions


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_are_torchs(name: str) -> None:
    parameters = inspect.signature(getattr(init, f"{name}_")).parameters.values()
    expected = [(p.name, p.default) for p in parameters if p.name not in ("tensor", "generator")]
    fields = INITIALIZERS[name].model_fields.items()
    assert [(n, inspect.Parameter.empty if f.is_required() else f.default) for n, f in fields] == expected


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_fits_what_torch_can_fill(name: str, sizes: tuple[int, ...]) -> None:
    initializer = INITIALIZERS[name](**REQUIRED.get(name, {}))
    tensor = torch.full(sizes, torch.nan)
    try:
        getattr(init, f"{name}_")(tensor, **initializer.arguments)
    except ValueError:
        with pytest.raises(Refused, match="weight is " + "x".join(map(str, sizes))):
            initializer.require_fit("weight", Shape(sizes))
    else:
        assert not tensor.isnan().any()
        initializer.require_fit("weight", Shape(sizes))


@pytest.mark.parametrize("initializer", [Uniform(a=2.0, b=1.0), TruncNormal(a=3.0, b=1.0), Dirac(groups=3)], ids=repr)
def test_refuses_what_torch_refuses(initializer: Initializer) -> None:
    with pytest.raises(Refused) as caught:
        initializer.require_fit("weight", Shape((4, 3, 2)))
    assert caught.value.argument in type(initializer).model_fields
    with pytest.raises((RuntimeError, ValueError)):
        getattr(init, f"{initializer.kind}_")(torch.empty(4, 3, 2), **initializer.arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("normal", {"std": -1.0}),
        ("trunc_normal", {"std": 0.0}),
        ("xavier_uniform", {"gain": -1.0}),
        ("xavier_normal", {"gain": -1.0}),
        ("kaiming_normal", {"mode": "fan_sideways"}),
        ("kaiming_uniform", {"nonlinearity": "gelu"}),
    ],
)
def test_wrong_arguments_are_refused_as_torch_does(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        INITIALIZERS[name](**arguments)
    with pytest.raises((RuntimeError, ValueError, ZeroDivisionError)):
        getattr(init, f"{name}_")(torch.empty(4, 3), **arguments)


def test_every_nonlinearity_has_a_gain() -> None:
    for name in get_args(Nonlinearity):
        assert init.calculate_gain(name) > 0


def test_default_leaves_the_weight_alone() -> None:
    assert INITIALIZERS["default"]().arguments == {}


def test_partial_dirac_needs_a_kernel_and_no_arguments() -> None:
    initializer = INITIALIZERS["partial_dirac"]()
    assert initializer.arguments == {}
    initializer.require_fit("weight", Shape((8, 3, 2, 2)))
    with pytest.raises(Refused, match="weight is 8x3"):
        initializer.require_fit("weight", Shape((8, 3)))


def test_types_are_strict() -> None:
    for value in ("1", True, None):
        with pytest.raises(ValidationError):
            Constant(val=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("cls", INITIALIZERS.values(), ids=INITIALIZERS)
def test_says_what_it_is(cls: type[Initializer]) -> None:
    assert cls.__doc__
    assert cls.__doc__ != Initializer.__doc__
