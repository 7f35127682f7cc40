"""Reports, pictures and comparisons from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

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


DRAWN = {
    "filters": ["--layer", "conv", "--count", "3"],
    "features": ["--sample", "3", "--theme", "dark"],
    "activations": ["--layer", "conv", "--layer", "1"],
    "embedding": ["--layer", "conv"],
    "mistakes": ["--count", "4"],
    "confusion": [],
    "curves": ["--run", "OTHER"],
    "gradcam": ["--class", "7", "--layer", "conv"],
    "occlusion": ["--sample", "1"],
    "field": ["--layer", "1", "--position", "2,3"],
}


@pytest.mark.parametrize("picture", DRAWN)
def test_every_picture_of_a_run_is_drawn(picture: str, folder: Path, tmp_path: Path) -> None:
    options = [str(folder / "b") if word == "OTHER" else word for word in DRAWN[picture]]
    svg = tmp_path / "picture.svg"
    assert main(["draw", picture, str(folder / "a"), *options, "-o", str(svg)]) == 0
    text = svg.read_text(encoding="utf-8")
    assert "<svg" in text
    assert ("prefers-color-scheme" in text) == (picture != "features")


def test_an_image_of_ones_own_needs_no_data_set(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    image = tmp_path / "mine.png"
    Image.new("L", (30, 20), 90).save(image)
    svg = tmp_path / "picture.svg"
    assert main(["draw", "features", str(folder / "a"), "--image", str(image), "-o", str(svg)]) == 0
    assert "mine.png" in svg.read_text(encoding="utf-8")
    assert main(["draw", "features", str(folder / "a"), "--image", str(image), "--sample", "1"]) == 2
    assert "takes the place of a sample" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["draw", "filter", "lenet"], "did you mean `filters`?"),
        (["show", "filters", "lenet"], "`archdsl draw filters lenet`"),
        (["show", "onnx", "lenet"], "`archdsl show lenet --stage onnx`"),
        (["draw", "filters", "lenet"], "E791"),
        (["draw", "network", "lenet", "-o", "x.gif"], "`x.gif`: the extension must be one of .svg, .png, .pdf, .tex"),
        (["draw", "network", "lenet", "--fold", "conv9"], "no scope or block of lenet is called conv9"),
        (["draw", "network", "vgg16", "--unfold", "feature"], "did you mean `features`?"),
        (["draw", "filters", "lenet", "--direction", "right"], "it is for `network`"),
        (["draw", "filters", "lenet", "--weights", "w", "-o", "x.jpg"], "the extension must be one of .png, .svg"),
        (["draw", "curves", "lenet"], "is of a run folder"),
        (["draw", "filters", "RUN", "--sample", "1"], "no effect on the picture `filters`; it is for `features`"),
        (["draw", "filters", "RUN", "--class", "1"], "it is for `gradcam`, `occlusion`"),
        (["draw", "gradcam", "RUN", "--class", "elephant"], "E743"),
        (["draw", "features", "RUN", "--sample", "9999"], "E744"),
        (["draw", "features", "RUN", "--layer", "convs"], "did you mean `conv`?"),
        (["draw", "field", "RUN", "--position", "1,x"], "`1,x` is not a position"),
        (["draw", "field", "RUN", "--position", "99,0"], "no unit at 99,0"),
        (["draw", "outputs", "RUN"], "not an image: 10 values for an image of 1x8x8"),
        (["draw", "curves", "RUN", "--run", "no_such_run"], "E632"),
        (["report", "no_such_run"], "E632"),
        (["compare", "no_such_run"], "E632"),
    ],
)
def test_what_cannot_be_drawn_is_said(arguments: list[str], message: str, folder: Path, capsys: Capture) -> None:
    assert main([str(folder / "a") if word == "RUN" else word for word in arguments]) in {1, 2}
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
