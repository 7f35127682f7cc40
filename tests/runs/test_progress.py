"""What a run prints: its plan, its epochs and its outcome at three widths, as JSON, on a terminal, and its folder."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from syrupy.assertion import SnapshotAssertion

from archdsl.runs.folder import EpochMetrics
from archdsl.runs.plan import Figures, Outcome, Plan, Resumed
from archdsl.runs.progress import (
    BarProgress,
    FolderProgress,
    JsonProgress,
    PlainProgress,
    Progress,
    make_progress,
)
from archdsl.runs.wording import EpochTable, clock, duration, figure

Capture = pytest.CaptureFixture[str]

PLAN = Plan(
    model="lenet(classes=10, activation=sigmoid, pool=avgpool)",
    settings={"classes": 10},
    spec="lenet.arch",
    params=61706,
    trainable_params=61550,
    inputs={"input": (1, 28, 28)},
    fit=("images of 1x8x8 by bilinear resampling",),
    dataset="fashion_mnist",
    place="/usr/share/datasets/fashion-mnist",
    train=54000,
    validation=6000,
    test=10000,
    validates_on_test=False,
    classes=10,
    augment=("random_crop(28, padding=2)", "hflip"),
    loss="cross_entropy(label_smoothing=0.05)",
    optimizer="sgd(lr=0.05, momentum=0.9, nesterov=true)",
    lr=0.05,
    schedule="cosine(warmup=1)",
    options={"ema": "0.999", "freeze": '["conv1"]'},
    batch=128,
    epochs=20,
    epoch_steps=422,
    steps=8440,
    precision="bf16",
    device="cuda:0",
    device_name="NVIDIA H200",
    threads=8,
    processes=4,
    folder=Path("runs/lenet-20250131-174500"),
)
LINE = EpochMetrics(2, 10, 0.5, 0.875, 0.25, 0.9, 0.01, 12345.6, 83.0)
LINES = (
    EpochMetrics(1, 422, 2.3026, 0.1, 1.2345, 0.5, 0.05, 12345.6, 83.0, 0.99, 0.4),
    EpochMetrics(2, 422, 0.5, 0.875, 0.25, 0.9, 0.000577, 145570.2, 4.2, 1.0, 0.8875),
    EpochMetrics(20, 422, 0.00001234, 1.0, 1234.5678, 0.85, 3.81e-6, 7.2, 11045.0, 0.99, 0.85),
)
OUTCOME = Outcome(
    state="early",
    folder=PLAN.folder,
    monitor="f1",
    best=LINES[1],
    last=LINES[2],
    test=Figures(10000, 0.2744, 0.8977, 0.9912, 0.8971),
    waited=18,
    report=PLAN.folder / "report.html",
    seconds=11132.2,
)


def said(progress: Progress, plan: Plan = PLAN, outcome: Outcome = OUTCOME) -> None:
    with progress:
        progress.start(plan)
        progress.note("fashion_mnist: 10 classes; the last 2 of 12 outputs stay unused")
        progress.step(1, 1, 0.5, 0.5, 100.0)
        progress.stage("validating", 0, 100)
        progress.epoch(LINES[0], best=True)
        progress.epoch(LINES[1], best=True)
        progress.epoch(LINES[2], best=False)
        progress.end(outcome)


def too_wide(text: str, width: int) -> list[str]:
    """The lines that are too wide, but those of a command, a path or a note, which are not cut."""
    return [
        line for line in text.splitlines() if len(line) > width and not {"archdsl", "/", ";"} & {*line, *line.split()}
    ]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_whole_text(
    width: int, capsys: Capture, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    said(PlainProgress())
    shown = capsys.readouterr().out
    assert shown == snapshot
    assert too_wide(shown, width) == []


@pytest.mark.parametrize("width", [40, 80, 120])
def test_another_run(width: int, capsys: Capture, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion) -> None:
    """Values instead of classes, two inputs, no samples for testing, part of an epoch, resumed, no report."""
    monkeypatch.setenv("COLUMNS", str(width))
    plan = replace(
        PLAN,
        inputs={"image": (1, 28, 28), "time": (64,)},
        fit=("images of 1x8x8 by bilinear resampling", ""),
        place="",
        test=0,
        augment=(),
        options={},
        steps=1000,
        epochs=3,
        device="cpu",
        device_name="AMD EPYC 9654",
        threads=1,
        processes=1,
        resumed=Resumed(1, 17),
        images=False,
    )
    line = EpochMetrics(3, 156, 0.5, None, 0.25, None, 0.01, 123.0, 2.0)
    outcome = replace(OUTCOME, state="finished", monitor="loss", best=line, last=line, test=None, report=None)
    with PlainProgress() as progress:
        progress.start(plan)
        progress.epoch(line, best=True)
        progress.end(replace(outcome, images=False))
    shown = capsys.readouterr().out
    assert shown == snapshot
    assert too_wide(shown, width) == []


def test_a_line_has_the_figures_that_exist() -> None:
    table = EpochTable(5, LINE, 200)
    assert table.header.split() == [
        "epoch",
        "train",
        "loss",
        "accuracy",
        "val",
        "loss",
        "accuracy",
        "lr",
        "images/s",
        "time",
        "best",
    ]
    assert table.line(LINE, best=True).split() == [
        "2/5",
        "0.5000",
        "87.50%",
        "0.2500",
        "90.00%",
        "0.01",
        "12,346",
        "1:23",
        "*",
    ]
    assert "*" not in table.line(LINE, best=False)
    values = EpochTable(5, replace(LINE, train_accuracy=None, val_accuracy=None), 200)
    assert " ".join(values.header.split()) == "epoch train loss val loss lr images/s time best"


@pytest.mark.parametrize("epochs", [1, 10, 100, 1000])
@pytest.mark.parametrize("width", range(30, 121, 7))
def test_the_columns_are_aligned_and_fit(epochs: int, width: int) -> None:
    table = EpochTable(epochs, LINES[0], width)
    ends = {len(table.line(line, best=True)) for line in LINES}
    assert len(ends) == 1
    assert max(*ends, len(table.header)) <= max(width, 36)
    assert "val loss" in table.header


def test_small_and_large_losses_have_an_exponent() -> None:
    assert [figure(x) for x in (0.0, 0.25, 0.00002, 12345.6, -3.5)] == [
        "0.0000",
        "0.2500",
        "2.00e-05",
        "1.23e+04",
        "-3.5000",
    ]


def test_times() -> None:
    assert [clock(seconds) for seconds in (0.4, 59.6, 754, 11045)] == ["0:00", "1:00", "12:34", "3:04:05"]
    assert [duration(seconds) for seconds in (0.04, 9.94, 9.96, 59.4, 59.6, 3569, 3570, 11045)] == [
        "0.0s",
        "9.9s",
        "10s",
        "59s",
        "1:00",
        "59:29",
        "1h00m",
        "3h04m",
    ]


def test_json_is_one_object_in_each_line(capsys: Capture) -> None:
    said(JsonProgress(), replace(PLAN, resumed=Resumed(1, 17)))
    start, note, *epochs, end = map(json.loads, capsys.readouterr().out.splitlines())
    assert [one["event"] for one in (start, note, *epochs, end)] == ["start", "note", *["epoch"] * 3, "end"]
    assert start["inputs"] == {"input": [1, 28, 28]}
    assert (start["train"], start["validation"], start["test"]) == (54000, 6000, 10000)
    assert (start["folder"], start["resumed"]) == (str(PLAN.folder), {"epoch": 1, "step": 17})
    assert [one["best"] for one in epochs] == [True, True, False]
    assert epochs[1]["val_accuracy"] == 0.9
    assert (end["state"], end["best"]["epoch"], end["last"]["epoch"]) == ("early", 2, 20)
    assert end["test"] == {"samples": 10000, "loss": 0.2744, "accuracy": 0.8977, "top5": 0.9912, "f1": 0.8971}


def test_a_stopped_run_in_json_and_in_words(capsys: Capture) -> None:
    for progress in (JsonProgress(), PlainProgress()):
        progress.start(PLAN)
        progress.stop("in epoch 2, step 3", "archdsl train --resume runs/x")
    lines = capsys.readouterr().out.splitlines()
    command = "archdsl train --resume runs/x"
    facts = {"state": "stopped", "folder": str(PLAN.folder), "where": "in epoch 2, step 3", "resume": command}
    assert json.loads(lines[1]) == {"event": "end"} | facts
    assert lines[-1] == f"stopped in epoch 2, step 3; resume with: {command}"


def test_quiet_is_the_folder_alone(capsys: Capture) -> None:
    said(FolderProgress())
    assert capsys.readouterr().out == f"{PLAN.folder}\n"


@pytest.mark.parametrize(("width", "shown"), [(80, ["0:44 left", "accuracy 75.00%", "1,234 images/s"]), (40, [])])
def test_the_bar_shows_loss_pace_and_time_left(width: int, shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("archdsl.runs.progress.time.monotonic", lambda: now[0])
    out = io.StringIO()
    with BarProgress(Console(file=out, force_terminal=True, width=width)) as progress:
        progress.start(replace(PLAN, epochs=3, epoch_steps=10, steps=30, resumed=Resumed(0, 5)))
        now[0] += 6
        progress.step(1, 8, 0.4321, 0.75, 1234.5)  # 3 steps in 6 s, 22 are left
        bar = out.getvalue()
        progress.epoch(LINE, best=True)
        progress.note("[brackets] stay")
    assert "epoch 1/3" in bar
    assert "loss 0.4321" in bar
    assert [part for part in ("0:44 left", "accuracy 75.00%", "1,234 images/s") if part in bar] == shown
    assert "train loss" in out.getvalue()
    assert "[brackets] stay" in out.getvalue()


def test_the_bar_shows_the_other_stages() -> None:
    out = io.StringIO()
    with BarProgress(Console(file=out, force_terminal=True, width=80)) as progress:
        progress.start(PLAN)
        progress.stage("validating", 0, 6000)
        progress.stage("writing the report")
    assert "validating" in out.getvalue()
    assert "0/6,000 samples" in out.getvalue()
    assert "writing the report" in out.getvalue()


def test_the_kind_of_progress_follows_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(make_progress("nothing")) is Progress
    assert type(make_progress("json")) is JsonProgress
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert isinstance(make_progress(), BarProgress)
    monkeypatch.setenv("TERM", "dumb")
    assert type(make_progress()) is PlainProgress
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    assert type(make_progress()) is PlainProgress
