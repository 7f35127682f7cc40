"""Parametrizations: the same state, numbers and gradients as with torch.nn.utils.parametrizations on a plain module."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations as theirs
from torch.nn.utils import spectral_norm, weight_norm

import archdsl
from archdsl.backends.torch import source
from archdsl.backends.torch.loading import load_weights
from archdsl.backends.torch.weights import save_weights
from archdsl.diagnostics import SpecError
from archdsl.elaborate.parametrization import NAMES
from archdsl.layers.parametrizations import PARAMETRIZATIONS
from tests.backends.torch import standalone

Make = Callable[[], nn.Module]
#: A layer, its input, the plain module, and which parametrization: with the arguments of torch's function.
LAYERS: dict[str, tuple[str, Make]] = {
    "conv(6, 3": ("4x9", lambda: nn.Conv1d(4, 6, 3)),
    "conv(6, (3, 2), groups=2, bias=false": ("4x9x8", lambda: nn.Conv2d(4, 6, (3, 2), groups=2, bias=False)),
    "conv_transpose(6, 3, stride=2": ("4x9x8", lambda: nn.ConvTranspose2d(4, 6, 3, stride=2)),
    "conv_transpose(6, 2, groups=2": ("4x9", lambda: nn.ConvTranspose1d(4, 6, 2, groups=2)),
    "linear(5": ("4x7", lambda: nn.Linear(7, 5)),
    "embedding(7, 5": ("int64(4)", lambda: nn.Embedding(7, 5)),
    "prelu(4": ("4x7", lambda: nn.PReLU(4)),
    "layernorm(": ("4x7", lambda: nn.LayerNorm((4, 7))),
}
WAYS: dict[str, tuple[Callable[..., nn.Module], dict[str, Any]]] = {
    "weight_norm": (theirs.weight_norm, {}),
    "weight_norm(dim=none)": (theirs.weight_norm, {"dim": None}),
    "spectral_norm": (theirs.spectral_norm, {}),
    "spectral_norm(n_power_iterations=3, eps=1e-4, dim=-1)": (
        theirs.spectral_norm,
        {"n_power_iterations": 3, "eps": 1e-4, "dim": -1},
    ),
}


def load(line: str, way: str, size: str) -> archdsl.Network:
    comma = "" if line.endswith("(") else ", "
    return archdsl.load(f"model m {{ input({size}); l: {line}{comma}parametrization={way}) }}")


def batch(network: archdsl.Network, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = network.input_shape
    if shape.dtype == "int64":
        return torch.randint(7, (3, *shape), generator=generator)
    return torch.randn(3, *shape, generator=generator)


def steps(module: nn.Module, network: archdsl.Network) -> list[Tensor]:
    """The outputs of three steps of training and of one in eval mode after them."""
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    outputs = []
    for seed in range(3):
        y = module(batch(network, seed))
        optimizer.zero_grad()
        (y * torch.linspace(-1, 1, y.numel()).reshape(y.shape)).sum().backward()
        optimizer.step()
        outputs.append(y)
    return [*outputs, module.eval()(batch(network, 3))]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("line", LAYERS)
def test_state_training_source_and_onnx_are_torchs(line: str, way: str, tmp_path: Path) -> None:
    size, make = LAYERS[line]
    network = load(line, way, size)
    function, arguments = WAYS[way]
    ours = network.build(seed=7)
    torch.manual_seed(7)
    plain = function(make(), **arguments)
    expected = {f"l.{key}": tensor for key, tensor in plain.state_dict().items()}
    state = ours.state_dict()
    assert list(state) == list(expected) == list(network.state)
    for key, tensor in expected.items():
        assert torch.equal(state[key], tensor), key
        assert network.state[key].shape == tuple(tensor.shape)
    assert list(network.trained) == [f"l.{name}" for name, _ in plain.named_parameters()]
    assert network.params == sum(weight.numel() for weight in plain.parameters())

    printed: dict[str, Any] = {"__name__": "printed"}
    exec(source(network), printed)
    torch.manual_seed(7)
    again = printed["M"]()
    assert list(again.state_dict()) == list(state)
    assert all(torch.equal(again.state_dict()[key], tensor) for key, tensor in expected.items())

    for found, other, wanted in zip(steps(ours, network), steps(again, network), steps(plain, network), strict=True):
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(other, wanted)
    assert archdsl.export_onnx(ours, tmp_path / "m.onnx") < 1e-4


def test_the_names_are_torchs() -> None:
    assert sorted(PARAMETRIZATIONS) == sorted(NAMES)
    for name, cls in PARAMETRIZATIONS.items():
        parameters = list(inspect.signature(getattr(theirs, name)).parameters.values())[2:]
        assert [(one.name, one.default) for one in parameters] == [
            (field, info.default) for field, info in cls.model_fields.items()
        ]


#: A network with a parametrization from each place that can give one.
SPEC = """
block unit(out, norm = weight_norm) { conv(out, 3, parametrization=norm); relu }
model m(norm = spectral_norm) {
  input(4x20)
  defaults = {linear: {parametrization: weight_norm(dim=none)}}
  let other = weight_norm(dim=1)
  a: unit(8)
  b: unit(8, norm=norm)
  c: conv(6, 3, parametrization=other, init=orthogonal, trainable={weight: false})
  d: conv(6, 1, parametrization=none)
  reuse(d)
  flatten
  e: linear(5, init={weight: xavier_uniform, bias: zeros})
  f: linear(5, init={weight: xavier_uniform, bias: zeros}, parametrization=none)
}
"""


def test_where_a_parametrization_comes_from_and_what_is_frozen() -> None:
    network = archdsl.load(SPEC)
    expected = {"a.0": "weight_norm", "b.0": "spectral_norm", "c": "weight_norm", "e": "weight_norm"}
    found = {key.partition(".parametrizations")[0] for key in network.state if "parametrizations" in key}
    assert found == set(expected)
    module = network.build(seed=0)
    frozen = [name for name, weight in module.named_parameters() if not weight.requires_grad]
    assert frozen == ["c.parametrizations.weight.original0", "c.parametrizations.weight.original1"]
    kernel = torch.as_tensor(module.get_submodule("c").weight).flatten(1)
    torch.testing.assert_close(kernel @ kernel.T, torch.eye(6), rtol=0, atol=1e-5)


def test_printed_source_initialises_before_it_parametrizes() -> None:
    network = archdsl.load(SPEC)
    printed: dict[str, Any] = {"__name__": "printed"}
    exec(source(network), printed)
    with standalone.same_draws():
        theirs = printed["M"]()
    with standalone.same_draws():
        ours = network.build()
    assert standalone.fresh(theirs) == standalone.fresh(ours)
    assert standalone.state(theirs) == standalone.state(ours)
    x = torch.randn(2, 4, 20)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(theirs.eval()(x), ours.eval()(x))
    assert "parametrizations.weight_norm(nn.Conv1d(4, 8, 3))" in source(network)


def test_settings_from_outside() -> None:
    keys = {key for key in archdsl.load(SPEC, norm="weight_norm").state if key.startswith("b.0.par")}
    assert keys == {"b.0.parametrizations.weight.original0", "b.0.parametrizations.weight.original1"}
    network = archdsl.load(SPEC, norm="weight_norm")
    assert archdsl.load(SPEC, settings=network.settings).state == network.state
    assert "b.0.weight" in archdsl.load(SPEC, norm=None).state


def test_weights_are_kept_on_disk_and_older_keys_are_read(tmp_path: Path) -> None:
    spec = """
      model m {
        input(4x9)
        conv(6, 3, parametrization=weight_norm); conv(6, 3, parametrization=spectral_norm)
      }
    """
    module = archdsl.load(spec).build(seed=0)
    save_weights(module, tmp_path / "m.safetensors")
    again = archdsl.load(spec).build(seed=1)
    load_weights(again, tmp_path / "m.safetensors")
    assert all(torch.equal(tensor, again.state_dict()[key]) for key, tensor in module.state_dict().items())

    old = nn.Sequential(weight_norm(nn.Conv1d(4, 6, 3)), spectral_norm(nn.Conv1d(6, 6, 3)))
    assert "0.weight_g" in old.state_dict()
    assert "1.weight_orig" in old.state_dict()
    torch.save(old.state_dict(), tmp_path / "old.pt")
    load_weights(again, tmp_path / "old.pt")
    x = torch.randn(2, 4, 9)
    torch.testing.assert_close(again.eval()(x), old.eval()(x))
    twin = copy.deepcopy(again)
    assert torch.equal(twin(x), again(x))


def test_a_layer_that_runs_twice_has_one_parametrization(tmp_path: Path) -> None:
    network = archdsl.load("model m { input(4x9); c: conv(4, 3, padding=1, parametrization=spectral_norm); reuse(c) }")
    module = network.build(seed=0)
    conv = module.get_submodule("c")
    x = torch.randn(2, 4, 9)
    torch.testing.assert_close(module.eval()(x), conv(conv(x)))
    archdsl.export_onnx(module, tmp_path / "m.onnx")


def test_another_parametrization_is_another_module() -> None:
    text = "spectral_norm(n_power_iterations=2) if length > 8 else spectral_norm"
    with pytest.raises(SpecError, match=r"E211.*parametrization"):
        archdsl.load(f"model m {{ input(4x9); c: conv(4, 3, parametrization={text}); reuse(c) }}")


def test_a_misspelt_parametrization_gets_a_suggestion() -> None:
    for text in ("weigth_norm", "weigth_norm(dim=0)"):
        with pytest.raises(SpecError, match="did you mean `weight_norm`"):
            archdsl.load(f"model m {{ input(4x9); conv(4, 3, parametrization={text}) }}")


def test_a_block_may_have_the_name() -> None:
    network = archdsl.load("block weight_norm(n) { conv(n, 1) }\nmodel m { input(4x9); weight_norm(3) }")
    assert network.output_shape == (3, 9)
