"""The state of a run in one safetensors file: tensors, and the position in the run as its metadata.

Random numbers are functions of seed, epoch and step (seeds.py), so that the position stands for them. A
checksum tells a file that was damaged on the disk; the one before it is used then.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.recipe import DamagedRun
from archdsl.files.write import cannot_write
from archdsl.files.tensors import write_tensors
from archdsl.train.schedule import Reductions
from archdsl.train.step import Stepper

VERSION = 2
METADATA = "archdsl"


@dataclass
class Position:
    """How far a run is, and the sums of the epoch it is in.

    epoch       epochs that are complete
    step        optimizer steps done in the epoch after them
    best        best value so far of the monitored figure
    best_epoch  the epoch (from 1) that had it
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    hits: int = 0
    seen: int = 0
    seconds: float = 0.0
    best: float | None = None
    best_epoch: int = 0

    def next_epoch(self) -> None:
        """The start of the next epoch, its sums empty."""
        self.__init__(epoch=self.epoch + 1, best=self.best, best_epoch=self.best_epoch)  # type: ignore[misc]


class Damaged(Exception):
    """A checkpoint that was not written in full, or has changed since."""


def checkpoint_path(folder: Path, steps: int) -> Path:
    """The file of the state after so many steps: names sort as numbers do."""
    return folder / f"step-{steps:09}.safetensors"


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the newest first."""
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def save_checkpoint(folder: Path, steps: int, keep: int, stepper: Stepper, position: Position) -> None:
    """Write everything that is needed to go on from here, then drop all but the `keep` newest checkpoints.

    Raises SpecError (E708) where the file cannot be written; the older ones are untouched then.
    """
    tensors, facts = _state(stepper, position)
    stepper.processes.from_main(lambda: _write(folder, steps, keep, tensors, facts))


def _write(folder: Path, steps: int, keep: int, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(facts)
    metadata = {METADATA: text, "checksum": _checksum(tensors, text)}
    path = checkpoint_path(folder, steps)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    write_tensors(path, tensors, metadata)
    for old in checkpoints(folder)[keep:]:
        with contextlib.suppress(OSError):
            old.unlink()


def _state(stepper: Stepper, position: Position) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Everything that changes while a run goes on, as tensors and as JSON's types."""
    processes = stepper.processes
    tensors: dict[str, Tensor] = {f"model/{name}": t for name, t in processes.state(stepper.module).items()}
    facts: dict[str, Any] = {"version": VERSION, "position": asdict(position), "plain": {}}
    for number, state in processes.optimizer_state(stepper.optimizer).items():
        for name, value in state.items():
            key = f"optimizer/{number}/{name}"
            if isinstance(value, Tensor):
                tensors[key] = value
            else:
                facts["plain"][key] = value
    if stepper.average is not None:
        tensors |= {f"average/{name}": t for name, t in stepper.average.state_dict().items()}
    if stepper.scaler is not None:
        facts["scaler"] = stepper.scaler.state_dict()
    facts["reductions"] = asdict(stepper.reductions)
    return tensors, facts


def _checksum(tensors: Mapping[str, Tensor], facts: str) -> str:
    """A digest of all that a checkpoint holds."""
    digest = blake2b(facts.encode(), digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load_newest(folder: Path, stepper: Stepper) -> tuple[Position, list[str]]:
    """Put the newest state that is sound into the stepper; returns the position and what is worth saying.

    Damaged files are set aside. Raises SpecError (E633) where none is sound, and for the state of another
    network or of a later version. Of several processes the main one reads, so that the others need no such folder.
    """
    path, tensors, facts, notes = stepper.processes.from_main(lambda: _newest(folder))
    return _restore(path, stepper, tensors, facts), notes


def _newest(folder: Path) -> tuple[Path, dict[str, Tensor], dict[str, Any], list[str]]:
    """The newest state that is sound, with its file and what is worth saying."""
    notes: list[str] = []
    found = checkpoints(folder)
    for path in found:
        try:
            tensors, facts = _read(path)
        except Damaged as damage:
            if path == found[-1]:
                raise _unusable(path, f"it is damaged ({damage})") from damage
            notes.append(f"{path.name} is damaged ({damage}): the checkpoint before it is used")
            with contextlib.suppress(OSError):
                path.replace(path.with_name(f"{path.name}.damaged"))
            continue
        return path, tensors, facts, notes
    raise _unusable(folder, "it holds no checkpoint")


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no iteration)
        facts = json.loads(metadata[METADATA])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise Damaged(str(error) or type(error).__name__) from error
    if metadata.get("checksum") != _checksum(tensors, metadata[METADATA]):
        raise Damaged("its checksum differs")
    if facts["version"] > VERSION:
        raise _unusable(path, f"a later version of archdsl wrote it (format {facts['version']})")
    return tensors, facts


def _restore(path: Path, stepper: Stepper, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Position:
    def part(kind: str) -> dict[str, Tensor]:
        return {key.removeprefix(kind): tensor for key, tensor in tensors.items() if key.startswith(kind)}

    state: dict[int, dict[str, Any]] = {}
    plain = {key.removeprefix("optimizer/"): value for key, value in facts["plain"].items()}
    for key, value in (part("optimizer/") | plain).items():
        number, _, name = key.partition("/")
        state.setdefault(int(number), {})[name] = value
    try:
        stepper.processes.load(stepper.module, part("model/"))
        stepper.processes.load_optimizer(stepper.optimizer, state)
        if stepper.average is not None:
            stepper.average.load_state_dict(part("average/"))
        if stepper.scaler is not None:
            stepper.scaler.load_state_dict(facts["scaler"])
        stepper.reductions = Reductions(**facts["reductions"])
        return Position(**facts["position"])
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[-1].strip()
        raise _unusable(path, f"it is of another network: {reason}") from error


def _unusable(path: Path, reason: str) -> SpecError:
    return SpecError([Diagnostic(DamagedRun(path.name, reason), path=str(path))])
