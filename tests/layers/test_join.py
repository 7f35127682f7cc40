"""Joins: random shapes against PyTorch, and errors that show both shapes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archdsl.diagnostics import Rejected
from archdsl.layers.base import Layer, TorchForm
from archdsl.layers.join import Add, Concat, Mul
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


@pytest.mark.parametrize("layer", [Add(), Mul()], ids=["add", "mul"])
@settings(max_examples=100, deadline=None)
@given(joined=shapes([1, 3, 4]))
def test_elementwise_agrees_with_torch(layer: Layer, joined: list[Shape]) -> None:
    require_agreement(layer, layer.torch(joined[0]), *joined)


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


@pytest.mark.parametrize("layer", [Add(), Mul(), Concat()], ids=["add", "mul", "concat"])
def test_needs_a_tap(layer: Layer) -> None:
    assert layer.takes_taps
    with pytest.raises(Rejected, match="requires at least one tap"):
        layer.shape(Shape((3, 4)))
