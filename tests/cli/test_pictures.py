"""Reports, pictures and comparisons from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archdsl.cli import main

SPEC = """
model small(width = 8) {
  input(1x8x8)
  conv: conv(width, 3, padding=1); relu
  flatten; linear(10)
}
train { dataset = digits; epochs = 1; batch = 64; optimizer = adam(lr=0.01) }
"""

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "small.arch").write_text(SPEC, encoding="utf-8")
    spec = str(folder / "small.arch")
    assert main(["train", spec, "--out", str(folder / "a"), "--quiet"]) == 0
    assert main(["train", spec, "--out", str(folder / "b"), "--quiet", "--seed", "1", "--set", "report=false"]) == 0
    return folder


def test_a_run_ends_with_its_report_unless_told_otherwise(folder: Path, capsys: Capture) -> None:
    assert "True class in rows" in (folder / "a" / "report.html").read_text(encoding="utf-8")
    assert not (folder / "b" / "report.html").exists()
    assert main(["report", str(folder / "b")]) == 0
    assert capsys.readouterr().out == f"wrote {folder / 'b' / 'report.html'}\n"


def test_filters_and_the_network_are_written(folder: Path) -> None:
    spec, png, svg = (str(folder / name) for name in ("small.arch", "filters.png", "network.svg"))
    assert main(["draw", "filters", str(folder / "a"), "--layer", "conv", "-o", png]) == 0
    assert Path(png).read_bytes().startswith(b"\x89PNG")
    assert main(["draw", "network", spec, "-o", svg]) == 0
    assert Path(svg).read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["draw", "filter", "lenet"], "did you mean `filters`?"),
        (["show", "filters", "lenet"], "`archdsl draw filters lenet`"),
        (["show", "onnx", "lenet"], "`archdsl show lenet --stage onnx`"),
        (["draw", "filters", "lenet"], "E791"),
        (["draw", "network", "lenet", "-o", "x.gif"], "x.gif': the extension must be one of .svg, .png, .pdf, .tex"),
        (["draw", "network", "lenet", "--fold", "conv9"], "no scope or block of lenet is called conv9"),
        (["draw", "network", "vgg16", "--unfold", "feature"], "did you mean `features`?"),
        (["draw", "filters", "lenet", "--direction", "right"], "it is for `network`"),
        (["draw", "filters", "lenet", "--weights", "w", "-o", "x.jpg"], "the extension must be one of .png, .svg"),
        (["report", "no_such_run"], "E632"),
        (["compare", "no_such_run"], "E632"),
    ],
)
def test_what_cannot_be_drawn_is_said(arguments: list[str], message: str, capsys: Capture) -> None:
    assert main(arguments) in {1, 2}
    assert message in " ".join(capsys.readouterr().err.split())


def test_two_runs_side_by_side(folder: Path, capsys: Capture) -> None:
    runs = [str(folder / "a"), str(folder / "b")]
    assert main(["compare", *runs]) == 0
    text = capsys.readouterr().out
    assert "best val accuracy" in text
    assert "seed" in text.partition("differences")[2]
    assert main(["compare", *runs, "--format", "json", "-o", str(folder / "both.png")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["differences"]["seed"] == {"a": "0", "b": "1"}
    assert (folder / "both.png").is_file()
