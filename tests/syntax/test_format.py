"""The formatter: one layout, the same meaning, every comment."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings

from archdsl.diagnostics import SpecError
from archdsl.syntax import format_text
from archdsl.syntax.format import WIDTH
from archdsl.zoo import specs_folder
from tests.syntax.plain import comment_texts, items
from tests.syntax.texts import spec_texts

PAIRS = Path(__file__).parent.parent / "format"
SPECS = sorted(specs_folder().rglob("*.arch"))


@pytest.mark.parametrize("path", sorted(PAIRS.glob("*.in.arch")), ids=lambda path: path.name)
def test_golden_pair(path: Path) -> None:
    expected = path.with_name(path.name.replace(".in.", ".out.")).read_text()
    assert format_text(path.read_text()) == expected
    assert format_text(expected) == expected


def test_there_are_golden_pairs() -> None:
    assert len(list(PAIRS.glob("*.in.arch"))) >= 5


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_spec_has_the_one_form(path: Path) -> None:
    assert format_text(path.read_text()) == path.read_text()


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_spec_without_its_layout_keeps_its_meaning(path: Path) -> None:
    text = path.read_text()
    without = "\n".join(" ".join(line.split()) if "#" not in line else line.strip() for line in text.splitlines())
    formatted = format_text(without)
    assert items(formatted) == items(text)
    assert comment_texts(formatted) == comment_texts(text)


@settings(max_examples=300, deadline=None)
@given(spec_texts())
def test_random_text(text: str) -> None:
    formatted = format_text(text)
    assert items(formatted) == items(text)
    assert comment_texts(formatted) == comment_texts(text)
    assert format_text(formatted) == formatted


@settings(max_examples=100, deadline=None)
@given(spec_texts())
def test_random_text_is_tidy(text: str) -> None:
    lines = format_text(text).split("\n")
    assert lines[-1] == ""
    assert all(line == line.rstrip() for line in lines)
    assert all(not line.startswith(" ") or (len(line) - len(line.lstrip())) % 2 == 0 for line in lines)
    assert not any(before == "" == after for before, after in pairwise(lines[:-1]))


def test_line_ends_of_other_systems() -> None:
    assert format_text("model m {\r\n  input(3)\r\n}\r\n") == "model m {\n  input(3)\n}\n"


@pytest.mark.parametrize("text", ["", "\n\n", "   \n"])
def test_nothing(text: str) -> None:
    assert format_text(text) == ""


def test_syntax_errors_are_all_reported() -> None:
    with pytest.raises(SpecError) as raised:
        format_text("model a { input(3 }\nmodel b { relu ) }\n", "two.arch")
    assert [str(one.span) for one in raised.value.diagnostics] == ["two.arch:1:19", "two.arch:2:16"]


def test_long_lines_are_broken() -> None:
    arguments = ", ".join(f"argument_{i}={i}" for i in range(20))
    lines = format_text(f"model m {{ input(3); conv({arguments}) -> t }}").splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) <= WIDTH


def test_a_long_body_on_one_line_gets_lines_of_its_own() -> None:
    formatted = format_text("model m { " + "; ".join(["conv(64, 3)"] * 12) + " }")
    assert formatted.splitlines() == ["model m {", *["  conv(64, 3)"] * 12, "}"]
