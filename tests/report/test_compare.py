"""Comparing runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl import Network
from archdsl.cli import main
from archdsl.diagnostics import SpecError
from archdsl.recipe import Recipe
from archdsl.report.compare import compare_runs
from archdsl.report.compare_page import comparison_page
from archdsl.runs.listing import read_run
from archdsl.train import run_training
from tests.report.browser import browser, needs_browser, opened
from tests.report.conftest import SPEC
from tests.report.test_page import Page


@pytest.fixture(scope="module")
def second(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "second"
    run_training(network, Recipe(epochs=1, seed=3), out=folder, quiet=True)
    return folder


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of another network."""
    folder = tmp_path_factory.mktemp("wide")
    (folder / "small.arch").write_text(SPEC.replace("conv(12", "conv(14"))
    run_training(archdsl.load(folder / "small.arch"), Recipe(epochs=1), out=folder / "wide", quiet=True)
    return folder / "wide"


def lines(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_results_are_the_runs_files(run: Path, second: Path, network: Network) -> None:
    found = dict(compare_runs([run, second]).results())
    tests = [json.loads((folder / "evaluation.json").read_text()) for folder in (run, second)]
    assert found["state"] == ["finished"] * 2
    assert found["parameters"] == [f"{network.params:,}"] * 2
    assert found["epochs"] == ["2", "1"]
    assert found["steps"] == [str(sum(int(e["steps"]) for e in lines(folder))) for folder in (run, second)]
    best = [max(e["val_accuracy"] for e in lines(r)) for r in (run, second)]
    assert found["best val accuracy"] == [f"{100 * each:.2f}%" for each in best]
    assert found["test accuracy"] == [f"{100 * test['accuracy']:.2f}%" for test in tests]
    assert found["last val loss"] == [f"{lines(r)[-1]['val_loss']:.4f}" for r in (run, second)]


def test_only_what_differs_is_listed(run: Path, second: Path) -> None:
    differences = dict(compare_runs([run, second]).differences())
    assert differences["seed"] == ["0", "3"]
    assert differences["epochs"] == ["2", "1"]
    assert set(differences) == {"seed", "epochs"}
    assert compare_runs([run, run]).differences() == []


def test_the_page_has_the_same_facts(run: Path, second: Path) -> None:
    found = compare_runs([run, second])
    page = Page(comparison_page(found))
    rows = page.texts("th", scope="row")
    for name, _ in [*found.results(), *found.differences()]:
        assert name in rows
    cells = page.texts("td")
    for _, values in found.results():
        assert {value.replace("%", " %") for value in values} <= set(cells)
    assert "The networks are the same." in page.texts("p")
    values = page.values("li", "data-values")
    assert values[:2] == [
        " ".join(f"{line['val_loss']:.4f}" for line in lines(run)),
        f"{lines(second)[0]['val_loss']:.4f} –",  # it has an epoch less
    ]


def test_networks_that_differ(run: Path, wide: Path) -> None:
    page = Page(comparison_page(compare_runs([run, wide])))
    assert page.texts("h3", class_="pair") == [f"{run.name} → {wide.name}"]
    assert "conv: out_channels 12 -> 14" in page.texts("td")
    assert any("does not load into" in line for line in page.texts("p"))


def test_the_best_run_is_by_the_monitor(run: Path, second: Path, tmp_path: Path) -> None:
    assert compare_runs([run, second]).winner == 0
    assert compare_runs([second, run]).winner == 1
    assert compare_runs([run, run]).winner is None
    copies = []
    for folder, loss in ((run, 0.5), (second, 0.25)):
        copies.append(tmp_path / folder.name)
        shutil.copytree(folder, copies[-1])
        recipe = json.loads((folder / "recipe.json").read_text())
        (copies[-1] / "recipe.json").write_text(json.dumps(recipe | {"monitor": "loss"}))
        changed = [json.dumps({**line, "val_loss": loss}) + "\n" for line in lines(folder)]
        (copies[-1] / "metrics.jsonl").write_text("".join(changed))
    found = compare_runs(copies)
    assert (found.monitor, found.winner) == ("loss", 1)
    assert dict(found.results())["best val loss"] == ["0.5000", "0.2500"]


def test_a_run_that_went_on_has_no_test_figures(run: Path, second: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(second, copy)
    first, *_ = lines(copy)
    (copy / "metrics.jsonl").write_text("".join(json.dumps({**first, "epoch": epoch}) + "\n" for epoch in (1, 2)))
    found = compare_runs([run, copy])
    assert dict(found.results())["test accuracy"][1] == ""
    assert found.to_dict()["runs"]["copy"]["test_accuracy"] is None


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        compare_runs([tmp_path])
    assert error.value.diagnostics[0].problem.code == "E632"


def test_the_command_writes_a_page(run: Path, second: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(["compare", str(run), str(second), "-o", str(tmp_path / "both.html")]) == 0
    assert capsys.readouterr().err == f"wrote {tmp_path / 'both.html'}\n"
    assert (tmp_path / "both.html").read_text().startswith("<!doctype html>")
    assert main(["compare", str(run), str(second), "-o", str(tmp_path / "both.png")]) == 0
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    assert main(["compare", str(run), "-o", str(tmp_path / "both.txt")]) == 2


def test_one_run_is_not_compared(run: Path, capsys: Any) -> None:
    assert main(["compare", str(run)]) == 2
    assert "requires two runs or more" in capsys.readouterr().err


@pytest.mark.parametrize(("epochs", "state"), [(0, "finished"), (1, "unknown")])
def test_the_state_of_a_run_of_an_earlier_version(run: Path, tmp_path: Path, epochs: int, state: str) -> None:
    """As in the list of runs: finished after its last epoch."""
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "sessions.json").unlink()
    recipe = json.loads((copy / "recipe.json").read_text())
    (copy / "recipe.json").write_text(json.dumps({**recipe, "epochs": len(lines(copy)) + epochs}))
    found = compare_runs([run, copy]).to_dict()["runs"]["copy"]["state"]
    assert found == state == read_run(copy).state


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it(run: Path, second: Path, wide: Path, tmp_path: Path, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

    path = tmp_path / "both.html"
    path.write_text(comparison_page(compare_runs([run, second, wide])), encoding="utf-8")
    with browser() as running, opened(running, path, width, color_scheme="dark") as page:
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        assert [one["id"] for one in Axe().run(page).response["violations"]] == []
        page.locator(".chart svg").first.hover(position={"x": 40, "y": 60})
        assert page.locator(".chart").first.locator("output").count() == 3
        first = [f"{lines(folder)[0]['val_loss']:.4f}" for folder in (run, second, wide)]
        assert page.locator(".chart").first.locator("output").all_inner_texts() == first
