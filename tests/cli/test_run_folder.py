"""A run folder has its model: eval, export and resume need no options, and reject another model."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from archdsl.cli import main

SPEC = """
block twice(n) { linear(n); linear(n) }

model small(activation = sigmoid, hidden = 8, size = (8, 8), unit = linear) {
  input(1, size[0], size[1])
  flatten
  unit(hidden)
  activation
  if activation == relu and unit == twice and size == (8, 8) { linear(10, bias=false) } else { linear(10) }
}

model rectified = small(activation=relu, unit=twice)
train { dataset = digits; epochs = 1; batch = 64; report = false }
"""
SETTINGS = {
    "activation": {"name": "relu"},
    "hidden": 12,
    "size": {"tuple": [8, 8]},
    "unit": {"name": "twice"},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the spec and a short run of its second model, with a setting."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "small.arch").write_text(SPEC)
    arguments = ["train", str(folder / "small.arch"), "--model", "rectified", "--set", "hidden=12"]
    assert main([*arguments, "--out", str(folder / "run"), "--quiet"]) == 0
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """The folder of the run, each time another copy."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path / "run"


def test_eval_export_and_resume_take_the_model_and_its_settings(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import onnx

    spec = str(run.parent / "small.arch")
    assert json.loads((run / "run.json").read_text())["settings"] == SETTINGS
    assert main(["eval", spec, "--weights", str(run), "--format", "json"]) == 0
    target = run.parent / "small.onnx"
    assert main(["export", spec, "--weights", str(run), "-o", str(target)]) == 0
    assert "Relu" in [node.op_type for node in onnx.load(target).graph.node]
    assert main(["train", spec, "--resume", str(run), "--epochs", "2", "--quiet"]) == 0
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    capfd.readouterr()


def test_the_folder_of_an_earlier_version_is_read(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """There the settings were strings, numbers and lists; a list is still none of the tuples the spec compares with."""
    facts = json.loads((run / "run.json").read_text())
    settings = {"activation": "relu", "hidden": 12, "unit": "twice"}
    (run / "run.json").write_text(json.dumps(facts | {"version": 1, "settings": settings}))
    for command in (["eval", str(run / "spec.arch"), "--weights", str(run)], ["report", str(run)]):
        assert main(command) == 0
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
    assert json.loads((other / "run.json").read_text())["settings"] == SETTINGS
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


def test_another_model_is_rejected(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spec = str(run.parent / "small.arch")
    assert main(["eval", spec, "--model", "small", "--weights", str(run)]) == 2
    assert "rectified" in capfd.readouterr().err


def test_resuming_needs_no_spec(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small.arch").unlink()
    monkeypatch.chdir(run.parent)
    assert main(["train", "--resume", "run", "--epochs", "2", "--quiet"]) == 0
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--set", "hidden=16"], "hidden = 16: it was started with 12"),
        (["--input", "1x4x16"], "input = 1x4x16: it was started with 1x8x8"),
        (["--set", "train.batch=32"], "batch = 32: it was started with 64"),
    ],
)
def test_a_run_is_not_resumed_as_another(
    run: Path, arguments: list[str], what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The weights would fit the other input, and training would go on."""
    assert main(["train", "--resume", str(run), "--epochs", "2", *arguments]) == 1
    assert f"with {what}" in capfd.readouterr().err


def test_a_run_is_not_resumed_with_another_text(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spec = run.parent / "small.arch"
    spec.write_text(SPEC.replace("flatten", "flatten  # a comment"))
    assert main(["train", str(spec), "--resume", str(run), "--epochs", "2", "--quiet"]) == 0
    spec.write_text(SPEC.replace("flatten", "shaken: dropout; flatten"))
    assert main(["train", str(spec), "--resume", str(run), "--epochs", "3", "--quiet"]) == 1
    assert "error[E634]" in capfd.readouterr().err


def test_weights_without_their_run_json_are_no_run(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Another model and another normalisation would be evaluated."""
    spec = str(run.parent / "small.arch")
    (run / "run.json").unlink()
    commands = (["eval", spec], ["export", spec, "-o", str(run.parent / "x.onnx")], ["draw", "filters", spec])
    for command in commands:
        assert main([*command, "--weights", str(run)]) == 1
        printed = capfd.readouterr().err
        assert "is not a run: run.json is missing" in printed
        assert f"give the file: {run / 'weights.safetensors'}" in printed


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("run.json", {"settings": 3}, "settings: Input should be an object"),
        ("run.json", {"input": ["a"]}, "input.0: Input should be a valid integer"),
        ("run.json", {"mean": [None]}, "mean.0: Input should be a valid number"),
        ("metrics.jsonl", {"val_loss": None}, "val_loss: Input should be a valid number"),
    ],
)
def test_values_of_another_type_are_a_damaged_run(
    run: Path, name: str, changes: dict[str, object], reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (run / name).write_text(json.dumps(json.loads((run / name).read_text()) | changes))
    assert main(["compare", str(run), str(run)]) == 1
    assert f"{name}: {reason}" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--set", "epochs=3"], 1),
        (["--set", "optimizer.lr=3"], 1),
        (["--root", "somewhere"], 2),
        (["--set", "loss.label_smoothing=0.1"], 0),
    ],
)
def test_eval_takes_what_it_uses(run: Path, arguments: list[str], code: int, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(run.parent / "small.arch"), "--weights", str(run), *arguments]) == code
    assert ("E717" in capfd.readouterr().err) == (code == 1)


def test_a_file_of_a_run_is_evaluated_as_the_run(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spec, found = str(run.parent / "small.arch"), []
    for weights in (run, run / "weights.safetensors"):
        assert main(["eval", spec, "--weights", str(weights), "--format", "json"]) == 0
        found.append(json.loads(capfd.readouterr().out))
    assert found[0] == found[1]


NAMES = ("input", "model", "name", "output", "weights", "seed", "spec", "settings", "data", "train", "self")


def test_parameters_of_any_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`input` and `model` are arguments of `load`; `classes`, `batch` and `seed` entries of a recipe, `data` a row."""
    parameters = ", ".join(f"{name} = {i}" for i, name in enumerate(NAMES, 1))
    text = f"""
        model small({parameters}) {{ input(1x8x8); flatten; linear({" + ".join(NAMES)}); linear(10) }}
        train {{ epochs = 1; report = false }}
    """
    (tmp_path / "small.arch").write_text(text)
    runs = [tmp_path / "one" / "run", tmp_path / "two" / "run"]
    for run, seed in zip(runs, (5, 6), strict=True):
        settings = ["--set", f"seed={seed}", "--set", f"train.seed={seed}", "--set", "weights=2"]
        assert main(["train", str(tmp_path / "small.arch"), *settings, "--out", str(run), "--quiet"]) == 0
    assert json.loads((runs[1] / "recipe.json").read_text())["seed"] == 6
    capfd.readouterr()
    assert main(["compare", *map(str, runs), "--format", "json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert set(found["runs"]) == {"one/run", "two/run"}
    assert found["differences"] == {key: {"one/run": "5", "two/run": "6"} for key in ("model.seed", "seed")}
    assert main(["eval", str(tmp_path / "small.arch"), "--weights", str(runs[0])]) == 0
    assert main(["report", str(runs[0])]) == 0
    assert main(["train", "--resume", str(runs[0]), "--epochs", "2", "--quiet"]) == 0
