"""A built module is an ordinary module: what people do with modules works."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, note, settings
from torch import Tensor, nn

import archdsl
from archdsl import zoo
from archdsl.backends.torch import network_of, source
from tests.backends.torch.reference import Program, specs

SPEC = """
block unit(width, stride = 1) {
  residual {
    conv1: conv(width, 3, stride=stride, padding=1, bias=false); bn1: batchnorm; relu
    conv2: conv(width, 3, padding=1, bias=false);                bn2: batchnorm
  } shortcut {
    if stride != 1 { down: { conv(width, 1, stride=stride, bias=false); batchnorm } }
  }
  relu
}
model mixed(classes = 5) {
  input(3x16x16)
  stem: { conv(8, 3, padding=1); batchnorm; relu } -> low
  layer1: { unit(8); unit(16, stride=2) }
  wide-part: {
    inception { conv(4, 1); { maxpool(3, stride=1, padding=1); conv(4, 1) } }
    scale { adaptive_avgpool(1); conv(channels, 1); sigmoid }
    dense { conv(4, 1); { batchnorm; relu; conv(4, 1) } }
  }
  extra: aux { adaptive_avgpool(1); flatten; linear(classes) }
  upsample(scale_factor=2.0)
  join: { concat(low); conv(8, 1) }
  head: { adaptive_avgpool(1); flatten; dropout(0.1); linear(classes) }
}
"""


@pytest.fixture
def module() -> Any:
    return archdsl.load(SPEC).build(seed=0)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def test_the_tree_mirrors_the_spec(module: Any) -> None:
    assert [name for name, _ in module.named_children()] == [
        "stem", "layer1", "wide-part", "extra", "4", "join", "head"
    ]  # fmt: skip
    assert isinstance(module.stem, nn.Sequential)
    assert isinstance(module.layer1, nn.Sequential)
    assert type(module.layer1[0]).__name__ == "Unit"
    text = str(module)
    assert "(conv1): Conv2d(3" not in text
    assert "(conv1): Conv2d(8, 8, kernel_size=(3, 3)" in text


def test_forward_is_straight_line_code(module: Any) -> None:
    text = inspect.getsource(type(module).forward)
    assert "self.stem(x)" in text
    assert "for " not in text


def test_a_sequence_can_be_sliced() -> None:
    alexnet: Any = zoo.build("alexnet").eval()
    x = torch.randn(1, 3, 224, 224)
    assert alexnet.features[:5](x).shape == (1, 192, 27, 27)
    assert len(alexnet.classifier) == 7


def test_a_scope_can_be_hooked(module: Any, x: Tensor) -> None:
    seen: dict[str, tuple[int, ...]] = {}
    for name in ("layer1", "layer1.0", "wide-part", "head"):
        module.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: seen.__setitem__(name, tuple(output.shape))
        )
    module.eval()(x)
    assert seen == {"layer1.0": (3, 8, 16, 16), "layer1": (3, 16, 8, 8), "wide-part": (3, 16, 8, 8), "head": (3, 5)}


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_any_batch(module: Any, batch: int) -> None:
    assert module.eval()(torch.randn(batch, 3, 16, 16)).shape == (batch, 5)


def test_deep_copies_are_independent(module: Any, x: Tensor) -> None:
    twin = copy.deepcopy(module)
    expected = module.eval()(x)
    torch.testing.assert_close(twin.eval()(x), expected)
    nn.init.zeros_(twin.head[3].weight)
    torch.testing.assert_close(module(x), expected)
    assert network_of(twin) == network_of(module)


def test_it_unpickles_in_another_process(module: Any, x: Tensor, tmp_path: Path) -> None:
    expected = module.eval()(x)
    (tmp_path / "module.pickle").write_bytes(pickle.dumps(module))
    torch.save({"x": x, "expected": expected}, tmp_path / "case.pt")
    script = (
        "import pickle, torch\n"
        "module = pickle.load(open('module.pickle', 'rb'))\n"
        "case = torch.load('case.pt')\n"
        "torch.testing.assert_close(module(case['x']), case['expected'])\n"
        "from archdsl.backends.torch import network_of\n"
        "assert network_of(module).params == sum(p.numel() for p in module.parameters())\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)


def test_other_dtypes_and_devices(module: Any, x: Tensor) -> None:
    expected = module.eval()(x)
    torch.testing.assert_close(module.double()(x.double()).float(), expected, rtol=1e-4, atol=1e-5)
    assert module.to("meta")(x.double().to("meta")).shape == expected.shape
    with torch.device("meta"):
        made = archdsl.load(SPEC).build()
    assert all(parameter.is_meta for parameter in made.parameters())


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_it_compiles_without_a_graph_break(module: Any, x: Tensor, backend: str, training: bool) -> None:
    torch.compiler.reset()
    module.head[2].p = 0.0
    module.train(training)
    compiled: Any = torch.compile(module, fullgraph=True, backend=backend)
    twin = copy.deepcopy(module)
    torch.testing.assert_close(compiled(x), twin(x), rtol=1e-4, atol=1e-5)


def test_it_is_exported_with_any_batch(module: Any, x: Tensor) -> None:
    module.eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    exported: Any = torch.export.export(module, (x,), dynamic_shapes=({0: batch},), strict=True)
    other = torch.randn(5, 3, 16, 16)
    run: Any = exported.module()
    torch.testing.assert_close(run(other), module(other))


def test_the_seed_decides_and_leaves_the_global_state_alone() -> None:
    network = archdsl.load(SPEC)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, two, other = (network.build(seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    for (key, a), b, c in zip(
        one.state_dict().items(), two.state_dict().values(), other.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), key
        assert key.endswith(("running_mean", "running_var", "tracked", "bn1.weight")) or a.dim() < 2 or not a.equal(c)


def test_init_and_trainable() -> None:
    module: Any = archdsl.load(
        "model m { input(3x8x8); init = {conv: constant(0.5), bias: ones}\n"
        "a: conv(4, 3); b: conv(4, 3, init=zeros); c: conv(4, 1, trainable=false, init={bias: constant(2.0)}) }"
    ).build()
    assert module.a.weight.eq(0.5).all()
    assert module.a.bias.eq(1).all()
    assert module.b.weight.eq(0).all()
    assert module.b.bias.eq(1).all()
    assert module.c.bias.eq(2).all()
    assert not any(parameter.requires_grad for parameter in module.c.parameters())
    assert network_of(module).trainable_params == sum(p.numel() for p in module.parameters() if p.requires_grad)


def test_some_parameters_of_a_layer_are_frozen() -> None:
    network = archdsl.load(
        "model m { input(3x8x8); a: conv(4, 3, trainable={weight: false}); b: batchnorm(trainable={bias: false})\n"
        "relu(trainable=false); c: conv(4, 1, trainable={weight: true, bias: true}); reuse(c) }"
    )
    module = network.build()
    assert {name for name, p in module.named_parameters() if not p.requires_grad} == {"a.weight", "b.bias"}
    assert network.trainable_params == network.params - 4 * 3 * 9 - 4


@pytest.mark.parametrize("channels", [2, 3, 5])
def test_partial_dirac_hands_every_channel_on_that_there_is_room_for(channels: int) -> None:
    module: Any = archdsl.load(
        f"model m {{ input(3x8x8); init = {{conv: partial_dirac}}; a: conv({channels}, 3, padding=1, bias=false) }}"
    ).build(seed=0)
    x = torch.randn(2, 3, 8, 8)
    both = min(channels, 3)
    torch.testing.assert_close(module(x)[:, :both], x[:, :both])
    bound = (3 * 9) ** -0.5
    assert all(0.5 * bound < kernel.abs().max() <= bound for kernel in module.a.weight[3:])


def test_shared_layers_run_on_the_same_weights() -> None:
    network = archdsl.load("model m { input(4x8x8); a: conv(4, 3, padding=1); relu; reuse(a); reuse(a) }")
    module: Any = network.build(seed=0).eval()
    x = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(module(x), module.a(module.a(module.a(x).relu())))
    assert network.params == sum(p.numel() for p in module.parameters()) == 4 * 4 * 9 + 4
    assert network.macs == 3 * 4 * 4 * 9 * 64


def test_a_foreign_module_has_no_network() -> None:
    with pytest.raises(archdsl.SpecError, match="E711"):
        network_of(nn.ReLU())


@pytest.mark.parametrize("name", ["mixed", "resnet18", "googlenet", "lenet"])
def test_the_printed_source_is_the_same_network(name: str) -> None:
    network = archdsl.load(SPEC) if name == "mixed" else zoo.load(name)
    module = network.build(seed=0).eval()
    made: dict[str, object] = {"__name__": "printed"}
    exec(compile(source(network), "printed.py", "exec"), made)
    classes = [value for value in made.values() if isinstance(value, type) and value.__module__ == "printed"]
    theirs: Any = classes[-1]()
    theirs.eval()
    assert list(theirs.state_dict()) == list(module.state_dict())
    theirs.load_state_dict(module.state_dict())
    x = torch.randn(2, *network.input_shape)
    torch.testing.assert_close(theirs(x), module(x))


def _gradients(module: nn.Module, *inputs: Tensor) -> list[Tensor | None]:
    output = module(*inputs)
    parts = output.values() if isinstance(output, dict) else [output]
    total = torch.stack([part.square().sum() for part in parts]).sum()
    if total.requires_grad:  # an auxiliary head alone may have weights, and it does not run in eval mode
        torch.autograd.backward(total)
    return [parameter.grad for parameter in module.parameters()]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(specs(budget=10))
def test_running_in_place_changes_nothing(program: Program) -> None:
    """Activations that the builder runs in place give the outputs and gradients of those it does not."""
    from archdsl.backends.torch import build

    assume(program.output is not None and "dropout" not in program.text)
    note(program.text)
    network = archdsl.load(program.text, **program.settings)
    plain, fast = build(network, seed=0, inplace=False).eval(), build(network, seed=0).eval()
    assume(any(one.requires_grad for one in plain.parameters()))
    inputs = [x.clone() for x in program.inputs.values()]
    expected = _gradients(plain, *(x.clone() for x in inputs))
    found = _gradients(fast, *inputs)
    for x, before in zip(inputs, program.inputs.values(), strict=True):
        assert torch.equal(x, before), "an input was overwritten"
    for a, b in zip(expected, found, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            torch.testing.assert_close(b, a, equal_nan=True)
