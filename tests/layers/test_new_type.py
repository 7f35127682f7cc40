"""A new layer type is one class: every stage from the spec to ONNX Runtime works with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import archdsl
from archdsl.backends.torch.source import source
from archdsl.layers import arguments
from archdsl.layers.base import KINDS, Layer, OnnxBuilder, Positive, Twin
from archdsl.layers.windows import onnx_window, slide, windows_of
from archdsl.shapes import Shape, Window

SPEC = """
model m {
  input(3x9x8)
  conv(4, 3)
  test_maxpool(2, stride=1)
  flatten
  linear(2)
}
"""


@pytest.fixture
def new_type() -> Iterator[type[Layer]]:
    """A pool of another name, as its author would write it."""

    class MaxPool(Twin):
        kind = "test_maxpool"
        twin = "nn.{name}{rank}d"

        kernel_size: Positive
        stride: Positive | None = None

        def windows(self, x: Shape) -> tuple[Window, ...]:
            return windows_of(self, x, self.kernel_size, self.stride)

        def shape(self, x: Shape, *operands: Shape) -> Shape:
            return Shape((x.channels, *slide(self, self.windows(x), x)))

        def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
            return g.node("MaxPool", g.input, **onnx_window(self.windows(x)))

    yield MaxPool
    del KINDS[MaxPool.kind]


def test_one_class_is_all_that_a_new_layer_type_needs(new_type: type[Layer], tmp_path: Path) -> None:
    network = archdsl.load(SPEC)
    pool = network.layers[1]
    assert (pool.kind, pool.output, pool.receptive_field) == ("test_maxpool", (4, 6, 5), (4, 4))
    module = network.build(seed=0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2, stride=1), nn.Flatten(), nn.Linear(120, 2))
    plain.load_state_dict(module.state_dict())
    x = torch.randn(2, 3, 9, 8)
    assert torch.equal(module(x), plain(x))
    assert "nn.MaxPool2d(2, stride=1)" in source(network)
    archdsl.export_onnx(module, tmp_path / "m.onnx")  # compares it with ONNX Runtime
    assert [one.name for one in arguments(new_type)] == ["kernel_size", "stride"]


@pytest.mark.usefixtures("new_type")
def test_its_mistakes_are_found_at_their_places() -> None:
    with pytest.raises(archdsl.SpecError) as error:
        archdsl.load(SPEC.replace("test_maxpool(2, stride=1)", "test_maxpool(2, strides=1)"))
    assert "E203" in str(error.value)
    assert "did you mean `stride`?" in str(error.value)
    with pytest.raises(archdsl.SpecError, match="would be 0 on the height axis"):
        archdsl.load(SPEC.replace("test_maxpool(2, stride=1)", "test_maxpool(8, stride=1)"))
