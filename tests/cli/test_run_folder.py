"""A run folder knows its model: eval, export and resume need not be told again, and refuse another."""

from __future__ import annotations

import json
import os
import signal
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


def test_the_folder_alone_repeats_the_run(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same seed, same run; the spec that was trained may be gone."""
    (tmp_path / "small.arch").unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    again, other = elsewhere / "again", elsewhere / "other"
    assert main(["train", str(run), "--out", str(again), "--quiet"]) == 0
    assert (again / "weights.safetensors").read_bytes() == (run / "weights.safetensors").read_bytes()
    assert (again / "recipe.json").read_bytes() == (run / "recipe.json").read_bytes()
    assert (again / "spec.arch").read_bytes() == (run / "spec.arch").read_bytes()
    assert main(["train", str(run), "--seed", "5", "--out", str(other), "--quiet"]) == 0
    assert (other / "weights.safetensors").read_bytes() != (run / "weights.safetensors").read_bytes()
    recipe = json.loads((other / "recipe.json").read_text())
    assert (recipe["seed"], recipe["batch"], recipe["epochs"]) == (5, 64, 1)
    assert json.loads((other / "run.json").read_text())["settings"] == {"activation": "relu", "hidden": 12}
    assert main(["train", str(run), "--resume", str(run), "--epochs", "2", "--quiet"]) == 0
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_exits_as_its_signal_says(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    from archdsl.train.step import Stepper

    real = Stepper._update

    def update(self: Stepper) -> None:
        real(self)
        if signal.getsignal(number) not in {signal.default_int_handler, signal.SIG_DFL}:
            os.kill(os.getpid(), number)
            monkeypatch.setattr(Stepper, "_update", real)

    monkeypatch.setattr(Stepper, "_update", update)
    folder = tmp_path / "stopped"
    assert main(["train", str(run), "--out", str(folder), "--quiet"]) == code
    assert main(["train", str(folder), "--resume", str(folder), "--quiet"]) == 0
    assert (folder / "weights.safetensors").read_bytes() == (run / "weights.safetensors").read_bytes()


def test_another_model_is_refused(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spec = str(run.parent / "small.arch")
    assert main(["eval", spec, "--model", "small", "--weights", str(run)]) == 2
    assert "rectified" in capfd.readouterr().err
