"""Convolutions: the worked examples of the shape rule, and random arguments against PyTorch."""

from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archdsl.diagnostics import Rejected
from archdsl.layers.base import TorchForm, changed
from archdsl.layers.conv import Conv, ConvTranspose
from archdsl.shapes import Shape
from archdsl.shapes.receptive_field import ReceptiveField
from tests.layers.agreement import require_agreement


@pytest.mark.parametrize(
    ("size", "arguments", "expected"),
    [
        # 227 with an 11-kernel at stride 4 is (227 - 11)/4 + 1 = 55: AlexNet's first layer.
        (227, {"kernel_size": 11, "stride": 4}, 55),
        (28, {"kernel_size": 5, "padding": 2}, 28),
        # 224 with 7, stride 2, padding 3 is floor(223/2) + 1 = 112: ResNet's first layer.
        (224, {"kernel_size": 7, "stride": 2, "padding": 3}, 112),
    ],
)
def test_worked_examples(size: int, arguments: dict[str, Any], expected: int) -> None:
    conv = Conv(out_channels=96, **arguments)
    assert conv.shape(Shape((3, size, size))) == (96, expected, expected)


@pytest.mark.parametrize(("size", "layers", "expected"), [(32, 7, 4), (240, 10, 200)])
def test_five_kernels_shrink_by_four_each(size: int, layers: int, expected: int) -> None:
    x = Shape((3, size, size))
    field = ReceptiveField.of_input(x)
    for _ in range(layers):
        conv = Conv(out_channels=4, kernel_size=5)
        y = conv.shape(x)
        field, x = conv.receptive_field(field, x, y), y
    assert x == (4, expected, expected)
    assert field.sizes == (1 + 4 * layers, 1 + 4 * layers)


def test_figures_of_alexnets_first_layer() -> None:
    """96 kernels of 11x11x3 and a bias each; each weight is used at 55x55 places (Krizhevsky 2012)."""
    conv, x = Conv(out_channels=96, kernel_size=11, stride=4), Shape((3, 227, 227))
    assert sum(tensor.numel for tensor in conv.weights(x).values()) == 96 * (363 + 1) == 34_944
    assert conv.macs(x, conv.shape(x)) == 96 * 55 * 55 * 363 == 105_415_200


def test_an_error_names_both_numbers_and_the_fix() -> None:
    with pytest.raises(Rejected) as caught:
        Conv(out_channels=8, kernel_size=5).shape(Shape((3, 4, 4)))
    assert caught.value.problem.code == "E402"
    # (4 - 5)//1 + 1 = 0; with padding=1 it is 4 + 2 - 5 + 1 = 2.
    assert "would be 0 on the height axis" in str(caught.value)
    assert caught.value.help is not None
    assert "padding=1 would give 2" in caught.value.help


def test_rejects_what_is_not_divisible() -> None:
    with pytest.raises(Rejected, match=r"input channels \(6\) must be divisible by groups \(4\)") as caught:
        Conv(out_channels=8, kernel_size=3, groups=4).shape(Shape((6, 8, 8)))
    assert (caught.value.problem.code, caught.value.argument) == ("E403", "groups")


@pytest.mark.parametrize("kind", [Conv, ConvTranspose])
def test_rejects_a_vector_and_four_spatial_axes(kind: type[Conv] | type[ConvTranspose]) -> None:
    for x in ((5,), (5, 4, 4, 4, 4)):
        with pytest.raises(Rejected) as caught:
            kind(out_channels=2, kernel_size=1).shape(Shape(x))
        assert caught.value.problem.code == "E401"


def test_rejects_a_tuple_for_another_rank() -> None:
    with pytest.raises(Rejected, match="kernel_size has 3 numbers, but the input 3x8x8 has 2 spatial axes"):
        Conv(out_channels=2, kernel_size=(3, 3, 3)).shape(Shape((3, 8, 8)))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [2, 3, 4])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_room_to_pad_is_torchs(mode: Literal["reflect", "replicate", "circular"], padding: int, rank: int) -> None:
    """One cell less than the axis of 3, just as much, and one more."""
    conv, x = Conv(out_channels=2, kernel_size=3, padding=padding, padding_mode=mode), Shape((2, *[3] * rank))
    form = TorchForm(f"nn.Conv{rank}d", (2, 2, 3), {"padding": padding, "padding_mode": mode})
    require_agreement(conv, form, x)


def _sizes(low: int, high: int, rank: int) -> st.SearchStrategy[int | tuple[int, ...]]:
    return st.integers(low, high) | st.tuples(*[st.integers(low, high)] * rank)


@st.composite
def inputs(draw: st.DrawFn) -> Shape:
    rank = draw(st.integers(1, 3))
    return Shape((draw(st.integers(1, 6)), *draw(st.lists(st.integers(1, 7), min_size=rank, max_size=rank))))


@settings(max_examples=150, deadline=None)
@given(inputs(), st.data())
def test_conv_agrees_with_torch(x: Shape, data: st.DataObject) -> None:
    conv = Conv(
        out_channels=data.draw(st.integers(1, 6)),
        kernel_size=data.draw(_sizes(1, 4, x.rank)),
        stride=data.draw(_sizes(1, 3, x.rank)),
        padding=data.draw(_sizes(0, 4, x.rank) | st.sampled_from(["same", "valid"])),
        dilation=data.draw(_sizes(1, 3, x.rank)),
        groups=data.draw(st.integers(1, 3)),
        bias=data.draw(st.booleans()),
        padding_mode=data.draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
    )
    names = ("stride", "padding", "dilation", "groups", "bias", "padding_mode")
    arguments = (x.channels, conv.out_channels, conv.kernel_size)
    require_agreement(conv, TorchForm(f"nn.Conv{x.rank}d", arguments, changed(conv, *names)), x)


@settings(max_examples=150, deadline=None)
@given(inputs(), st.data())
def test_conv_transpose_agrees_with_torch(x: Shape, data: st.DataObject) -> None:
    conv = ConvTranspose(
        out_channels=data.draw(st.integers(1, 6)),
        kernel_size=data.draw(_sizes(1, 4, x.rank)),
        stride=data.draw(_sizes(1, 3, x.rank)),
        padding=data.draw(_sizes(0, 3, x.rank)),
        output_padding=data.draw(_sizes(0, 2, x.rank)),
        groups=data.draw(st.integers(1, 3)),
        bias=data.draw(st.booleans()),
        dilation=data.draw(_sizes(1, 3, x.rank)),
    )
    names = ("stride", "padding", "output_padding", "groups", "bias", "dilation")
    arguments = (x.channels, conv.out_channels, conv.kernel_size)
    require_agreement(conv, TorchForm(f"nn.ConvTranspose{x.rank}d", arguments, changed(conv, *names)), x)
