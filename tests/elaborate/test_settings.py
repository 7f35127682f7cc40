"""Settings have the values that a spec would give, and are the same after storing and loading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archdsl
from archdsl.arguments.values import Construct, restored, spec_text, stored, stored_settings
from archdsl.cli.settings import model_settings
from archdsl.diagnostics import SpecError
from archdsl.elaborate import elaborate, load_module
from archdsl.graph.network import Network
from archdsl.text.source import Source

#: What each value is decides which layers there are, so that another value gives another network.
BY_VALUE = """
block one(n) { conv(n, 1) }
block two(n) { conv(n, 1); conv(n, 1) }
let many = [8, 16]

block look(value, act = relu) {
  if value == relu { conv(1, 1) }
  if value == "relu" { conv(2, 1) }
  if value == one { conv(3, 1) }
  if value == "one" { conv(4, 1) }
  if value == (2, 3) { conv(5, 1) }
  if value == [2, 3] { conv(6, 1) }
  if value == 2..3 { conv(7, 1) }
  if value == [[relu, "same"], (one, none)] { conv(8, 1) }
  if value == {a: relu, "b c": ("x\\n\\"y\\"",)} { conv(9, 1) }
  if value == true { conv(10, 1) }
  if value == "linear" { conv(11, 1) }
  if value == linear { conv(12, 1) }
  if value == 0.1 { conv(13, 1) }
  if value == none { conv(14, 1) }
  if act == relu { conv(15, 1) }
}

model m(a, b = relu, c = one, d = "nearest", e = [one, relu], f = 2..3, input = none) {
  input(3x4x4)
  for value in [a, b, c, d, e, f, input] { look(value) }
  if b == "same" { look(b) } else { look(b, act=b) }
}

model v(n = (2, 3)) = m(n, b="relu", d=linear, e=[[relu, "same"], (one, none)])
model w(a = [2, 3]) = v(n=a)
"""
#: The same values as a spec and as JSON write them.
VALUES = [
    ("relu", {"name": "relu"}),
    ('"relu"', "relu"),
    ("one", {"name": "one"}),
    ('"one"', "one"),
    ("(2, 3)", {"tuple": [2, 3]}),
    ("2x3", {"tuple": [2, 3]}),
    ("[2, 3]", [2, 3]),
    ("2..3", {"range": [2, 4, 1]}),
    ('[[relu, "same"], (one, none)]', [[{"name": "relu"}, "same"], {"tuple": [{"name": "one"}, None]}]),
    ('{a: relu, "b c": ("x\\n\\"y\\"",)}', {"dict": {"a": {"name": "relu"}, "b c": {"tuple": ['x\n"y"']}}}),
    ("true", True),
    ("1", 1),
    ("1.0", 1.0),
    ('"linear"', "linear"),
    ("linear", {"name": "linear"}),
    ("-0.1", -0.1),
    ("0.1", 0.1),
    ("none", None),
    ("many", [8, 16]),
    ("two", {"name": "two"}),
    ("[]", []),
]


def same(one: Network, other: Network) -> bool:
    """Whether two networks are the same: their parts, weights, settings and the spec they are made from."""

    def facts(network: Network) -> tuple[object, ...]:
        rows = [(layer.name, layer.kind, layer.output) for layer in network.layers]
        return rows, network.state, list(map(repr, network.settings.items()))

    return facts(one) == facts(other)


def again(network: Network) -> Network:
    """The network made from what a run folder and an ONNX file keep."""
    text = json.dumps(stored_settings(network.settings))
    settings = {name: restored(value) for name, value in json.loads(text).items()}
    return elaborate(load_module(Source("run/spec.arch", network.spec)), network.name, settings=settings)


def typed(text: str, *options: str, model: str = "m") -> Network:
    """What `--set` makes of the options."""
    module = load_module(Source("m.arch", text))
    return elaborate(module, model, settings=model_settings(options, module.globals))


@pytest.mark.parametrize(("text", "json_value"), VALUES)
@pytest.mark.parametrize("name", ["a", "b"])
def test_a_setting_is_what_the_spec_would_give(name: str, text: str, json_value: Any) -> None:
    first = "" if name == "a" else "a=0, "
    in_the_spec = archdsl.load(f"{BY_VALUE}\nmodel x = m({first}{name}={text})", model="x")
    network = typed(BY_VALUE, "a=0", f"{name}={text}")
    assert [(one.name, one.kind) for one in network.layers] == [(one.name, one.kind) for one in in_the_spec.layers]
    if name == "a" or not isinstance(json_value, str):
        assert json.loads(json.dumps(stored(network.settings[name]))) == json_value
    assert same(again(network), network)
    assert same(again(in_the_spec), in_the_spec)
    assert same(archdsl.load(BY_VALUE, model="m", settings=network.settings), network)


@pytest.mark.parametrize("options", [(), ("a=relu",), ("n=relu", "e=[two]"), ("d=relu",)])
def test_variants_come_back(options: tuple[str, ...]) -> None:
    for model in ("v", "w"):
        own = [option.replace("a=", "n=") if model == "v" else option for option in options]
        network = typed(BY_VALUE, *own, model=model)
        assert same(again(network), network)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        # A bare word is a string where the default is one, though a layer is called so.
        ("d=linear", "linear"),
        ("d=bilinear", "bilinear"),
        ('d="relu"', "relu"),
        ("d=many", [8, 16]),
        ("b=tanh", Construct("tanh")),
        ("b=two", Construct("two")),
        ("a=bicubic", "bicubic"),
        ("a=[same, relu]", ["same", Construct("relu")]),
    ],
)
def test_bare_words(option: str, value: object) -> None:
    network = typed(BY_VALUE, "a=0", option)
    assert network.settings[option[0]] == value
    assert same(again(network), network)


def test_a_string_names_a_layer_where_the_default_is_one() -> None:
    """As Python gives it, and the folders of earlier versions have it."""
    by_name = archdsl.load(BY_VALUE, model="m", a="relu", b="relu", c="one", d="nearest")
    assert by_name.settings["a"] == "relu"
    assert by_name.settings["b"] == Construct("relu")
    assert by_name.settings["c"] == Construct("one")
    assert [one.name for one in by_name.layers] == [one.name for one in typed(BY_VALUE, 'a="relu"').layers]


def test_what_a_setting_replaces_is_not_looked_at() -> None:
    text = "model m(n, k = 1) { input(1x8x8); conv(n, k) }\nmodel v(n = [4, 8], k = (1, 3)) = m(n[1], k=k[1])"
    network = archdsl.load(text, model="v")
    assert network.settings == {"n": 8, "k": 3}
    assert same(again(network), network)


def test_a_comparison_with_a_layer() -> None:
    text = "model m(act = relu) { input(1x8x8); conv(10, 3); if act == relu { conv(10, 1) }; act }"
    assert typed(text, "act=relu").params == archdsl.load(text).params == archdsl.load(text, act="relu").params
    assert typed(text, "act=tanh").params == archdsl.load(text).params - 110


@pytest.mark.parametrize(
    "value", [object(), {1: 2}, float("nan"), [b"x"], Construct("nosuch"), Construct("nosuch", (1,))]
)
def test_other_values_are_errors(value: Any) -> None:
    with pytest.raises(SpecError, match="`a` of model `m` must be a number, string, list or dictionary") as raised:
        archdsl.load(BY_VALUE, model="m", a=value)
    assert [one.code for one in raised.value.diagnostics] == ["E207"]


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from([Construct("relu"), Construct("linear"), Construct("one"), range(3), range(5, 1, -2)]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=50)
@given(ANY)
def test_what_is_stored_is_restored(value: object) -> None:
    assert repr(restored(json.loads(json.dumps(stored(value))))) == repr(value)


@settings(max_examples=25)
@given(st.dictionaries(st.sampled_from("abcdef"), ANY, min_size=1))
def test_random_settings_come_back(values: dict[str, Any]) -> None:
    network = archdsl.load(BY_VALUE, model="m", **{"a": 0} | values)
    assert same(again(network), network)
    assert repr(network.settings["a"]) == repr(values.get("a", 0))


def test_blocks_of_other_files_keep_their_meaning(tmp_path: Path) -> None:
    (tmp_path / "lib.arch").write_text(
        "let n = 5\nblock unit { conv(n, 1) }\nblock other { conv(n + 1, 1) }\n"
        "model base(u = unit, us = [unit]) { input(1x2x2); u; if u == unit { relu }; for one in us { one } }"
    )
    path = tmp_path / "main.arch"
    path.write_text('from "lib.arch" import base, other\nlet n = 7\nblock unit { conv(n, 1) }\nmodel m = base()\n')
    module = load_module(Source(str(path), path.read_text()), path)
    for options, channels in [
        ([], [5, 5]),
        (["u=unit"], [7, 5]),
        (["u=other"], [6, 5]),
        (["us=[unit, other]"], [5, 7, 6]),
    ]:
        network = elaborate(module, "m", settings=model_settings(options, module.globals))
        assert [one.output.channels for one in network.layers if one.kind == "conv"] == channels
        assert same(again(network), network)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_strings_are_written_as_specs_write_them(text: str) -> None:
    assert archdsl.load(f"model m(a = {spec_text(text)}) {{ input(1) }}").settings == {"a": text}
