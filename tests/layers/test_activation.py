"""Activations: values computed by hand, axes, and the range in which the ONNX forms are exact."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from archdsl.diagnostics import Rejected
from archdsl.layers import all_kinds
from archdsl.layers.activation import CELU, GELU, GLU, Hardtanh, LogSoftmax, PReLU, Softmax, Softplus
from archdsl.layers.base import TorchForm
from archdsl.shapes import Shape
from archdsl.shapes.receptive_field import ReceptiveField
from tests.layers.agreement import module_of, require_agreement
from tests.layers.onnx_case import run_onnx

ELEMENTWISE = [
    *("relu", "leaky_relu", "relu6", "elu", "selu", "celu", "gelu", "silu", "mish", "sigmoid", "hardsigmoid"),
    *("hardswish", "hardtanh", "tanh", "softplus", "softsign", "logsigmoid"),
]


@pytest.mark.parametrize("opset", [13, 20])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_onnx_is_exact_over_the_whole_range(name: str, opset: int) -> None:
    """From where everything saturates to where it does on the other side, the bends included."""
    layer = all_kinds()[name]()
    x = np.concatenate([np.linspace(-60, 60, 480), [-3, 3, 0, 6, -1, 1, 20]]).astype(np.float32).reshape(1, -1)
    expected = module_of(layer.torch(Shape((x.shape[1],))))(torch.from_numpy(x.copy())).numpy()
    np.testing.assert_allclose(run_onnx(layer, x, {}, opset=opset), expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(("beta", "threshold"), [(1.0, 20.0), (1.0, 0.5), (0.5, 3.0), (2.0, 30.0), (-1.0, 1.0)])
def test_softplus_has_torchs_threshold(beta: float, threshold: float) -> None:
    layer = Softplus(beta=beta, threshold=threshold)
    x = np.linspace(-25, 25, 500, dtype=np.float32).reshape(1, -1)
    expected = torch.nn.functional.softplus(torch.from_numpy(x), beta, threshold).numpy()
    np.testing.assert_allclose(run_onnx(layer, x, {}), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("opset", [13, 20])
def test_gelu_forms_differ_as_they_should(opset: int) -> None:
    """At 2 the exact form is 2*Phi(2) = 1.9544997, the tanh form 1.9545977."""
    x = np.array([[2.0]], dtype=np.float32)
    exact = run_onnx(GELU(), x, {}, opset=opset).item()
    tanh = run_onnx(GELU(approximate="tanh"), x, {}, opset=opset).item()
    assert (exact, tanh) == (pytest.approx(1.9544997, abs=1e-6), pytest.approx(1.9545977, abs=1e-6))


@pytest.mark.parametrize("kind", [Softmax, LogSoftmax])
def test_softmax_runs_along_the_channels_by_default(kind: type[Softmax] | type[LogSoftmax]) -> None:
    x = np.random.default_rng(0).normal(size=(2, 4, 3, 3)).astype(np.float32)
    y = run_onnx(kind(), x, {})
    total = (y if kind is Softmax else np.exp(y)).sum(axis=1)
    np.testing.assert_allclose(total, np.ones((2, 3, 3)), rtol=1e-5)


@pytest.mark.parametrize("dim", [0, -4, 4, -5])
def test_softmax_rejects_the_batch_axis_and_axes_that_are_not_there(dim: int) -> None:
    with pytest.raises(Rejected) as caught:
        Softmax(dim=dim).shape(Shape((4, 3, 3)))
    assert (caught.value.problem.code, caught.value.argument) == ("E404", "dim")
    assert ("is the batch axis" in str(caught.value)) == (dim in (0, -4))


def test_softmax_sees_its_axis() -> None:
    x = Shape((4, 5, 6))
    field = ReceptiveField.of_input(x)
    assert Softmax().receptive_field(field, x, x).sizes == (1, 1)
    assert Softmax(dim=-1).receptive_field(field, x, x).sizes == (1, 6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4).map(Shape), st.data())
def test_glu_agrees_with_torch(x: Shape, data: st.DataObject) -> None:
    dim = data.draw(st.integers(1, len(x) + 1) | st.integers(-len(x), -1))
    keywords = {} if dim == -1 else {"dim": dim}
    require_agreement(GLU(dim=dim), TorchForm("nn.GLU", keywords=keywords), x)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4).map(Shape), st.integers(1, 4))
def test_prelu_agrees_with_torch(x: Shape, number: int) -> None:
    keywords = {} if number == 1 else {"num_parameters": number}
    require_agreement(PReLU(num_parameters=number), TorchForm("nn.PReLU", keywords=keywords), x)


@settings(max_examples=40, deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3))
def test_hardtanh_agrees_with_torch(low: float, high: float) -> None:
    layer = Hardtanh(min_val=low, max_val=high)
    given_ = {"min_val": low, "max_val": high}
    keywords = {name: value for name, value in given_.items() if value != {"min_val": -1.0, "max_val": 1.0}[name]}
    require_agreement(layer, TorchForm("nn.Hardtanh", keywords=keywords), Shape((3, 4)))


def test_celu_rejects_to_divide_by_zero() -> None:
    require_agreement(CELU(alpha=0.0), TorchForm("nn.CELU", keywords={"alpha": 0.0}), Shape((3, 4)))


@pytest.mark.parametrize("arguments", [{"approximate": "erf"}, {"approximate": None}])
def test_gelu_knows_two_forms(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GELU(**arguments)


def test_prelu_starts_from_init_value() -> None:
    module = module_of(PReLU(num_parameters=3, init_value=0.1).torch(Shape((3, 4))))
    assert torch.equal(module.get_parameter("weight"), torch.full((3,), 0.1))
