"""Runs that are killed, stopped, out of disk or out of memory, and what they leave."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from archdsl.diagnostics import SpecError
from archdsl.recipe import Recipe
from archdsl.recipe.augmentations import HFlip, RandomCrop
from archdsl.recipe.optimizers import Adam, NAdam, Sgd
from archdsl.recipe.schedules import OneCycle, Plateau
from archdsl.runs.checkpoint import checkpoints
from archdsl.runs.folder import RunFolder
from archdsl.train import loop, recipe_of_run
from tests.train import killed
from tests.train.stub import Recorder, Stub, cnn, mlp, run

#: Everything that has a state: moments, a plateau, the average, the scaler, parts, patience, the order, dropout.
EVERYTHING = Recipe(
    epochs=4,
    batch=200,
    accumulate=2,
    device="cpu",
    validation=0.1,
    optimizer=Adam(lr=1e-2, amsgrad=True),
    decay="weights",
    rates={"0": 0.005},
    schedule=Plateau(patience=0, factor=0.5, threshold=0.2, warmup_steps=3),
    clip_norm=1.0,
    ema=0.8,
    precision="fp16",
    patience=4,
    monitor="loss",
    metrics=("accuracy", "top5", "f1"),
    checkpoint_every=2,
    keep=3,
    augment=(RandomCrop(size=(8, 8), padding=(1, 1)), HFlip()),
)
STEPS = 7  # of an epoch


def changed(**changes: Any) -> Recipe:
    return EVERYTHING.model_copy(update=changes)


@dataclass(frozen=True)
class Done:
    """How a process ended: its exit code, or less the signal that killed it, and what it said."""

    returncode: int
    stdout: str


def process(folder: Path, when: str, recipe: Recipe = EVERYTHING) -> Done:
    """A run in a process of its own (tests/train/killed.py), forked: importing torch takes longer than the run."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            sys.stdout = os.fdopen(writing, "w")
            code = killed.main(folder, when, recipe)
            sys.stdout.flush()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as said:
        text = said.read()
    return Done(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(Stub(cnn), EVERYTHING, folder)
    return folder


def lines(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in RunFolder(folder).metrics.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in {"seconds", "images_per_second"}} for line in found]


def assert_same_run(folder: Path, other: Path) -> None:
    """Weights, best weights, the whole state and the figures are bit for bit the same."""
    for first, second in (
        (RunFolder(folder).weights, RunFolder(other).weights),
        (RunFolder(folder).best, RunFolder(other).best),
        (checkpoints(folder / "checkpoints")[0], checkpoints(other / "checkpoints")[0]),
    ):
        assert first.name == second.name
        one, two = load_file(first), load_file(second)
        assert one.keys() == two.keys()
        for name, tensor in one.items():
            assert torch.equal(tensor, two[name]), (first.name, name)
    assert lines(folder) == lines(other)


def test_the_whole_run_has_used_everything(whole: Path) -> None:
    rates = [line["lr"] for line in lines(whole)]
    assert len(rates) == 4
    assert rates[-1] < rates[0]  # the plateau has reduced the rate
    assert {"val_top5", "val_f1"} <= lines(whole)[0].keys()
    weights, state = load_file(RunFolder(whole).weights), load_file(checkpoints(whole / "checkpoints")[0])
    assert torch.equal(weights["6.weight"], state["average/module.6.weight"])
    assert not torch.equal(weights["6.weight"], state["model/6.weight"])


# SIGKILL


@pytest.mark.parametrize("when", ["step 1", "step 12", "step 14", "write 2", "write 6", "rename 5"])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path, whole: Path, when: str) -> None:
    folder = tmp_path / "run"
    assert process(folder, when).returncode == -signal.SIGKILL
    left = {path.name for path in folder.iterdir()}
    assert left >= {"spec.arch", "recipe.json", "run.json", "checkpoints"}
    if when.startswith(("write", "rename")):
        assert [path.suffix for path in (folder / "checkpoints").glob(".*")] == [".part"]
    run(Stub(cnn), None, None, resume=folder)
    assert not list(folder.rglob(".*"))
    assert_same_run(folder, whole)


def test_a_run_killed_again_and_again_goes_on_bit_for_bit(tmp_path: Path, whole: Path) -> None:
    folder = tmp_path / "run"
    for when in ("step 5", "step 4", "write 3", "step 6", "rename 1"):
        assert process(folder, when).returncode == -signal.SIGKILL
    assert process(folder, "never").returncode == 0
    assert_same_run(folder, whole)


@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on_bit_for_bit(tmp_path: Path, whole: Path) -> None:
    folder, recipe = tmp_path / "run", tmp_path / "recipe.json"
    recipe.write_text(EVERYTHING.to_json(), encoding="utf-8")
    command = [sys.executable, "-m", "tests.train.killed", str(folder), "never", str(recipe)]
    dice = random.Random(0)
    for _ in range(12):
        child = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL)
        while child.poll() is None and not (folder / "environment.json").exists():
            time.sleep(0.01)
        time.sleep(dice.uniform(0, 0.6) + 2.0)
        child.kill()
        if child.wait() == 0:
            break
    assert process(folder, "never").returncode == 0
    assert_same_run(folder, whole)


OTHERS: dict[str, dict[str, Any]] = {
    "by steps": {"epochs": None, "steps": 17, "checkpoint_every": None},
    "one cycle": {"schedule": OneCycle(warmup=0.5), "optimizer": Sgd(lr=0.1, momentum=0.9), "precision": "fp32"},
    "bf16": {"precision": "bf16", "optimizer": NAdam(), "accumulate": 1, "checkpoint_every": "1s"},
    "stalled": {"patience": 1, "optimizer": Sgd(lr=1e-9), "epochs": 6, "validation": None, "ema": None},
}


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS)
def test_other_recipes_go_on_bit_for_bit(tmp_path: Path, changes: dict[str, Any]) -> None:
    recipe = changed(**changes)
    run(Stub(cnn), recipe, tmp_path / "whole")
    assert process(tmp_path / "cut", "step 10", recipe).returncode == -signal.SIGKILL
    run(Stub(cnn), None, None, resume=tmp_path / "cut")
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path, whole: Path) -> None:
    folder = tmp_path / "run"
    process(folder, "step 13")
    newest, before, *_ = checkpoints(folder / "checkpoints")
    content = bytearray(newest.read_bytes())
    content[-100] ^= 4
    newest.write_bytes(content)
    recorder = Recorder()
    run(Stub(cnn), None, None, resume=folder, progress=recorder)
    assert f"{newest.name} is damaged (its checksum differs): the checkpoint before it is used" in recorder.notes
    assert before.name == "step-000000010.safetensors"
    assert_same_run(folder, whole)


# Signals


def test_a_terminated_run_saves_its_step_and_goes_on(tmp_path: Path, whole: Path) -> None:
    folder = tmp_path / "run"
    found = process(folder, "term 10")
    assert found.returncode == 128 + signal.SIGTERM
    assert "stopped in epoch 2, step 3; resume with: archdsl train" in found.stdout
    assert checkpoints(folder / "checkpoints")[0].name == "step-000000010.safetensors"
    run(Stub(cnn), None, None, resume=folder)
    assert_same_run(folder, whole)


def test_the_signals_work_as_before_when_a_run_is_over(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run(Stub(mlp), changed(max_steps=1), tmp_path)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_stops_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: signal.Signals) -> None:
    monkeypatch.setattr(loop, "PROGRESS_INTERVAL", 0.0)

    def at_step(epoch: int, step: int) -> None:
        if (epoch, step) == (2, 3):
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), second)

    recorder = Recorder(at_step)
    with pytest.raises(KeyboardInterrupt):
        run(Stub(cnn), EVERYTHING, tmp_path, progress=recorder)
    assert recorder.notes[-1].startswith("stopped immediately; resume from the last checkpoint: archdsl train")
    assert checkpoints(tmp_path / "checkpoints")[0].name == "step-000000008.safetensors"


# The disk


def test_a_full_disk_ends_the_run_with_the_checkpoints_it_has(tmp_path: Path, whole: Path) -> None:
    folder = tmp_path / "run"
    process(folder, "step 8")
    size = checkpoints(folder / "checkpoints")[0].stat().st_size
    found = process(folder, f"full {size - 1000}")
    assert found.returncode == 1
    assert "error[E708]: cannot write" in found.stdout
    assert "free disk space or fix the permissions, then resume from the last checkpoint" in found.stdout
    assert not list(folder.rglob(".*.part"))
    run(Stub(cnn), None, None, resume=folder)
    assert_same_run(folder, whole)


def test_a_disk_that_is_full_from_the_start_is_said_before_training(tmp_path: Path) -> None:
    found = process(tmp_path / "run", "full 100")
    assert found.returncode == 1
    assert "error[E708]: cannot write" in found.stdout
    assert "epoch" not in found.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_becomes_read_only_is_said(tmp_path: Path) -> None:
    run(Stub(cnn), changed(max_steps=3), tmp_path)
    (tmp_path / "checkpoints").chmod(0o500)
    try:
        with pytest.raises(SpecError) as caught:
            run(Stub(cnn), changed(max_steps=None), None, resume=tmp_path)
    finally:
        (tmp_path / "checkpoints").chmod(0o700)
    assert caught.value.diagnostics[0].code == "E708"


def test_a_checkpoint_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(Stub(cnn), changed(max_steps=3), tmp_path)
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if target.name == "step-000000004.safetensors":
            raise OSError(errno.EIO, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(SpecError) as caught:
        run(Stub(cnn), changed(max_steps=None), None, resume=tmp_path)
    (found,) = caught.value.diagnostics
    assert found.code == "E708"
    assert "--resume" in found.helps[-1].message


# Memory and numbers


class Hungry(nn.Module):
    """Asks for more memory than there is, from a given training step on."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.body, self.error = mlp(), error

    def forward(self, x: Tensor) -> Tensor:
        if self.training and self.error is not None:
            raise self.error
        if self.training:
            torch.empty(2**60)
        scores: Tensor = self.body(x)
        return scores


@pytest.mark.parametrize("error", [None, torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_too_little_memory_is_said_with_what_to_do(tmp_path: Path, error: Exception | None) -> None:
    with pytest.raises(SpecError) as caught:
        run(Stub(lambda: Hungry(error)), changed(rates={}), tmp_path)
    (found,) = caught.value.diagnostics
    assert (found.code, found.message) == ("E643", "cpu ran out of memory with 100 samples at a time")
    assert found.helps[0].message == "start again with `--set accumulate=4` or `--batch 100`"


def test_other_errors_of_torch_are_not_taken_for_a_lack_of_memory(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        run(Stub(lambda: Hungry(RuntimeError("shapes"))), changed(rates={}), tmp_path)


# Length


def test_a_run_by_steps_ends_there(tmp_path: Path) -> None:
    recipe = changed(epochs=None, steps=10, checkpoint_every=None)
    result = run(Stub(cnn), recipe, tmp_path)
    assert [line.steps for line in result.metrics] == [STEPS, 3]
    assert checkpoints(tmp_path / "checkpoints")[0].name == "step-000000010.safetensors"


def test_patience_ends_a_run_that_stalls_and_more_of_it_goes_on(tmp_path: Path) -> None:
    recipe = changed(patience=2, epochs=9, optimizer=Sgd(lr=1e-12), monitor="accuracy", rates={}, ema=None)
    recorder = Recorder()
    result = run(Stub(mlp), recipe, tmp_path, progress=recorder)
    assert [line.epoch for line in result.metrics] == [1, 2, 3]
    assert recorder.outcome is not None
    assert (recorder.outcome.state, recorder.outcome.waited) == ("early", 2)
    assert len(run(Stub(mlp), None, None, resume=tmp_path).metrics) == 3
    more = recipe.model_copy(update={"patience": 4})
    assert len(run(Stub(mlp), more, None, resume=tmp_path).metrics) == 5
    assert recipe_of_run(tmp_path).patience == 4


def test_checkpoints_come_by_time_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr("time.monotonic", clock)
    run(Stub(mlp), changed(checkpoint_every="3s", max_steps=6, keep=10, rates={}), tmp_path)
    assert [int(path.stem.removeprefix("step-")) for path in checkpoints(tmp_path / "checkpoints")] == [6, 3, 0]


def test_the_best_weights_are_the_monitors(tmp_path: Path) -> None:
    recipe = changed(epochs=3, schedule=Recipe().schedule, ema=None, patience=None)
    recorder = Recorder()
    result = run(Stub(cnn), recipe, tmp_path, progress=recorder)
    best = min(result.metrics, key=lambda line: line.val_loss)
    run(Stub(cnn), recipe.model_copy(update={"epochs": best.epoch}), tmp_path / "until")
    assert recorder.outcome is not None
    assert recorder.outcome.best == best
    expected = load_file(RunFolder(tmp_path).best)
    for name, tensor in load_file(RunFolder(tmp_path / "until").weights).items():
        assert torch.equal(expected[name], tensor)


# TensorBoard


def test_figures_for_tensorboard_and_its_absence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe = changed(tensorboard=True, epochs=2)
    result = run(Stub(cnn), recipe.model_copy(update={"max_steps": 9}), tmp_path / "run")
    result = run(Stub(cnn), recipe, None, resume=tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss/val")][-1] == 2 * STEPS
    assert events.Scalars("accuracy/val")[-1].value == pytest.approx(result.metrics[-1].val_accuracy)
    assert {event.step for event in events.Scalars("step/train_loss")} == set(range(1, 2 * STEPS + 1))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(SpecError) as caught:
        run(Stub(cnn), recipe, tmp_path / "without")
    assert caught.value.diagnostics[0].code == "E701"
    assert 'pip install "archdsl[tensorboard]"' in caught.value.diagnostics[0].message
    assert not (tmp_path / "without").exists()
