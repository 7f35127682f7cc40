"""The saved table is that of the grammar and is used; the automaton keeps no state between runs."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from archdsl.diagnostics import SpecError
from archdsl.syntax import parse_expression, table
from archdsl.text.source import Source
from archdsl.zoo import specs_folder
from tests.syntax.plain import items


def test_the_saved_table_is_that_of_the_grammar() -> None:
    """`python -m archdsl.syntax.table` writes it again."""
    made = json.loads(json.dumps(table.make(table.GRAMMAR.read_bytes())))
    assert json.loads(table.SAVED.read_bytes()) == made


def test_another_grammar_gets_a_table_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "grammar.lark"
    other.write_text(table.GRAMMAR.read_text().replace('LET: "let"', 'LET: "var"'))
    monkeypatch.setattr(table, "GRAMMAR", other)
    assert table.table.__wrapped__().keywords["var"] == "LET"


def test_lark_is_not_needed_to_parse() -> None:
    code = """
import sys
sys.modules["lark"] = None
import archdsl
print(archdsl.load("model m { input(3); linear(10) }").params)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "40\n", done.stderr


def test_many_threads_parse_at_once() -> None:
    texts = [path.read_text() for path in sorted(specs_folder().glob("*.arch"))][:12]
    alone = [items(text) for text in texts]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(items, texts * 4)) == alone * 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10)", "expected the end of the value, found `)`"),
        ("1 2", "expected the end of the value, found `2`"),
        ("", "unexpected end of input, expected a value"),
    ],
)
def test_a_value_that_goes_on(text: str, message: str) -> None:
    with pytest.raises(SpecError) as raised:
        parse_expression(Source("--set", text))
    assert [one.message for one in raised.value.diagnostics] == [message]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("label{i]}", "expected `}`, found `]`"),
        ("label{a b}", "expected `}`, found `b`"),
        ("label{}", "expected a value, found `}`"),
        ("label{(}", "expected a value or `)`, found `}`"),
    ],
)
def test_a_label_that_is_no_expression(label: str, message: str) -> None:
    with pytest.raises(SpecError) as raised:
        items(f"model m {{ {label}: relu }}")
    assert raised.value.diagnostics[0].message == message
