"""Taps: lists of them, families, and what is no tap."""

from __future__ import annotations

import pytest

import archdsl
from archdsl.diagnostics import SpecError
from archdsl.graph.traverse import same_graph
from archdsl.syntax import format_text

HEAD = "input(4x8x8) -> x; conv(2, 1) -> a; conv(3, 1) -> f[2]; conv(5, 1) -> f[1]; conv(4, 1)"


def model(body: str) -> str:
    return f"model m {{ {HEAD}; {body} }}"


@pytest.mark.parametrize(
    ("body", "plain"),
    [
        ("concat([a, x])", "concat(a, x)"),
        ("concat(a, [f[i] for i in 1..2])", "concat(a, f[1], f[2])"),
        ("concat(f)", "concat(f[2], f[1])"),
        ("concat([f, [a, x]], dim=1)", "concat(f[2], f[1], a, x)"),
        ("add([x])", "add(x)"),
        ("output([a, x])", "output(a, x)"),
        ("output(f, second=a)", "output(f[2], f[1], second=a)"),
    ],
)
def test_a_list_stands_for_its_taps(body: str, plain: str) -> None:
    found, expected = archdsl.load(model(body)), archdsl.load(model(plain))
    assert same_graph(found.root, expected.root)
    assert found.outputs == expected.outputs


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("concat([])", "E404"),
        ("concat([a, 3])", "E301"),
        ("concat({a: 1})", "E301"),
        ("output(name=[a])", "E301"),
        ("output([a, a])", "E208"),
        ("use([a])", "E301"),
    ],
)
def test_what_is_no_tap(body: str, code: str) -> None:
    with pytest.raises(SpecError) as raised:
        archdsl.load(model(body))
    assert [one.code for one in raised.value.diagnostics] == [code]


LABELS = """block stem { conv(4, 1) -> skip; inner: { relu -> late } }
model m {
  input(4x8x8)
  first: stem
  add(first.skip, first.inner.late)
  reuse(first.inner)
}
"""


def test_names_inside_parts_are_found() -> None:
    network = archdsl.load(LABELS, partial=True)
    assert not network.errors
    assert not network.warnings
    for name, kind, times in [("skip", "tap", 1), ("late", "tap", 1), ("first", "label", 3), ("inner", "label", 2)]:
        found = [one for one in network.definitions if one.name == name and one.kind == kind]
        assert [len(one.references) for one in found] == [times], name
        assert all(span.text == name for one in found for span in one.references)
        offset = LABELS.rindex(name)
        assert network.definition_at(offset) is found[0]


def test_one_form_of_labels() -> None:
    text = "model m { input(4x8x8); s: { relu -> t } ; add(s . t);  output( p{ 1 }=s.t) }"
    assert "add(s.t)" in format_text(text)
    assert "output(p{ 1 }=s.t)" in format_text(text)
