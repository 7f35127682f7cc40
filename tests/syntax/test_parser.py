"""The parser: trees of handwritten specs, and the places of their nodes."""

from __future__ import annotations

from typing import Any

import pytest

from archdsl.diagnostics import SpecError
from archdsl.syntax import parse, parse_expression, tree
from archdsl.syntax.text import expression_text
from archdsl.text.source import Source
from tests.syntax.plain import items


def source(text: str) -> Source:
    return Source("test.arch", text)


@pytest.mark.parametrize(
    ("text", "structure"),
    [
        ("1 + 2 * 3", "1 + (2 * 3)"),
        ("1 - 2 - 3", "(1 - 2) - 3"),
        ("2 ** 3 ** 4", "2 ** (3 ** 4)"),
        ("-2 ** 2", "-(2 ** 2)"),
        ("not a == b and c or d", "((not (a == b)) and c) or d"),
        ("a if b else c if d else e", "a if b else (c if d else e)"),
        ("(a if b else c)(d)", None),
        ("1..n - 1", "1..(n - 1)"),
        ("a[1](2)", None),
        ("a in b or c not in d", "(a in b) or (c not in d)"),
        ("a[1:2:3]", "a[1:2:3]"),
        ("f(1, x=2)[0]", "f(1, x=2)[0]"),
        ("3x4", "3x4"),
        ("(1)", "1"),
        ("(1,)", "(1,)"),
        ("{a: 1}", '{"a": 1}'),
        ("[a + 1 for a in b]", "[(a + 1) for a in b]"),
        ("[a if b else c for d in e]", "[(a if b else c) for d in e]"),
        ("[a for b, (c, (d,)), e in f if g or h]", "[a for b, (c, (d,)), e in f if (g or h)]"),
        ("[a for (b) in 1..n]", "[a for b in (1..n)]"),
        ("[[a for b in c] for d in e][0]", "[[a for b in c] for d in e][0]"),
        ("[a for b in c if d if e else f]", None),
        ("[a for b in c for d in e]", None),
        ("[a, b for c in d]", None),
        ("(a for b in c)", None),
    ],
)
def test_precedence(text: str, structure: str | None) -> None:
    if structure is None:
        with pytest.raises(SpecError):
            parse_expression(source(text))
    else:
        assert expression_text(parse_expression(source(text))) == structure


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("model m { relu\nrelu }", "model m { relu; relu }"),
        ("model m { ; relu ;;\n\n; }", "model m { relu }"),
        ("model m { conv(1,\n2) }", "model m { conv(1, 2) }"),
        ("let a = 1 +\n 2", "let a = 1 + 2"),
        ("model m { if a { b }\nelse { c } }", "model m { if a { b } else { c } }"),
        ("model m { residual { b }\n# c\n shortcut { c } }", "model m { residual { b } shortcut { c } }"),
        ("model m { relu\n -> t }", "model m { relu -> t }"),
        ("model m {relu}", "model m { relu }"),
        ("let a = [1, 2,]", "let a = [1, 2]"),
        ("model m { a: relu }", "model m { a : relu }"),
        ("let a = {b: 1\n}", "let a = {b: 1}"),
        ("let a = [b\nfor b in\nc\nif d]", "let a = [b for b in c if d]"),
        ("let ((a), (b,\n c,)) = d", "let (a, (b, c)) = d"),
        ("# only\n\n", ""),
    ],
)
def test_same_tree(one: str, other: str) -> None:
    assert items(one) == items(other)


def test_spans_are_the_texts_of_their_nodes() -> None:
    conv_text = "x-{n}: conv(n, 3, bias=false) -> t[n]"
    residual_text = "residual when n == 2 { relu } shortcut { tanh }"
    text = f"model m(n = 2) {{\n  {conv_text}\n  {residual_text}\n}}"
    model = parse(source(text)).items[0]
    assert isinstance(model, tree.ModelDef)
    conv, residual = model.body.statements
    assert isinstance(conv, tree.Item)
    assert isinstance(conv.form, tree.LayerCall)
    assert conv.label is not None
    assert conv.tap is not None
    assert model.span.text == text
    assert model.params[0].span.text == "n = 2"
    assert conv.span.text == conv_text
    assert conv.label.span.text == "x-{n}"
    assert [part if isinstance(part, str) else part.span.text for part in conv.label.parts] == ["x-", "n"]
    assert conv.form.span.text == "conv(n, 3, bias=false)"
    assert [one.span.text for one in conv.form.arguments] == ["n", "3", "bias=false"]
    assert conv.tap.span.text == "-> t[n]"
    assert residual.span.text == residual_text


def errors(text: str) -> list[tuple[str, int, int]]:
    with pytest.raises(SpecError) as raised:
        parse(source(text))
    found: list[Any] = [one.span for one in raised.value.diagnostics]
    return [(one.code, span.line, span.column) for one, span in zip(raised.value.diagnostics, found, strict=True)]


def test_every_part_of_a_file_is_looked_at() -> None:
    text = "model a { conv( }\nblock b { relu }\nmodel c { 3 }\nlet d = 1 2\ntrain { x }\n"
    assert errors(text) == [("E101", 1, 17), ("E101", 3, 11), ("E101", 4, 11), ("E101", 5, 11)]


def test_words_that_begin_with_a_keyword_are_words() -> None:
    assert items("let informed = 1") == items("let informed=1")
    assert errors("models m { relu }") == [("E101", 1, 1)]
    assert errors("model m { if a { } elseif b { } }")[0][:2] == ("E101", 1)
    model = parse(source("model m { lettuce; inlined; trainer; forest; iffy }")).items[0]
    assert isinstance(model, tree.ModelDef)
    forms = [statement.form for statement in model.body.statements if isinstance(statement, tree.Item)]
    names = [form.name for form in forms if isinstance(form, tree.LayerCall)]
    assert names == ["lettuce", "inlined", "trainer", "forest", "iffy"]


def test_after_an_error_the_parser_serves_other_texts() -> None:
    assert len(errors("model {")) == 1
    assert len(parse(source("model m { relu }")).items) == 1
