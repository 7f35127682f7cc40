"""Wrong command lines: what is wrong is underlined, and what was probably meant is suggested."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from archdsl.cli import main
from archdsl.cli.app import application, command_names
from archdsl.cli.words import Line, choices_of, values_of

Capture = pytest.CaptureFixture[str]


def error_of(line: str, capsys: Capture) -> str:
    """The report of a wrong command line, written as in a shell."""
    assert main(shlex.split(line)) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    return streams.err


@pytest.mark.parametrize(
    "line",
    [
        "summry alexnet",
        "alexnet --depth 2",
        "nothing",
        "''",
        "-",
        "--json summary lenet",
        "summary alexnet --fromat json",
        "train -qx",
        "layers --everything",
        "summary",
        "eval",
        "summary lenet lenet",
        "summary lenet --model",
        "export lenet -o",
        "check . --strict=yes",
        "summary lenet --format jsn",
        "summary lenet --format=maskdown",
        "summary lenet --depth 0",
        "summary lenet --depth two",
        "verify x.onnx lenet --tolerance little",
        "summary lenet --format json --columns kind",
        "summary lenet --input 3x0x0 --set 'classes=10 '",
        "help trian",
        "lsp --ws 70000",
        "zoo --show",
        "layers linear --kind losses",
        "layers CosineAnnealingLR",
        "check . --diff --json",
    ],
)
def test_reports(line: str, capsys: Capture, snapshot: SnapshotAssertion) -> None:
    assert error_of(line, capsys) == snapshot


def test_a_narrow_terminal_shows_the_word(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = error_of("summary a_network_with_a_long_name --set classes=1000 --fromat json", capsys)
    shown = [line for line in text.splitlines() if line.startswith("  |")]
    assert max(map(len, shown)) <= 40
    assert sum("--fromat" in line for line in shown) == 1
    assert sum("--format" in line for line in shown) == 1


def test_control_characters_of_a_word_are_not_printed(capsys: Capture) -> None:
    assert main(["\x1b[31mred"]) == 2
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["help"], ["summary", "-h"], ["help", "summary"]])
def test_help(words: list[str], capsys: Capture) -> None:
    assert main(words) == 0
    text = capsys.readouterr().out
    full = ["summary", "--help"] if "summary" in words else ["--help"]
    assert main(full) == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("words", [["-V"], ["--version"], ["train", "-V"], ["summary", "--version"]])
def test_version_everywhere(words: list[str], capsys: Capture) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("archdsl ")


@pytest.mark.parametrize("word", ["-V", "--version"])
def test_the_version_imports_no_command(word: str) -> None:
    assert not application([word]).commands


@pytest.mark.parametrize("command", ["summary", "check", "show"])
def test_an_empty_word_is_not_the_current_folder(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.arch").write_text("model net { input(3); relu }")
    assert main([command, ""]) == 1
    streams = capsys.readouterr()
    assert "E001" in streams.out + streams.err


def test_words_belong_to_the_parameters_that_click_gives_them() -> None:
    words = ["export", "--model", "m", "net.arch", "-ox.onnx", "--set=a=1", "--no-fold", "--set", "b=2", "--", "-c"]
    values = values_of(application(words).commands["export"], words, first=1)
    found = [(words[v.word][v.start :], v.parameter and v.parameter.name) for v in values]
    assert found == [
        ("m", "model"),
        ("net.arch", found[1][1]),
        ("x.onnx", "output"),
        ("a=1", "settings"),
        ("b=2", "settings"),
        ("-c", None),
    ]


def test_quoted_words_are_underlined_whole() -> None:
    line = Line(["summary", "my net.arch", "--depth=2"])
    assert line.span(1).text == "'my net.arch'"
    assert line.span(2, 8).text == "2"
    assert line.end.start == len("archdsl summary 'my net.arch' --depth=2")


@pytest.mark.parametrize("name", command_names())
def test_every_choice_is_checked_with_a_suggestion(name: str, capsys: Capture) -> None:
    """Whatever a command takes one of a few values for."""
    command = application([name]).commands[name]
    arguments = ["x"] * sum(one.required and one.param_type_name == "argument" for one in command.params)
    for parameter in command.params:
        choices = choices_of(command, parameter) if parameter.expose_value else ()
        if choices and parameter.param_type_name == "option":
            assert main([name, *arguments, parameter.opts[0], f"{choices[0]}x"]) == 2
            assert f"did you mean `{choices[0]}`?" in capsys.readouterr().err


def test_a_folder_for_a_command(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # its name is long
    assert f"archdsl summary {tmp_path}" in error_of(str(tmp_path), capsys)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("train lenet --device cpu", "train lenet --set device=cpu"),
        ("eval runs/lenet --device=cpu", "eval runs/lenet --set device=cpu"),
        ("train lenet --learning-rate 0.1 -q", "train lenet --set optimizer.lr=0.1 -q"),
        ("train lenet --augment '[hflip]'", "train lenet --set 'augment=[hflip]'"),
        ("train lenet --lr -q", "train lenet --set optimizer.lr=VALUE -q"),
    ],
)
def test_an_entry_of_the_recipe_as_an_option_is_an_entry_for_set(line: str, meant: str, capsys: Capture) -> None:
    assert f"  | archdsl {meant}\n" in error_of(line, capsys)


def test_other_commands_have_no_recipe(capsys: Capture) -> None:
    assert "--set" not in error_of("summary lenet --device cpu", capsys)
