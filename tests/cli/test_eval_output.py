"""`archdsl eval` says what it measured, and on which samples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from archdsl.cli import main

Capture = pytest.CaptureFixture[str]

#: Recipes by name, what is said of the measure, and of the samples.
RUNS = {
    "classes": ("dataset = digits", "accuracy ", "by which the best epoch was chosen too"),
    "held": ("dataset = digits; validation = 0.2", "accuracy ", "digits; validation used others"),
    "distances": ("dataset = digits; loss = pairwise_distance", "squared error between distances", "chosen too"),
    "values": (
        'dataset = arrays("values.npz"); loss = l1',
        "the mean absolute error between the output and the values of the data",
        "values.npz has no test samples: these are its validation samples",
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_what_is_measured(name: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    recipe, measure, samples = RUNS[name]
    random = np.random.default_rng(0)
    np.savez("values.npz", x=random.integers(0, 256, (50, 8, 8), dtype=np.uint8), y=random.random((50, 10)))
    train = f"train {{ epochs = 1; batch = 512; report = false; {recipe} }}"
    Path("m.arch").write_text(f"model m {{ input(1x8x8); flatten; linear(10) }}\n{train}", encoding="utf-8")
    assert main(["train", "m.arch", "--out", "run", "-q"]) == 0
    capsys.readouterr()
    assert main(["eval", "run"]) == 0
    shown = capsys.readouterr().out
    assert measure in shown
    assert samples in shown
    assert ("%" in shown) == ("accuracy" in measure)
    assert main(["eval", "run", "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["samples"] == (10 if name == "values" else 355)
    assert facts["split"] == ("validation" if name == "values" else "test")
    assert facts["validates_on_test"] == (name in ("classes", "distances"))
    assert f"{facts['loss']:.4f} of" in shown or f"loss {facts['loss']:.4f}" in shown


def test_weights_without_a_run(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.arch").write_text("model m { input(1x8x8); flatten; linear(10) }\n", encoding="utf-8")
    assert main(["train", "m.arch", "--out", "run", "-q", "--epochs", "1", "--set", "report=false"]) == 0
    Path("run/weights.safetensors").rename("own.safetensors")
    capsys.readouterr()
    assert main(["eval", "m.arch", "--weights", "own.safetensors"]) == 0
    assert "\nthe test samples of digits\n" in capsys.readouterr().out
