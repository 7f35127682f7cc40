"""The parser after an error: it goes on at the next statement, brace or definition, and loses nothing else."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.syntax import parse, tree, tree_text
from archdsl.syntax.parser import parse_partial
from archdsl.text.record import Record
from archdsl.text.source import Source, Span
from archdsl.zoo import specs_folder
from tests import fuzz
from tests.syntax.plain import items, plain
from tests.syntax.texts import spec_texts

SPECS = sorted(specs_folder().rglob("*.arch"))
#: What stands in the place of a statement, or after its text where it begins with a blank.
GARBLED = [
    *("?", "conv(8 3)", "relu relu", "linear(10))", "conv(8, (3 4", "conv(8, 3]", "conv(8, padding='same')"),
    *('x = "same', "f(a,\n\n b c,\n d)", "def f(x):", "if a = 3 { relu }", "residual { } { }", "a: b: c"),
    *("for i { relu }", "x{i]}: relu", "x{}: relu", "let a b = 3", "relu -> t[1 2", "split(2) relu", "1", "="),
    *(" ?", " 3", " )", " relu", " -> t -> u", " = 3 3"),
]


def partial(text: str) -> tuple[tree.File, list[Diagnostic]]:
    return parse_partial(Source("<test>", text))


def statements(file: tree.File) -> Iterator[tree.Statement]:
    """All statements of a file, and its definitions of values."""
    for node in tree.nodes(file.items):
        if isinstance(node, tree.Body):
            yield from node.statements


def without(node: Any, left_out: Record) -> Any:
    """A tree as plain data, with a missing statement in the place of one."""
    if node is left_out:
        return ("Missing",)
    if isinstance(node, list | tuple):
        return tuple(without(each, left_out) for each in node)
    if not isinstance(node, Record):
        return plain(node)
    values = ((name, value) for name, value in vars(node).items() if not isinstance(value, Span | Source))
    return type(node).__name__, *((name, without(value, left_out)) for name, value in values)


def spans(node: Any, left_out: Record | None = None) -> list[tuple[str, int, int]]:
    """The places of all nodes but one and what is in it, and but what is missing."""
    inside = set(map(id, tree.nodes(left_out)))
    found = [each for each in tree.nodes(node) if id(each) not in inside and not isinstance(each, tree.Missing)]
    return [(type(each).__name__, each.span.start, each.span.end) for each in found if hasattr(each, "span")]


def check_garbled(text: str, file: tree.File, statement: tree.Statement, garbled: str) -> None:
    """What is there of a file with a garbled statement is all the rest, each at its place, with one error."""
    start, end = statement.span.end if garbled.startswith(" ") else statement.span.start, statement.span.end
    changed = text[:start] + garbled + text[end:]
    shift = start + len(garbled) - end
    found, errors = partial(changed)
    assert [one.message for one in errors[1:]] == [], changed
    assert errors[0].span is not None
    assert statement.span.start <= errors[0].span.start
    assert plain(found.items) == without(file.items, statement)
    assert spans(found.items) == [
        (kind, first + shift * (first >= end), last + shift * (last >= end))
        for kind, first, last in spans(file.items, statement)
    ]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_a_garbled_statement_is_one_error(path: Path) -> None:
    text = path.read_text()
    file = parse(Source("<test>", text))
    choose = random.Random(path.name)
    for statement in choose.choices(list(statements(file)), k=5):
        check_garbled(text, file, statement, choose.choice(GARBLED))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_a_spec_that_breaks_off_is_one_error(path: Path) -> None:
    """What comes before is there: everything that ends before the spec does."""
    text = path.read_text()
    file = parse(Source("<test>", text))
    last = random.Random(path.name).choice([one for one in statements(file) if not isinstance(one, tree.For | tree.If)])
    found, errors = partial(text[: last.span.end])
    assert [one.code for one in errors] == ["E103"]
    whole = [each for each in spans(file.items) if each[2] <= last.span.end]
    assert [each for each in spans(found.items) if each in whole] == whole


@pytest.mark.parametrize(
    ("text", "dump", "errors"),
    [
        # A body that is not closed ends where the next definition begins, in a line of its own.
        ("block a {\n  relu\n  tanh\nblock b { relu }", "block a(relu tanh) block b(relu)", ["4:7"]),
        ("model m {\n  residual {\n    relu\n}\nmodel n { relu }", "model m(residual(relu)) model n(relu)", ["5:7"]),
        ("model m { a\nsum { b; c", "model m(a sum(b c))", ["2:10"]),
        ("model m {\n  init = {a: 1\n  relu\n}\nmodel n { }", "model m(missing relu) model n()", ["2:15"]),
        ("model m {\n  f(1, g(2)\n  relu\n  tanh\n}", "model m(missing relu tanh)", ["3:3"]),
        ("model m ", "missing", ["1:8"]),
        ("model m = f({a: 1", "missing", ["1:17"]),
        # One that is closed too early: what follows is of no file.
        ("model m {\n  { a } }\n  b\n  c\n}\nmodel n { relu }", "model m(group(a)) missing model n(relu)", ["3:3"]),
        # Several errors, in statements and definitions around each other.
        ("model m { a b; { c d; e }; f g }", "model m(missing group(missing e) missing)", ["1:13", "1:20", "1:30"]),
        ("let a = 1 2\nlet b = 3\nblock b( { a }\nblock c { a }", "missing let b missing block c(a)", ["1:11", "3:10"]),
        ("model m {\n  a b }\n}\nmodel n { c d }", "model m(missing) missing model n(missing)", ["2:5", "3:1", "4:13"]),
        ("model m { for i in { a }\n  residual { b } { c }\n  d }", "model m(missing missing d)", ["1:22", "2:18"]),
        # A statement that goes on in the next line.
        ("model m {\n  f(a b,\n    c)\n  d\n}", "model m(missing d)", ["2:7"]),
        ("model m {\n  let a = 1 2 +\n    3\n  d\n}", "model m(missing d)", ["2:13"]),
        ("model m {\n  a b\n  -> t\n  d\n}", "model m(missing d)", ["2:5"]),
        ("model m {\n  for i in 1..2\n  {\n  a }\n  d\n}", "model m(missing d)", ["2:16"]),
    ],
)  # fmt: skip
def test_recovery(text: str, dump: str, errors: list[str]) -> None:
    file, found = partial(text)
    rows = [row.lstrip().partition("  ")[2] for row in tree_text(file).splitlines()]
    assert flat(rows) == dump
    assert [str(one.span).removeprefix("<test>:") for one in found] == errors


def flat(rows: list[str]) -> str:
    """An indented tree on one line: `model m(relu)`."""
    text, depth = "", -1
    for row in rows:
        level = (len(row) - len(row.lstrip())) // 2
        word = row.strip().replace(" = 3", "")
        text += "(" if level > depth >= 0 else ")" * (depth - level) + " " * (depth >= 0)
        text, depth = text + word, level
    return re.sub(r"(model \w|group)(?= |$|\))(?!\()", r"\1()", text + ")" * depth)


@settings(max_examples=150, deadline=None)
@given(spec_texts())
def test_without_errors_it_is_the_whole_tree(text: str) -> None:
    file, errors = partial(text)
    assert errors == []
    assert plain(file.items) == items(text)


@pytest.mark.parametrize("seed", range(2))
def test_of_any_text_something_is_made(seed: int) -> None:
    """Errors come in the order of the text, each once, and only with something missing."""
    choose = random.Random(seed)
    for _ in range(150):
        _, text = fuzz.mutant(seed, choose.randrange(10**6))
        file, errors = partial(text)
        places = [one.span.start for one in errors if one.span is not None]
        assert sorted(set(places)) == places
        missing = [each for each in tree.nodes(file.items) if isinstance(each, tree.Missing)]
        if errors:
            with pytest.raises(SpecError) as raised:
                parse(Source("<test>", text))
            assert [one.message for one in raised.value.diagnostics] == [one.message for one in errors]
        else:
            assert missing == []
