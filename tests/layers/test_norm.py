"""Norms: what they reject, their formulas by hand, and random arguments compared with PyTorch."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from archdsl.diagnostics import Rejected
from archdsl.layers.base import TorchForm
from archdsl.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm
from archdsl.shapes import Shape
from archdsl.shapes.receptive_field import ReceptiveField
from tests.layers.agreement import require_agreement
from tests.layers.onnx_case import run_onnx

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=5).map(Shape)


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.booleans(), st.booleans())
def test_batchnorm_agrees_with_torch(x: Shape, affine: bool, track: bool) -> None:
    norm = BatchNorm(affine=affine, track_running_stats=track)
    rank = min(max(x.rank, 1), 3)
    keywords = {name: False for name, value in (("affine", affine), ("track_running_stats", track)) if not value}
    require_agreement(norm, TorchForm(f"nn.BatchNorm{rank}d", (x.channels,), keywords), x)


@settings(max_examples=60, deadline=None)
@given(SHAPES.filter(lambda x: x.rank), st.booleans())
def test_instancenorm_agrees_with_torch(x: Shape, track: bool) -> None:
    """Not on vectors, which PyTorch takes for a sequence without a batch."""
    keywords = {"track_running_stats": True} if track else {}
    form = TorchForm(f"nn.InstanceNorm{min(x.rank, 3)}d", (x.channels,), keywords)
    require_agreement(InstanceNorm(track_running_stats=track), form, x)


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.integers(1, 4))
def test_groupnorm_agrees_with_torch(x: Shape, groups: int) -> None:
    # A batch of one would have no variance in a group of one number; that is no matter of the shape.
    assume(x.numel != groups and x.numel // groups * 2 != 1)
    require_agreement(GroupNorm(num_groups=groups), TorchForm("nn.GroupNorm", (groups, x.channels)), x)


@settings(max_examples=100, deadline=None)
@given(SHAPES, st.integers(1, 4) | st.lists(st.integers(1, 4), max_size=5).map(tuple) | st.integers(1, 4))
def test_layernorm_agrees_with_torch(x: Shape, sizes: int | tuple[int, ...]) -> None:
    argument = sizes[0] if isinstance(sizes, tuple) and len(sizes) == 1 else sizes
    form = TorchForm("nn.LayerNorm", (argument,))
    require_agreement(LayerNorm(normalized_shape=sizes), form, x)


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(1, 7))
def test_local_response_norm_agrees_with_torch(x: Shape, size: int) -> None:
    # For volumes the module is PyTorch's own behind a copy, for the sake of permuted ones.
    cls = "modules.LocalResponseNorm" if x.rank > 2 else "nn.LocalResponseNorm"
    require_agreement(LocalResponseNorm(size=size), TorchForm(cls, (size,)), x)


def test_a_vector_has_no_instances() -> None:
    with pytest.raises(Rejected) as caught:
        InstanceNorm().shape(Shape((8,)))
    assert caught.value.problem.code == "E401"


def test_errors_name_the_numbers() -> None:
    with pytest.raises(Rejected, match=r"normalized_shape is 8, but the last axes of the input 3x8x4 are not"):
        LayerNorm(normalized_shape=8).shape(Shape((3, 8, 4)))
    with pytest.raises(Rejected, match=r"input channels \(6\) must be divisible by num_groups \(4\)"):
        GroupNorm(num_groups=4).shape(Shape((6, 8, 8)))
    with pytest.raises(Rejected, match="each channel of the input 8x1x1 is a single position"):
        InstanceNorm().shape(Shape((8, 1, 1)))


def test_batchnorm_state_has_torchs_order_and_types() -> None:
    """The parameters are 2*C, and the state 4*C floats and one int64 of 8 bytes."""
    norm, x = BatchNorm(), Shape((64, 112, 112))
    assert list(norm.weights(x) | norm.buffers(x)) == [
        "weight",
        "bias",
        "running_mean",
        "running_var",
        "num_batches_tracked",
    ]
    assert sum(tensor.nbytes for tensor in norm.weights(x).values()) == 2 * 64 * 4
    assert sum(tensor.nbytes for tensor in norm.buffers(x).values()) == 2 * 64 * 4 + 8


@pytest.mark.parametrize("size", [2, 3, 5, 6])
def test_local_response_norm_in_onnx_is_the_papers_sum(size: int) -> None:
    """b = a / (k + alpha/n * sum of a^2 over n neighbours)^beta, summed here channel by channel."""
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 7, 3, 4)).astype(np.float32)
    alpha, beta, k = 0.9, 0.7, 1.5
    expected = np.empty_like(x)
    for c in range(7):
        first, last = max(0, c - size // 2), min(7, c + (size - 1) // 2 + 1)
        total = (x[:, first:last].astype(np.float64) ** 2).sum(axis=1)
        expected[:, c] = x[:, c] / (k + alpha / size * total) ** beta
    norm = LocalResponseNorm(size=size, alpha=alpha, beta=beta, k=k)
    np.testing.assert_allclose(run_onnx(norm, x, {}), expected, rtol=1e-5)


def test_what_a_cell_sees() -> None:
    """Batch norm in eval mode looks at its own cell, the norms with statistics of the sample at the whole map."""
    x = Shape((4, 8, 6))
    field = ReceptiveField.of_input(x)
    assert BatchNorm().receptive_field(field, x, x).sizes == (1, 1)
    assert GroupNorm(num_groups=2).receptive_field(field, x, x).sizes == (8, 6)
    assert InstanceNorm().receptive_field(field, x, x).sizes == (8, 6)
    assert InstanceNorm(track_running_stats=True).receptive_field(field, x, x).sizes == (1, 1)
    assert LayerNorm(normalized_shape=6).receptive_field(field, x, x).sizes == (1, 6)
    assert LocalResponseNorm(size=3).receptive_field(field, x, x).sizes == (1, 1)
