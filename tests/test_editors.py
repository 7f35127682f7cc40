"""The keywords in the editors' files are those of the grammar."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from archdsl import combinators
from archdsl.syntax.table import table

ROOT = Path(__file__).parent.parent
EDITORS = ROOT / "editors"
KEYWORDS = set(table().keywords)


def patterns(node: Any) -> list[str]:
    """Every regular expression of a TextMate grammar."""
    if isinstance(node, dict):
        own = [node[key] for key in ("match", "begin", "end") if key in node]
        return own + [one for value in node.values() for one in patterns(value)]
    return [one for value in node for one in patterns(value)] if isinstance(node, list) else []


@pytest.mark.parametrize(
    ("path", "before", "separator", "after"),
    [
        ("vim/syntax/arch.vim", "syntax keyword archCombinator ", " ", "\n"),
        (
            "vscode/syntaxes/arch.tmLanguage.json",
            '"keyword.other.combinator.arch", "match": "\\\\b(?:',
            "|",
            ")",
        ),
    ],
)
def test_combinators_are_those_of_the_package(path: str, before: str, separator: str, after: str) -> None:
    """ARCHDSL_UPDATE=1 writes them again."""
    text = (EDITORS / path).read_text()
    start, _, rest = text.partition(before)
    expected = start + before + separator.join(combinators.KEYWORDS) + after + rest.partition(after)[2]
    if os.environ.get("ARCHDSL_UPDATE") == "1":
        (EDITORS / path).write_text(expected)
    assert text == expected


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(EDITORS.rglob("*.json")) if "node_modules" not in path.parts],
    ids=lambda path: path.name,
)
def test_json_can_be_read(path: Path) -> None:
    assert json.loads(path.read_text())


def test_the_extension_names_files_that_are_there() -> None:
    package = json.loads((EDITORS / "vscode" / "package.json").read_text())["contributes"]
    for one in (package["languages"][0]["configuration"], package["grammars"][0]["path"]):
        assert (EDITORS / "vscode" / one).is_file()


def test_textmate_knows_every_keyword() -> None:
    grammar = json.loads((EDITORS / "vscode" / "syntaxes" / "arch.tmLanguage.json").read_text())
    words = patterns(grammar["repository"]["keyword"])
    assert all(any(re.fullmatch(pattern, word) for pattern in words) for word in KEYWORDS)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("number", "3x224x224", "3x224x224"),
        ("number", "5e-4", "5e-4"),
        ("number", "0.5", "0.5"),
        ("number", "64", "64"),
        ("number", "10_000", "10_000"),
        ("number", "7.2MB", "7.2MB"),
        ("number", "4KiB", "4KiB"),
        ("tap", "relu -> t", "-> t"),
        ("tap", "chunk(2) -> a, b; relu", "-> a, b"),
        ("definition", "inline block b(n)", "inline block b"),
        ("argument", "stride=2", "stride="),
        ("argument", "a == 2", None),
        ("setting", "defaults = {conv: {bias: false}}", "defaults ="),
        ("setting", "{ init = zeros }", "{ init ="),
        ("setting", "conv(8, 3, init=zeros)", None),
        ("setting", "let defaults = 3", None),
    ],
)
def test_textmate_finds(name: str, text: str, found: str | None) -> None:
    grammar = json.loads((EDITORS / "vscode" / "syntaxes" / "arch.tmLanguage.json").read_text())
    matches = [re.search(pattern, text) for pattern in patterns(grammar["repository"][name])]
    assert next((match[0] for match in matches if match), None) == found


def test_vim_knows_every_keyword() -> None:
    text = (EDITORS / "vim" / "syntax" / "arch.vim").read_text()
    words = {word for line in re.findall(r"^syntax keyword \w+ (.*)$", text, re.MULTILINE) for word in line.split()}
    assert words >= KEYWORDS


def test_the_problem_matcher_reads_the_concise_form() -> None:
    from archdsl.diagnostics.render import render_concise
    from archdsl.elaborate import check_source
    from archdsl.text.source import Source

    package = json.loads((EDITORS / "vscode" / "package.json").read_text())["contributes"]
    pattern = package["problemMatchers"][0]["pattern"]["regexp"]
    line = render_concise(check_source(Source("a/b.arch", "model m {\n  input(3)\n  cnov\n}"))[0])
    match = re.fullmatch(pattern, line)
    assert match is not None
    assert match.groups()[:4] == ("a/b.arch", "3", "3", "E201")
