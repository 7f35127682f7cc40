"""What a run records of its sessions: commands, times, commits and how they ended."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from archdsl.diagnostics import SpecError
from archdsl.recipe import Recipe
from archdsl.recipe.optimizers import Sgd
from archdsl.runs.best import best_epoch
from archdsl.runs.folder import EpochMetrics, RunFolder
from archdsl.runs.sessions import Session, git_state, read_sessions, state_of, typed_command
from archdsl.train import loop
from tests.train.stub import Recorder, Stub, cnn, run

QUICK = Recipe(epochs=2, batch=300, device="cpu", report=False)


def changed(**changes: Any) -> Recipe:
    return QUICK.model_copy(update=changes)


def test_a_finished_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/archdsl", "train", "my net.arch", "--epochs", "2"])
    before = datetime.now().astimezone()
    result = run(Stub(cnn), QUICK, tmp_path / "run")
    (session,) = read_sessions(tmp_path / "run")
    assert (session.state, session.reason, session.epoch, session.step, session.steps) == ("finished", "", 2, 0, 10)
    assert session.line == "archdsl train 'my net.arch' --epochs 2"
    assert session.ended is not None
    assert before <= datetime.fromisoformat(session.started) <= datetime.fromisoformat(session.ended)
    assert session.seconds == pytest.approx(sum(line.seconds for line in result.metrics), abs=30)
    info = RunFolder(tmp_path / "run").read_info()
    assert info.splits == {"train": 1442, "validation": 355, "test": 355}
    assert (info.validation_is_test, info.epoch_steps) == (True, 5)
    written = json.loads((tmp_path / "run/evaluation.json").read_text())
    assert result.evaluation is not None
    assert written == {"epoch": 2, "steps": 10, **json.loads(json.dumps(result.evaluation.to_dict()))}


def test_a_validation_that_is_held_back_is_told_apart(tmp_path: Path) -> None:
    result = run(Stub(cnn), changed(validation=0.1), tmp_path / "run")
    info = RunFolder(tmp_path / "run").read_info()
    assert info.splits == {"train": 1299, "validation": 143, "test": 355}  # a rounded tenth of each class
    assert info.validation_is_test is False
    assert result.test is not None
    assert json.loads((tmp_path / "run/evaluation.json").read_text())["loss"] == result.test.loss


def test_a_run_that_is_stopped_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "PROGRESS_INTERVAL", 0.0)

    def stop(epoch: int, step: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    run(Stub(cnn), QUICK, tmp_path / "run", progress=Recorder(stop))
    (first,) = read_sessions(tmp_path / "run")
    assert (first.state, first.reason) == ("stopped", "by Ctrl-C")
    assert state_of([first]) == "stopped"
    run(Stub(cnn), None, None, resume=tmp_path / "run")
    again, second = read_sessions(tmp_path / "run")
    assert again == first
    assert (second.state, second.epoch) == ("finished", 2)


def test_a_run_that_stops_early_says_why(tmp_path: Path) -> None:
    run(Stub(cnn), changed(epochs=6, patience=1, optimizer=Sgd(lr=1e-9)), tmp_path / "run")
    (session,) = read_sessions(tmp_path / "run")
    assert (session.state, session.reason) == ("finished", "no better validation accuracy for 1 epoch")


def test_a_run_that_fails(tmp_path: Path) -> None:
    with pytest.raises(SpecError):
        run(Stub(cnn), changed(optimizer=Sgd(lr=1e30)), tmp_path / "run")
    (session,) = read_sessions(tmp_path / "run")
    assert session.state == "failed"
    assert session.reason.startswith("E")
    assert "loss" in session.reason


def test_a_process_that_is_gone_was_killed() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    mine = Session((), "2025-01-31T17:45:00+01:00", pid=os.getpid(), host=platform.node())
    gone = Session((), "2025-01-31T17:45:00+01:00", pid=child.pid, host=platform.node())
    there = Session((), "2025-01-31T17:45:00+01:00", pid=child.pid, host=platform.node() + ".elsewhere")
    assert [state_of(each) for each in ([mine], [gone], [there], [])] == ["running", "killed", "running", "unknown"]


@pytest.mark.parametrize(
    ("argv", "typed"),
    [
        (["/x/bin/archdsl", "train", "lenet"], ("archdsl", "train", "lenet")),
        (["/x/archdsl/__main__.py", "train"], ("archdsl", "train")),
        (["fit.py", "--lr", "1"], ("python", "fit.py", "--lr", "1")),
        (["/x/ipykernel_launcher.py", "-f", "c.json"], ()),
        (["-c"], ()),
        ([""], ()),
    ],
)
def test_the_command_is_as_typed(argv: list[str], typed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert typed_command() == typed


def test_the_commit_and_whether_files_have_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(["git", *identity, *words], check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state() == (None, None)
    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "first")
    assert git_state() == (git("rev-parse", "HEAD"), False)
    (tmp_path / "new").write_text("1")
    assert git_state()[1] is False
    (tmp_path / "a").write_text("2")
    assert git_state()[1] is True


@pytest.mark.parametrize("text", [None, "", "{", "[1]", '[{"command": 1}]'])
def test_a_folder_without_a_readable_file_has_no_sessions(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "sessions.json").write_text(text)
    assert read_sessions(tmp_path) == ()


NAN = float("nan")


@pytest.mark.parametrize(
    ("losses", "accuracies", "monitor", "best"),
    [
        ((0.3, 0.2, 0.25), (0.5, 0.6, 0.7), "loss", 2),
        ((0.3, 0.2, 0.25), (0.5, 0.7, 0.7), "accuracy", 2),
        ((NAN, 0.2, 0.25), (0.5, 0.6, 0.7), "loss", 2),
        ((NAN, NAN, NAN), (0.5, 0.6, 0.7), "loss", 1),
        ((0.2, NAN, 0.3), (None, None, None), "loss", 1),
        ((0.2, NAN, 0.3), (None, None, None), "accuracy", None),
    ],
)
def test_the_best_epoch(losses: Any, accuracies: Any, monitor: str, best: int | None) -> None:
    pairs = enumerate(zip(losses, accuracies, strict=True), 1)
    history = [EpochMetrics(i, 5, 0.1, 0.9, loss, accuracy, 0.01, 1.0, 1.0) for i, (loss, accuracy) in pairs]
    found = best_epoch(history, monitor)
    assert (found and found.epoch) == best
