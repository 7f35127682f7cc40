"""Models, variants, settings, imports, taps and initialisation, from commands and from Python."""

from __future__ import annotations

from pathlib import Path

import pytest

import archdsl
from archdsl.diagnostics import SpecError
from archdsl.elaborate import elaborate, load_module, models_in
from archdsl.elaborate.modules import read
from archdsl.graph import layer_nodes
from archdsl.layers.norm import BatchNorm
from archdsl.text.source import Source

FAMILY = """
model base(n, k = 3, act = relu) { input(1x8x8); conv(n, k); act; flatten; linear(10) }
model given = base(4)
model open(n = 2) = base(n, k=5)
model chained = open(n=6)
block unit { tanh }
train given { epochs = 1 }
train { epochs = 2 }
"""


def codes(text: str, **settings: object) -> list[str]:
    with pytest.raises(SpecError) as raised:
        archdsl.load(text, **settings)  # type: ignore[arg-type]
    return [one.code for one in raised.value.diagnostics]


def test_models_that_can_be_built() -> None:
    assert models_in(load_module(Source("f.arch", FAMILY))) == ["given", "open", "chained"]


def test_default_model_is_the_one_named_as_the_file(tmp_path: Path) -> None:
    for stem, expected in (("chained", "chained"), ("other", "given"), ("base", "given")):
        path = tmp_path / f"{stem}.arch"
        path.write_text(FAMILY)
        assert archdsl.load(path).name == expected


@pytest.mark.parametrize(
    ("model", "settings", "kernel"),
    [
        ("given", {}, (4, 1, 3, 3)),
        ("open", {}, (2, 1, 5, 5)),
        ("open", {"n": 7}, (7, 1, 5, 5)),
        ("chained", {}, (6, 1, 5, 5)),
        ("chained", {"k": 1}, (6, 1, 1, 1)),
        ("chained", {"n": 9}, (9, 1, 5, 5)),
        ("base", {"n": 3}, (3, 1, 3, 3)),
    ],
)
def test_settings_win_over_variants(model: str, settings: dict[str, int], kernel: tuple[int, ...]) -> None:
    network = archdsl.load(FAMILY, model=model, **settings)  # type: ignore[arg-type]
    assert network.state["0.weight"].shape == kernel


@pytest.mark.parametrize(("act", "kind"), [("tanh", "tanh"), ("relu", "relu"), ("unit", "tanh")])
def test_a_text_can_name_a_layer_or_block(act: str, kind: str) -> None:
    assert archdsl.load(FAMILY, model="given", act=act).layers[1].kind == kind


CHAIN = """
model base(n, k = 3, p = 0.1, act = relu) { input(1x8x8); conv(n, k); act; dropout(p); flatten; linear(10) }
model middle(m, k = 5) = base(2 * m, k=k)
model low(q = 1) = middle(q + 3, act=tanh)
model lowest = low(p=0.5)
model other = middle(3, p=0.3, k=1, act=silu)
"""


@pytest.mark.parametrize(
    ("model", "settings", "kernel", "act", "p"),
    [
        ("low", {}, (8, 1, 5, 5), "tanh", 0.1),
        ("lowest", {}, (8, 1, 5, 5), "tanh", 0.5),
        ("other", {}, (6, 1, 1, 1), "silu", 0.3),
        ("lowest", {"p": 0.2, "act": "silu", "q": 2}, (10, 1, 5, 5), "silu", 0.2),
        ("lowest", {"n": 3, "m": 9}, (3, 1, 5, 5), "tanh", 0.5),
        ("middle", {"m": 2, "k": 7}, (4, 1, 7, 7), "relu", 0.1),
    ],
)
def test_variants_take_what_they_leave_open(
    model: str, settings: dict[str, object], kernel: tuple[int, ...], act: str, p: float
) -> None:
    network = archdsl.load(CHAIN, model=model, **settings)  # type: ignore[arg-type]
    conv, activation, dropout, *_ = [node.layer for node in layer_nodes(network.root)]
    assert network.state["0.weight"].shape == kernel
    assert activation.kind == act
    assert dropout.model_dump()["p"] == p
    assert conv.kind == "conv"


@pytest.mark.parametrize(
    ("variant", "code", "text"),
    [
        ("middle(3, n=1)", "E203", "n"),
        ("lowest(p=0.4)", "E203", "p"),
        ("lowest(act=relu)", "E203", "act"),
        ("low(m=1)", "E203", "m"),
        ("low(kk=1)", "E203", "kk"),
        ("low(1, 2)", "E206", "2"),
        ("low(k=1, k=2)", "E204", "k=2"),
    ],
)
def test_variants_take_nothing_else(variant: str, code: str, text: str) -> None:
    with pytest.raises(SpecError) as raised:
        archdsl.load(f"{CHAIN}model wrong = {variant}", model="wrong")
    (found,) = raised.value.diagnostics
    assert found.span is not None
    assert (found.code, found.span.text) == (code, text)


def test_what_no_variant_gives_is_asked_for() -> None:
    text = (
        "model a(n, m) { input(4); linear(n); linear(m) }\nmodel b(k) = a(m=k)\nmodel c = b(2)\nmodel d = b(2, n=3)\n"
    )
    assert models_in(load_module(Source("f.arch", text))) == ["d"]
    assert models_in(load_module(Source("f.arch", text)), {"n"}) == ["c", "d"]
    shapes = [tensor.shape for tensor in archdsl.load(text, model="d").state.values()]
    assert shapes == [(3, 4), (3,), (2, 3), (2,)]


def test_recipes_belong_to_models() -> None:
    epochs = {name: archdsl.load(FAMILY, model=name).recipe["epochs"].value for name in ("given", "open")}
    assert epochs == {"given": 1, "open": 2}


def test_wrong_choices() -> None:
    assert codes(FAMILY, model="givn") == ["E009"]
    assert codes(FAMILY, model="given", kk=3) == ["E203"]
    assert codes(FAMILY, model="base") == ["E205"]
    assert codes("block b { relu }") == ["E008"]


def test_another_input() -> None:
    network = archdsl.load(FAMILY, model="given", input=(2, 5, 5))
    assert network.input_shape == (2, 5, 5)
    assert network.state["3.weight"].shape == (10, 4 * 3 * 3)


def test_the_whole_text_of_a_spec_builds_the_same(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "deep.arch").write_text("let k = 3\nblock unit(n) { conv(n, k); relu }\n")
    (tmp_path / "lib" / "base.arch").write_text(
        'import "deep.arch"\nblock two(n) { unit(n); unit(n) }\nmodel base(n) { input(1x9x9); two(n) }\n'
    )
    main = tmp_path / "main.arch"
    main.write_text('# main\nimport "lib/deep.arch"\nfrom "lib/base.arch" import two, base\nmodel m = base(2)\n')
    network = elaborate(load_module(read(main), main))
    again = archdsl.load(network.spec, model="m")
    assert network.params == again.params == (9 * 2 + 2) + (2 * 2 * 9 + 2)
    assert network.state == again.state


def test_the_input_can_be_kept() -> None:
    torch = pytest.importorskip("torch")
    module = archdsl.load("model m { input(3x4x4) -> x; conv(3, 1); add(x) }").build(seed=0).eval()
    x = torch.randn(2, 3, 4, 4)
    (weight, bias) = module.state_dict().values()
    expected = torch.nn.functional.conv2d(x, weight, bias) + x
    torch.testing.assert_close(module(x), expected)


def test_a_mistake_in_a_loop_or_block_is_reported_once() -> None:
    text = "block b { conv(8, 3, strid=2) }\nmodel m { input(3x8x8); for i in 1..9 { b } }"
    assert codes(text) == ["E203"]


def test_what_follows_from_a_mistake_is_silent() -> None:
    text = "model m { input(3x8x8); cnov(8, 3) -> t; conv(8, 9); add(t); let n = channels * 2; conv(n, 99); oops }"
    assert codes(text) == ["E201", "E201"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("init = zeros; conv(2, 1)", {"weight": "zeros"}),
        ("init = zeros; batchnorm", {}),
        ("init = {bias: ones}; conv(2, 1)", {"bias": "ones"}),
        ("init = {conv: zeros}; linear(2)", {}),
        ("init = {conv: {bias: ones}}; conv(2, 1)", {"bias": "ones"}),
        ("init = zeros; init = {conv: ones}; conv(2, 1)", {"weight": "ones"}),
        ("init = zeros; conv(2, 1, init={bias: ones})", {"bias": "ones", "weight": "zeros"}),
        ("init = zeros; conv(2, 1, init=default)", {"weight": "default"}),
        ("{ init = zeros }; conv(2, 1)", {}),
        ("init = zeros; { conv(2, 1) }", {"weight": "zeros"}),
        ("conv(2, 1, init=none)", {}),
    ],
)
def test_initialisation(body: str, expected: dict[str, str]) -> None:
    network = archdsl.load(f"model m {{ input(3x4x4); {body} }}")
    (node,) = layer_nodes(network.root)
    assert {name: one.kind for name, one in node.init.items()} == expected


def eps_of(text: str) -> list[float]:
    """The `eps` of the batch norms of a spec, in order."""
    layers = [node.layer for node in layer_nodes(archdsl.load(text).root)]
    return [layer.eps for layer in layers if isinstance(layer, BatchNorm)]


UNIT = "block unit { batchnorm }\nblock own(eps) { defaults = {batchnorm: {eps: eps}}; unit; unit }\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("batchnorm; defaults = {batchnorm: {eps: 1.0}}; batchnorm", [1e-5, 1.0]),
        ("defaults = {batchnorm: {eps: 1.0}}; batchnorm(0.5); batchnorm(eps=0.25)", [0.5, 0.25]),
        (
            "defaults = {batchnorm: {eps: 1.0, momentum: 0.5}}; { defaults = {batchnorm: {eps: 2.0}}; unit }; unit",
            [2, 1],
        ),
        ("defaults = {batchnorm: {eps: 1.0}}; defaults = {batchnorm: {momentum: 0.5}}; unit", [1.0]),
        ("defaults = {batchnorm: {eps: 1.0}}; defaults = {batchnorm: {eps: 2.0}}; unit", [2.0]),
        ("defaults = {batchnorm: {eps: 1.0}}; defaults = {conv: {bias: false}}; unit", [1.0]),
        ("{ defaults = {batchnorm: {eps: 1.0}} }; unit", [1e-5]),
        ("if true { defaults = {batchnorm: {eps: 1.0}}; unit }; unit", [1.0, 1e-5]),
        ("for e in [1.0, 2.0] { unit; defaults = {batchnorm: {eps: e}}; unit }; unit", [1e-5, 1.0, 1e-5, 2.0, 1e-5]),
        ("for i in 1..2 { if i == 1 { defaults = {batchnorm: {eps: 1.0}}; unit } else { unit } }", [1.0, 1e-5]),
        ("own(1.0); own(2.0); own(1.0); unit", [1, 1, 2, 2, 1, 1, 1e-5]),
        (
            "unit; residual { defaults = {batchnorm: {eps: 1.0}}; own(2.0); unit } shortcut { unit }",
            [1e-5, 2, 2, 1, 1e-5],
        ),
        ("inception { defaults = {batchnorm: {eps: 1.0}}; unit; own(3.0); unit }; unit", [1, 3, 3, 1, 1e-5]),
        ("dense { unit; defaults = {batchnorm: {eps: 1.0}}; unit }; unit", [1e-5, 1.0, 1e-5]),
        (
            "defaults = {batchnorm: {eps: 1.0}}; a: unit; { defaults = {batchnorm: {eps: 2.0}}; unit }; reuse(a)",
            [1, 2, 1],
        ),
        ("let norm = {eps: 1.0}; defaults = {batchnorm: norm} if channels == 3 else {}; unit", [1.0]),
        ("defaults = {}; unit", [1e-5]),
        ("let defaults = 3; defaults = {batchnorm: {eps: 1.0}}; unit", [1.0]),
    ],
)
def test_defaults(body: str, expected: list[float]) -> None:
    """Counted by hand: from the line to the end of the body, the innermost for each argument, the call before all."""
    assert eps_of(f"{UNIT}model m {{ input(3x4x4); {body} }}") == expected


def test_defaults_are_kept_apart_in_repeated_blocks() -> None:
    """A block on the same input is expanded once for each settings, a layer is made once."""
    text = (
        f"{UNIT}model m {{ input(3x4x4); for e in [1.0, 2.0] * 40 {{ defaults = {{batchnorm: {{eps: e}}}}; unit }} }}"
    )
    assert eps_of(text) == [1.0, 2.0] * 40


def test_defaults_give_what_has_no_default() -> None:
    text = "model m { input(3x8x8); defaults = {conv: {kernel_size: 3, padding: 1, bias: false}}; conv(4); conv(5, 1) }"
    assert {name: tensor.shape for name, tensor in archdsl.load(text).state.items()} == {
        "0.weight": (4, 3, 3, 3),
        "1.weight": (5, 4, 1, 1),
    }


def test_defaults_freeze() -> None:
    network = archdsl.load(
        "model m { input(3x8x8); defaults = {conv: {trainable: false}, batchnorm: {trainable: {bias: false}}}"
        "; conv(4, 1); batchnorm; conv(4, 1, trainable=true) }"
    )
    assert [sorted(node.frozen) for node in layer_nodes(network.root)] == [["bias", "weight"], ["bias"], []]


def test_the_positions_of_layers_with_taps_are_taps() -> None:
    text = "model m { input(3x8x8) -> x; defaults = {concat: {dim: 2}}; concat(x) -> y; concat(y, dim=1) }"
    assert [str(node.output) for node in archdsl.load(text).layers] == ["3x16x8", "6x16x8"]
