"""Warnings on the command line and in Python: in every format, as errors, left out, and settled by other files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import archdsl
from archdsl.cli import main

UNUSED = "model m(p = 1) {\n  input(3x8x8)\n  conv(8, 3)\n}\n"
WRONG = "model w { input(3x8x8); conv(8, 11) }\n"


@pytest.fixture
def unused(tmp_path: Path) -> str:
    path = tmp_path / "unused.arch"
    path.write_text(UNUSED, encoding="utf-8")
    return str(path)


def checked(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(["check", *arguments])
    return code, capsys.readouterr().out


def test_a_warning_is_no_error(unused: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = checked([unused], capsys)
    assert code == 0
    assert out.startswith("warning[W001]: the parameter `p` is never used\n")
    assert out.endswith("\n\n1 warning in 1 file\n\nchecked 1 file with 1 model: no errors\n")
    assert checked([unused, "--no-warnings"], capsys) == (0, "checked 1 file with 1 model: no errors\n")


def test_strict_makes_it_one(unused: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = checked([unused, "--strict"], capsys)
    assert code == 1
    assert out.startswith("error[W001]: ")
    assert out.endswith("\n\n1 error in 1 file\n")
    code, out = checked([unused, "--strict", "--format", "github"], capsys)
    assert (code, out.partition(" ")[0]) == (1, "::error")
    assert main(["check", unused, "--strict", "--no-warnings"]) == 2


def test_formats_for_tools(unused: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = checked([unused, "--format", "json"], capsys)
    [one] = json.loads(out)
    assert (code, one["code"], one["severity"], one["line"], one["column"]) == (0, "W001", "warning", 1, 9)
    assert checked([unused, "--format", "json", "--no-warnings"], capsys) == (0, "[]\n")
    assert json.loads(checked([unused, "--format", "json", "--strict"], capsys)[1])[0]["severity"] == "error"
    where = f"{unused}:1:9: W001 "
    assert checked([unused, "--format", "concise"], capsys) == (0, f"{where}the parameter `p` is never used\n")
    code, out = checked([unused, "--format", "github"], capsys)
    assert code == 0
    assert out.startswith(f"::warning file={unused},line=1,endLine=1,col=9,endColumn=10,title=W001::the parameter")


def test_errors_and_warnings_are_counted_apart(unused: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wrong.arch").write_text(WRONG, encoding="utf-8")
    code, out = checked([str(tmp_path)], capsys)
    assert code == 1
    assert out.endswith("\n\n1 error and 1 warning in 2 files\n")


def test_a_file_with_errors_has_no_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name would make the right one look unused."""
    (tmp_path / "w.arch").write_text("model w(width = 8) { input(3x8x8); conv(widht, 3) }", encoding="utf-8")
    _, out = checked([str(tmp_path), "--format", "concise"], capsys)
    assert [line.split()[1] for line in out.splitlines()] == ["E202"]


def test_what_others_import_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The imported file alone is warned of; with the file that imports it, or in its folder, it is not."""
    lib, top, blocks = (tmp_path / f"{name}.arch" for name in ("lib", "top", "blocks"))
    lib.write_text("let n = 8\nblock a(out) { conv(out, 1) }\nmodel m { input(3x8x8); conv(8, 1) }\n")
    top.write_text('import "lib.arch"\nimport "blocks.arch"\nmodel m2 { input(3x8x8); a(n); b }\n')
    blocks.write_text("block b { relu }\n")
    for files, codes in (
        ([lib], ["W001", "W001"]),
        ([top], []),
        ([lib, top], []),
        ([blocks], ["W005"]),
        ([blocks, top], []),
        ([tmp_path], []),
    ):
        code, out = checked([*map(str, files), "--format", "json"], capsys)
        assert (code, [one["code"] for one in json.loads(out)]) == (0, codes), files
    for path in (top, lib):
        path.unlink()
    assert checked([str(tmp_path), "--format", "json"], capsys) == (0, "[]\n")


def test_other_commands_are_quiet(unused: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", unused]) == 0
    captured = capsys.readouterr()
    assert "W001" not in captured.out + captured.err


def test_warnings_in_python(unused: str) -> None:
    assert archdsl.load(unused).params == 3 * 8 * 9 + 8
    network = archdsl.load(unused, partial=True)
    assert [one.code for one in network.warnings] == ["W001"]
    assert network.errors == ()
    assert network.diagnostics == network.warnings
    assert len(network.layers) == 1


def test_a_network_with_warnings_can_be_built(unused: str) -> None:
    pytest.importorskip("torch")
    assert len(list(archdsl.load(unused, partial=True).build().parameters())) == 2


def test_warnings_have_a_colour_of_their_own(unused: str) -> None:
    from archdsl.diagnostics.render import render_text

    report = render_text(archdsl.load(unused, partial=True).warnings, color=True)
    assert report.startswith("\x1b[1;33mwarning[W001]")
    assert report.endswith("1 warning in 1 file")
