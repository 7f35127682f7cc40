"""`archdsl runs`, and run folders that are suggested for wrong paths."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from archdsl.cli import main
from tests.cli.runs import write_run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def listed(capsys: Capture, *arguments: str) -> list[dict[str, Any]]:
    assert main(["runs", *arguments, "--format", "json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_what_is_known_of_a_run(folder: Path, capsys: Capture) -> None:
    write_run(folder / "a")
    [run] = listed(capsys)
    assert (run["folder"], run["state"], run["model"], run["dataset"]) == ("runs/a", "finished", "small", "digits")
    assert (run["epochs"], run["planned_epochs"], run["monitor"]) == (3, 3, "accuracy")
    assert (run["best"]["epoch"], run["best"]["val_accuracy"]) == (2, 0.75)
    assert (run["last"]["epoch"], run["last"]["val_accuracy"]) == (3, 0.7)
    assert run["params"] == 8 * 8 * 4 + 4 + 4 * 10 + 10
    assert datetime.fromisoformat(run["started"]) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert run["resume"] is None


def test_parameters_are_those_of_the_run(folder: Path, capsys: Capture) -> None:
    """Recorded, or computed with its settings; of a spec that has been damaged they are not known."""
    write_run(folder / "recorded", params=7)
    write_run(folder / "wide", settings={"width": 5})
    (write_run(folder / "odd") / "spec.arch").write_text("model small {")
    assert [run["params"] for run in listed(capsys, "--sort", "name")] == [None, 7, 8 * 8 * 5 + 5 + 5 * 10 + 10]


def test_the_monitored_figure_decides(folder: Path, capsys: Capture) -> None:
    write_run(folder / "loss", recipe={"monitor": "loss"})
    write_run(folder / "values", accuracies=[None] * 3, losses=[1.0, math.nan, 2.0])
    by_loss, values = listed(capsys, "--sort", "name")
    assert (by_loss["monitor"], by_loss["best"]["epoch"]) == ("loss", 3)
    assert (values["monitor"], values["best"]["epoch"], values["best"]["val_loss"]) == ("loss", 1, 1.0)
    assert main(["runs", "runs/values"]) == 0
    assert "loss 1.0000" in capsys.readouterr().out


def test_json_has_no_nan(folder: Path, capsys: Capture) -> None:
    write_run(folder / "a", accuracies=[None], losses=[math.nan])
    assert main(["runs", "--format", "json"]) == 0
    text = capsys.readouterr().out
    assert "NaN" not in text
    assert json.loads(text)[0]["last"]["val_loss"] is None


def test_planned_epochs_of_a_run_by_steps(folder: Path, capsys: Capture) -> None:
    """69 steps, 20 in an epoch: the fourth is not whole."""
    write_run(folder / "a", recipe={"epochs": None, "steps": 69}, epoch_steps=20)
    assert listed(capsys)[0]["planned_epochs"] == 4


@pytest.mark.parametrize(
    ("state", "shown", "can_resume"),
    [
        ("finished", "finished", False),
        ("stopped", "stopped", True),
        ("failed", "failed", True),
        ("running", "running", False),
    ],
)
def test_states(folder: Path, state: str, shown: str, can_resume: bool, capsys: Capture) -> None:
    write_run(folder / "a run", state=state)
    [run] = listed(capsys)
    assert run["state"] == shown
    assert run["resume"] == ("archdsl train --resume 'runs/a run'" if can_resume else None)
    assert main(["runs"]) == 0
    assert ("train --resume 'runs/a run'" in capsys.readouterr().out) == can_resume


def test_runs_of_earlier_versions_are_finished_after_their_last_epoch(folder: Path, capsys: Capture) -> None:
    for name, accuracies in (("half", [0.5]), ("whole", [0.5, 0.6, 0.7])):
        (write_run(folder / name, accuracies=accuracies) / "sessions.json").unlink()
    assert [run["state"] for run in listed(capsys, "--sort", "name")] == ["unknown", "finished"]


def test_damaged_runs_are_rows(folder: Path, capsys: Capture) -> None:
    write_run(folder / "good")
    (write_run(folder / "cut") / "run.json").write_text('{"model": ')
    (write_run(folder / "gone") / "run.json").unlink()
    write_run(folder / "when", started="yesterday")
    found = {run["folder"]: run for run in listed(capsys)}
    assert {run["state"] for run in found.values()} == {"finished", "damaged"}
    assert found["runs/gone"]["reason"] == "run.json is missing"
    assert "Invalid JSON" in found["runs/cut"]["reason"]
    assert "yesterday" in found["runs/when"]["reason"]
    assert next(iter(found)) == "runs/good"
    assert main(["runs", "--state", "damaged"]) == 0
    text = capsys.readouterr().out
    assert "runs/gone is damaged: run.json is missing" in text
    assert "good" not in text


def test_order_and_filters(folder: Path, capsys: Capture) -> None:
    write_run(folder / "b" / "old", started="2025-01-01T00:00:00+00:00", accuracies=[0.9], params=3)
    write_run(folder / "a", started="2026-01-01T00:00:00+00:00", accuracies=[0.8], params=1, model="other")
    # The latest of the three: in Berlin it is an hour later than in London.
    write_run(folder / "c", started="2026-01-01T01:30:00+01:00", accuracies=[0.7], params=2, dataset="mnist")

    def names(*arguments: str) -> list[str]:
        return [run["folder"].removeprefix("runs/") for run in listed(capsys, *arguments)]

    assert names() == ["c", "a", "b/old"]
    assert names("--sort", "best") == ["b/old", "a", "c"]
    assert names("--sort", "params") == ["a", "c", "b/old"]
    assert names("--sort", "name", "-n", "2") == ["a", "b/old"]
    assert names("--model", "other") == ["a"]
    assert names("--dataset", "mnist") == ["c"]
    assert names("runs/b", "runs/b/old") == ["b/old"]
    assert names("--state", "failed") == []


def test_nothing_to_list(folder: Path, capsys: Capture) -> None:
    assert main(["runs"]) == 0
    assert capsys.readouterr().out == "no run in runs; `archdsl train` makes one\n"
    assert listed(capsys) == []
    assert main(["runs", "nowhere"]) == 2
    assert "there is no folder nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_the_table_fits(folder: Path, width: int, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    write_run(folder / "a-run-with-a-rather-long-name", accuracies=[1.0])
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert any("100.00%" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "help"),
    [
        (["summary", "runs"], "it contains runs: runs/lenet, runs/small"),
        (["eval", "runs/lenett"], "did you mean the run runs/lenet?"),
        (["sizes", "smal"], "did you mean the run runs/small?"),
        (["compare", "runs/lenet", "runs/smal"], "did you mean the run runs/small?"),
        (["report", "smal"], "did you mean the run runs/small?"),
        (["train", "--resume", "runs/smal"], "did you mean the run runs/small?"),
        (["eval", "specs/net.arch", "--weights", "runs/lenett"], "did you mean the run runs/lenet?"),
        (["eval", "weights.pt"], "weights are given beside the network: NETWORK --weights weights.pt"),
        (["summary", "specs"], "a network is one file, such as specs/net.arch"),
    ],
)
def test_what_may_have_been_meant(folder: Path, arguments: list[str], help: str, capsys: Capture) -> None:
    write_run(folder / "lenet")
    write_run(folder / "small")
    (folder.parent / "specs").mkdir()
    (folder.parent / "specs" / "net.arch").write_text("model net { input(1x8x8); relu }\n")
    Path("weights.pt").write_bytes(b"\xff\x00")
    assert main(arguments) == 1
    assert f"help: {help}\n" in capsys.readouterr().err


def test_run_folders_are_read_without_torch(folder: Path) -> None:
    write_run(folder / "a")
    code = (
        "import sys; from archdsl.cli import main; main(sys.argv[1:]); print('torch' in sys.modules, file=sys.stderr)"
    )
    for arguments in (["runs"], ["summary", "runs/a"], ["diff", "runs/a", "runs/a"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        assert done.stderr == "False\n"
