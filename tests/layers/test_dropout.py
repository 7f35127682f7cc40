"""Dropout: absent in ONNX, its arguments, and stochastic depth compared with torchvision."""

from typing import Literal

import pytest
import torch
import torchvision
from pydantic import ValidationError

from archdsl.diagnostics import Rejected
from archdsl.layers.base import Layer
from archdsl.layers.dropout import AlphaDropout, ChannelDropout, Dropout, StochasticDepth
from archdsl.shapes import Shape
from tests.layers.agreement import module_of
from tests.layers.onnx_case import onnx_model

KINDS = [Dropout(), ChannelDropout(), AlphaDropout(), StochasticDepth(p=0.3)]


@pytest.mark.parametrize("layer", KINDS, ids=lambda layer: layer.kind)
def test_onnx_has_no_trace_of_it(layer: Layer) -> None:
    model = onnx_model(layer, Shape((4, 5)), {})
    assert [node.op_type for node in model.graph.node] == ["Identity"]  # from the graph's input to its output


@pytest.mark.parametrize("kind", [Dropout, ChannelDropout, AlphaDropout, StochasticDepth])
@pytest.mark.parametrize("p", [-0.1, 1.1, "0.5", True, None])
def test_probability_is_between_0_and_1(kind: type[Layer], p: object) -> None:
    with pytest.raises(ValidationError):
        kind(**{"p": p})


@pytest.mark.parametrize("p", [0, 0.0, 1, 1.0])
def test_the_ends_are_probabilities_too(p: float) -> None:
    x = torch.ones(8, 3, 4)
    y = module_of(Dropout(p=p).torch(Shape((3, 4))))(x)
    assert torch.equal(y, x * (1 - p))


@pytest.mark.parametrize("x", ["4x6", "4x5x6", "4x3x5x6"])
def test_channel_dropout_zeroes_whole_channels(x: str) -> None:
    shape = Shape(map(int, x.split("x")))
    torch.manual_seed(0)
    y = module_of(ChannelDropout(p=0.5).torch(shape))(torch.ones(64, *shape))
    channels = y.reshape(64 * 4, -1)
    assert set(channels[:, 0].tolist()) == {0.0, 2.0}
    assert torch.equal(channels, channels[:, :1].expand_as(channels))


@pytest.mark.parametrize("x", [(5,), (5, 2, 2, 2, 2)])
def test_channel_dropout_needs_channels_of_cells(x: tuple[int, ...]) -> None:
    with pytest.raises(Rejected) as caught:
        ChannelDropout().shape(Shape(x))
    assert caught.value.problem.code == "E401"


@pytest.mark.parametrize("mode", ["row", "batch"])
def test_stochastic_depth_draws_what_torchvision_draws(mode: Literal["row", "batch"]) -> None:
    ours = module_of(StochasticDepth(p=0.4, mode=mode).torch(Shape((3, 4))))
    twin = torchvision.ops.StochasticDepth(0.4, mode)
    x = torch.rand(16, 3, 4)
    for seed in range(5):
        torch.manual_seed(seed)
        expected = twin(x)
        torch.manual_seed(seed)
        assert torch.equal(ours(x), expected)


def test_stochastic_depth_drops_rows_unless_told() -> None:
    torch.manual_seed(0)
    y = module_of(StochasticDepth(p=0.5).torch(Shape((3,))))(torch.ones(64, 3))
    assert {tuple(row) for row in y.tolist()} == {(0.0,) * 3, (2.0,) * 3}
