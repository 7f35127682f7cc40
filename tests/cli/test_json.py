"""JSON: every command with a format has it, and every key that is printed is in docs/json.md."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archdsl.cli import main
from archdsl.cli.app import application, command_names
from archdsl.cli.words import choices_of
from tests.cli.runs import write_run
from tests.docs.page import DOCS

Capture = pytest.CaptureFixture[str]

PAGE = (DOCS / "json.md").read_text("utf-8")
#: The section of a command, where it is that of another one.
SECTION = {"verify": "export", "draw": "new", "report": "new"}
#: Keys whose values are objects by names of the user.
BY_NAME = {"inputs", "outputs", "facts", "runs", "differences", "parameters", "settings", "options", "other_shape"}
#: The entries in which the runs of the tests differ: their values are objects by run.
DIFFERENCES = {"batch"}
#: Commands that only print text for people or shells.
TEXT = {"show", "help", "lsp", "completion"}

LINES = [
    "summary my.arch --batch 4",
    "summary two.arch",
    "sizes my.arch",
    "check wrong.arch",
    "fmt --check my.arch wrong.arch",
    "diff my.arch my.arch --new-set width=8",
    "diff lenet alexnet",
    "zoo googlenet",
    "zoo resnet18",
    "zoo vgg",
    "layers",
    "explain",
    "runs",
    "compare runs/a runs/b",
    "new fresh",
    "draw network my.arch -o my.svg",
]
TORCH = [
    "train my.arch --out runs/c --set max_steps=1 --set report=false",
    "eval runs/c",
    "export runs/c -o c.onnx",
    "verify c.onnx runs/c",
    "predict runs/c digit.png",
    "report runs/c",
]
MY = "model my(width = 4) { input(1x8x8); conv(width, 1); relu; flatten; linear(10) }\n"
TWO = "model two { input(image: 3x8x8, time: 192); flatten; add(time) }\n"
WRONG = "block b(n) { conv(n, 9, pading=1) }\nmodel m { input(3x8x8); b(3); cnv(3, 3) }\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in (("my", MY), ("two", TWO), ("wrong", WRONG)):
        (tmp_path / f"{name}.arch").write_text(text)
    write_run(tmp_path / "runs" / "a")
    write_run(tmp_path / "runs" / "b", recipe={"batch": 32})
    return tmp_path


def section(command: str) -> str:
    return PAGE.partition(f"\n## `archdsl {SECTION.get(command, command)} ")[2].partition("\n## ")[0]


def keys(value: Any, *, by_name: bool = False) -> Iterator[str]:
    """All keys inside a value that are not names of the user's."""
    if isinstance(value, list):
        for item in value:
            yield from keys(item)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if not by_name:
                yield key
            yield from keys(inner, by_name=(key in BY_NAME and not by_name) or key in DIFFERENCES)


def documented(command: str, text: str) -> None:
    """Every key is in the command's section, or in one that it refers to."""
    found = [json.loads(line) for line in text.splitlines()] if command == "train" else json.loads(text)
    words = set(re.findall(r"`(\w+)`", section(command)))
    if command in {"fmt", "diff", "sizes", "train"}:
        words |= set(re.findall(r"`(\w+)`", section("check") + section("summary")))
    if command in {"train", "runs"}:
        words |= set(re.findall(r"`(\w+)`", (DOCS / "training.md").read_text("utf-8").partition("metrics.jsonl")[2]))
    assert set(keys(found)) - words == set()


@pytest.mark.parametrize("line", LINES)
def test_every_key_is_documented(line: str, folder: Path, capsys: Capture) -> None:
    words = shlex.split(line)
    assert main([*words, "--json"]) in {0, 1}
    documented(words[0], capsys.readouterr().out)


@pytest.mark.slow
def test_every_key_of_trained_networks_is_documented(folder: Path, capsys: Capture) -> None:
    from PIL import Image

    Image.new("L", (8, 8)).save("digit.png")
    for line in TORCH:
        words = shlex.split(line)
        assert main([*words, "--format", "json"]) == 0
        documented(words[0], capsys.readouterr().out)


def test_every_command_with_figures_has_json() -> None:
    tried = {shlex.split(line)[0] for line in (*LINES, *TORCH)}
    assert tried == set(command_names()) - TEXT
    for name in tried:
        command = application([name]).commands[name]
        (format,) = [one for one in command.params if one.name == "format"]
        assert "json" in choices_of(command, format)
        assert any("--json" in one.opts for one in command.params)


def test_two_formats_exclude_each_other(capsys: Capture) -> None:
    assert main(["summary", "lenet", "--json", "--format", "csv"]) == 2
    assert "--json and --format csv exclude each other" in capsys.readouterr().err
    assert main(["summary", "lenet", "--json", "--format", "json"]) == 0
    assert main(["show", "lenet", "--json"]) == 2
