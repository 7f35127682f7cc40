"""Resampling compared with PyTorch: accepted arguments, sizes, and values in ONNX Runtime."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from archdsl.diagnostics import Rejected
from archdsl.layers.base import Layer, TorchForm
from archdsl.layers.resample import ChannelShuffle, PixelShuffle, PixelUnshuffle, Upsample, UpsampleMode
from archdsl.shapes import Shape
from archdsl.shapes.receptive_field import ReceptiveField
from tests.layers.agreement import module_of, require_agreement
from tests.layers.onnx_case import run_onnx

MODES: tuple[UpsampleMode, ...] = ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear")


def require_same_numbers(layer: Layer, x: Shape, *, opset: int = 20, tolerance: float = 1e-5) -> None:
    batch = torch.rand(2, *x, generator=torch.Generator().manual_seed(0))
    expected = module_of(layer.torch(x))(batch).numpy()
    np.testing.assert_allclose(run_onnx(layer, batch.numpy(), {}, opset=opset), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("align_corners", [None, False, True])
@pytest.mark.parametrize("recompute", [None, False, True])
def test_every_combination_is_taken_as_by_torch(
    mode: UpsampleMode, rank: int, align_corners: bool | None, recompute: bool | None
) -> None:
    given_arguments: dict[str, Any] = {
        "mode": mode if mode != "nearest" else None,
        "align_corners": align_corners,
        "recompute_scale_factor": recompute,
    }
    shared = {name: value for name, value in given_arguments.items() if value is not None}
    tuples = [{"size": (3,) * axes} for axes in (1, 2, 3)] + [{"scale_factor": (1.5,) * axes} for axes in (1, 2, 3)]
    scalars: list[dict[str, Any]] = [{"size": 7}, {"scale_factor": 2.0}, {"scale_factor": 0.1}]
    for target in [*scalars, *tuples, {}, {"size": 4, "scale_factor": 2.0}]:
        keywords = target | shared
        require_agreement(Upsample(**keywords), TorchForm("nn.Upsample", (), keywords), Shape((2, 5, 6, 7)[: rank + 1]))


@settings(max_examples=200, deadline=None)
@given(size=st.integers(1, 300), numerator=st.integers(1, 500), denominator=st.sampled_from([100, 10, 3, 7, 1]))
def test_size_is_rounded_down_as_by_torch(size: int, numerator: int, denominator: int) -> None:
    keywords: dict[str, Any] = {"scale_factor": numerator / denominator}
    require_agreement(Upsample(**keywords), TorchForm("nn.Upsample", (), keywords), Shape((1, size)))


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("opset", [13, 23])
def test_nearest_reads_torchs_cells(mode: UpsampleMode, opset: int) -> None:
    """Whole and broken factors, larger and smaller. PyTorch divides in single precision: 1/41*41 is under 1 there."""
    for rank, size, output in [
        (1, 2, 9),
        (1, 5, 3),
        (2, 3, 6),
        (2, 4, 10),
        (2, 7, 2),
        (3, 3, 9),
        (1, 1, 49),
        (1, 2, 82),
    ]:
        require_same_numbers(Upsample(size=output, mode=mode), Shape((2, *[size] * rank)), opset=opset)
    for rank, size, factor in [
        (1, 5, 1.3),
        (2, 10, 2.05),
        (2, 2, 1.4),
        (2, 6, 0.7),
        (3, 4, 1.5),
        (3, 10, 2.05),
        (1, 3, 3),
    ]:
        require_same_numbers(Upsample(scale_factor=factor, mode=mode), Shape((2, *[size] * rank)), opset=opset)
        layer = Upsample(scale_factor=factor, mode=mode, recompute_scale_factor=True)
        require_same_numbers(layer, Shape((2, *[size] * rank)), opset=opset)


@pytest.mark.parametrize("mode", [mode for mode in MODES if "nearest" not in mode])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("opset", [13, 18, 23])
def test_interpolation_agrees_in_onnx_runtime(mode: UpsampleMode, align_corners: bool, opset: int) -> None:
    rank = {"linear": 1, "trilinear": 3}.get(mode, 2)
    x = Shape((2, 7, 6, 5)[: rank + 1])
    for target in (
        {"size": 1},
        {"size": 4},
        {"size": (14, 3, 9)[:rank]},
        {"scale_factor": 2.0},
        {"scale_factor": 0.55},
    ):
        require_same_numbers(Upsample(mode=mode, align_corners=align_corners, **target), x, opset=opset)
    # floor(7 * 1.7) = 11: placed by the factor or, where it is recomputed, by 11/7.
    for recompute in (None, True):
        layer = Upsample(scale_factor=1.7, mode=mode, align_corners=align_corners, recompute_scale_factor=recompute)
        require_same_numbers(layer, x, opset=opset)
    # Factors that leave a size as it is: the linear modes copy that axis, the cubic one does not.
    for factor in (1.05, (1.0, 1.1, 1.6)[3 - rank :], (1.04, 1.0, 1.02)[:rank]):
        require_same_numbers(Upsample(scale_factor=factor, mode=mode, align_corners=align_corners), x, opset=opset)


@pytest.mark.parametrize(("size", "factor", "output"), [(25, 1.16, 28), (45, 1.4, 62), (100, 0.29, 28)])
def test_a_factor_that_single_precision_rounds_up_keeps_its_size(size: int, factor: float, output: int) -> None:
    """100 * 0.29 is 28.999999999999996, so 28 cells; in single precision, ONNX's, it is 29."""
    layer = Upsample(scale_factor=factor, mode="linear")
    assert layer.shape(Shape((1, size))) == (1, output)
    require_same_numbers(layer, Shape((1, size)), tolerance=1e-4)


def test_upsample_halves_the_jump() -> None:
    x = Shape((1, 4, 4))
    reaches: tuple[tuple[UpsampleMode, int], ...] = (("nearest", 1), ("bilinear", 2), ("bicubic", 4))
    for mode, reach in reaches:
        layer = Upsample(scale_factor=2, mode=mode)
        field = layer.receptive_field(ReceptiveField.of_input(x), x, layer.shape(x))
        assert field.sizes == (reach, reach)
        assert field.jump == (0.5, 0.5)
        assert field.extent == (8, 8)


def test_arguments_that_exclude_each_other_are_rejected_by_name() -> None:
    cases: list[tuple[dict[str, Any], str | None]] = [
        ({}, None),
        ({"size": 4, "scale_factor": 2.0}, None),
        ({"size": 4, "align_corners": True}, "align_corners"),
        ({"size": 4, "recompute_scale_factor": True}, "recompute_scale_factor"),
    ]
    for keywords, argument in cases:
        with pytest.raises(Rejected) as caught:
            Upsample(**keywords).shape(Shape((1, 8)))
        assert (caught.value.problem.code, caught.value.argument) == ("E405", argument)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_pixel_shuffle_agrees_with_torch(factor: int) -> None:
    for channels, height, width in [(4, 2, 3), (9, 3, 6), (18, 1, 2), (8, 6, 6), (1, 3, 3)]:
        x = Shape((channels, height, width))
        for name, layer in (
            ("PixelShuffle", PixelShuffle(upscale_factor=factor)),
            ("PixelUnshuffle", PixelUnshuffle(downscale_factor=factor)),
        ):
            require_agreement(layer, TorchForm(f"nn.{name}", (factor,)), x)
            try:
                layer.shape(x)
            except Rejected:
                continue
            require_same_numbers(layer, x)


def test_pixel_unshuffle_undoes_pixel_shuffle() -> None:
    x, y = Shape((8, 3, 4)), Shape((2, 6, 8))
    assert PixelShuffle(upscale_factor=2).shape(x) == y
    assert PixelUnshuffle(downscale_factor=2).shape(y) == x
    field = PixelShuffle(upscale_factor=2).receptive_field(ReceptiveField.of_input(x), x, y)
    back = PixelUnshuffle(downscale_factor=2).receptive_field(field, y, x)
    assert [field.jump, back.jump] == [(0.5, 0.5), (1, 1)]
    assert back.extent == (3, 4)


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("x", ["6x5", "6x2x3", "6x2x3x2", "6"])
def test_channel_shuffle_agrees_with_torch(groups: int, x: str) -> None:
    shape = Shape(map(int, x.split("x")))
    layer = ChannelShuffle(groups=groups)
    require_agreement(layer, TorchForm("nn.ChannelShuffle", (groups,)), shape)
    if shape.rank and 6 % groups == 0:
        require_same_numbers(layer, shape, opset=13)


def test_channel_shuffle_deals_the_channels_out() -> None:
    """Groups (0 1 2) and (3 4 5) become 0 3 1 4 2 5 (Zhang et al. 2018, figure 1)."""
    batch = np.arange(6, dtype=np.float32).reshape(1, 6, 1)
    assert run_onnx(ChannelShuffle(groups=2), batch, {}).ravel().tolist() == [0, 3, 1, 4, 2, 5]
    assert functional.channel_shuffle(torch.from_numpy(batch), 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]
