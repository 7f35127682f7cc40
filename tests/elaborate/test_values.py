"""Layers and blocks with arguments as values."""

from __future__ import annotations

from typing import Any

import pytest

import archdsl
from archdsl.arguments.values import restored, stored_settings
from archdsl.diagnostics import SpecError
from archdsl.graph.traverse import same_graph

SPEC = """
let small = conv(4)
block unit(n, act = relu) { conv(n, 3); act }
block twice(f) { f(8); f(8) }
model m(act = leaky_relu(0.2), unit = unit(act=tanh), pools = [maxpool(2)]) {
  input(3x32x32)
  small(3, padding=1)
  act
  twice(unit)
  for pool in pools { pool }
}
"""
PLAIN = """
block unit(n, act) { conv(n, 3); act }
block tanh_unit(n) { conv(n, 3); tanh }
block twice() { unit(8, act=tanh); unit(8, act=tanh) }
model m {
  input(3x32x32)
  conv(4, 3, padding=1)
  leaky_relu(0.2)
  twice
  maxpool(2)
}
"""


def code(text: str, **settings: Any) -> tuple[str, str]:
    with pytest.raises(SpecError) as raised:
        archdsl.load(text, **settings)
    first = raised.value.diagnostics[0]
    return first.code, "" if first.span is None else first.span.text


def test_a_value_with_arguments_is_the_same_as_the_call() -> None:
    assert same_graph(archdsl.load(SPEC).root, archdsl.load(PLAIN).root)


@pytest.mark.parametrize(
    ("body", "plain"),
    [
        ("let c = conv(4); c(3, stride=2)", "conv(4, 3, stride=2)"),
        ("let c = conv(stride=2); c(4, 3)", "conv(4, 3, stride=2)"),
        ("let c = conv(4); let d = c(3); d(stride=2)", "conv(4, 3, stride=2)"),
        ("let c = [conv(4, 1), conv(8, 3)][1]; c", "conv(8, 3)"),
        ("let c = conv(4, 1) if channels == 4 else conv(8, 3); c", "conv(8, 3)"),
        ("let c = conv(channels * 2, 1); conv(5, 1); c", "conv(5, 1); conv(6, 1)"),
        ("let c = conv(4, 3, init=dirac); c", "conv(4, 3, init=dirac)"),
        ("defaults = {conv: {bias: false}}; let c = conv(4); c(3)", "conv(4, 3, bias=false)"),
        ("relu -> t; let j = concat(t); j", "relu -> t; concat(t)"),
        ("{ let c = conv(4, 1); c }; { let c = conv(4, 1); c }", "conv(4, 1); conv(4, 1)"),
    ],
)
def test_calls_add_arguments(body: str, plain: str) -> None:
    layers = []
    for text in (body, plain):
        root = archdsl.load(f"model m {{ input(3x8x8); {text} }}").root
        layers.append([(one.layer, one.init, one.output) for one in archdsl.graph.layer_nodes(root)])
    assert layers[0] == layers[1]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("let c = conv(4); c(3, out_channels=5)", ("E204", "out_channels=5")),
        ("let c = conv(stride=2); let d = c(stride=3)", ("E204", "stride=3")),
        ("let c = conv(4, strides=2); relu", ("E203", "strides")),
        ("let c = maxpool(2, ceil_mode=3); c", ("E207", "ceil_mode=3")),
        ("let c = conv(4); c", ("E205", "c")),
        ("let c = unit(1, 2, 3); relu", ("E206", "2")),
        ("let c = channels(2); c", ("E202", "channels")),
        ("let c = b(2); c", ("E202", "b")),
    ],
)
def test_errors_have_their_place(body: str, expected: tuple[str, str]) -> None:
    text = f"block unit(n) {{ conv(n, 3) }}\nmodel m {{ input(3x8x8); {body} }}"
    assert code(text) == expected


def test_an_error_in_a_value_names_both_places() -> None:
    text = "let c = maxpool(2, ceil_mode=3)\nmodel m { input(3x8x8); c }"
    with pytest.raises(SpecError) as raised:
        archdsl.load(text)
    [found] = raised.value.diagnostics
    assert found.span is not None
    assert (found.span.text, [note.span.text for note in found.notes if note.span]) == ("ceil_mode=3", ["c"])


def test_settings_from_outside_and_from_a_file() -> None:
    network = archdsl.load(SPEC, unit="unit", act="elu(alpha=0.5)")
    again = archdsl.load(SPEC, settings=network.settings)
    stored = {name: restored(value) for name, value in stored_settings(network.settings).items()}
    assert same_graph(network.root, again.root)
    assert same_graph(network.root, archdsl.load(SPEC, settings=stored).root)
    assert stored_settings(network.settings)["act"] == {"name": "elu", "kwargs": {"alpha": 0.5}}


def test_blocks_in_arguments_are_part_of_the_stored_spec(tmp_path: Any) -> None:
    (tmp_path / "lib.arch").write_text("block inner(n) { conv(n, 1) }\nblock outer(f) { f }")
    path = tmp_path / "m.arch"
    path.write_text('from "lib.arch" import outer, inner\nmodel m(f = outer(inner(4))) { input(3x8x8); f }')
    network = archdsl.load(path)
    again = archdsl.load(network.spec, settings=network.settings)
    assert same_graph(network.root, again.root)
