"""Train, evaluate and export from the command line, on the included data set."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from archdsl.cli import main
from archdsl.cli.commands.eval import _draw, largest_mistakes
from archdsl.cli.onnx import mean_and_std
from archdsl.train import Evaluation

SPEC = """
model small(width = 8) {
  input(1x8x8)
  conv(width, 3, padding=1); batchnorm; relu
  flatten; linear(10)
}
train { dataset = digits; epochs = 2; batch = 32; optimizer = adam(lr=0.01) }
"""

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spec and a finished run of one epoch."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "small.arch").write_text(SPEC, encoding="utf-8")
    arguments = ["--set", "width=4", "--epochs", "1", "--out", str(folder / "run"), "--quiet"]
    assert main(["train", str(folder / "small.arch"), *arguments]) == 0
    return folder


def test_options_reach_the_recipe(folder: Path) -> None:
    recipe = json.loads((folder / "run" / "recipe.json").read_text(encoding="utf-8"))
    assert (recipe["epochs"], recipe["batch"]) == (1, 32)  # the option, and the spec
    assert recipe["optimizer"]["lr"] == 0.01


def test_eval_agrees_with_itself_and_has_learned(folder: Path, capsys: Capture) -> None:
    arguments = [str(folder / "small.arch"), "--set", "width=4", "--weights", str(folder / "run")]
    assert main(["eval", *arguments, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    confusion = np.array(found["confusion"])
    assert found["accuracy"] == pytest.approx(confusion.trace() / confusion.sum())
    assert found["accuracy"] > 0.5  # guessing gives 0.1
    assert [row["support"] for row in found["classes"]] == confusion.sum(1).tolist()
    assert main(["eval", *arguments]) == 0
    text = capsys.readouterr().out
    assert f"accuracy {found['accuracy']:.2%} of {confusion.sum()} samples" in text
    assert "confusion matrix" in text


def test_resume_with_an_override(folder: Path, capsys: Capture) -> None:
    arguments = [str(folder / "small.arch"), "--set", "width=4", "--resume", str(folder / "run"), "--epochs", "2"]
    assert main(["train", *arguments, "--quiet"]) == 0
    metrics = (folder / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["epoch"] for line in metrics] == [1, 2]


def test_export_is_compared_and_can_be_run(folder: Path, capsys: Capture) -> None:
    import onnxruntime

    target = folder / "small.onnx"
    arguments = [str(folder / "small.arch"), "--set", "width=4", "--weights", str(folder / "run")]
    assert main(["export", *arguments, "-o", str(target)]) == 0
    text = capsys.readouterr().out
    assert float(text.partition("in ONNX Runtime: ")[2].split()[0]) < 1e-4
    assert "the weights of" in text
    assert float(text.partition("with random weights in both: ")[2].split()[0]) < 1e-4
    session = onnxruntime.InferenceSession(target)
    [output] = session.run(None, {session.get_inputs()[0].name: np.zeros((3, 1, 8, 8), np.float32)})
    assert output.shape == (3, 10)


def test_verify_compares_a_file_with_a_run(folder: Path, capsys: Capture) -> None:
    target = folder / "verified.onnx"
    arguments = [str(folder / "small.arch"), "--set", "width=4", "--weights", str(folder / "run")]
    assert main(["export", *arguments, "-o", str(target)]) == 0
    assert main(["verify", str(target), *arguments]) == 0
    assert "agrees with small with the weights of" in capsys.readouterr().out
    assert main(["verify", str(target), *arguments[:3]]) == 0
    assert "the file's own weights were not compared" in capsys.readouterr().out
    model = onnx.load(target)
    tensor = model.graph.initializer[0]
    values = onnx.numpy_helper.to_array(tensor).copy()
    values.flat[3] += 1e-6
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, target)
    assert main(["verify", str(target), *arguments]) == 1
    error = capsys.readouterr().err
    assert "error[E713]" in error
    assert f"1 of {values.size}" in error
    target.write_text("no ONNX file")
    assert main(["verify", str(target), *arguments]) == 1
    assert "onnx rejects the ONNX file: it is not an ONNX file" in capsys.readouterr().err


def test_export_says_that_weights_are_fresh(folder: Path, capsys: Capture) -> None:
    assert main(["export", str(folder / "small.arch"), "-o", str(folder / "fresh.onnx"), "--no-fold"]) == 0
    assert "freshly initialised weights" in capsys.readouterr().out


def test_weights_of_another_width_are_rejected(folder: Path, capsys: Capture) -> None:
    target = folder / "other.onnx"
    other = ["--set", "width=8", "--weights", str(folder / "run"), "-o", str(target)]
    assert main(["export", str(folder / "small.arch"), *other]) == 1
    assert "error[E703]" in capsys.readouterr().err
    assert not target.exists()


def test_export_into_a_missing_folder(folder: Path, capsys: Capture) -> None:
    assert main(["export", str(folder / "small.arch"), "-o", str(folder / "no" / "x.onnx")]) == 1
    assert "error[E708]" in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["torch", "onnx"])
def test_show_stages_of_the_back_ends(folder: Path, stage: str, capsys: Capture) -> None:
    assert main(["show", str(folder / "small.arch"), "--stage", stage]) == 0
    assert {"torch": "nn.Conv2d(1, 8, 3", "onnx": "Conv <"}[stage] in capsys.readouterr().out


def test_normalize_text() -> None:
    assert mean_and_std("0.5;0.25") == ((0.5,), (0.25,))
    assert mean_and_std("0.485, 0.456, 0.406; 0.229, 0.224, 0.225")[1] == (0.229, 0.224, 0.225)


def test_many_classes_show_the_largest_mistakes(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    confusion = np.diag([10] * 100)
    confusion[7, 3], confusion[5, 90] = 4, 6
    rows = tuple(map(tuple, confusion.tolist()))
    classes = tuple(f"class{i}" for i in range(100))
    _draw(Evaluation(0.1, 1000 / 1010, classes, rows), "", "the test samples")
    text = capsys.readouterr().out
    assert "confusion matrix" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert largest_mistakes(classes, rows) == [("class5", "class90", 6), ("class7", "class3", 4)]
