"""A run folder knows its model: eval, export and resume need not be told again, and refuse another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archdsl.cli import main

SPEC = """
model small(activation = sigmoid, hidden = 8) { input(1x8x8); flatten; linear(hidden); activation; linear(10) }
model rectified = small(activation=relu)
train { dataset = digits; epochs = 1; batch = 64 }
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a short run of the second model, with a setting."""
    (tmp_path / "small.arch").write_text(SPEC)
    folder = tmp_path / "run"
    arguments = ["train", str(tmp_path / "small.arch"), "--model", "rectified", "--param", "hidden=12"]
    assert main([*arguments, "--out", str(folder), "--quiet"]) == 0
    return folder


def test_eval_export_and_resume_take_the_model_and_its_settings(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import onnx

    spec = str(run.parent / "small.arch")
    assert json.loads((run / "run.json").read_text())["settings"] == {"activation": "relu", "hidden": 12}
    assert main(["eval", spec, "--weights", str(run), "--format", "json"]) == 0
    target = run.parent / "small.onnx"
    assert main(["export", spec, "--weights", str(run), "-o", str(target)]) == 0
    assert "Relu" in [node.op_type for node in onnx.load(target).graph.node]
    assert main(["train", spec, "--resume", str(run), "--epochs", "2", "--quiet"]) == 0
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    capfd.readouterr()


def test_another_model_is_refused(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spec = str(run.parent / "small.arch")
    assert main(["eval", spec, "--model", "small", "--weights", str(run)]) == 2
    assert "rectified" in capfd.readouterr().err
