"""TensorFlow's padding: timm's layers of that name, on inputs of any size."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import timm
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.pool2d_same import AvgPool2dSame, MaxPool2dSame
from torch import Tensor, nn

import archdsl
from archdsl.layers.base import Layer
from archdsl.layers.conv import Conv
from archdsl.layers.pool import AvgPool, MaxPool
from archdsl.shapes import Shape
from archdsl.zoo import specs_folder
from tests.layers.agreement import module_of
from tests.layers.onnx_case import run_onnx

sizes = st.tuples(st.integers(1, 12), st.integers(1, 12))
kernels = st.tuples(st.integers(1, 5), st.integers(1, 5))
strides = st.tuples(st.integers(1, 4), st.integers(1, 4))


def require_equal(layer: Layer, module: nn.Module, size: tuple[int, int], expected: nn.Module) -> None:
    """The same output from both modules and from ONNX Runtime, in the shape that the checker says."""
    x = torch.randn(2, 3, *size)
    with torch.no_grad():
        found, wanted = module(x), expected(x)
    assert layer.shape(Shape((3, *size))) == tuple(found.shape[1:])
    torch.testing.assert_close(found, wanted)
    weights = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    np.testing.assert_allclose(run_onnx(layer, x.numpy(), weights), wanted.numpy(), rtol=1e-4, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(sizes, sizes, kernels, strides, st.integers(1, 2))
@example(made_for=(1, 1), size=(4, 1), k=(1, 1), s=(4, 1), d=1)
def test_conv_is_timms(
    made_for: tuple[int, int], size: tuple[int, int], k: tuple[int, int], s: tuple[int, int], d: int
) -> None:
    """A module that was made for one size is right for another."""
    layer = Conv(out_channels=4, kernel_size=k, stride=s, dilation=d, padding="same_upper")
    module = module_of(layer.torch(Shape((3, *made_for))))
    expected = Conv2dSame(3, 4, k, stride=s, dilation=d)
    expected.load_state_dict(module.state_dict())
    require_equal(layer, module, size, expected)


@settings(max_examples=40, deadline=None)
@given(sizes, kernels, strides, st.booleans())
def test_pools_are_timms(size: tuple[int, int], k: tuple[int, int], s: tuple[int, int], largest: bool) -> None:
    layer = (MaxPool if largest else AvgPool)(kernel_size=k, stride=s, padding="same_upper")
    expected = (MaxPool2dSame if largest else AvgPool2dSame)(k, s)
    require_equal(layer, module_of(layer.torch(Shape((3, *size)))), size, expected)


class MeanInside(nn.Module):
    """The mean of what of a window is inside the input, position by position."""

    def __init__(self, kernel: tuple[int, int], stride: tuple[int, int]) -> None:
        super().__init__()
        self.sums = AvgPool2dSame(kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.sums(x) / self.sums(torch.ones_like(x))  # type: ignore[no-any-return]


@settings(max_examples=50, deadline=None)
@given(sizes, kernels, strides)
def test_means_without_the_padding(size: tuple[int, int], k: tuple[int, int], s: tuple[int, int]) -> None:
    layer = AvgPool(kernel_size=k, stride=s, padding="same_upper", count_include_pad=False)
    require_equal(layer, module_of(layer.torch(Shape((3, *size)))), size, MeanInside(k, s))


@pytest.mark.parametrize("size", [5, 6, 7, 8])
def test_the_odd_element_is_at_the_end(size: int) -> None:
    """The corner sees its input's first pixel under the kernel's first column, wherever there is one to pad."""
    network = archdsl.load(f'model m {{ input(1x{size}x{size}); conv(1, 3, stride=2, padding="same_upper") }}')
    assert network.output_shape == (1, -(-size // 2), -(-size // 2))
    assert list(network.state) == ["0.weight", "0.bias"]
    assert network.layers[0].receptive_field == (3, 3)


@pytest.mark.parametrize(("mode", "size"), [("reflect", 2), ("circular", 1)])
def test_other_padding_needs_room(mode: str, size: int) -> None:
    text = f'input(3x{size}x{size}); conv(4, 5, padding="same_upper", padding_mode="{mode}")'
    with pytest.raises(archdsl.SpecError, match="padding"):
        archdsl.load(f"model m {{ {text} }}")


def test_a_network_with_tensorflows_padding_is_timms() -> None:
    """EfficientNet-B0 as its authors trained it; on an odd size the padding of each stage is another."""
    spec = (specs_folder() / "efficientnet.arch").read_text("utf-8")
    text = spec.replace("padding=kernel // 2", 'padding="same_upper"')
    assert text != spec
    ours = archdsl.load(text, model="efficientnet_b0", eps=0.001).build().eval()
    theirs = timm.create_model("tf_efficientnet_b0").eval()
    weights = zip(ours.state_dict(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict(dict(weights))
    for size in (65, 96):
        x = torch.randn(2, 3, size, size)
        with torch.no_grad():
            found, expected = ours(x), theirs(x)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
        assert expected.std() > 1e-6


DYNAMIC = """
model m {
  input(3x32x32)
  conv(8, 3, stride=2, padding="same_upper"); relu
  maxpool(3, stride=2, padding="same_upper"); avgpool(2, padding="same_upper", count_include_pad=false)
  conv(8, 1x3, stride=2, padding="same_upper"); maxpool(1, stride=2, padding="same_upper")
  mean((2, 3)); linear(5)
}
"""


def test_one_file_is_right_for_every_size(tmp_path: Path) -> None:
    """The export compares it with torch for three sizes; here for more, odd ones among them."""
    module = archdsl.load(DYNAMIC).build(seed=0).eval()
    archdsl.export_onnx(module, tmp_path / "m.onnx", dynamic_size=True)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    for height, width in [(1, 1), (7, 8), (33, 18), (34, 65)]:
        x = torch.randn(2, 3, height, width)
        with torch.no_grad():
            expected = module(x).numpy()
        np.testing.assert_allclose(session.run(None, {"input": x.numpy()})[0], expected, rtol=1e-4, atol=1e-5)


def test_a_dilated_kernel_needs_a_fixed_size(tmp_path: Path) -> None:
    module = archdsl.load('model m { input(3x9x9); conv(8, 3, dilation=2, padding="same_upper") }').build().eval()
    with pytest.raises(archdsl.SpecError, match="dynamic size"):
        archdsl.export_onnx(module, tmp_path / "m.onnx", dynamic_size=True)
    archdsl.export_onnx(module, tmp_path / "m.onnx")
