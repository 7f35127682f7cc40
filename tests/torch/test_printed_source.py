"""The printed source: a file that runs by itself and computes what the built module computes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archdsl
from archdsl.torch import build, source
from tests.torch.test_forward import BASIC, SEMANTICS, case

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


def test_it_runs_by_itself_without_archdsl(tmp_path: Path) -> None:
    network = archdsl.load(BASIC)
    script = "import sys\nsys.modules['archdsl'] = None\n" + source(network)
    (tmp_path / "printed.py").write_text(script)
    done = subprocess.run([sys.executable, "printed.py"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "Basic(" in done.stdout
    assert nn.BatchNorm2d.__name__ in done.stdout
