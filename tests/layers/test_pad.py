"""Padding and cropping compared with PyTorch: accepted arguments, sizes, and values in ONNX Runtime."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from archdsl.diagnostics import Rejected
from archdsl.layers.base import Layer, TorchForm
from archdsl.layers.pad import Crop, Pad, PadChannels, PadMode
from archdsl.shapes import Shape
from archdsl.shapes.receptive_field import ReceptiveField
from tests.layers.agreement import accepts, checked_shape, module_of, torch_shape
from tests.layers.onnx_case import run_onnx

CLASSES: dict[PadMode, str] = {
    "zeros": "ZeroPad",
    "reflect": "ReflectionPad",
    "replicate": "ReplicationPad",
    "circular": "CircularPad",
    "constant": "ConstantPad",
}


def require_same_numbers(layer: Layer, x: Shape, *, opset: int = 20) -> None:
    batch = torch.rand(2, *x, generator=torch.Generator().manual_seed(0)) + 1
    expected = module_of(layer.torch(x))(batch).numpy()
    np.testing.assert_array_equal(run_onnx(layer, batch.numpy(), {}, opset=opset), expected)


def torch_pad(mode: PadMode, rank: int, padding: int | tuple[int, ...]) -> TorchForm:
    return TorchForm(f"nn.{CLASSES[mode]}{rank}d", (padding, 2.5) if mode == "constant" else (padding,))


def require_taken_as_by_torch(mode: PadMode, x: Shape, padding: Any) -> None:
    """The same sizes or two errors; an empty output counts as rejected."""
    layer = Pad(padding=padding, mode=mode, value=2.5 if mode == "constant" else 0.0)
    form = torch_pad(mode, x.rank, padding)
    checked, found = checked_shape(layer, x), torch_shape(form, x)
    if isinstance(checked, Rejected):
        assert isinstance(found, str) or 0 in found, f"{layer!r} on {x}: rejected ({checked}), PyTorch {found}"
    else:
        assert checked == found, f"{layer!r} on {x}: checked {checked}, PyTorch {found}"
        assert layer.torch(x) == form


@pytest.mark.parametrize("mode", CLASSES)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_every_small_padding_is_taken_as_by_torch(mode: PadMode, rank: int) -> None:
    for size, before, after in product((1, 2, 4), range(-3, 4), range(-3, 4)):
        if mode == "circular" and before * after < 0:
            continue
        for axis in range(rank):
            x = Shape((1, *[3] * (rank - 1 - axis), size, *[3] * axis))
            padding = (0, 0) * axis + (before, after) + (0, 0) * (rank - 1 - axis)
            require_taken_as_by_torch(mode, x, padding)


@pytest.mark.parametrize("mode", CLASSES)
@pytest.mark.parametrize("x", ["2x4", "2x4x5", "2x4x5x3"])
@pytest.mark.parametrize("padding", [1, -1, 4])
def test_one_number_is_taken_as_by_torch(mode: PadMode, x: str, padding: int) -> None:
    require_taken_as_by_torch(mode, Shape(map(int, x.split("x"))), padding)


@pytest.mark.parametrize("mode", CLASSES)
@pytest.mark.parametrize(("x", "padding"), [("2x4", (1, 2)), ("2x4x5", (1, 2, 0, 1)), ("2x4x5x3", (1, 2, 0, 1, 2, 0))])
def test_numbers_per_side_are_taken_as_by_torch(mode: PadMode, x: str, padding: tuple[int, ...]) -> None:
    require_taken_as_by_torch(mode, Shape(map(int, x.split("x"))), padding)


@pytest.mark.parametrize("x", ["2x4", "2x4x5", "2x4x5x3"])
@pytest.mark.parametrize("padding", [(1, 2), (1, 2, 0, 1), (1, 2, 0, 1, 2, 0), (1,), (1, 2, 3), ()])
def test_two_numbers_for_each_axis(x: str, padding: tuple[int, ...]) -> None:
    shape = Shape(map(int, x.split("x")))
    found = checked_shape(Pad(padding=padding), shape)
    assert isinstance(found, Rejected) == (len(padding) != 2 * shape.rank)
    assert not isinstance(found, Rejected) or found.argument == "padding"


def test_circular_padding_with_both_signs_is_rejected() -> None:
    """PyTorch runs it, but the cells it returns were never written."""
    with pytest.raises(Rejected):
        Pad(padding=(-1, 1), mode="circular").shape(Shape((1, 5)))
    assert Pad(padding=(-1, -1, 2, 0), mode="circular").shape(Shape((1, 3, 5))) == (1, 5, 3)


@pytest.mark.parametrize("mode", CLASSES)
@settings(max_examples=80, deadline=None)
@given(data=st.data(), opset=st.sampled_from([13, 18, 19, 20, 23]))
def test_onnx_runtime_gives_torchs_numbers(mode: PadMode, data: st.DataObject, opset: int) -> None:
    rank = data.draw(st.integers(1, 3))
    x = Shape((data.draw(st.integers(1, 2)), *data.draw(st.tuples(*[st.integers(1, 4)] * rank))))
    padding = data.draw(st.tuples(*[st.integers(-2, 4)] * (2 * rank)) | st.integers(-1, 2))
    layer = Pad(padding=padding, mode=mode, value=2.5 if mode == "constant" else 0.0)
    assume(accepts(layer, x))
    require_same_numbers(layer, x, opset=opset)


def test_value_needs_the_constant_mode() -> None:
    with pytest.raises(Rejected) as caught:
        Pad(padding=1, value=3.0).shape(Shape((1, 5)))
    assert (caught.value.problem.code, caught.value.argument) == ("E405", "value")


@pytest.mark.parametrize(("size", "wanted", "start"), [(5, 3, 1), (6, 3, 1), (7, 4, 1), (4, 4, 0), (9, 1, 4)])
def test_crop_keeps_the_middle(size: int, wanted: int, start: int) -> None:
    """From floor((n - size)/2) on."""
    layer, x = Crop(size=wanted), Shape((1, size))
    assert layer.shape(x) == (1, wanted)
    batch = np.arange(size, dtype=np.float32).reshape(1, 1, size)
    kept = list(range(start, start + wanted))
    assert run_onnx(layer, batch, {}).ravel().tolist() == kept
    assert module_of(layer.torch(x))(torch.from_numpy(batch)).flatten().tolist() == kept


def test_crop_of_each_axis() -> None:
    require_same_numbers(Crop(size=(3, 7)), Shape((2, 8, 7)))
    require_same_numbers(Crop(size=2), Shape((2, 4, 5, 2)))
    for size, x in ((9, (1, 8, 9)), ((2, 2, 2), (1, 8, 9)), (2, (5,))):
        with pytest.raises(Rejected):
            Crop(size=size).shape(Shape(x))


def test_pad_channels_is_the_shortcut_of_the_cifar_resnets() -> None:
    """Option A: every second cell, and as many zero channels as there were, half of them on each side."""
    layer, x = PadChannels(out_channels=32, stride=2), Shape((16, 32, 32))
    assert layer.shape(x) == (32, 16, 16)
    batch = torch.rand(2, *x)
    expected = functional.pad(batch[:, :, ::2, ::2], (0, 0, 0, 0, 8, 8))
    assert torch.equal(module_of(layer.torch(x))(batch), expected)
    assert np.array_equal(run_onnx(layer, batch.numpy(), {}), expected.numpy())
    field = layer.receptive_field(ReceptiveField.of_input(x), x, layer.shape(x))
    assert (field.sizes, field.jump, field.extent) == ((1, 1), (2, 2), (16, 16))


@pytest.mark.parametrize(
    ("x", "stride"), [("3", 1), *((x, stride) for x in ("3x5", "3x4x5", "3x4x5x3") for stride in (1, 2, 3))]
)
@pytest.mark.parametrize("before", [None, 0, 2, 5])
def test_pad_channels_agrees_with_torch(x: str, before: int | None, stride: int) -> None:
    shape = Shape(map(int, x.split("x")))
    layer = PadChannels(out_channels=8, before=before, stride=stride)
    batch = torch.rand(2, *shape)
    cells = batch[(slice(None), slice(None), *[slice(None, None, stride)] * shape.rank)]
    front = 2 if before is None else before
    zeros = torch.zeros(2, 8, *cells.shape[2:])
    zeros[:, front : front + 3] = cells
    assert layer.shape(shape) == tuple(zeros.shape[1:])
    assert torch.equal(module_of(layer.torch(shape))(batch), zeros)
    assert np.array_equal(run_onnx(layer, batch.numpy(), {}, opset=13), zeros.numpy())


def test_a_vector_has_no_cells_to_step_over() -> None:
    with pytest.raises(Rejected):
        PadChannels(out_channels=8, stride=2).shape(Shape((3,)))


def test_pad_channels_only_adds() -> None:
    for keywords, argument in (({"out_channels": 2}, "out_channels"), ({"out_channels": 5, "before": 3}, "before")):
        with pytest.raises(Rejected) as caught:
            PadChannels(**keywords).shape(Shape((3, 4, 4)))
        assert caught.value.argument == argument
    same = PadChannels(out_channels=3)
    assert same.shape(Shape((3, 4, 4))) == (3, 4, 4)
    require_same_numbers(same, Shape((3, 4, 4)))
