"""The examples of docs/language.md, and what it says about names and keywords."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import archdsl
from archdsl import combinators
from archdsl.elaborate import check_source
from archdsl.syntax import format_text
from archdsl.syntax.table import table
from archdsl.text.source import Source

PAGE = Path(__file__).parent.parent.parent / "docs" / "language.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES: list[tuple[str, str]] = re.findall(r"^```(arch|arch-fragment)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def whole(kind: str, text: str) -> str:
    return text if kind == "arch" else f"model m {{\n  input(3x32x32)\n{text}}}\n"


def example(model: str) -> str:
    return next(text for _, text in EXAMPLES if f"model {model}" in text)


@pytest.mark.parametrize(("kind", "text"), EXAMPLES, ids=lambda one: one.partition("\n")[0][:30])
def test_example_checks(kind: str, text: str) -> None:
    assert check_source(Source("language.md", whole(kind, text)))[0] == []


@pytest.mark.parametrize("text", [text for kind, text in EXAMPLES if kind == "arch"], ids=lambda one: one[:30])
def test_example_has_the_one_form(text: str) -> None:
    assert format_text(text) == text


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 12


def test_names_are_those_of_the_comments() -> None:
    keys = set(archdsl.load(example("names"), model="names").state)
    listed = re.findall(r"\b[\w-]+(?:\.[\w-]+)*\.(?:weight|bias)\b", example("names"))
    assert len(listed) >= 10
    assert set(listed) <= keys


def test_outputs_are_those_of_the_text() -> None:
    network = archdsl.load(example("two_outputs"))
    assert set(network.output_shapes) == {"out", "features", "second", "aux1"}


def test_keywords_are_all_listed() -> None:
    section = TEXT.partition("- Keywords")[2].partition("\n- ")[0]
    assert set(re.findall(r"`([a-z]+)`", section)) == set(table().keywords)
    assert [word for word in combinators.KEYWORDS if not re.search(rf"^\| `{word}\b", TEXT, re.MULTILINE)] == []
