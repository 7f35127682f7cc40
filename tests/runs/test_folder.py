"""Files are written completely or not at all, and the messages of a run on a terminal and elsewhere."""

import errno
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from archdsl.diagnostics import SpecError
from archdsl.files.tensors import write_tensors
from archdsl.files.write import write_text
from archdsl.recipe import Recipe
from archdsl.recipe.optimizers import Adam
from archdsl.runs.checkpoint import Position, checkpoint_path, checkpoints
from archdsl.train.schedule import Reductions
from archdsl.train.state import load_newest, save_checkpoint
from archdsl.train.step import Stepper


def test_a_crash_between_writing_and_renaming_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.safetensors"
    write_tensors(path, {"w": torch.zeros(3)})
    before = path.read_bytes()

    def crash(*_: Any) -> None:
        raise SystemExit("the power fails")

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(SystemExit):
        write_tensors(path, {"w": torch.ones(3)})
    monkeypatch.undo()
    assert path.read_bytes() == before
    write_tensors(path, {"w": torch.ones(3)})
    assert torch.equal(load_file(path)["w"], torch.ones(3))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_full_disk_is_said_and_leaves_nothing_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    write_text(path, "old")

    def full(self: Path, text: str, **_: Any) -> int:
        with self.open("w") as file:
            file.write(text[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(SpecError) as caught:
        write_text(path, "new")
    monkeypatch.undo()
    (found,) = caught.value.diagnostics
    assert (found.code, found.message) == ("E708", f"cannot write {path}: No space left on device")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_tensors_that_share_memory_are_written(tmp_path: Path) -> None:
    tensor = torch.arange(6.0).view(2, 3)
    write_tensors(tmp_path / "w", {"a": tensor, "b": tensor, "c": tensor.T})
    assert torch.equal(load_file(tmp_path / "w")["c"], tensor.T)


EVERYTHING = Recipe(optimizer=Adam(amsgrad=True), ema=0.5, precision="fp16", batch=5)


def stepper(seed: int, steps: int = 0, recipe: Recipe = EVERYTHING) -> Stepper:
    """A network in training with all the state there is, after so many steps."""
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    found = Stepper(recipe, module, torch.device("cpu"), classes=4)
    for _ in range(steps):
        found.step(torch.randn(5, 3), torch.randint(4, (5,)))
    return found


def tensors_of(found: Stepper) -> dict[str, torch.Tensor]:
    assert found.average is not None
    tensors = {f"model/{k}": v for k, v in found.module.state_dict().items()}
    tensors |= {f"average/{k}": v for k, v in found.average.state_dict().items()}
    for number, state in found.optimizer.state_dict()["state"].items():
        tensors |= {f"{number}/{k}": v for k, v in state.items()}
    return tensors


def test_a_checkpoint_gives_everything_back(tmp_path: Path) -> None:
    first, other = stepper(0, steps=3), stepper(1)
    assert first.scaler is not None
    assert other.scaler is not None
    first.scaler.update(12345.0)
    first.reductions = Reductions(0.25, 0.5, 3, 1)
    position = Position(epoch=3, step=7, loss_sum=1 / 3, hits=5, seen=9, seconds=1.5, best=0.1, best_epoch=2)
    save_checkpoint(tmp_path, 37, 1, first, position)
    assert load_newest(tmp_path, other) == (position, [])
    before, after = tensors_of(first), tensors_of(other)
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor), name
    assert other.scaler.get_scale() == 12345.0
    assert other.reductions == first.reductions
    for one in (first, other):  # and goes on in the same way
        torch.manual_seed(5)
        one.step(torch.randn(5, 3), torch.randint(4, (5,)))
    assert all(torch.equal(tensors_of(other)[name], tensor) for name, tensor in tensors_of(first).items())


def test_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    for steps in (1, 2, 10, 100):
        save_checkpoint(tmp_path, steps, 3, stepper(0), Position(step=steps))
    assert [path.name for path in checkpoints(tmp_path)] == [checkpoint_path(tmp_path, n).name for n in (100, 10, 2)]
    assert load_newest(tmp_path, stepper(0))[0].step == 100


def damaged(path: Path, kind: str) -> None:
    content = bytearray(path.read_bytes())
    match kind:
        case "cut off":
            content = content[: len(content) // 2]
        case "empty":
            content = bytearray()
        case "a byte of a tensor":
            content[-3] ^= 1
        case "a digit of the position":
            place = content.index(b"loss_sum") + len('loss_sum\\": ')
            content[place : place + 1] = b"7"
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["cut off", "empty", "a byte of a tensor", "a digit of the position"])
def test_the_last_good_checkpoint_is_used_where_the_newest_is_damaged(tmp_path: Path, kind: str) -> None:
    save_checkpoint(tmp_path, 1, 2, stepper(0, steps=1), Position(step=1))
    save_checkpoint(tmp_path, 2, 2, stepper(0, steps=2), Position(step=2))
    damaged(checkpoint_path(tmp_path, 2), kind)
    other = stepper(1)
    position, notes = load_newest(tmp_path, other)
    assert position.step == 1
    assert len(notes) == 1
    assert notes[0].startswith("step-000000002.safetensors is damaged (")
    for name, tensor in tensors_of(stepper(0, steps=1)).items():
        assert torch.equal(tensors_of(other)[name], tensor)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-000000001.safetensors"]
    damaged(checkpoint_path(tmp_path, 1), kind)
    with pytest.raises(SpecError) as caught:
        load_newest(tmp_path, other)
    assert caught.value.diagnostics[0].code == "E633"


def test_nothing_of_a_checkpoint_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, 1, 2, stepper(0, steps=1), Position(step=1))

    def reject(*_: Any, **__: Any) -> None:
        raise AssertionError("unpickled")

    for name in ("pickle.load", "pickle.loads", "torch.load"):
        monkeypatch.setattr(name, reject)
    load_newest(tmp_path, stepper(1))


def test_a_checkpoint_of_a_later_version_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.runs.checkpoint.VERSION", 99)
    save_checkpoint(tmp_path, 1, 2, stepper(0), Position())
    monkeypatch.undo()
    with pytest.raises(SpecError) as caught:
        load_newest(tmp_path, stepper(0))
    assert caught.value.diagnostics[0].code == "E633"
    assert "later version" in caught.value.diagnostics[0].message
