"""Layers that rearrange: random axes compared with PyTorch, the batch axis, and receptive fields."""

from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from archdsl.diagnostics import Rejected
from archdsl.layers.base import Layer, TorchForm
from archdsl.layers.linear import Linear
from archdsl.layers.reshape import Flatten, Permute, Squeeze, Transpose, Unflatten, Unsqueeze
from archdsl.shapes import Shape
from archdsl.shapes.receptive_field import ReceptiveField
from tests.layers.agreement import BATCH, checked_shape, require_agreement

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(Shape)


def _other_axis(x: Shape, dim: int, new: int = 0) -> bool:
    """Whether `dim` is not the batch axis, which PyTorch would let a layer move and a spec may not."""
    return dim not in (0, -(len(x) + 1 + new))


def _require_same(layer: Layer, x: Shape, function: Any) -> None:
    """Compare with a function of torch where torch.nn has no class."""
    checked: object = checked_shape(layer, x)
    try:
        found: object = Shape(function(torch.zeros(BATCH, *x)).shape[1:])
    except (RuntimeError, IndexError):
        found = Rejected
    assert (Rejected if isinstance(checked, Rejected) else checked) == found


@settings(max_examples=150, deadline=None)
@given(SHAPES, st.integers(-5, 5), st.integers(-5, 5))
def test_flatten_agrees_with_torch(x: Shape, start: int, end: int) -> None:
    assume(_other_axis(x, start) and _other_axis(x, end))
    pairs = {"start_dim": (start, 1), "end_dim": (end, -1)}
    keywords = {name: value for name, (value, default) in pairs.items() if value != default}
    require_agreement(Flatten(start_dim=start, end_dim=end), TorchForm("nn.Flatten", keywords=keywords), x)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([1, 2, 4, 6, 12]), min_size=1, max_size=3).map(Shape),
    st.integers(-4, 4),
    st.lists(st.sampled_from([-1, 1, 2, 3, 4, 0, -2]), max_size=3).map(tuple),
)
def test_unflatten_agrees_with_torch(x: Shape, dim: int, sizes: tuple[int, ...]) -> None:
    if _other_axis(x, dim):
        require_agreement(Unflatten(dim=dim, unflattened_size=sizes), TorchForm("nn.Unflatten", (dim, sizes)), x)


@settings(max_examples=150, deadline=None)
@given(SHAPES, st.data())
def test_permute_agrees_with_torch(x: Shape, data: st.DataObject) -> None:
    axes = data.draw(st.permutations(range(1, len(x) + 1)) | st.lists(st.integers(-5, 5), max_size=4))
    axes = [axis for axis in axes if _other_axis(x, axis)]
    dims = (data.draw(st.sampled_from([0, -(len(x) + 1)])), *axes)
    _require_same(Permute(dims=dims), x, lambda t: t.permute(dims))


@settings(max_examples=100, deadline=None)
@given(SHAPES, st.integers(-5, 5), st.integers(-5, 5))
def test_transpose_agrees_with_torch(x: Shape, first: int, second: int) -> None:
    if _other_axis(x, first) and _other_axis(x, second):
        _require_same(Transpose(dim0=first, dim1=second), x, lambda t: t.transpose(first, second))


@settings(max_examples=150, deadline=None)
@given(SHAPES, st.none() | st.integers(-5, 5) | st.lists(st.integers(-4, 4), max_size=3).map(tuple))
def test_squeeze_agrees_with_torch(x: Shape, dim: int | tuple[int, ...] | None) -> None:
    dims = () if dim is None else (dim,) if isinstance(dim, int) else dim
    squeezed = range(len(x)) if dim is None else [d - 1 if d > 0 else d for d in dims]
    everything = {i % len(x) for i in squeezed if -len(x) <= i < len(x)} >= set(range(len(x)))
    assume(all(_other_axis(x, d) for d in dims) and not (everything and set(x) == {1}))
    # Without the batch axis, torch's squeeze of all axes is ours.
    _require_same(Squeeze(dim=dim), x, (lambda t: t.squeeze()) if dim is None else (lambda t: t.squeeze(dim)))


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.integers(-6, 6))
def test_unsqueeze_agrees_with_torch(x: Shape, dim: int) -> None:
    if _other_axis(x, dim, new=1):
        _require_same(Unsqueeze(dim=dim), x, lambda t: t.unsqueeze(dim))


@pytest.mark.parametrize(
    "layer",
    [
        Flatten(start_dim=0),
        Flatten(end_dim=-4),
        Unflatten(dim=0, unflattened_size=(2, 1)),
        Permute(dims=(1, 0, 2, 3)),
        Permute(dims=(4, 1, 2, 3)),
        Transpose(dim0=0, dim1=1),
        Squeeze(dim=0),
        Squeeze(dim=(1, -4)),
        Unsqueeze(dim=0),
        Unsqueeze(dim=-5),
    ],
    ids=repr,
)
def test_the_batch_axis_stays(layer: Layer) -> None:
    with pytest.raises(Rejected, match="batch axis"):
        layer.shape(Shape((1, 5, 6)))


def test_something_is_left_of_a_squeeze() -> None:
    with pytest.raises(Rejected, match="no axis of the input 1x1 would be left"):
        Squeeze().shape(Shape((1, 1)))


def test_the_receptive_field_follows_the_axes() -> None:
    """Flatten to one axis, and a linear layer behind it sees all; permute, and it sees one axis only."""
    x = Shape((2, 5, 6))
    field, linear = ReceptiveField.of_input(x), Linear(out_features=1)
    flat = Flatten().shape(x)
    after = linear.receptive_field(Flatten().receptive_field(field, x, flat), flat, linear.shape(flat))
    assert after.sizes == (5, 6)
    turned = Permute(dims=(0, 1, 3, 2))
    y = turned.shape(x)
    assert linear.receptive_field(turned.receptive_field(field, x, y), y, linear.shape(y)).sizes == (5, 1)
    channels_last = Permute(dims=(0, 2, 3, 1))
    y = channels_last.shape(x)
    assert linear.receptive_field(channels_last.receptive_field(field, x, y), y, linear.shape(y)).sizes == (1, 1)
