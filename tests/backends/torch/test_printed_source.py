"""The printed source runs by itself and computes what the built module computes."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from torch import Tensor, nn

import archdsl
from archdsl import zoo
from archdsl.backends.torch import build, source
from archdsl.backends.torch.naming import literal
from archdsl.cards.cards import cards
from tests.backends.torch import standalone
from tests.backends.torch.reference import Program, specs
from tests.backends.torch.test_checker import CASES, cases
from tests.backends.torch.test_forward import BASIC, SEMANTICS, case
from tests.layers.samples import SAMPLES

SPECS = {name: case(body) for name, (body, _) in SEMANTICS.items()} | {
    "torchvision's block": BASIC,
    "outputs and heads": (
        "block unit(n) { aux { h-1: { adaptive_avgpool(1); flatten; linear(n) } }; conv(4, 1) -> t; relu; add(t) }\n"
        "model m { input(4x6x6); 7: unit(3); u: unit(5); tanh -> top; output(top) }"
    ),
    "the same class with other numbers": (
        "block unit(out, k, s, b) { conv: conv(out, k, stride=s, padding=k//2, bias=b); batchnorm; n: groupnorm(4) }\n"
        "block pair(out, k) { unit(out, k, 1, true); unit(out, 1, 2, false) }\n"
        "model m { input(4x6x6); pair(4, 3); pair(8, 5); pair(8, 3); tail: { x: relu; y-z: tanh; class: { sigmoid } } }"
    ),
    "three axes": "model m { input(2x4x5x6); conv(3, (1, 2, 3)); crop(2); permute((0, 2, 1, 3, 4)); conv(1, 1) }",
}


def printed(network: archdsl.Network) -> Any:
    made: dict[str, object] = {"__name__": "printed"}
    exec(compile(source(network), "printed.py", "exec"), made)
    classes = [value for value in made.values() if isinstance(value, type) and value.__module__ == "printed"]
    return classes[-1]()


def tensors(result: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    return result if isinstance(result, dict) else {"out": result}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", SPECS)
def test_it_is_the_same_network(name: str, training: bool) -> None:
    network = archdsl.load(SPECS[name])
    ours, theirs = build(network, seed=0).train(training), printed(network).train(training)
    assert list(theirs.state_dict()) == list(ours.state_dict())
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, *network.input_shape)
    expected, found = tensors(ours(x)), tensors(theirs(x))
    assert list(found) == list(expected)
    for key, tensor in expected.items():
        assert torch.equal(found[key], tensor), key


def test_blocks_that_differ_in_numbers_share_a_class() -> None:
    text = source(archdsl.load(SPECS["the same class with other numbers"]))
    assert text.count("class Unit(") == 1
    assert text.count("class Pair(") == 1
    assert "class Unit2" not in text
    assert "self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride=" in text


NAMES = {
    "a layer without a label is called after what it is": (
        "first: conv(4, 1); relu; conv(4, 1); relu; maxpool(2); conv(4, 1)",
        ["self.first = ", "self.relu = ", "self.conv = ", "self.maxpool = ", "self.conv2 = "],
        ["self.relu2", "add_module"],
    ),
    "labels come first, wherever they are": (
        "conv(4, 1); relu; conv: tanh; relu: conv(4, 1)",
        ["self.conv2 = nn.Conv2d", "self.relu2 = nn.ReLU", "self.conv = nn.Tanh", "self.relu = nn.Conv2d"],
        [],
    ),
    "different layers share no module": ("a: tanh; dropout(0.1); dropout(0.2)", ["self.dropout2 = "], []),
    "labels that are no names": (
        "class: conv(4, 1); y-z: conv(4, 1); 7: { conv(4, 1); batchnorm }; _keys: batchnorm",
        ["self.class_ = ", "self.y_z = ", "self.sequence = ", "self._keys_ = ", '_keys = {"class_": "class", '],
        [],
    ),
    "operators and functions": (
        "a: tanh -> t; add(t); mul(t); concat(t); permute((0, 2, 3, 1)); narrow(1, 0, 2); select(1, 0)",
        [
            "x = x + t",
            "x = x * t",
            "x = torch.cat([x, t], 1)",
            "x.permute(0, 2, 3, 1)",
            "x.narrow(1, 0, 2)",
            "x.select(1, 0)",
        ],
        ["class Add", "class Permute"],
    ),
    "classes of ours keep their names": (
        "a: { conv(4, 1) -> t; add(t) }; stochastic_depth(0.1); StochasticDepth: { tanh -> t; add(t) }",
        ["class StochasticDepth(Described):", "class StochasticDepth2(nn.Module):", "= StochasticDepth(0.1, "],
        [],
    ),
    "anonymous groups are called after their labels": (
        "stem: { conv(4, 1) -> a; add(a) }; layer1: { conv(4, 3) -> b; add(b) }",
        ["class Stem(Keyed):", "class Layer(Keyed):"],
        ["Group"],
    ),
    "the number of a tap makes no other class": (
        "tanh -> t1; a: { conv(4, 1); add(t1) }; tanh -> t2; b: { conv(4, 1); add(t2) }",
        ["def forward(self, x: Tensor, t: Tensor) -> Tensor:", "self.b = A()"],
        ["class B("],
    ),
    "a layer that a second run needs made for its input": (
        "g: { pad_channels(8); narrow(1, 0, 3) }; reuse(g)",
        ["self.pad_channels = ", "self.pad_channels2 = "],
        ["_0_2"],
    ),
    "parts of a sequence": (
        "s: { a: conv(4, 1); relu; relu; t: batchnorm }; r: { b: conv(4, 1); conv(4, 1) }",
        ["OrderedDict(\n", "relu=nn.ReLU", "relu2=nn.ReLU", '"b": nn.Conv2d', '"1": nn.Conv2d'],
        [],
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_names(name: str) -> None:
    body, there, not_there = NAMES[name]
    network = archdsl.load(case(body))
    text = source(network)
    assert [part for part in there if part not in text] == []
    assert [part for part in [*not_there, "getattr(self", "import archdsl", "from archdsl"] if part in text] == []
    ours, theirs = build(network).eval(), printed(network).eval()
    assert list(theirs.state_dict()) == list(ours.state_dict())
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, *network.input_shape)
    assert torch.equal(theirs(x), ours(x))


def test_layers_that_all_start_alike_are_filled_in_one_loop() -> None:
    body = "init = {conv: kaiming_normal, bias: zeros}; "
    body += "s: { conv(4, 1); relu; conv(4, 1, bias=false) }; conv(2, 1)"
    text = source(archdsl.load(case(body)))
    loop = """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
"""
    assert loop in text
    assert text.count("nn.init.") == 2


@pytest.mark.parametrize("name", ["lenet", "resnet20", "googlenet", "efficientnet_b0", "swin_v2_t"])
def test_fresh_weights_are_drawn_alike(name: str) -> None:
    network = zoo.load(name)
    with standalone.same_draws():
        theirs = standalone.fresh(printed(network))
        ours = standalone.fresh(build(network))
    assert theirs == ours


def test_layers_inside_attention_are_not_filled_like_those_of_the_spec() -> None:
    network = archdsl.load(
        "model m { input(4x8); init = {linear: constant(0.5)}\na: linear(8); multihead_attention(2); linear(8) }"
    )
    weights = printed(network).state_dict()
    assert [key for key, tensor in weights.items() if tensor.eq(0.5).all()] == ["a.weight", "2.weight"]


@pytest.mark.parametrize(
    "value", [float("inf"), -float("inf"), 1e-6, (1,), (1, "a"), [2.5, None], "it's", 'a "quote"', "a\\b\n", True]
)
def test_literals(value: object) -> None:
    assert eval(literal(value)) == value
    assert "'" not in literal(value) or "it's" in literal(value)


def test_initialisation_is_in_the_file() -> None:
    network = archdsl.load(
        "model m { input(3x8x8); init = {conv: constant(0.5), bias: ones}\n"
        "s: { conv(4, 3); conv(4, 3, init=zeros) }; c-1: conv(4, 1, trainable=false, init=default) }"
    )
    module = printed(network)
    assert module.s[0].weight.eq(0.5).all()
    assert module.s[0].bias.eq(1).all()
    assert module.s[1].weight.eq(0).all()
    assert module.s[1].bias.eq(1).all()
    last = module.get_submodule("c-1")
    assert last.weight.unique().numel() > 1
    assert last.bias.eq(1).all()
    assert [name for name, p in module.named_parameters() if not p.requires_grad] == ["c-1.weight", "c-1.bias"]


def test_what_is_frozen_and_filled_in_part_is_in_the_file() -> None:
    network = archdsl.load(
        "model m { input(3x8x8); init = {conv: partial_dirac}\n"
        "a: conv(5, 3, trainable={weight: false}); b: batchnorm(trainable={weight: false}); c: conv(4, 1) }"
    )
    module = printed(network)
    assert [name for name, p in module.named_parameters() if not p.requires_grad] == ["a.weight", "b.weight"]
    assert torch.equal(module.a.weight[:3], torch.nn.init.dirac_(torch.empty(3, 3, 3, 3)))
    assert module.a.weight[3:].ne(0).all()


#: Modules of our own, keys that are numbers, taps, parameters, auxiliary heads: one network with each.
QUICK = ("resnet20", "unet", "vit_b_32", "maxvit_t", "hrnet_w18_small", "googlenet")


def small(name: str) -> archdsl.Network:
    """A network of the zoo for the smallest input that it takes; a transformer keeps its own."""
    network = zoo.load(name)
    if len(network.inputs) > 1:
        return network
    axes = len(network.input_shape) - 1
    for size in (64, 96):
        if max(network.input_shape) > size and name != "vit_b_32":
            with suppress(archdsl.SpecError):
                return zoo.load(name, input=(network.input_shape[0], *[size] * axes))
    return network


def inputs_of(network: archdsl.Network) -> list[tuple[list[int], str]]:
    return [(list(shape), shape.dtype) for shape in network.inputs.values()]


def facts_without_archdsl(folder: Path, networks: Mapping[str, archdsl.Network], mode: str) -> dict[str, Any]:
    """What the printed networks say of themselves in a process that cannot import archdsl."""
    for name, network in networks.items():
        (folder / f"{name}.py").write_text(source(network))
        (folder / f"{name}.json").write_text(json.dumps(inputs_of(network)))
    subprocess.run([sys.executable, "-I", standalone.__file__, str(folder), mode], check=True)
    return torch.load(folder / "facts.pt")  # type: ignore[no-any-return]


def require_ruff(folder: Path) -> None:
    """Fail where a printed file is not formatted, or defines or imports what it does not use."""
    files = [str(path) for path in folder.glob("*.py")]
    for command in (["format", "--check", "--diff", "--line-length=120"], ["check", "--select=F,I"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", *files], check=True)


def compare(name: str, network: archdsl.Network, found: dict[str, Any], mode: str) -> None:
    expected = standalone.facts_of(lambda: build(network), inputs_of(network), mode)
    assert found.keys() == expected.keys()
    assert found["state"] == expected["state"], name
    if mode == "state":
        assert found["shapes"] == expected["shapes"], name
        return
    assert found["fresh"] == expected["fresh"], name
    for training in ("eval", "train"):
        theirs, ours = tensors(found[training]), tensors(expected[training])
        assert list(theirs) == list(ours)
        for key, tensor in ours.items():
            same = torch.allclose(theirs[key], tensor, rtol=0, atol=0, equal_nan=True)
            assert same, (name, key, network.spec)


def test_every_layer_runs_where_there_is_torch_alone(tmp_path: Path) -> None:
    """In a sequence and in a class with a `forward` of its own, by turns."""
    networks = {}
    for i, sample in enumerate(sample for sample in SAMPLES if not sample.operands):
        first = "first: identity; " if i % 2 and sample.x.dtype == "float32" else ""
        text = f"model m {{ input({sample.x}); {first}{sample.call()} }}"
        networks[f"{sample.kind}{i}"] = archdsl.load(text)
    found = facts_without_archdsl(tmp_path, networks, "run")
    for name, network in networks.items():
        compare(name, network, found[name], "run")
    require_ruff(tmp_path)


def test_networks_of_the_zoo_have_the_same_state(tmp_path: Path) -> None:
    networks = {name: zoo.load(name) for name in QUICK}
    found = facts_without_archdsl(tmp_path, networks, "state")
    for name, network in networks.items():
        compare(name, network, found[name], "state")
    require_ruff(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("family", cards())
def test_every_network_of_the_zoo_runs_where_there_is_torch_alone(family: str, tmp_path: Path) -> None:
    networks = {name: small(name) for name in cards()[family].models}
    found = facts_without_archdsl(tmp_path, networks, "run")
    for name, network in networks.items():
        compare(name, network, found[name], "run")
        for tensor in tensors(found[name]["eval"]).values():
            assert tensor.isfinite().all()
            # The outputs were compared to the last bit: a small difference between inputs tells enough.
            assert (tensor[0] - tensor[1]).abs().max() > 1e-5 * tensor.abs().max()


@pytest.mark.slow
def test_every_network_of_the_zoo_has_the_same_state(tmp_path: Path) -> None:
    networks = {name: zoo.load(name) for name in zoo.names()}
    found = facts_without_archdsl(tmp_path, networks, "state")
    for name, network in networks.items():
        compare(name, network, found[name], "state")
    require_ruff(tmp_path)


def test_it_prints_the_network_when_it_is_run(tmp_path: Path) -> None:
    (tmp_path / "printed.py").write_text(source(archdsl.load(BASIC)))
    done = subprocess.run([sys.executable, "-I", tmp_path / "printed.py"], check=True, capture_output=True, text=True)
    assert "Basic(" in done.stdout
    assert nn.BatchNorm2d.__name__ in done.stdout


def require_same(program: Program) -> None:
    """The printed source of a random spec against what PyTorch did with it."""
    if program.output is None:
        return
    network = archdsl.load(program.text, **program.settings)
    with standalone.same_draws():
        module = printed(network).eval()
        assert standalone.fresh(module) == standalone.fresh(build(network))
    assert list(module.state_dict()) == list(network.state)
    module.load_state_dict(program.state)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        output = module(*program.inputs.values())
    expected = {"out": program.output, **program.outputs}
    torch.testing.assert_close(output if program.outputs else {"out": output}, expected, equal_nan=True)


@cases(60)
@given(specs())
def test_random_specs(program: Program) -> None:
    require_same(program)


@pytest.mark.slow
@cases(CASES)
@given(specs(budget=10))
def test_many_random_specs(program: Program) -> None:
    require_same(program)
