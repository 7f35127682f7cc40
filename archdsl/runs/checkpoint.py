"""The state of a run in one safetensors file: tensors, with the position in the run as metadata.

Random numbers are functions of seed, epoch and step (datasets/seeds.py), so no generator is saved. A checksum detects
damaged files; the checkpoint before is used then.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from archdsl.files.tensors import write_tensors
from archdsl.files.write import cannot_write
from archdsl.runs.folder import damaged

VERSION = 2
METADATA = "archdsl"


@dataclass
class Position:
    """How far a run is, and the sums over its current epoch.

    epoch       complete epochs
    step        optimizer steps done in the current epoch
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
        """Move to the start of the next epoch."""
        self.__init__(epoch=self.epoch + 1, best=self.best, best_epoch=self.best_epoch)  # type: ignore[misc]


class Checkpoint(NamedTuple):
    """What a checkpoint holds: tensors, and all else as JSON's types. `notes` name the damaged ones after it."""

    path: Path
    tensors: dict[str, Tensor]
    facts: dict[str, Any]
    notes: list[str]


class Damaged(Exception):
    """A checkpoint that was not written completely, or has changed since."""


def checkpoint_path(folder: Path, steps: int) -> Path:
    """The file of the state after `steps` steps; names sort as numbers do."""
    return folder / f"step-{steps:09}.safetensors"


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the newest first."""
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def write_checkpoint(folder: Path, steps: int, keep: int, tensors: Mapping[str, Tensor], facts: dict[str, Any]) -> None:
    """Write a state to the folder, then remove all but the `keep` newest checkpoints.

    Raises SpecError (E708) where it cannot be written; the older ones are then untouched.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({"version": VERSION, **facts})
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    write_tensors(checkpoint_path(folder, steps), tensors, {METADATA: text, "checksum": _checksum(tensors, text)})
    for old in checkpoints(folder)[keep:]:
        with contextlib.suppress(OSError):
            old.unlink()


def _checksum(tensors: Mapping[str, Tensor], facts: str) -> str:
    """A digest of everything in a checkpoint."""
    digest = blake2b(facts.encode(), digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_newest(folder: Path) -> Checkpoint:
    """The newest checkpoint that is intact; damaged ones are renamed, which the notes say.

    Raises SpecError (E633) where none is intact, and for one that a later version wrote.
    """
    notes: list[str] = []
    found = checkpoints(folder)
    for path in found:
        try:
            return Checkpoint(path, *_read(path), notes)
        except Damaged as damage:
            if path == found[-1]:
                raise damaged(path, f"it is damaged ({damage})") from damage
            notes.append(f"{path.name} is damaged ({damage}): the checkpoint before it is used")
            with contextlib.suppress(OSError):
                path.replace(path.with_name(f"{path.name}.damaged"))
    raise damaged(folder, "it contains no checkpoint")


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
        raise damaged(path, f"a later version of archdsl wrote it (format {facts['version']})")
    return tensors, facts
