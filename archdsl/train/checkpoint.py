"""The state of a run in one safetensors file: tensors, and the position in the run as its metadata.

Random numbers are functions of seed, epoch and step (seeds.py), so that the position stands for them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.recipe import DamagedRun
from archdsl.train.files import write_tensors

VERSION = 1
METADATA = "archdsl"


@dataclass
class Position:
    """How far a run is, and the sums of the epoch it is in.

    epoch     epochs that are complete
    step      optimizer steps done in the epoch after them
    best      highest validation accuracy so far
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    hits: int = 0
    seen: int = 0
    seconds: float = 0.0
    best: float = -1.0

    def next_epoch(self) -> None:
        """The start of the next epoch, its sums empty."""
        best = self.best
        self.__init__(epoch=self.epoch + 1, best=best)  # type: ignore[misc]


def save_checkpoint(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, position: Position) -> None:
    """Write everything that is needed to go on from here. Raises SpecError (E708) where the disk refuses."""
    tensors: dict[str, Tensor] = {f"model/{name}": tensor for name, tensor in module.state_dict().items()}
    plain: dict[str, Any] = {}
    for number, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            key = f"optimizer/{number}/{name}"
            if isinstance(value, Tensor):
                tensors[key] = value
            else:
                plain[key] = value
    metadata = {"version": VERSION, "position": asdict(position), "plain": plain}
    write_tensors(path, tensors, {METADATA: json.dumps(metadata)})


def load_checkpoint(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> Position:
    """Put a saved state into the module and the optimizer; returns the position.

    Raises SpecError (E633) for a damaged file, one of a later version, and one of another network.
    """
    tensors, metadata = _read(path)
    model = {key.removeprefix("model/"): t for key, t in tensors.items() if key.startswith("model/")}
    state: dict[int, dict[str, Any]] = {}
    for key, value in (tensors | metadata["plain"]).items():
        kind, number, name = (*key.split("/", 2), "", "")[:3]
        if kind == "optimizer":
            state.setdefault(int(number), {})[name] = value
    try:
        module.load_state_dict(model)
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        return Position(**metadata["position"])
    except (RuntimeError, ValueError, TypeError) as error:
        raise _unusable(path, f"it is of another network: {str(error).splitlines()[-1].strip()}") from error


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {})[METADATA])
            if metadata["version"] > VERSION:
                raise _unusable(path, f"a later version of archdsl wrote it (format {metadata['version']})")
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118 (no iteration)
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise _unusable(path, f"it is damaged ({error})") from error


def _unusable(path: Path, reason: str) -> SpecError:
    return SpecError([Diagnostic(DamagedRun(path.name, reason), path=str(path))])
