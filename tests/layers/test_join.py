"""Joins: random shapes against PyTorch, and errors that show both shapes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import archdsl
from archdsl.diagnostics import Rejected
from archdsl.layers.base import Layer, TorchForm
from archdsl.layers.join import Add, Concat, Div, MatMul, Mul, Pow, Sub
from archdsl.shapes import Shape
from tests.layers.agreement import checked_shape, require_agreement, torch_shape


@st.composite
def shapes(draw: st.DrawFn, sizes: list[int]) -> list[Shape]:
    """Two or three shapes of the same number of axes that agree on most of them."""
    first = draw(st.lists(st.sampled_from(sizes), min_size=1, max_size=4))
    others = draw(st.integers(1, 2))
    return [Shape(first)] + [
        Shape(draw(st.sampled_from([size, size, size, 1, 3])) for size in first) for _ in range(others)
    ]


@settings(max_examples=150, deadline=None)
@given(shapes([1, 3, 4]), st.integers(1, 5) | st.integers(-5, -1))
def test_concat_agrees_with_torch(joined: list[Shape], dim: int) -> None:
    if dim != -(len(joined[0]) + 1):
        require_agreement(Concat(dim=dim), TorchForm("modules.Concat", (dim,)), *joined)


ELEMENTWISE: list[Layer] = [Add(), Sub(), Mul(), Div(), Pow()]


@pytest.mark.parametrize("layer", ELEMENTWISE, ids=[layer.kind for layer in ELEMENTWISE])
@settings(max_examples=60, deadline=None)
@given(joined=shapes([1, 3, 4]))
def test_elementwise_agrees_with_torch(layer: Layer, joined: list[Shape]) -> None:
    require_agreement(layer, layer.torch(joined[0]), *joined)


@st.composite
def matrices(draw: st.DrawFn) -> list[Shape]:
    """Two shapes of as many axes that can mostly be multiplied."""
    size = st.sampled_from([1, 3, 4])
    leading = draw(st.lists(size, max_size=2))
    n, k, m = draw(size), draw(size), draw(size)
    other = [draw(st.sampled_from([one, one, 1, 3])) for one in leading]
    rows = draw(st.sampled_from([k, k, k, 3]))
    return [Shape([*leading, n, k]), Shape([*other, rows, m])]


@settings(max_examples=200, deadline=None)
@given(matrices())
def test_matmul_agrees_with_torch(pair: list[Shape]) -> None:
    require_agreement(MatMul(), TorchForm("modules.MatMul"), *pair)


@pytest.mark.parametrize("shapes", ["8x4 4", "4 4x8", "8 8"])
def test_matmul_takes_matrices_only(shapes: str) -> None:
    """PyTorch would multiply some of them over the samples of the batch."""
    x, operand = (Shape(map(int, text.split("x"))) for text in shapes.split())
    assert isinstance(checked_shape(MatMul(), x, operand), Rejected)


@pytest.mark.parametrize("layer", [Add(), Mul(), Concat()], ids=["add", "mul", "concat"])
@pytest.mark.parametrize("shapes", ["8x4 8", "8 8x4", "3x8x8 8x8"])
def test_another_number_of_axes_is_rejected_as_torch_does(layer: Layer, shapes: str) -> None:
    x, operand = (Shape(map(int, text.split("x"))) for text in shapes.split())
    assert isinstance(checked_shape(layer, x, operand), Rejected)
    assert isinstance(torch_shape(layer.torch(x), x, operand), str)


@pytest.mark.parametrize("layer", [Add(), Mul(), Concat()], ids=["add", "mul", "concat"])
def test_an_error_shows_both_shapes(layer: Layer) -> None:
    with pytest.raises(Rejected, match="the current tensor is 64x28x28, the tap is 64x56x56"):
        layer.shape(Shape((64, 28, 28)), Shape((64, 56, 56)))


@pytest.mark.parametrize("layer", [*ELEMENTWISE, Concat(), MatMul()], ids=lambda layer: layer.kind)
def test_needs_a_tap(layer: Layer) -> None:
    assert layer.takes_taps
    with pytest.raises(Rejected, match=r"requires (a number or at least one|at least one|one) tap"):
        layer.shape(Shape((3, 4)))


@pytest.mark.parametrize("item", ["add(0.5)", "sub(2)", "mul(-1)", "div(4.0)", "pow(2)", "pow(exponent=2)"])
def test_a_number_stands_where_a_tap_does(item: str) -> None:
    network = archdsl.load(f"model m {{ input(3x4); {item} }}")
    x = torch.rand(2, 3, 4)
    name, number = item.strip(")").replace("exponent=", "").split("(")
    assert torch.equal(network.build()(x), getattr(torch, name)(x, float(number)))


def test_taps_are_taken_from_the_left() -> None:
    module = archdsl.load("model m { input(3x4) -> x; exp; sub(x, x) }").build()
    x = torch.rand(2, 3, 4)
    assert torch.equal(module(x), x.exp() - x - x)


def test_defaults_give_the_number_that_a_call_leaves_out() -> None:
    text = "model m { input(3x4); defaults = {add: {other: 1}}; add; add(2) }"
    x = torch.rand(2, 3, 4)
    assert torch.equal(archdsl.load(text).build()(x), x + 1 + 2)


def test_a_product_of_matrices_sees_all_rows_of_the_tap() -> None:
    """An image's rows, each summed over its columns, times the columns of the same image."""
    network = archdsl.load("model m { input(1x6x6); conv(1, 3, padding=1) -> a; conv(1, 3, padding=1); matmul(a) }")
    assert network.layers[-1].receptive_field == (3 + 5, 5 + 5)
