"""Learned tensors as parameters of a scope: their keys, their place in the state_dict, their values."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import Tensor, nn

import archdsl
from archdsl.backends.torch.source import source

SPEC = """
model tokens {
  input(3x8x8)
  conv: conv(4, 2, stride=2)
  scaled: scale { gamma: parameter((channels, 1, 1), init=constant(0.5)) }
  flatten(2); transpose(1, 2)
  inception { class_token: parameter(1x4, batch_axis=true, trainable=false); {} }
  residual { position: parameter(shape, batch_axis=true, init=normal(std=0.02)) }
  select(1, 0)
  head: linear(2)
}
"""


class Tokens(nn.Module):
    """The same by hand."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gamma = nn.Parameter(torch.full((4, 1, 1), 0.5))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.gamma

    def __init__(self) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, 4), requires_grad=False)
        self.position = nn.Parameter(torch.zeros(1, 17, 4))
        self.conv = nn.Conv2d(3, 4, 2, stride=2)
        self.scaled = self.Scaled()
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.scaled(self.conv(x)).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], 1) + self.position
        result: Tensor = self.head(x[:, 0])
        return result


def settled() -> tuple[nn.Module, nn.Module]:
    theirs = Tokens()
    nn.init.normal_(theirs.class_token)
    nn.init.normal_(theirs.position)
    ours = archdsl.load(SPEC).build()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


def test_keys_order_and_outputs_are_those_of_the_module_by_hand() -> None:
    theirs, ours = settled()
    network = archdsl.load(SPEC)
    assert list(ours.state_dict()) == list(theirs.state_dict()) == list(network.state)
    assert [tuple(tensor.shape) for tensor in network.state.values()] == [
        tuple(tensor.shape) for tensor in theirs.state_dict().values()
    ]
    x = torch.randn(3, 3, 8, 8)
    assert torch.equal(ours(x), theirs(x))
    trainable = {key for key, weight in theirs.named_parameters() if weight.requires_grad}
    assert {key for key, weight in ours.named_parameters() if weight.requires_grad} == trainable
    assert network.trainable_params == network.params - 4


def test_initialisation_is_the_specs() -> None:
    state = archdsl.load(SPEC).build(seed=0).state_dict()
    assert state["scaled.gamma"].unique().tolist() == [0.5]
    assert not state["class_token"].any()
    assert 0.01 < state["position"].std().item() < 0.03


def test_a_setting_for_all_weights_leaves_parameters_alone() -> None:
    module = archdsl.load("model m { input(4x4x4); init = ones; p: parameter(4x4x4); conv(1, 1) }").build()
    assert not module.state_dict()["p"].any()
    assert module.state_dict()["1.weight"].unique().tolist() == [1.0]


def test_the_printed_source_holds_the_same_parameters() -> None:
    _, ours = settled()
    names: dict[str, type[nn.Module]] = {}
    exec(source(archdsl.load(SPEC)), names)
    printed = names["Tokens"]()
    printed.load_state_dict(ours.state_dict(), strict=True)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(printed(x), ours(x))


def test_onnx_copies_a_parameter_only_where_it_has_to(tmp_path: Path) -> None:
    _, ours = settled()
    path = tmp_path / "tokens.onnx"
    archdsl.export_onnx(ours.eval(), path)
    assert [node.op_type for node in onnx.load(path).graph.node].count("Expand") == 1
    x = torch.randn(5, 3, 8, 8)
    (found,) = onnxruntime.InferenceSession(path).run(None, {"input": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), ours(x).detach(), rtol=0, atol=1e-6)
