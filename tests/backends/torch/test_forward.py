"""Outputs of a built module, compared with the definitions of the combinators applied to its layers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn

import archdsl
from archdsl.backends.torch import build

Layers = Callable[[str, Tensor], Tensor]


def module_of(text: str) -> nn.Module:
    return build(archdsl.load(text), seed=0)


def layers_of(module: nn.Module) -> Layers:
    return lambda name, x: module.get_submodule(name)(x)


def case(body: str) -> str:
    return f"model m {{ input(4x6x6); {body} }}"


SEMANTICS: dict[str, tuple[str, Callable[[Layers, Tensor], Tensor]]] = {
    "group": ("{ conv(4, 1); tanh }", lambda f, x: f("1", f("0", x))),
    "residual": ("residual { conv(4, 1); tanh }", lambda f, x: x + f("1", f("0", x))),
    "residual of nothing": ("tanh; residual { }; sigmoid", lambda f, x: f("1", 2 * f("0", x))),
    "residual of a broadcast body": ("residual { adaptive_avgpool(1) }", lambda f, x: x + f("0", x)),
    "residual with a broadcast shortcut": (
        "residual { conv(4, 1) } shortcut { adaptive_avgpool(1) }",
        lambda f, x: f("0", x) + f("1", x),
    ),
    "shortcut": (
        "residual { conv(8, 1); tanh } shortcut { conv(8, 3, padding=1) }",
        lambda f, x: f("2", x) + f("1", f("0", x)),
    ),
    "residual in residual": (
        "residual { conv(4, 1); residual { conv(4, 1); tanh }; tanh }",
        lambda f, x: x + f("3", (y := f("0", x)) + f("2", f("1", y))),
    ),
    "inception": (
        "inception { conv(3, 1); { conv(4, 1); tanh }; { } }",
        lambda f, x: torch.cat([f("0", x), f("2", f("1", x)), x], 1),
    ),
    "inception of one": ("inception { conv(3, 1) }; relu", lambda f, x: f("0", x).relu()),
    "sum": (
        "sum { conv(4, 1); tanh; { }; adaptive_avgpool(1) }",
        lambda f, x: f("0", x) + f("1", x) + x + f("2", x),
    ),
    "subtract": (
        "subtract { conv(4, 1); tanh; adaptive_avgpool(1) }",
        lambda f, x: f("0", x) - f("1", x) - f("2", x),
    ),
    "subtract a body": ("subtract { { }; { conv(4, 1); tanh } }", lambda f, x: x - f("1", f("0", x))),
    "dense": (
        "dense { conv(3, 1); { conv(2, 1); tanh } }; sigmoid",
        lambda f, x: f("3", torch.cat([y := torch.cat([x, f("0", x)], 1), f("2", f("1", y))], 1)),
    ),
    "scale": ("scale { adaptive_avgpool(1); sigmoid }", lambda f, x: x * f("1", f("0", x))),
    "split": (
        "split(2) { { conv(3, 1); tanh }; relu }",
        lambda f, x: torch.cat([f("1", f("0", x[:, :2])), x[:, 2:].relu()], 1),
    ),
    "split of empty parts": ("split(2) { { }; tanh }", lambda f, x: torch.cat([x[:, :2], x[:, 2:].tanh()], 1)),
    "combinators in a branch": (
        "inception { residual { tanh }; dense { conv(1, 1) }; scale { sigmoid } }",
        lambda f, x: torch.cat([x + x.tanh(), x, f("1", x), x * x.sigmoid()], 1),
    ),
    "a tap": (
        "tanh -> a; conv(4, 1); concat(a)",
        lambda f, x: torch.cat([f("1", x.tanh()), x.tanh()], 1),
    ),
    "use": ("tanh -> a; conv(4, 1) -> b; use(a); mul(b)", lambda f, x: x.tanh() * f("1", x.tanh())),
    "a tap into a scope": (
        "tanh -> a; s: { conv(4, 1); add(a) }",
        lambda f, x: f("s.0", x.tanh()) + x.tanh(),
    ),
    "a tap out of scopes": (
        "s: { t: { conv(4, 1) -> x; tanh }; relu }; add(x)",
        lambda f, x: f("s.t.0", x).tanh().relu() + f("s.t.0", x),
    ),
    "a tap through a residual": (
        "residual { s: { conv(4, 1) -> a; batchnorm }; relu }; sigmoid; add(a)",
        lambda f, x: (x + f("s.1", f("s.0", x)).relu()).sigmoid() + f("s.0", x),
    ),
    "a tap used twice": ("conv(4, 1) -> a; relu; add(a, a)", lambda f, x: f("0", x).relu() + 2 * f("0", x)),
    "names that Python keeps": (
        "tanh -> self; relu -> torch; conv(4, 1) -> class_; add(self, torch, class_)",
        lambda f, x: 2 * f("2", x.tanh().relu()) + x.tanh() + x.tanh().relu(),
    ),
    "reuse": ("f: conv(4, 1); tanh; reuse(f)", lambda f, x: f("f", f("f", x).tanh())),
    "reuse of a group": (
        "g: { conv(4, 1); batchnorm; relu }; reuse(g)",
        lambda f, x: f("g", f("g", x)),
    ),
    "labelled combinators": (
        "r: residual { conv(4, 1) }; i: inception { conv(1, 1); conv(2, 1) }; s-1: sum { tanh; relu }",
        lambda f, x: (y := torch.cat([f("i.0", z := x + f("r.0", x)), f("i.1", z)], 1)).tanh() + y.relu(),
    ),
}


@pytest.mark.parametrize("name", SEMANTICS)
def test_combinators(name: str) -> None:
    body, expected = SEMANTICS[name]
    module = module_of(case(body)).eval()
    x = torch.randn(3, 4, 6, 6)
    before = x.clone()
    with torch.no_grad():
        torch.testing.assert_close(module(x), expected(layers_of(module), x))
    assert torch.equal(x, before)


def test_aux_heads_run_in_training_only() -> None:
    module = module_of(
        "block head(n) { aux { h: { adaptive_avgpool(1); flatten; linear(n) } } }\n"
        "model m { input(4x6x6); tanh; first: aux { flatten; linear(2) }; inner: head(3); relu; flatten; linear(5) }"
    )
    x = torch.randn(3, 4, 6, 6)
    layers = layers_of(module)
    result = module(x)
    assert list(result) == ["out", "first", "aux2"]
    assert torch.equal(result["first"], layers("first.1", x.tanh().flatten(1)))
    assert torch.equal(result["aux2"], layers("inner.h.2", x.tanh().mean((2, 3))))
    main = module.eval()(x)
    assert torch.equal(main, result["out"])


def test_a_frozen_part_keeps_its_head_still() -> None:
    module = module_of("model m { input(4x6x6); s: { aux { flatten; linear(2) }; relu }; flatten; linear(5) }")
    assert isinstance(module.s, nn.Module)
    module.s.eval()
    assert module(torch.randn(2, 4, 6, 6))["aux1"] is None


def test_named_outputs() -> None:
    module = module_of(
        "model m { input(4x6x6); s: { conv(4, 1) -> low; batchnorm; relu }\n"
        "tanh -> high; sigmoid; output(low, top=high) }"
    )
    x = torch.randn(3, 4, 6, 6)
    for _ in range(2):
        result = module.eval()(x)
        assert list(result) == ["out", "low", "top"]
        low = layers_of(module)("s.0", x)
        assert torch.equal(result["low"], low)
        assert torch.equal(result["top"], layers_of(module)("s", x)[0].tanh())
        module.train()


BASIC = """
block basic(planes, stride = 1) {
  residual {
    conv1: conv(planes, 3, stride=stride, padding=1, bias=false); bn1: batchnorm; relu
    conv2: conv(planes, 3, padding=1, bias=false); bn2: batchnorm
  } shortcut {
    if stride != 1 or channels != planes { downsample: { conv(planes, 1, stride=stride, bias=false); batchnorm } }
  }
  relu
}
model m(planes = 8, stride = 1) { input(8x9x9); block: basic(planes, stride) }
"""


@pytest.mark.parametrize(("planes", "stride"), [(8, 1), (16, 2)])
def test_a_residual_block_is_torchvisions_to_the_last_bit(planes: int, stride: int) -> None:
    ours = build(archdsl.load(BASIC, planes=planes, stride=stride)).block
    downsample = None
    if stride > 1:
        downsample = nn.Sequential(nn.Conv2d(8, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))
    theirs = torchvision.models.resnet.BasicBlock(8, planes, stride, downsample)
    assert isinstance(ours, nn.Module)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(4, 8, 9, 9)
    results = []
    for block in (ours, theirs):
        leaf = x.clone().requires_grad_()
        y = block(leaf)
        y.square().sum().backward()
        results.append([y, leaf.grad, *(parameter.grad for parameter in block.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert ours.get_submodule("2").inplace
