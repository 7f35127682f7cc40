"""The linear layer: counts of known networks, the last axis, and its ONNX operators."""

from itertools import pairwise

import numpy as np
import pytest

from archdsl.layers.linear import Linear
from archdsl.shapes import Shape
from archdsl.shapes.receptive_field import ReceptiveField
from tests.layers.onnx_case import onnx_model


def _params(layers: list[int]) -> int:
    return sum(
        tensor.numel for n, out in pairwise(layers) for tensor in Linear(out_features=out).weights(Shape((n,))).values()
    )


def test_counts_of_known_networks() -> None:
    """3072-512-2 has (3072 + 1)*512 + (512 + 1)*2 parameters; so has the course's network."""
    assert _params([3072, 512, 2]) == 1_574_402
    assert _params([784, 300, 10]) == 785 * 300 + 301 * 10


def test_a_megapixel_image_needs_three_billion_weights() -> None:
    linear, x = Linear(out_features=1000, bias=False), Shape((3 * 1000 * 1000,))
    assert linear.weights(x)["weight"].numel == linear.macs(x, linear.shape(x)) == 3_000_000_000


def test_works_on_the_last_axis() -> None:
    linear, x = Linear(out_features=7), Shape((3, 4, 5))
    y = linear.shape(x)
    assert y == Shape((3, 4, 7))
    assert linear.weights(x)["weight"].shape == (7, 5)
    # Each of the 3*4*7 outputs is a sum of 5 products, and sees all of the width.
    assert linear.macs(x, y) == 3 * 4 * 7 * 5
    assert linear.receptive_field(ReceptiveField.of_input(x), x, y).sizes == (1, 5)


@pytest.mark.parametrize(
    ("x", "bias", "operators"),
    [
        ((5,), True, ["Gemm"]),
        ((5,), False, ["Gemm"]),
        ((4, 5), True, ["Transpose", "MatMul", "Add"]),
        ((4, 5), False, ["Transpose", "MatMul"]),
    ],
)
def test_onnx_operators(x: tuple[int, ...], bias: bool, operators: list[str]) -> None:
    linear = Linear(out_features=3, bias=bias)
    weights = {"weight": np.ones((3, 5), np.float32), "bias": np.ones(3, np.float32)}
    model = onnx_model(linear, Shape(x), weights)
    assert [node.op_type for node in model.graph.node] == operators
