"""Pools compared with PyTorch: accepted arguments, sizes, and values in ONNX Runtime."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from archdsl.diagnostics import Rejected
from archdsl.layers.base import TorchForm
from archdsl.layers.pool import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, LPPool, MaxPool, _reach, adaptive_bounds
from archdsl.shapes import Shape, Window
from archdsl.shapes.receptive_field import ReceptiveField
from tests.layers.agreement import accepts, module_of, require_agreement
from tests.layers.onnx_case import run_onnx

POOLS: dict[str, type[MaxPool] | type[AvgPool] | type[LPPool]] = {
    "MaxPool": MaxPool,
    "AvgPool": AvgPool,
    "LPPool": LPPool,
}
ADAPTIVE: dict[str, type[AdaptiveAvgPool] | type[AdaptiveMaxPool]] = {
    "AdaptiveAvgPool": AdaptiveAvgPool,
    "AdaptiveMaxPool": AdaptiveMaxPool,
}
Pool = MaxPool | AvgPool | LPPool | AdaptiveAvgPool | AdaptiveMaxPool


def require_same_numbers(layer: Pool, x: Shape, *, opset: int = 20) -> None:
    """ONNX Runtime gives PyTorch's output, for numbers on both sides of zero where the pool takes them."""
    batch = torch.randn(2, *x, generator=torch.Generator().manual_seed(0))
    if isinstance(layer, LPPool) and layer.norm_type % 2 > 0:
        batch = batch.abs()
    expected = module_of(layer.torch(x))(batch).numpy()
    np.testing.assert_allclose(run_onnx(layer, batch.numpy(), {}, opset=opset), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_every_small_maxpool_is_taken_as_by_torch(rank: int) -> None:
    sizes = product((1, 2, 4, 5), (1, 2, 3), (1, 2, 3), (0, 1, 2), (1, 2), (False, True))
    for size, kernel, stride, padding, dilation, ceil in sizes:
        keywords: dict[str, Any] = {"stride": stride}
        keywords |= {"padding": padding} if padding else {}
        keywords |= {"dilation": dilation} if dilation > 1 else {}
        keywords |= {"ceil_mode": ceil} if ceil else {}
        form = TorchForm(f"nn.MaxPool{rank}d", (kernel,), keywords)
        require_agreement(MaxPool(kernel_size=kernel, **keywords), form, Shape((1, *[size] * rank)))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_every_small_avgpool_is_taken_as_by_torch(rank: int) -> None:
    sizes = product((1, 2, 4, 5), (1, 2, 3, 5), (None, 2, 3), (0, 1, 2), (False, True))
    for size, kernel, stride, padding, ceil in sizes:
        keywords: dict[str, Any] = {"stride": stride} if stride else {}
        keywords |= {"padding": padding} if padding else {}
        keywords |= {"ceil_mode": ceil} if ceil else {}
        form = TorchForm(f"nn.AvgPool{rank}d", (kernel,), keywords)
        require_agreement(AvgPool(kernel_size=kernel, **keywords), form, Shape((1, *[size] * rank)))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_every_small_lppool_is_taken_as_by_torch(rank: int) -> None:
    for size, kernel, stride, ceil in product((1, 2, 4, 5), (1, 2, 3, 5), (None, 2, 3), (False, True)):
        keywords: dict[str, Any] = {"stride": stride} if stride else {}
        keywords |= {"ceil_mode": ceil} if ceil else {}
        form = TorchForm(f"nn.LPPool{rank}d", (2.0, kernel), keywords)
        require_agreement(LPPool(norm_type=2, kernel_size=kernel, **keywords), form, Shape((1, *[size] * rank)))


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
def test_tuples_and_ranks_are_taken_as_by_torch(name: str, rank: int) -> None:
    before: dict[str, Any] = {"norm_type": 2.0} if name == "LPPool" else {}
    x = Shape((2, 5, 6, 7, 8)[: rank + 1])
    for kernel, stride in product((2, (2,), (2, 3), (2, 3, 1)), (None, (1,), (1, 2), (2, 1, 1))):
        keywords: dict[str, Any] = {"kernel_size": kernel} | ({"stride": stride} if stride else {})
        layer = POOLS[name](**before, **keywords)
        if rank in (1, 2, 3) and all(not isinstance(value, tuple) or len(value) == rank for value in (kernel, stride)):
            assert layer.shape(x) == module_of(layer.torch(x))(torch.zeros(1, *x)).shape[1:]
        else:
            with pytest.raises(Rejected):
                layer.shape(x)


def test_divisor_override_is_taken_as_by_torch() -> None:
    for rank in (1, 2, 3):
        form = TorchForm(f"nn.AvgPool{rank}d", (2,), {"divisor_override": 3})
        require_agreement(AvgPool(kernel_size=2, divisor_override=3), form, Shape((1, *[5] * rank)))


def test_stride_is_the_kernel_size_by_default() -> None:
    """A 2x2 maximum over 28x28 gives 14x14 (LeNet); with kernel 3 and stride 2, 55 gives 27 (AlexNet)."""
    assert MaxPool(kernel_size=2).shape(Shape((6, 28, 28))) == (6, 14, 14)
    assert MaxPool(kernel_size=3, stride=2).shape(Shape((96, 55, 55))) == (96, 27, 27)


def test_ceil_mode_drops_a_window_that_starts_in_the_padding() -> None:
    """(5 + 2 - 2)/3 rounds up to 2: starts at -1, 2 and 5, of which 5 is in the padding. 112 with 3, 2 gives 56."""
    assert MaxPool(kernel_size=2, stride=3, padding=1, ceil_mode=True).shape(Shape((1, 5))) == (1, 2)
    assert MaxPool(kernel_size=3, stride=2, ceil_mode=True).shape(Shape((64, 112, 112))) == (64, 56, 56)
    assert MaxPool(kernel_size=3, stride=2).shape(Shape((64, 112, 112))) == (64, 55, 55)


def rejected(layer: Pool, x: Shape) -> Rejected:
    with pytest.raises(Rejected) as caught:
        layer.shape(x)
    return caught.value


def test_errors_say_which_numbers_disagree() -> None:
    error = rejected(MaxPool(kernel_size=3, padding=2), Shape((3, 8, 8)))
    assert (error.problem.code, error.argument) == ("E404", "padding")
    assert "padding (2) is more than half of kernel_size (3)" in str(error)
    assert error.help is not None
    assert error.help.startswith("padding=1")
    error = rejected(MaxPool(kernel_size=5), Shape((3, 8, 4)))
    assert error.problem.code == "E402"
    assert "would be 0 on the width axis" in str(error)
    assert error.help is not None
    assert error.help.endswith("a kernel of 4 is the largest that fits")
    assert rejected(AvgPool(kernel_size=4, padding=2), Shape((3, 3, 8, 8))).argument == "kernel_size"
    assert rejected(AdaptiveAvgPool(output_size=(1, 1)), Shape((3, 4))).argument == "output_size"
    assert rejected(MaxPool(kernel_size=2), Shape((10,))).problem.code == "E401"


@st.composite
def arguments(draw: st.DrawFn, name: str) -> tuple[Pool, Shape]:
    """A pool and an input for it, on which it may be rejected."""
    rank = draw(st.integers(1, 3))

    def per_axis(numbers: st.SearchStrategy[int]) -> Any:
        return draw(st.one_of(numbers, st.tuples(*[numbers] * rank)))

    keywords = {"kernel_size": per_axis(st.integers(1, 4)), "ceil_mode": draw(st.booleans())}
    keywords["stride"] = draw(st.none() | st.just(per_axis(st.integers(1, 4))))
    if name == "LPPool":
        keywords["norm_type"] = draw(st.sampled_from([1, 2, 3.0, 2.5, 4]))
    else:
        keywords["padding"] = per_axis(st.integers(0, 2))
    if name == "MaxPool":
        keywords["dilation"] = per_axis(st.integers(1, 3))
    if name == "AvgPool":
        keywords["count_include_pad"] = draw(st.booleans())
        keywords["divisor_override"] = draw(st.none() | st.integers(1, 7))
    x = Shape((draw(st.integers(1, 3)), *draw(st.tuples(*[st.integers(1, 7)] * rank))))
    return POOLS[name](**keywords), x


@pytest.mark.parametrize("name", POOLS)
@settings(max_examples=150, deadline=None)
@given(data=st.data(), opset=st.sampled_from([13, 18, 20, 23]))
def test_onnx_runtime_gives_torchs_numbers(name: str, data: st.DataObject, opset: int) -> None:
    layer, x = data.draw(arguments(name))
    assume(accepts(layer, x))
    windows = layer.windows(x) if isinstance(layer, MaxPool) else ()
    assume(not any(_misses_the_input(window, size) for window, size in zip(windows, x.spatial, strict=False)))
    require_same_numbers(layer, x, opset=opset)


def _misses_the_input(window: Window, size: int) -> bool:
    """Whether a dilated window steps over the whole input: PyTorch's maximum of nothing is -inf, ONNX's -3.4e38."""
    starts = range(-window.before, size, window.stride)
    return any(all(not 0 <= start + i * window.dilation < size for i in range(window.kernel)) for start in starts)


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        # GoogLeNet's pools, and the case in which PyTorch's divisors differ from ONNX's: ceil_mode beside padding.
        (MaxPool(kernel_size=3, stride=2, ceil_mode=True), "2x8x7"),
        (AvgPool(kernel_size=3, stride=2, padding=1, ceil_mode=True), "2x8x8"),
        (AvgPool(kernel_size=3, stride=3, padding=1, ceil_mode=True, count_include_pad=False), "2x6x6"),
        (AvgPool(kernel_size=3, stride=2, padding=1, ceil_mode=True, divisor_override=2), "2x8x8"),
        (MaxPool(kernel_size=2, dilation=5, stride=4, ceil_mode=True), "2x7"),
        (LPPool(norm_type=3, kernel_size=2, stride=2, ceil_mode=True), "2x5x5"),
    ],
    ids=str,
)
def test_awkward_pools_agree_in_onnx_runtime(layer: Pool, x: str) -> None:
    require_same_numbers(layer, Shape(map(int, x.split("x"))))


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize("size", range(1, 8))
def test_adaptive_pools_agree_with_torch(name: str, size: int) -> None:
    """Every output size from 1 to beyond the input's, dividing it or not, on each of up to three axes."""
    for output in range(1, 10):
        others = ((), (3,), (3, 4))[output % 3]
        x = Shape((2, size, *others))
        layer = ADAPTIVE[name](output_size=(output, *[None] * len(others)))
        assert layer.shape(x) == (2, output, *others)
        require_same_numbers(layer, x)
        if others:
            x = Shape((2, *others, size))
            require_same_numbers(ADAPTIVE[name](output_size=output), x, opset=13 + output)


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize(
    ("x", "output"), [("2x4", 2), ("2x4", (3,)), ("2x4x5", (None, 2)), ("2x4x5x6", 3), ("2x4", ())]
)
def test_adaptive_sizes_are_taken_as_by_torch(name: str, x: str, output: Any) -> None:
    shape = Shape(map(int, x.split("x")))
    form = TorchForm(f"nn.{name}{shape.rank}d", (output,))
    require_agreement(ADAPTIVE[name](output_size=output), form, shape)


def test_global_pools_are_onnxs_own() -> None:
    for layer in (AdaptiveAvgPool(output_size=1), AdaptiveMaxPool(output_size=(1, 1))):
        require_same_numbers(layer, Shape((3, 5, 7)))


def seen(layer: Pool, x: Shape) -> int:
    """The cells of the input that PyTorch's gradient says one output cell depends on, the most over all of them."""
    module = module_of(layer.torch(x))
    most = 0
    for i in range(layer.shape(x)[1]):
        batch = torch.ones(1, *x, requires_grad=True)
        module(batch)[0, 0, i].backward()
        assert batch.grad is not None
        most = max(most, int(batch.grad[0, 0].count_nonzero()))
    return most


@pytest.mark.parametrize(
    ("layer", "size"),
    [(AvgPool(kernel_size=3), 9), *((AdaptiveAvgPool(output_size=output), 9) for output in range(1, 12))],
    ids=str,
)
def test_receptive_field_is_what_the_gradient_sees(layer: Pool, size: int) -> None:
    x = Shape((1, size))
    field = layer.receptive_field(ReceptiveField.of_input(x), x, layer.shape(x))
    assert field.sizes == (seen(layer, x),)
    assert field.extent == layer.shape(x).spatial


def test_adaptive_pool_spreads_its_outputs_over_the_input() -> None:
    x = Shape((1, 7, 12))
    layer = AdaptiveMaxPool(output_size=(3, 4))
    field = layer.receptive_field(ReceptiveField.of_input(x), x, layer.shape(x))
    assert field.jump == pytest.approx((7 / 3, 3))


def test_the_largest_window_is_known_without_listing_all() -> None:
    for size, output in product(range(1, 20), range(1, 40)):
        assert _reach(size, output) == max(end - start for start, end in adaptive_bounds(size, output))
    assert _reach(16, 10**10) == 1
