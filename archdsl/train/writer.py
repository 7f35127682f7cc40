"""The files that a run writes into its folder."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from json import dumps
from pathlib import Path
from typing import Any

from archdsl.diagnostics import SpecError
from archdsl.files.tensors import write_tensors
from archdsl.files.write import remove_parts, write_text
from archdsl.recipe import Recipe
from archdsl.runs.checkpoint import Position
from archdsl.runs.environment import environment
from archdsl.runs.folder import EpochMetrics, RunFolder, RunInfo
from archdsl.runs.sessions import SessionLog, State
from archdsl.train.evaluation import Evaluation
from archdsl.train.setup import Setup, Trainable
from archdsl.train.state import load_newest, save_checkpoint
from archdsl.train.step import Stepper


class Writer:
    """Writes the files of a run. All processes call it together; the main one writes, and all raise its errors."""

    def __init__(self, folder: RunFolder, stepper: Stepper) -> None:
        self.folder, self.stepper, self.processes = folder, stepper, stepper.processes
        self.log = SessionLog(folder.path)
        self.saved = time.monotonic()
        self.resume_command = f"archdsl train --resume {shlex.quote(str(folder.path))}"
        self.processes.resume_command = self.resume_command

    def start(self, network: Trainable, setup: Setup, recipe: Recipe, epoch_steps: int) -> None:
        """Everything known before the first step, and a checkpoint: a full disk is found now."""
        data = setup.data
        info = RunInfo(
            model=network.name,
            settings=dict(network.settings),
            spec=network.path,
            dataset=data.name,
            classes=data.classes,
            input=network.input_sizes,
            output=tuple(network.output_shape),
            mean=setup.mean,
            std=setup.std,
            started=datetime.now().astimezone().isoformat(timespec="seconds"),
            sample=tuple(data.sample),
            splits={name: len(split.labels) for name, split in data.splits.items()},
            validation_is_test=data.validates_on_test,
            has_test=data.has_test,
            epoch_steps=epoch_steps,
            params=sum(weight.numel() for weight in self.stepper.module.parameters()),
        )
        facts = environment(setup.device) | {"processes": self.processes.world}

        def write() -> None:
            write_text(self.folder.spec, network.spec)
            write_text(self.folder.recipe, recipe.to_json() + "\n")
            write_text(self.folder.info, info.to_json() + "\n")
            write_text(self.folder.environment, dumps(facts, indent=2) + "\n")

        self.processes.from_main(write)
        self.weights()
        self.checkpoint(0, recipe.keep, Position())

    def resume(self, recipe: Recipe) -> tuple[Position, list[EpochMetrics], list[str]]:
        """Load the newest checkpoint; returns its position, the metrics up to it, and notes."""

        def clean() -> None:
            remove_parts(self.folder.path)
            remove_parts(self.folder.checkpoints)
            self.folder.restore_best()
            write_text(self.folder.recipe, recipe.to_json() + "\n")

        self.processes.from_main(clean)
        position, notes = load_newest(self.folder.checkpoints, self.stepper)
        history = self.processes.from_main(lambda: self.folder.read_metrics(position.epoch))
        return position, history, notes

    def begin(self, steps: int, position: Position) -> None:
        """That the run has been started or resumed, and is to have so many steps."""
        device = environment(self.stepper.device)
        name = f"{device['device']} ({device['device_name']})"
        self.processes.from_main(lambda: self.log.begin(name, steps, position.epoch, position.step))

    def end(self, state: State, reason: str, position: Position) -> None:
        """How the session ended."""
        self.processes.from_main(lambda: self.log.end(state, reason, position.epoch, position.step))

    def fail(self, state: State, reason: str, position: Position) -> None:
        """How the session ended by an error: written if possible, without waiting for other processes."""
        if self.processes.is_main:
            with suppress(SpecError):
                self.log.end(state, reason, position.epoch, position.step)

    def evaluation(self, found: Evaluation, history: Sequence[EpochMetrics]) -> None:
        """The results of the finished run on the test split."""
        steps = sum(line.steps for line in history)
        facts = {"epoch": history[-1].epoch, "steps": steps, **found.to_dict()}
        self.processes.from_main(lambda: write_text(self.folder.evaluation, dumps(facts) + "\n"))

    def weights(self, path: Path | None = None) -> None:
        """The weights to evaluate, in `path` or the run's weights.safetensors."""
        state = self.processes.state(self.stepper.result)
        self.processes.from_main(lambda: write_tensors(path or self.folder.weights, state))

    def best(self, *, whole_epoch: bool) -> None:
        """The best weights so far; those of part of an epoch can be taken back."""
        if not whole_epoch:
            self.processes.from_main(self.folder.set_best_aside)
        self.weights(self.folder.best)

    def checkpoint(self, steps: int, keep: int, position: Position) -> None:
        """The whole state after so many steps."""
        save_checkpoint(self.folder.checkpoints, steps, keep, self.stepper, position)
        self.saved = time.monotonic()

    def metrics(self, history: Sequence[EpochMetrics]) -> None:
        """All epochs in one write, so that no line is ever incomplete."""
        text = "".join(dumps(asdict(line)) + "\n" for line in history)
        self.processes.from_main(lambda: write_text(self.folder.metrics, text))

    def failed_batch(self, facts: dict[str, Any]) -> None:
        """Where the loss became infinite or NaN."""
        self.processes.from_main(lambda: write_text(self.folder.failed_batch, dumps(facts) + "\n"))
