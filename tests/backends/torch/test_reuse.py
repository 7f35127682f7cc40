"""`reuse`: the table, the module, the printed source and the ONNX file run the part again with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import archdsl
from archdsl import Network
from archdsl.backends.torch.source import source
from archdsl.diagnostics import SpecError
from tests.layers.samples import SAMPLES, Sample

Layers = Callable[[str, Tensor], Tensor]


def load(body: str, size: str = "4x6x6") -> Network:
    return archdsl.load(f"model m {{ input({size}); {body} }}")


def twice(run: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: run(run(x))


def middle(x: Tensor, size: int) -> Tensor:
    first = (x.shape[-1] - size) // 2
    return x[..., first : first + size, first : first + size]


def cropped(f: Layers, x: Tensor) -> Tensor:
    return middle(middle(f("g.c", x), 4), 3).tanh() + f("g.d", middle(middle(f("g.c", x), 4), 3))


#: Bodies on 4x6x6 with what they compute, by hand over the module's own layers.
SEMANTICS: dict[str, tuple[str, Callable[[Layers], Callable[[Tensor], Tensor]]]] = {
    "a layer that depends on its input": (
        "p: pad_channels(8); reuse(p); p_2: conv(4, 1)",
        lambda f: lambda x: f("p_2", functional.pad(x, (0, 0, 0, 0, 2, 2))),
    ),
    "a group at three sizes": (
        "g: { c: conv(4, 1); crop(4); crop(3); sum { tanh; d: conv(4, 1) } };"
        "for n in [5, 8, 5] { upsample(size=n); reuse(g) }",
        lambda f: (
            lambda x: reduce(lambda y, n: cropped(f, functional.interpolate(y, size=n)), (5, 8, 5), cropped(f, x))
        ),
    ),
    "a scope in a scope at another size": (
        "g: { h: { crop(3); conv(4, 1) }; tanh }; upsample(size=8); reuse(g)",
        lambda f: (
            lambda x: f("g.h.1", middle(functional.interpolate(f("g.h.1", middle(x, 3)).tanh(), size=8), 3)).tanh()
        ),
    ),
    "residual": ("r: residual { conv(4, 1); tanh }; reuse(r)", lambda f: twice(lambda x: x + f("r.0", x).tanh())),
    "shortcut": (
        "r: residual { conv(4, 1); tanh } shortcut { conv(4, 1) }; reuse(r)",
        lambda f: twice(lambda x: f("r.2", x) + f("r.0", x).tanh()),
    ),
    "inception": (
        "i: inception { conv(3, 1); conv(1, 1) }; reuse(i)",
        lambda f: twice(lambda x: torch.cat([f("i.0", x), f("i.1", x)], 1)),
    ),
    "sum": ("s: sum { conv(4, 1); tanh }; reuse(s)", lambda f: twice(lambda x: f("s.0", x) + x.tanh())),
    "dense": (
        "d: dense { conv(2, 1); sigmoid }; narrow(1, 2, 4); reuse(d)",
        lambda f: lambda x: dense(f, dense(f, x)[:, 2:6]),
    ),
    "scale": ("s: scale { conv(4, 1); sigmoid }; reuse(s)", lambda f: twice(lambda x: x * f("s.0", x).sigmoid())),
    "split": (
        "s: split(2) { conv(2, 1); { } }; reuse(s)",
        lambda f: twice(lambda x: torch.cat([f("s.0", x[:, :2]), x[:, 2:]], 1)),
    ),
    "nested": (
        "g: { r: residual { conv(4, 1) }; reuse(r) }; reuse(g)",
        lambda f: twice(twice(lambda x: x + f("g.r.0", x))),
    ),
    "a tap from outside is the newest": (
        "tanh -> t; g: { conv(4, 1); add(t) }; sigmoid -> t; reuse(g)",
        lambda f: lambda x: f("g.0", y := (f("g.0", x.tanh()) + x.tanh()).sigmoid()) + y,
    ),
    "a tap made inside is made again": (
        "g: { conv(4, 1) -> t; tanh }; reuse(g); add(t)",
        lambda f: lambda x: (y := f("g.0", f("g.0", x).tanh())).tanh() + y,
    ),
    "a tap inside that only the first run returns": (
        "g: { conv(4, 1) -> t; tanh }; add(t); reuse(g)",
        lambda f: lambda x: f("g.0", (y := f("g.0", x)).tanh() + y).tanh(),
    ),
    "a branch that is not taken again": (
        "g: { if height > 4 { c: conv(4, 3) }; d: conv(4, 1); tanh }; reuse(g)",
        lambda f: lambda x: f("g.d", f("g.d", f("g.c", x)).tanh()).tanh(),
    ),
    "other layers without weights in another run": (
        "g: { if height > 4 { a: maxpool(2) } else { a: upsample(size=3) }; d: conv(4, 1) }; reuse(g)",
        lambda f: lambda x: f("g.d", f("g.d", functional.max_pool2d(x, 2)).clone()),
    ),
    "a tap that only a later run takes": (
        "tanh -> t; g: { d: conv(4, 1); if height < 6 { add(t) } else { maxpool(2); upsample(size=5) } };"
        "use(t); upsample(size=5); conv(4, 1) -> t; reuse(g)",
        lambda f: lambda x: f("g.d", y := f("3", functional.interpolate(x.tanh(), size=5))) + y,
    ),
    "labels with expressions": (
        "for i in 1..2 { c{i}: conv(4, 1); tanh }; for i in 1..2 { reuse(c{3 - i}) }",
        lambda f: lambda x: f("c1", f("c2", f("c2", f("c1", x).tanh()).tanh())),
    ),
    "a part of a group": (
        "a: { b: { conv(4, 1); tanh }; conv(4, 1) }; reuse(a.b); reuse(a)",
        lambda f: lambda x: a_group(f, f("a.b.0", a_group(f, x)).tanh()),
    ),
    "from inside other groups": (
        "s: conv(4, 1); g: { tanh; reuse(s) }; h: { conv(4, 1); i: { reuse(s); reuse(g) }; reuse(g) }",
        lambda f: lambda x: f("s", f("s", f("s", f("h.0", f("s", f("s", x).tanh()))).tanh()).tanh()),
    ),
    "from one branch in another": (
        "sum { l: { a: { conv(4, 1); tanh } }; r: { sigmoid; reuse(l.a) } }",
        lambda f: lambda x: f("l.a.0", x).tanh() + f("l.a.0", x.sigmoid()).tanh(),
    ),
    "other code in another group": (
        "g: { c: conv(4, 1); crop(3) }; h: { upsample(size=8); reuse(g); upsample(size=6) }; reuse(g)",
        lambda f: lambda x: middle(f("g.c", in_h(f, middle(f("g.c", x), 3))), 3),
    ),
    "parts without weights elsewhere": (
        "c: crop(3); a: { d: { tanh; crop(2) } }; upsample(size=5);g: { reuse(c); reuse(a.d); conv(4, 1) }; reuse(a.d)",
        lambda f: lambda x: small(f("g.0", small(middle(functional.interpolate(small(middle(x, 3)), size=5), 3)))),
    ),
    "taps by labels": (
        "for i in 1..2 { l{i}: { conv(4, 1) -> t; tanh } }; g: { h: { sigmoid -> t } }; add(l{1}.t, l2.t, g.h.t)",
        lambda f: lambda x: (y := f("l2.0", (z := f("l1.0", x)).tanh())).tanh().sigmoid() * 2 + z + y,
    ),
    "the tap of the newest run": (
        "g: { conv(4, 1) -> t; tanh }; add(g.t); reuse(g); add(g.t)",
        lambda f: lambda x: (y := f("g.0", (z := f("g.0", x)).tanh() + z)).tanh() + y,
    ),
    "a tap of a part in a group": (
        "a: { conv(4, 1) -> t; b: { conv(4, 1); add(t) -> u } }; tanh; reuse(a.b); add(a.b.u, a.t)",
        lambda f: lambda x: 2 * (f("a.b.0", (f("a.b.0", y := f("a.0", x)) + y).tanh()) + y) + y,
    ),
    "values of the first time": (
        "let n = 4; c: { conv(n, 1) }; let n = 2; sigmoid; reuse(c)",
        lambda f: lambda x: f("c", f("c", x).sigmoid()),
    ),
}


def a_group(f: Layers, x: Tensor) -> Tensor:
    return f("a.1", f("a.b.0", x).tanh())


def small(x: Tensor) -> Tensor:
    return middle(x.tanh(), 2)


def in_h(f: Layers, x: Tensor) -> Tensor:
    y = middle(f("g.c", functional.interpolate(x, size=8)), 3)
    return functional.interpolate(y, size=6)


def dense(f: Layers, x: Tensor) -> Tensor:
    x = torch.cat([x, f("d.0", x)], 1)
    return torch.cat([x, x.sigmoid()], 1)


@pytest.mark.parametrize("name", SEMANTICS)
def test_what_is_computed(name: str, tmp_path: Path) -> None:
    body, expected = SEMANTICS[name]
    network = load(body)
    module = network.build(seed=0).eval()
    x = torch.randn(3, *network.input_shape)
    with torch.no_grad():
        output = module(x)
        torch.testing.assert_close(output, expected(lambda name, x: module.get_submodule(name)(x))(x))
        torch.testing.assert_close(printed(network, module)(x), output)
    assert tuple(output.shape[1:]) == network.output_shape
    assert list(module.state_dict()) == list(network.state)
    archdsl.export_onnx(module, tmp_path / "m.onnx")


def printed(network: Network, module: nn.Module) -> nn.Module:
    """The module of the printed source, with the weights of another."""
    names: dict[str, Any] = {"__name__": "printed"}
    exec(source(network), names)
    other: nn.Module = [one for one in names.values() if isinstance(one, type) and issubclass(one, nn.Module)][-1]()
    other.load_state_dict(module.state_dict())
    return other.eval()


def pairs() -> list[tuple[Sample, Sample]]:
    """Samples of the same layer on different inputs."""
    return [
        (one, other)
        for one in SAMPLES
        for other in SAMPLES
        if one.kind == other.kind
        and one.arguments == other.arguments
        and one.x != other.x
        and "int64" not in (one.x.dtype, other.x.dtype)  # which no statement makes
    ]


def given(sample: Sample) -> str:
    """Statements after which the current tensor and the taps have the sample's sizes."""
    return f"{sample.taps}parameter(({', '.join(map(str, sample.x))},), init=normal)"


@pytest.mark.parametrize("kind", sorted({one.kind for one in SAMPLES if one.x.dtype != "int64"}))
def test_every_layer_on_another_input(kind: str) -> None:
    """It computes what the layer alone computes there, or is rejected because its module would have other weights."""
    found = [pair for pair in pairs() if pair[0].kind == kind and len(pair[0].operands) == len(pair[1].operands)]
    for one, other in found[:6]:
        line = one.call()
        text = f"{given(one)}; a: {line}; {given(other)}; reuse(a)"
        forms = {(str(one.layer.torch(x)), str(one.layer.state(x))) for x in (one.x, other.x)}
        if one.layer.state(one.x) and len(forms) > 1:
            with pytest.raises(SpecError, match="E211"):
                load(text)
            continue
        network = load(text)
        assert network.output_shape == other.y
        alone = load(f"{given(other)}; a: {line}")
        modules = [each.build(seed=0).eval() for each in (network, alone)]
        state = modules[0].state_dict()
        first = max(int(name) for name in network.state if name.isdigit()) - len(other.operands)
        values = {str(i): state[str(first + i)] for i in range(len(other.operands) + 1)}
        modules[1].load_state_dict(values | {name: state[name] for name in state if name.split(".")[0] == "a"})
        with torch.no_grad():
            outputs = [module(torch.zeros(2, 4, 6, 6)) for module in modules]
        torch.testing.assert_close(*outputs, equal_nan=True)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("b: batchnorm; flatten(2); reuse(b)", "`b` was nn.BatchNorm2d(4) and would be nn.BatchNorm1d(4)"),
        ("c: conv(8, 1); reuse(c)", "`c.weight` was 8x4x1x1 and would be 8x8x1x1"),
        ("g: { if channels == 4 { relu } else { conv(4, 1) }; a: conv(8, 1) }; reuse(g)", "`g.0` (conv) was not there"),
        ("g: { aux { conv(1, 1) } }; reuse(g)", "it contains an output of the model"),
        ("g: { relu -> t; output(t) }; reuse(g)", "it contains an output of the model"),
    ],
)
def test_what_is_rejected(body: str, reason: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(body)
    assert [one.code for one in caught.value.diagnostics] == ["E211"]
    assert reason in str(caught.value)
    assert "called at" not in str(caught.value)


def test_a_mistake_in_the_second_run_says_where_that_is() -> None:
    with pytest.raises(SpecError, match=r"in `reuse\(g\)`, called at") as caught:
        load("g: { conv(4, 4) }; reuse(g)")
    assert [one.code for one in caught.value.diagnostics] == ["E402"]


def test_the_table_has_every_run() -> None:
    layers = load("g: { conv(4, 1); crop(4) }; upsample(size=7); reuse(g)").layers
    assert [(one.name, str(one.input), one.params) for one in layers] == [
        ("g.0", "4x6x6", 20),
        ("g.1", "4x6x6", 0),
        ("1", "4x4x4", 0),
        ("g.0", "4x7x7", 0),
        ("g.1", "4x7x7", 0),
    ]


BLOCKS = """
block unit(n) { inner: { conv(n, 1); tanh }; rest: { sigmoid; conv(n, 1) -> t } ; scale { t2: sigmoid } }
block plain(n) { inner: { conv(n, 1); tanh }; sigmoid; conv(n, 1) }
inline block pair(n) { left: conv(n, 1) -> l; tanh }
"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # The second call is copied from the first, and its parts are found all the same.
        (
            "a: plain(4); b: plain(4); reuse(b.inner); reuse(a.inner)",
            lambda f: lambda x: f("a.inner.0", f("b.inner.0", whole(f, "b", whole(f, "a", x))).tanh()).tanh(),
        ),
        ("g: { pair(4) }; reuse(g.left); add(g.l)", lambda f: lambda x: f("g.left", (y := f("g.left", x)).tanh()) + y),
        ("pair(4); sigmoid; reuse(left)", lambda f: lambda x: f("left", f("left", x).tanh().sigmoid())),
        (
            "a: unit(4); use(a.rest.t); reuse(a.rest); add(a.rest.t)",
            lambda f: lambda x: 2 * f("a.rest.1", f("a.rest.1", f("a.inner.0", x).tanh().sigmoid()).sigmoid()),
        ),
    ],
)
def test_parts_of_blocks(body: str, expected: Any) -> None:
    network = archdsl.load(f"{BLOCKS} model m {{ input(4x6x6); {body} }}")
    module = network.build(seed=0).eval()
    x = torch.randn(2, 4, 6, 6)
    with torch.no_grad():
        torch.testing.assert_close(module(x), expected(lambda name, x: module.get_submodule(name)(x))(x))
        torch.testing.assert_close(printed(network, module)(x), module(x))


def whole(f: Layers, name: str, x: Tensor) -> Tensor:
    return f(f"{name}.2", f(f"{name}.inner.0", x).tanh().sigmoid())


def test_a_module_of_another_scope_is_trained_once(tmp_path: Path) -> None:
    """Gradients, copies and pickles of a module that is an argument of `forward` elsewhere."""
    network = load("s: { c: conv(4, 1) }; g: { tanh; reuse(s) }")
    module = network.build(seed=0)
    x = torch.randn(2, *network.input_shape)
    layer = module.get_submodule("s.c")
    assert isinstance(layer, nn.Conv2d)
    twin = nn.Conv2d(4, 4, 1)
    twin.load_state_dict(layer.state_dict())
    torch.autograd.backward(module(x).sum())
    torch.autograd.backward(twin(twin(x).tanh()).sum())
    torch.testing.assert_close([one.grad for one in layer.parameters()], [one.grad for one in twin.parameters()])
    torch.save(module, tmp_path / "m.pt")
    again = torch.load(tmp_path / "m.pt", weights_only=False)
    torch.testing.assert_close(again(x), module(x))
