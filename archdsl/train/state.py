"""The state of a training run as tensors and JSON's types, saved to a checkpoint and loaded from one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from archdsl.runs.checkpoint import Position, read_newest, write_checkpoint
from archdsl.runs.folder import damaged
from archdsl.train.schedule import Reductions
from archdsl.train.step import Stepper


def save_checkpoint(folder: Path, steps: int, keep: int, stepper: Stepper, position: Position) -> None:
    """Write the whole state to the folder, then remove all but the `keep` newest checkpoints.

    Raises SpecError (E708) where it cannot be written; the older ones are then untouched.
    """
    tensors, facts = _state(stepper)
    facts["position"] = asdict(position)
    stepper.processes.from_main(lambda: write_checkpoint(folder, steps, keep, tensors, facts))


def load_newest(folder: Path, stepper: Stepper) -> tuple[Position, list[str]]:
    """Load the newest intact checkpoint into the stepper; returns the position, and notes on damaged ones.

    Raises SpecError (E633) where none is intact, and for one of another network. Only the main process reads files.
    """
    path, tensors, facts, notes = stepper.processes.from_main(lambda: read_newest(folder))
    try:
        _restore(stepper, tensors, facts)
        return Position(**facts["position"]), notes
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[-1].strip()
        raise damaged(path, f"it is of another network: {reason}") from error


def _state(stepper: Stepper) -> tuple[dict[str, Tensor], dict[str, Any]]:
    processes = stepper.processes
    tensors: dict[str, Tensor] = {f"model/{name}": t for name, t in processes.state(stepper.module).items()}
    plain: dict[str, Any] = {}
    for number, state in processes.optimizer_state(stepper.optimizer).items():
        for name, value in state.items():
            (tensors if isinstance(value, Tensor) else plain)[f"optimizer/{number}/{name}"] = value
    if stepper.average is not None:
        tensors |= {f"average/{name}": t for name, t in stepper.average.state_dict().items()}
    facts: dict[str, Any] = {"plain": plain, "reductions": asdict(stepper.reductions)}
    if stepper.scaler is not None:
        facts["scaler"] = stepper.scaler.state_dict()
    return tensors, facts


def _restore(stepper: Stepper, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    def part(prefix: str, entries: Mapping[str, Any] = tensors) -> dict[str, Any]:
        return {key.removeprefix(prefix): value for key, value in entries.items() if key.startswith(prefix)}

    state: dict[int, dict[str, Any]] = {}
    for key, value in (part("optimizer/") | part("optimizer/", facts["plain"])).items():
        number, _, name = key.partition("/")
        state.setdefault(int(number), {})[name] = value
    stepper.processes.load(stepper.module, part("model/"))
    stepper.processes.load_optimizer(stepper.optimizer, state)
    if stepper.average is not None:
        stepper.average.load_state_dict(part("average/"))
    if stepper.scaler is not None:
        stepper.scaler.load_state_dict(facts["scaler"])
    stepper.reductions = Reductions(**facts["reductions"])
