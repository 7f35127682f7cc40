"""Initializers: the functions of torch.nn.init with their arguments, and what these reject."""

import inspect
from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError
from torch.nn import init

import archdsl
from archdsl.diagnostics import Rejected
from archdsl.elaborate import check_source
from archdsl.layers.initializers import INITIALIZERS, Constant, Dirac, Initializer, Nonlinearity, TruncNormal, Uniform
from archdsl.shapes import Shape
from archdsl.text.source import Source
from tests.layers.samples import SAMPLES

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
        with pytest.raises(Rejected, match=f"`{name}` requires a weight of"):
            initializer.require_fit(Shape(sizes))
    else:
        assert not tensor.isnan().any()
        initializer.require_fit(Shape(sizes))


@pytest.mark.parametrize(
    "initializer",
    [Uniform(a=2.0, b=1.0), Uniform(a=-3e38, b=3e38), TruncNormal(a=3.0, b=1.0), Dirac(groups=3)],
    ids=repr,
)
def test_rejects_what_torch_rejects(initializer: Initializer) -> None:
    def require() -> None:
        initializer.require_sound()
        initializer.require_fit(Shape((4, 3, 2)))

    with pytest.raises(Rejected) as caught:
        require()
    assert caught.value.argument in type(initializer).model_fields
    with pytest.raises((RuntimeError, ValueError)):
        getattr(init, f"{initializer.kind}_")(torch.empty(4, 3, 2), **initializer.arguments)


NUMBERS = (0.0, 1.0, -1.0, 0.5, 1e-38, 3.4e38, -3.4e38, 1e39, 1e300)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numbers_that_torch_cannot_draw_are_rejected(name: str) -> None:
    """What is accepted can be drawn, whatever number each argument is."""
    for field, info in FUNCTIONS[name].model_fields.items():
        for value in NUMBERS if "float" in str(info.annotation) else ():
            try:
                initializer = FUNCTIONS[name](**{**REQUIRED.get(name, {}), field: value})
                initializer.require_sound()
            except (ValidationError, Rejected):
                continue
            for sizes in [(1, 1), (4, 3)]:
                getattr(init, f"{name}_")(torch.empty(sizes), **initializer.arguments)


def rules_of_torch(sizes: tuple[int, ...]) -> set[str]:
    """The initializers that torch can fill a tensor with."""
    fitting = set()
    for name, cls in FUNCTIONS.items():
        try:
            getattr(init, f"{name}_")(torch.empty(sizes), **cls(**REQUIRED.get(name, {})).arguments)
        except ValueError:
            continue
        fitting.add(name)
    return fitting


#: A sample for each weight of each layer type, and each number of axes it can have.
WEIGHTS = {
    (one.kind, name, len(tensor.shape)): one for one in SAMPLES for name, tensor in one.layer.weights(one.x).items()
}


@pytest.mark.parametrize(("kind", "name", "axes"), WEIGHTS)
def test_every_initializer_for_every_weight(kind: str, name: str, axes: int) -> None:
    """A spec may say what torch can do, and nothing else."""
    sample = WEIGHTS[kind, name, axes]
    sizes = sample.layer.weights(sample.x)[name].shape
    given = {one: f"{one}(0.5)" if one in REQUIRED else one for one in FUNCTIONS}
    calls = {one: sample.call(f'init={{"{name}": {text}}}') for one, text in given.items()}
    fitting = rules_of_torch(sizes)

    def model(names: list[str]) -> str:
        start = f"model m {{ input({sample.x}) -> x; {sample.taps}use(x); sum {{"
        return "\n".join([start, *(f"l_{name}: {calls[name]}" for name in names), "} }"])

    archdsl.load(model([one for one in FUNCTIONS if one in fitting]))
    wrong = [one for one in FUNCTIONS if one not in fitting]
    found = check_source(Source("test.arch", model(wrong)))[0] if wrong else []
    assert [one.span.text for one in found if one.span] == [given[one] for one in wrong]
    assert all(one.code == "E214" and str(sizes) in one.label for one in found)


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ("init = dirac; conv(4, 3, padding=1); linear(3); linear(4)", ["dirac"]),
        ("init = dirac; inception { linear(3); linear(4) }; linear(5)", ["dirac"]),
        ("init = {bias: xavier_uniform}; conv(4, 3)", ["xavier_uniform"]),
        ("init = {linear: {bias: eye, weight: zeros}}; conv(4, 3); batchnorm; linear(8)", ["eye"]),
        ("init = uniform(3, 1); relu", ["uniform(3, 1)"]),
        ("init = xavier_uniform; batchnorm; conv(4, 3); prelu", []),
        ("init = dirac(groups=3); conv(6, 3); conv_transpose(8, 3)", []),
        ("init = dirac(groups=3); conv(4, 3); conv(8, 3)", ["dirac(groups=3)"]),
    ],
)
def test_a_setting_that_does_not_fit_is_one_error_at_the_setting(body: str, at: list[str]) -> None:
    found, *_ = check_source(Source("test.arch", f"model m {{ input(3x8x8); {body} }}"))
    assert [one.span.text for one in found if one.span] == at


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
def test_wrong_arguments_are_rejected_as_torch_does(name: str, arguments: dict[str, Any]) -> None:
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
    initializer.require_fit(Shape((8, 3, 2, 2)))
    with pytest.raises(Rejected, match="a weight of 3 to 5 axes"):
        initializer.require_fit(Shape((8, 3)))


def test_types_are_strict() -> None:
    for value in ("1", True, None):
        with pytest.raises(ValidationError):
            Constant(val=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("cls", INITIALIZERS.values(), ids=INITIALIZERS)
def test_says_what_it_is(cls: type[Initializer]) -> None:
    assert cls.__doc__
    assert cls.__doc__ != Initializer.__doc__
