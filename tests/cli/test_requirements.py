"""`require { }` and `--require` in the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

import archdsl
from archdsl.cli import main
from archdsl.syntax import parse_requirement, tree
from archdsl.text.source import Source

SPEC = """\
model small(width = 4, budget = 3_000) {
  input(1x8x8)
  require { params <= budget; accuracy >= 0.01 }
  conv(width, 3, padding=1); relu
  flatten; linear(10)
}
model large = small(width=8)
train { dataset = digits; epochs = 1; batch = 64; report = false }
"""

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "small.arch"
    path.write_text(SPEC, encoding="utf-8")
    return str(path)


def test_check_marks_the_line_for_the_variant_that_misses_it(spec: str, capsys: Capture) -> None:
    assert main(["check", spec, "--format", "github"]) == 1
    [line] = capsys.readouterr().out.splitlines()
    # 8*9 + 8 and 512*10 + 10
    assert line.startswith(f"::error file={spec},line=3,endLine=3,col=13,endColumn=29,title=E490::")
    assert "`params` is 5,210, but must be at most 3,000: 2,210 more" in line


def test_check_applies_bounds_of_the_command_line_to_every_model(spec: str, capsys: Capture) -> None:
    assert main(["check", spec, "--require", "depth >= 3", "--format", "concise"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[1] for line in lines] == ["1", "3", "7"]


def test_summary_prints_the_table_first(spec: str, capsys: Capture) -> None:
    assert main(["summary", spec, "--require", "peak_memory <= 1KiB"]) == 1
    captured = capsys.readouterr()
    assert "Peak memory        1.28 KB at 0" in captured.out
    assert "`peak_memory` is 1,280 bytes, but must be at most 1,024 bytes: 256 bytes more (+25.0%)" in captured.err
    assert "the largest: `0` 1,024 (80.0%), `input` 256 (20.0%)" in captured.err


def test_summary_without_a_miss_is_fine(spec: str) -> None:
    assert main(["summary", spec, "--require", "params <= 2.7k", "--require", "field >= 3"]) == 0


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        ("parms <= 5M", "there is no figure `parms`"),
        ("params != 5", "`!=` bounds nothing"),
        ("params <= 5KB", "`params` is not a number of bytes"),
        ("params <= width", "`width` is not defined"),
        ('params <= "5M"', "must be a number"),
        ("params < 5M < 6", "expected the end of the"),
    ],
)
def test_a_bound_that_means_nothing(spec: str, bound: str, message: str, capsys: Capture) -> None:
    assert main(["summary", spec, "--require", bound]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_train_checks_the_size_before_and_the_accuracy_after(spec: str, tmp_path: Path, capsys: Capture) -> None:
    run = str(tmp_path / "run")
    common = ["train", spec, "--out", run, "--quiet"]
    assert main([*common, "--require", "params <= 100"]) == 1
    assert not Path(run).exists()
    assert main([*common, "--require", "accuracy > 1"]) == 1
    error = capsys.readouterr().err
    assert "error[E490]: `accuracy` is 0." in error
    assert (Path(run) / "run.json").is_file()
    assert main(["eval", spec, "--weights", run]) == 0
    assert main(["eval", spec, "--weights", run, "--require", "accuracy == 1.5"]) == 1


def test_loading_checks_nothing_but_tells(spec: str) -> None:
    network = archdsl.load(spec, model="large")
    assert [one.code for one in network.unmet] == ["E490"]
    assert [one.figure for one in network.requirements] == ["params", "accuracy"]
    partial = archdsl.load(spec, model="large", partial=True)
    assert [one.code for one in partial.diagnostics] == ["E490"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10_000", 10_000), ("5M", 5_000_000), ("2.5G", 2_500_000_000), ("64k", 64_000), ("64K", 64_000),
        ("1T", 10**12), ("256KB", 256_000), ("7.2MB", 7_200_000), ("4KiB", 4096), ("1.5MiB", 1_572_864), ("12B", 12),
        ("0.1234k", 123.4),
    ],
)  # fmt: skip
def test_units(text: str, value: float) -> None:
    bound = parse_requirement(Source("--require", f"macs <= {text}")).bound
    assert isinstance(bound, tree.Quantity | tree.Literal)
    assert bound.value == value


def test_depth_is_in_the_names() -> None:
    """Papers count the layers with a kernel or matrix on the longest way."""
    names = {
        "vgg11": 11,
        "vgg19": 19,
        "resnet18": 18,
        "resnet50": 50,
        "densenet121": 121,
        "googlenet": 22,
        "alexnet": 8,
    }
    assert {name: archdsl.load(name).depth for name in names} == names


def test_a_condition_holds_for_its_own_models() -> None:
    text = "model m(n = 4) { input(3x8x8); if n > 4 { require { params <= 10 } }; conv(n, 1) }"
    assert archdsl.load(text).unmet == []
    assert len(archdsl.load(text, n=5).unmet) == 1
