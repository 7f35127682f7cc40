"""Comparing runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from archdsl import Network
from archdsl.diagnostics import SpecError
from archdsl.recipe import Recipe
from archdsl.report.compare import compare_runs, comparison_figure
from archdsl.train import run_training


@pytest.fixture(scope="module")
def second(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "second"
    run_training(network, Recipe(epochs=1, seed=3), out=folder, quiet=True)
    return folder


def lines(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_results_are_the_metrics_files(run: Path, second: Path, network: Network) -> None:
    found = dict(compare_runs([run, second]).results())
    assert found["parameters"] == [f"{network.params:,}"] * 2
    assert found["epochs"] == ["2", "1"]
    assert found["best val accuracy"] == [f"{max(e['val_accuracy'] for e in lines(r)):.2%}" for r in (run, second)]
    assert found["last val loss"] == [f"{lines(r)[-1]['val_loss']:.4f}" for r in (run, second)]


def test_only_what_differs_is_listed(run: Path, second: Path) -> None:
    differences = dict(compare_runs([run, second]).differences())
    assert differences["seed"] == ["0", "3"]
    assert differences["epochs"] == ["2", "1"]
    assert set(differences) == {"seed", "epochs"}
    assert compare_runs([run, run]).differences() == []


def test_curves_of_both(run: Path, second: Path) -> None:
    axes = comparison_figure(compare_runs([run, second])).axes
    drawn = [np.asarray(line.get_ydata()).tolist() for line in axes[0].lines]
    assert drawn == [[epoch["val_loss"] for epoch in lines(folder)] for folder in (run, second)]


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        compare_runs([tmp_path])
    assert error.value.diagnostics[0].problem.code == "E632"
