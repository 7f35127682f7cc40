"""Models, variants, settings, imports, taps and initialisation as commands and Python see them."""

from __future__ import annotations

from pathlib import Path

import pytest

import archdsl
from archdsl.diagnostics import SpecError
from archdsl.elaborate import elaborate, load_module, models_in
from archdsl.elaborate.files import read
from archdsl.graph import layer_nodes
from archdsl.source import Source

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
