"""Recurrent layers: the outputs, states and gradients of torch's modules, the last states, and what is rejected."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import archdsl
from archdsl.diagnostics import Rejected, SpecError
from archdsl.layers import all_kinds
from archdsl.layers.recurrent import LSTM, RNN
from archdsl.shapes import Shape
from tests.layers.agreement import module_of
from tests.layers.samples import Sample
from tests.layers.test_memory import saved_by

#: The arguments in a spec, and torch's module for 6 features.
CASES: dict[str, Any] = {
    "lstm(5)": lambda: nn.LSTM(6, 5, batch_first=True),
    "lstm(5, 2, bias=false, bidirectional=true)": lambda: nn.LSTM(
        6, 5, 2, bias=False, bidirectional=True, batch_first=True
    ),
    "lstm(5, 2, proj_size=3, bidirectional=true)": lambda: nn.LSTM(
        6, 5, 2, proj_size=3, bidirectional=True, batch_first=True
    ),
    "gru(5, 3, bidirectional=true)": lambda: nn.GRU(6, 5, 3, bidirectional=True, batch_first=True),
    'rnn(5, 2, "relu")': lambda: nn.RNN(6, 5, 2, nonlinearity="relu", batch_first=True),
    "rnn(5, bidirectional=true)": lambda: nn.RNN(6, 5, bidirectional=True, batch_first=True),
}


@pytest.mark.parametrize("call", CASES)
def test_outputs_and_gradients_are_torchs(call: str, tmp_path: Path) -> None:
    network = archdsl.load(f"model m {{ input(9x6); r: {call} }}")
    ours, theirs = network.build(seed=0), CASES[call]()
    theirs.load_state_dict({key.removeprefix("r."): tensor for key, tensor in ours.state_dict().items()})
    assert list(network.state) == [f"r.{key}" for key in theirs.state_dict()]
    x = torch.randn(3, 9, 6, requires_grad=True)
    y, expected = ours(x), theirs(x)[0]
    assert torch.equal(y, expected)
    assert network.output_shape == y.shape[1:]
    weight = torch.randn_like(y)
    for found, wanted in zip(
        torch.autograd.grad((y * weight).sum(), [x, *ours.parameters()]),
        torch.autograd.grad((expected * weight).sum(), [x, *theirs.parameters()]),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted)
    twin = copy.deepcopy(ours)
    assert torch.equal(twin(x), y)
    archdsl.export_onnx(ours, tmp_path / "m.onnx")  # compares with ONNX Runtime


def test_the_last_states_of_both_directions() -> None:
    """The second direction ends at the first position, as the documentation has it."""
    network = archdsl.load("""
      model m {
        input(9x6)
        r: lstm(5, bidirectional=true)
        inception {
          { narrow(2, 0, 5); select(1, -1) }
          { narrow(2, 5, 5); select(1, 0) }
        }
      }
    """)
    module: Any = network.build(seed=0)
    x = torch.randn(3, 9, 6)
    _, (states, _) = nn.LSTM.forward(module.r, x)
    torch.testing.assert_close(module(x), torch.cat([states[0], states[1]], dim=1))


def test_dropout_between_layers_in_training_only() -> None:
    module = archdsl.load("model m { input(9x6); gru(5, 2, dropout=0.5) }").build(seed=0)
    x = torch.randn(3, 9, 6)
    assert not torch.equal(module(x), module(x))
    assert torch.equal(module.eval()(x), module(x))


def test_weights_of_any_layer_can_be_initialised_and_frozen() -> None:
    module = archdsl.load("""
      model m {
        input(9x6)
        init = {lstm: {weight_hh_l1_reverse: orthogonal, bias_ih_l0: zeros}}
        r: lstm(5, 2, bidirectional=true, trainable={weight_hr_l0: false}, proj_size=2)
      }
    """).build(seed=0)
    assert module.get_parameter("r.bias_ih_l0").abs().max() == 0
    rows = module.get_parameter("r.weight_hh_l1_reverse")
    torch.testing.assert_close(rows.T @ rows, torch.eye(2), rtol=0, atol=1e-5)
    assert [name for name, one in module.named_parameters() if not one.requires_grad] == ["r.weight_hr_l0"]


@pytest.mark.parametrize("name", ["weight_hh", "weight_hh_l", "weight_hh_l0_backward", "weight_hr_l0", "weight_xx_l0"])
def test_unknown_weights_are_rejected(name: str) -> None:
    with pytest.raises(SpecError, match=f"`{name}` is not defined") as caught:
        archdsl.load(f"model m {{ input(9x6); init = {{gru: {{{name}: zeros}}}}; gru(5) }}")
    assert "weight_hh_l0" in str(caught.value)


def test_a_projection_is_smaller_than_the_state() -> None:
    layer = LSTM(hidden_size=4, proj_size=4)
    with pytest.raises(Rejected, match="proj_size 4 must be less than hidden_size 4"):
        layer.shape(Shape((9, 6)))
    with pytest.raises(ValueError, match="proj_size"):
        module_of(layer.torch(Shape((9, 6))))


def test_a_map_is_no_sequence_and_the_help_says_how_to_make_one() -> None:
    with pytest.raises(Rejected, match="a sequence") as caught:
        RNN(hidden_size=4).shape(Shape((8, 4, 4)))
    assert caught.value.help == "`flatten(1, 2); transpose(1, 2)` makes a sequence of the columns of a feature map"
    network = archdsl.load("model m { input(8x4x6); flatten(1, 2); transpose(1, 2); gru(5) }")
    assert network.output_shape == (6, 5)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_what_the_backward_pass_keeps_of_a_long_sequence(kind: str) -> None:
    """Long enough that the weights, which the backward pass keeps too, are a small part."""
    for arguments in ({}, {"num_layers": 2, "bidirectional": True}):
        sample = Sample(kind, Shape((400, 12)), {"hidden_size": 8, **arguments})
        memory = all_kinds()[kind](**sample.arguments).memory(sample.x, sample.y)
        assert saved_by(sample)[1] == pytest.approx(sum(one.nbytes for one in memory.kept), rel=0.01)
