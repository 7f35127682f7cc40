"""The training loop: epochs of steps, an evaluation and a checkpoint after each, interrupted and resumed exactly."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from archdsl.datasets.seeds import epoch_order, seed_for, seed_global
from archdsl.datasets.splits import Batch
from archdsl.diagnostics import Diagnostic, Help, SpecError
from archdsl.diagnostics.codes.commands import CannotWrite
from archdsl.diagnostics.codes.training import NotFinite
from archdsl.diagnostics.render import plural
from archdsl.recipe.schedules import Plateau
from archdsl.runs.checkpoint import Position
from archdsl.runs.folder import EpochMetrics, RunFolder
from archdsl.runs.progress import Progress
from archdsl.runs.tensorboard import Board
from archdsl.text.lists import listed
from archdsl.train.evaluation import Evaluation, Stopped
from archdsl.train.interrupts import Stop
from archdsl.train.norms import has_batch_norm
from archdsl.train.plan import outcome_of, plan_of
from archdsl.train.processes.processes import Wish, told
from archdsl.train.schedule import learning_rate
from archdsl.train.setup import Setup, Trainable
from archdsl.train.step import Stepper
from archdsl.train.writer import Writer

#: Seconds between two reads of the loss; each waits for the device.
PROGRESS_INTERVAL = 0.1
#: The number of samples of a batch named in a message; the run folder's file has all.
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a run.

    metrics      one line for each epoch, those before a resumption included
    evaluation   the last epoch's, on the validation split; None where no epoch ended in this session
    test         on the test split, where validation was held back from the training set
    interrupted  stopped by Ctrl-C or SIGTERM: the caller's exit code is 128 plus the number of the `signal`
    resume       the command that resumes the run
    """

    folder: Path
    metrics: tuple[EpochMetrics, ...]
    evaluation: Evaluation | None
    test: Evaluation | None
    interrupted: bool
    resume: str
    signal: int = 0

    def __repr__(self) -> str:
        state = "interrupted" if self.interrupted else "finished"
        found = self.test or self.evaluation
        result = "" if found is None else f", {repr(found)[1:-1]}"
        return f"<Result {self.folder}: {state} after {len(self.metrics)} epochs{result}>"


#: Called when a run is complete, with its folder, the trained module, its data, its history and the test results.
AtEnd = Callable[[RunFolder, nn.Module, Setup, Sequence[EpochMetrics], Evaluation], object]


class Loop:
    """A run in progress."""

    def __init__(
        self, network: Trainable, setup: Setup, stepper: Stepper, folder: RunFolder, progress: Progress, stop: Stop
    ) -> None:
        self.network, self.setup, self.stepper = network, setup, stepper
        self.folder, self.progress, self.stop = folder, progress, stop
        self.recipe, self.device, self.processes = setup.recipe, setup.device, stepper.processes
        self.writer = Writer(folder, stepper)
        self.position, self.history = Position(), list[EpochMetrics]()
        self.last: Evaluation | None = None
        self.is_cut = self.is_resumed = False
        self.board = Board()
        self.order: list[Tensor] = []
        self.pending: list[tuple[Tensor, Tensor | None, int]] = []
        self.keep_lone = not has_batch_norm(stepper.module)
        self.generator = torch.Generator(self.device)
        self.epoch_steps = len(self._order(0))
        self.total_steps = self.recipe.total_steps(self.epoch_steps)
        self.last_step = min(self.total_steps, self.recipe.max_steps or self.total_steps)

    def start(self) -> None:
        """Write the files of a new run."""
        self.writer.start(self.network, self.setup, self.recipe, self.epoch_steps)
        self.writer.begin(self.last_step, self.position)

    def resume(self) -> None:
        """Continue from the newest checkpoint; metrics of later epochs are dropped and written again."""
        self.position, self.history, notes = self.writer.resume(self.recipe)
        self.writer.begin(self.last_step, self.position)
        self.is_resumed = True
        for note in notes:
            self.progress.note(note)

    def tell(self, notes: Sequence[str]) -> None:
        """Say what the run will do, and what else there is to know before it starts."""
        plan = plan_of(
            self.network,
            self.setup,
            self.stepper.module,
            self.folder,
            epoch_steps=self.epoch_steps,
            steps=self.last_step,
            processes=self.processes.world,
            resumed=self.position if self.is_resumed else None,
        )
        self.progress.start(plan)
        for note in notes:
            self.progress.note(note)

    def train(self, at_end: AtEnd | None = None) -> Result:
        """Train to the end of the recipe, or until asked to stop."""
        if self.processes.is_main and self.recipe.tensorboard:
            self.board = Board(self.folder.tensorboard, self.steps_done)
        try:
            while not self._is_over and not self._stops:
                self._train_epoch()
                if self._ends_epoch or self._at_last_step:
                    self._finish_epoch()
                    if self._at_last_step or self.is_cut:
                        break
            return self._finish(at_end)
        except KeyboardInterrupt:
            self.writer.fail("stopped", "at once, with the last checkpoint", self.position)
            self.progress.note(f"stopped immediately; resume from the last checkpoint: {self.writer.resume_command}")
            raise
        except SpecError as error:
            self.writer.fail("failed", f"{error.diagnostics[0].code}: {error.diagnostics[0].message}", self.position)
            raise self._with_help(error) from error
        except Exception as error:
            self.writer.fail("failed", (str(error).splitlines() or [type(error).__name__])[0], self.position)
            raise
        finally:
            self.board.close()

    def _with_help(self, error: SpecError) -> SpecError:
        """The error, with the command that resumes the run where a file could not be written."""
        fix = "free disk space or fix the permissions, then resume from the last checkpoint"
        help = Help(f"{fix}: {self.writer.resume_command}")
        found = [
            replace(one, helps=(*one.helps, help)) if isinstance(one.problem, CannotWrite) else one
            for one in error.diagnostics
        ]
        return told(SpecError(found), here=error.here)

    @property
    def steps_done(self) -> int:
        """Optimizer steps since the start of the run."""
        return self.position.epoch * self.epoch_steps + self.position.step

    @property
    def _stops(self) -> bool:
        """Whether any process has been asked to stop, and so all are."""
        if signal := self.processes.settled(Wish.STOP, self.stop.signal):
            self.stop.signal = signal
        return self.stop.requested

    @property
    def _ends_epoch(self) -> bool:
        return self.position.step == self.epoch_steps

    @property
    def _at_last_step(self) -> bool:
        return self.steps_done >= self.last_step

    @property
    def _is_over(self) -> bool:
        """Whether the run is complete; part of an epoch before the last step still has to be evaluated."""
        return (self._at_last_step and self.position.step == 0) or self._has_stalled

    @property
    def _has_stalled(self) -> bool:
        """Whether the monitored figure has not improved for `patience` epochs."""
        patience = self.recipe.patience
        return patience is not None and self.position.step == 0 and self._waited >= patience

    @property
    def _waited(self) -> int:
        return self.position.epoch - self.position.best_epoch

    @property
    def _stalled_text(self) -> str:
        return f"no better validation {self.setup.monitor} for {plural(self._waited, 'epoch')}"

    def _order(self, epoch: int) -> list[Tensor]:
        samples = len(self.setup.data.train.labels)
        return epoch_order(samples, self.recipe.batch, self.recipe.seed, epoch, keep_lone=self.keep_lone)

    def _train_epoch(self) -> None:
        """The rest of the epoch from the position on, until its end, the last step or a request to stop."""
        position, processes = self.position, self.processes
        before, started = position.seconds, time.perf_counter()
        shown = started
        self.order = self._order(position.epoch)
        left = min(self.last_step - self.steps_done, self.epoch_steps - position.step)
        rest = self.order[position.step : position.step + max(left, 0)]
        self.stepper.train_mode()
        shares = self.setup.data.train.batches([processes.share(rows) for rows in rest])
        for rows, (images, targets) in zip(rest, shares, strict=True):
            loss, hits = self._step(images, targets, len(rows))
            position.step += 1
            self.pending.append((loss, hits if processes.counts(len(rows)) else None, len(rows)))
            now = time.perf_counter()
            position.seconds = before + now - started
            if processes.agreed(Wish.LOOK, now - shown >= PROGRESS_INTERVAL):
                shown = now
                self._look()
                self._show(position.seen / position.seconds)
            if signal := processes.agreed(Wish.STOP, self.stop.signal):
                self.stop.signal = signal
                break
            if self._is_checkpoint_due():
                self._save_checkpoint()
        self._look()
        position.seconds = before + time.perf_counter() - started

    def _step(self, images: Batch, targets: Tensor, samples: int) -> tuple[Tensor, Tensor | None]:
        """One optimizer step; returns the batch's mean loss and number of hits, both still on the device."""
        seed, step, keys = self.recipe.seed, self.steps_done, self.processes.keys
        self.processes.start_step()
        self.generator.manual_seed(seed_for(seed, "augment", step, *keys))
        seed_global(self.device, seed_for(seed, "step", step, *keys))
        self.stepper.set_rate(self._learning_rate(step))
        outputs = self.network.output_shape.channels
        inputs, targets = self.setup.preparation.train(images, targets, self.generator, outputs)
        return self.stepper.step(inputs, targets, samples)

    def _learning_rate(self, step: int) -> float:
        recipe = self.recipe
        return learning_rate(recipe.schedule, recipe.optimizer.lr, step, self.epoch_steps, self.total_steps)

    def _look(self) -> None:
        """Fetch the losses of the steps since the last look and add them up; the only wait for the device.

        They are added one by one in order, so that the sum does not depend on when it is read.
        """
        if not self.pending:
            return
        position, first = self.position, self.steps_done - len(self.pending)
        shares = torch.stack([loss for loss, _, _ in self.pending]).cpu().double()
        hits = [hit for _, hit, _ in self.pending if hit is not None]
        losses = self.processes.sum(shares.clone()).tolist()
        position.hits += int(self.processes.sum(torch.tensor(int(torch.stack(hits).sum()) if hits else 0)))
        for i, (loss, (_, _, samples)) in enumerate(zip(losses, self.pending, strict=True)):
            if not math.isfinite(loss):
                raise self._not_finite(loss, position.step - len(losses) + i, own=float(shares[i]))
            position.loss_sum += loss * samples
            position.seen += samples
            self.board.step(first + i + 1, loss)
        self.pending.clear()

    def _not_finite(self, loss: float, step: int, own: float) -> SpecError:
        """The error for an infinite or NaN loss in the epoch's step `step` (from 0), with its samples.

        Of several processes, those name their samples whose `own` part of the loss is not finite.
        """
        share = self.processes.share(self.order[step]).tolist()
        found = self.processes.gather([] if math.isfinite(own) else share)
        epoch, rows = self.position.epoch + 1, found or self.order[step].tolist()
        self.writer.failed_batch({"epoch": epoch, "step": step + 1, "loss": str(loss), "samples": rows})
        help = Help(f"the last good state is in {self.folder.path}, all samples in {self.folder.failed_batch.name}")
        problem = NotFinite(f"{loss}", epoch, step + 1, listed(rows, SHOWN))
        error = SpecError([Diagnostic(problem, self.recipe.place("optimizer"), helps=(help,), path=self.network.path)])
        return told(error, here=self.processes.is_main)

    def _show(self, pace: float) -> None:
        position = self.position
        loss, share = position.loss_sum / position.seen, position.hits / position.seen
        self.progress.step(position.epoch + 1, position.step, loss, share if self.setup.classes else None, pace)

    def _finish_epoch(self) -> None:
        """Evaluate, write the results, and last the checkpoint that counts the epoch as done.

        An evaluation that is interrupted leaves the epoch as it was; a resumed run evaluates again.
        """
        position, setup, whole = self.position, self.setup, self._ends_epoch
        found = self._evaluation(test=False)
        if found is None:
            return
        self.last = found
        line = self._line(found)
        self.history.append(line)
        value = line.figure(setup.monitor)
        is_best = setup.is_better(value, position.best)
        self.progress.epoch(line, best=is_best)
        self.board.epoch(self.steps_done, line)
        if is_best:
            self.writer.best(whole_epoch=whole)
            if whole:
                position.best, position.best_epoch = value, line.epoch
        self.writer.metrics(self.history)
        if whole:
            self._reduce_rate(value)
            position.next_epoch()
        self.writer.weights()
        self._save_checkpoint()

    def _evaluation(self, *, test: bool) -> Evaluation | None:
        """The results on a split; None where the run was asked to stop meanwhile, and so is cut."""
        stage = partial(self.progress.stage, "testing" if test else "validating")
        try:
            return self.setup.evaluate(
                self.stepper.result, test=test, processes=self.processes, stops=lambda: self._stops, watch=stage
            )
        except Stopped:
            self.is_cut = True
            return None

    def _line(self, found: Evaluation) -> EpochMetrics:
        position = self.position
        return EpochMetrics(
            epoch=position.epoch + 1,
            steps=position.step,
            train_loss=position.loss_sum / position.seen,
            train_accuracy=position.hits / position.seen if self.setup.classes else None,
            val_loss=found.loss,
            val_accuracy=found.accuracy,
            lr=self._learning_rate(self.steps_done - 1) * self.stepper.reductions.factor,
            images_per_second=position.seen / position.seconds,
            seconds=position.seconds,
            val_top5=found.top5,
            val_f1=found.f1 if "f1" in self.setup.figures else None,
        )

    def _reduce_rate(self, value: float) -> None:
        """Let a plateau schedule observe an epoch's value of the monitored figure."""
        schedule, base = self.recipe.schedule, self.recipe.optimizer.lr
        if isinstance(schedule, Plateau):
            higher = self.setup.monitor != "loss"
            self.stepper.reductions.observe(schedule, value, base, higher_is_better=higher)

    def _is_checkpoint_due(self) -> bool:
        if self._ends_epoch or self._at_last_step:
            return False
        steps, seconds = self.recipe.checkpoint_steps, self.recipe.checkpoint_seconds
        by_steps = steps is not None and self.steps_done % steps == 0
        by_time = seconds is not None and time.monotonic() - self.writer.saved >= seconds
        return by_steps or bool(self.processes.agreed(Wish.CHECKPOINT, by_time))

    def _save_checkpoint(self) -> None:
        self._look()
        self.writer.checkpoint(self.steps_done, self.recipe.keep, self.position)

    def _finish(self, at_end: AtEnd | None) -> Result:
        if self.is_cut or not (self._is_over or self._at_last_step):
            self.is_cut = True
            self.writer.weights()
            self._save_checkpoint()
        test = None
        if self.setup.data.validation is not self.setup.data.test and not self.is_cut:
            test = self._evaluation(test=True)
        found = test or (None if self.is_cut else self.last or self._evaluation(test=True))
        if self.is_cut:
            self.writer.end("stopped", self._stopped_by, self.position)
        elif found is not None:
            self._conclude(at_end, found)
        self._tell_end(test)
        history, signal = tuple(self.history), self.stop.signal if self.is_cut else 0
        return Result(self.folder.path, history, self.last, test, self.is_cut, self.writer.resume_command, signal)

    @property
    def _stopped_by(self) -> str:
        return f"by {self.stop.name}" if self.stop.requested else ""

    def _conclude(self, at_end: AtEnd | None, found: Evaluation) -> None:
        """Write the results, then that the run has finished, which the report says, then the report."""
        self.writer.evaluation(found, self.history)
        self.writer.end("finished", self._stalled_text if self._has_stalled else "", self.position)
        if at_end is not None and self.recipe.report:
            self._call_at_end(at_end, found)

    def _call_at_end(self, at_end: AtEnd, found: Evaluation) -> None:
        """Its files are written atomically, so a signal may interrupt it anywhere."""
        module = self.processes.whole(self.stepper.result, self.network.build)
        if module is None:
            return
        self.progress.stage("writing the report")
        try:
            with self.stop.at_once():
                at_end(self.folder, module, self.setup, self.history, found)
        except KeyboardInterrupt:
            self.is_cut = True
            self.writer.fail("stopped", self._stopped_by, self.position)

    def _tell_end(self, test: Evaluation | None) -> None:
        if self.is_cut:
            where = f"in epoch {self.position.epoch + 1}, step {self.position.step}"
            where = "after the last epoch" if self._is_over else where
            self.progress.stop(where, self.writer.resume_command)
            return
        stalled = self._waited if self._has_stalled else 0
        self.progress.end(outcome_of(self.setup, self.folder, self.history, test, stalled=stalled))
