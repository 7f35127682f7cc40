"""The training loop: epochs of steps, an evaluation and a checkpoint after each, interrupted and resumed exactly."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from json import dumps
from pathlib import Path

import torch
from torch import Tensor, nn

from archdsl.datasets.seeds import epoch_order, seed_for, seed_global
from archdsl.diagnostics import Diagnostic, Help, SpecError
from archdsl.diagnostics.codes.recipe import NotFinite, OtherRun, OutOfMemory
from archdsl.diagnostics.codes.runtime import CannotWrite
from archdsl.files.tensors import write_tensors
from archdsl.files.write import remove_parts, write_text
from archdsl.recipe import Plateau, Recipe
from archdsl.recipe.fit import untrained
from archdsl.runs.checkpoint import Position, load_newest, save_checkpoint
from archdsl.runs.curves import draw_curves
from archdsl.runs.folder import EpochMetrics, RunFolder, RunInfo, create_run_folder, environment, find_run_folder
from archdsl.runs.progress import Progress
from archdsl.runs.tensorboard import Board, make_board, require_tensorboard
from archdsl.train.evaluation import Evaluation, Stopped
from archdsl.train.interrupts import Stop, catching_interrupts
from archdsl.train.processes.processes import Processes, Wish, processes_of_run, told
from archdsl.train.processes.start import start_from
from archdsl.train.schedule import learning_rate
from archdsl.train.setup import Setup, Trainable, placed, set_up
from archdsl.train.step import Stepper

__all__ = ["Result", "Setup", "Trainable", "set_up", "train"]

#: What may differ when a run is resumed.
CHANGEABLE = {
    *("epochs", "steps", "max_steps", "patience"),
    *("root", "device", "workers"),
    *("keep", "checkpoint_every", "tensorboard", "report"),
}
#: Seconds between two looks at the loss; each waits for the device.
PROGRESS_INTERVAL = 0.1
#: So many samples of a batch are named in a message; the run folder's file has all.
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to.

    metrics      one line for each epoch, those before a resumption included
    evaluation   the last epoch's, on the validation split; None where no epoch ended in this session
    test         on the test split, where validation was held back from the training set
    interrupted  stopped by Ctrl-C or SIGTERM: the caller's exit code is 128 plus the number of the `signal`
    resume       the command that goes on with the run
    """

    folder: Path
    metrics: tuple[EpochMetrics, ...]
    evaluation: Evaluation | None
    test: Evaluation | None
    interrupted: bool
    resume: str
    signal: int = 0


#: Called with the folder, the trained module, its data and its history when a run has come to its end.
AtEnd = Callable[[RunFolder, nn.Module, Setup, Sequence[EpochMetrics]], object]


def train(
    network: Trainable,
    recipe: Recipe | None,
    out: Path | None,
    resume: Path | None,
    progress: Progress,
    at_end: AtEnd | None = None,
) -> Result:
    """Train a network by a recipe into a new folder, or go on with the run in `resume`.

    A resumed run takes the recipe it was started with where none is given; one that is given may differ
    in CHANGEABLE only. On the CPU its weights are bit for bit those of a run that was never stopped.
    Where a launcher has started several processes, all call this; they train together, and the main one writes.
    Raises SpecError for all that is wrong with the data, the folder, the disk, the memory or the loss.
    """
    with processes_of_run() as processes:
        return _train(network, recipe, out, resume, progress if processes.is_main else Progress(), at_end, processes)


def _train(
    network: Trainable,
    recipe: Recipe | None,
    out: Path | None,
    resume: Path | None,
    progress: Progress,
    at_end: AtEnd | None,
    processes: Processes,
) -> Result:
    old, recipe, info = processes.from_main(lambda: _start(resume, recipe))
    setup = processes.everywhere(lambda: _set_up(network, recipe, info, processes))
    with placed(recipe, network.path), enough_memory(setup, network.path):
        module, notes = processes.everywhere(lambda: _module(network, setup, fresh=old is None))
        stepper = Stepper(
            recipe,
            processes.convert(module, recipe).to(setup.device),
            setup.device,
            classes=len(setup.classes),
            aux=[head.output_name for head in network.aux],
            path=network.path,
            processes=processes,
        )
        folder = old or processes.from_main(lambda: create_run_folder(out, network.name))
        run = _Run(network, setup, stepper, folder, progress, at_end)
        with progress, torch.random.fork_rng([setup.device] if setup.device.type == "cuda" else []):
            for note in (*setup.notes, *notes, *_about(processes, recipe)):
                progress.note(note)
            with catching_interrupts() as run.stop:
                if old is None:
                    run.write_start()
                else:
                    run.restore()
                return run.train()


def _start(resume: Path | None, recipe: Recipe | None) -> tuple[RunFolder | None, Recipe, RunInfo | None]:
    """The run to go on with, None for a new one; its recipe; what it knows."""
    if resume is None:
        return None, recipe or Recipe(), None
    old = find_run_folder(resume)
    return old, _resumed_recipe(old, recipe), old.read_info()


def _set_up(network: Trainable, recipe: Recipe, info: RunInfo | None, processes: Processes) -> Setup:
    with placed(recipe, network.path):
        processes.choose(recipe)
    require_tensorboard(recipe)
    if found := untrained(recipe, network, network.path):
        raise SpecError(found)
    return set_up(network, recipe, info, processes.device)


def _module(network: Trainable, setup: Setup, *, fresh: bool) -> tuple[nn.Module, list[str]]:
    """The network's module with the weights to start from, and what is worth saying about them."""
    module = network.build(seed=setup.recipe.seed)
    with placed(setup.recipe, network.path):
        return module, start_from(module, setup.recipe) if fresh else []


def _about(processes: Processes, recipe: Recipe) -> list[str]:
    """What is worth saying about several processes."""
    if processes.world == 1:
        return []
    notes = [f"{processes.world} processes share each batch of {recipe.batch}"]
    if processes.smallest_share(recipe.batch) == recipe.batch:
        notes = [f"a batch of {recipe.batch} is too small for {processes.world} processes: each computes all of it"]
    return notes


def _resumed_recipe(folder: RunFolder, recipe: Recipe | None) -> Recipe:
    """The recipe to go on with. Rejects (E634) one that would not go on with the same run."""
    started = folder.read_recipe()
    if recipe is None:
        return started
    for name in Recipe.model_fields:
        before, now = getattr(started, name), getattr(recipe, name)
        if name not in CHANGEABLE and before != now:
            problem = OtherRun(str(folder.path), name, str(now), str(before))
            raise SpecError([Diagnostic(problem, recipe.place(name), path=str(folder.path))])
    return recipe


@contextmanager
def enough_memory(setup: Setup, path: str) -> Iterator[None]:
    """Say in our words that the device's memory is too small."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        recipe = setup.recipe
        samples = -(-recipe.batch // recipe.accumulate)
        accumulate = f"--set accumulate={2 * recipe.accumulate}"
        helps = (Help(f"start anew with `{accumulate}` or `--batch {max(recipe.batch // 2, 1)}`"),)
        problem = OutOfMemory(str(setup.device), samples)
        raise SpecError([Diagnostic(problem, recipe.place("batch"), helps=helps, path=path)]) from error


def _is_out_of_memory(error: Exception) -> bool:
    """PyTorch has a class of its own for accelerators, but none for the CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


@dataclass
class _Run:
    """A run in progress."""

    network: Trainable
    setup: Setup
    stepper: Stepper
    folder: RunFolder
    progress: Progress
    at_end: AtEnd | None = None
    stop: Stop = field(default_factory=Stop)
    position: Position = field(default_factory=Position)
    history: list[EpochMetrics] = field(default_factory=list)
    last: Evaluation | None = None
    is_cut: bool = False
    board: Board = field(default_factory=Board)
    order: list[Tensor] = field(default_factory=list)
    pending: list[tuple[Tensor, Tensor | None, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.recipe, self.device = self.setup.recipe, self.setup.device
        self.processes = self.stepper.processes
        self.processes.resume_command = self._resume_command
        modules = self.stepper.module.modules()
        self.keep_lone = not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in modules)
        self.generator = torch.Generator(self.device)
        self.epoch_steps = len(self._order(0))
        self.total_steps = self.recipe.total_steps(self.epoch_steps)
        self.last_step = min(self.total_steps, self.recipe.max_steps or self.total_steps)
        self.saved = time.monotonic()

    def write_start(self) -> None:
        """All that is known before the first step, and a checkpoint, so that a failing write shows now."""
        data, network = self.setup.data, self.network
        info = RunInfo(
            model=network.name,
            settings=dict(network.settings),
            spec=network.path,
            dataset=data.name,
            classes=data.classes,
            input=tuple(network.input_shape),
            output=tuple(network.output_shape),
            mean=self.setup.mean,
            std=self.setup.std,
            started=datetime.now().astimezone().isoformat(timespec="seconds"),
            sample=tuple(data.sample),
        )
        facts = environment(self.device) | {"processes": self.processes.world}

        def write() -> None:
            write_text(self.folder.spec, network.spec)
            write_text(self.folder.recipe, self.recipe.to_json() + "\n")
            write_text(self.folder.info, info.to_json() + "\n")
            write_text(self.folder.environment, dumps(facts, indent=2) + "\n")

        self.processes.from_main(write)
        self._save_weights()
        self._save_checkpoint()

    def restore(self) -> None:
        """The state of the checkpoint; metrics of later epochs are dropped, they will be written again."""

        def clean() -> None:
            remove_parts(self.folder.path)
            remove_parts(self.folder.checkpoints)
            self.folder.restore_best()
            write_text(self.folder.recipe, self.recipe.to_json() + "\n")

        self.processes.from_main(clean)
        self.position, notes = load_newest(self.folder.checkpoints, self.stepper)
        self.history = self.processes.from_main(lambda: self.folder.read_metrics(self.position.epoch))
        for note in notes:
            self.progress.note(note)
        self.progress.note(f"resumed {self.folder.path} after epoch {self.position.epoch}, step {self.position.step}")

    def train(self) -> Result:
        """Epoch after epoch to the end of the recipe, or until asked to stop."""
        self.progress.start(math.ceil(self.last_step / self.epoch_steps), self.epoch_steps, self.steps_done)
        if self.processes.is_main:
            self.board = make_board(self.recipe, self.folder.tensorboard, self.steps_done)
        try:
            while not self._is_over and not self._stops:
                self._train_epoch()
                if self.position.step == self.epoch_steps or self._at_last_step:
                    self._finish_epoch()
                    if self._at_last_step or self.is_cut:
                        break
            return self._finish()
        except KeyboardInterrupt:
            self.progress.note(f"stopped at once; from the last checkpoint: {self._resume_command}")
            raise
        except SpecError as error:
            raise self._with_help(error) from error
        finally:
            self.board.close()

    def _with_help(self, error: SpecError) -> SpecError:
        """A failed write, with the command that goes on once there is room."""
        help = Help(f"make room or give access, then go on from the last checkpoint: {self._resume_command}")
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
    def _at_last_step(self) -> bool:
        return self.steps_done >= self.last_step

    @property
    def _is_over(self) -> bool:
        """Whether nothing is left to do; a part of an epoch before the last step still has its evaluation to come."""
        return (self._at_last_step and self.position.step == 0) or self._has_stalled

    @property
    def _has_stalled(self) -> bool:
        """Whether the monitored figure has not become better for `patience` epochs."""
        patience = self.recipe.patience
        return patience is not None and self.position.step == 0 and self._waited >= patience

    @property
    def _waited(self) -> int:
        return self.position.epoch - self.position.best_epoch

    @property
    def _resume_command(self) -> str:
        return f"archdsl train --resume {shlex.quote(str(self.folder.path))}"

    def _order(self, epoch: int) -> list[Tensor]:
        samples = len(self.setup.data.train.labels)
        return epoch_order(samples, self.recipe.batch, self.recipe.seed, epoch, keep_lone=self.keep_lone)

    def _train_epoch(self) -> None:
        """The rest of the epoch, from the position on, until its end, the last step or a request to stop."""
        position = self.position
        before, started = position.seconds, time.perf_counter()
        shown = started
        self.order = self._order(position.epoch)
        left = min(self.last_step - self.steps_done, self.epoch_steps - position.step)
        rest = self.order[position.step : position.step + max(left, 0)]
        self.stepper.train_mode()
        processes = self.processes
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

    def _step(self, images: Tensor, targets: Tensor, samples: int) -> tuple[Tensor, Tensor | None]:
        """One step of the optimizer; the batch's mean loss and its number of hits, both still on the device."""
        recipe, step, keys = self.recipe, self.steps_done, self.processes.keys
        self.processes.start_step()
        self.generator.manual_seed(seed_for(recipe.seed, "augment", step, *keys))
        seed_global(self.device, seed_for(recipe.seed, "step", step, *keys))
        self.stepper.set_rate(self._learning_rate(step))
        outputs = self.network.output_shape.channels
        inputs, targets = self.setup.preparation.train_with(images, targets, self.generator, outputs)
        return self.stepper.step(inputs, targets, samples)

    def _learning_rate(self, step: int) -> float:
        recipe = self.recipe
        return learning_rate(recipe.schedule, recipe.optimizer.lr, step, self.epoch_steps, self.total_steps)

    def _look(self) -> None:
        """Fetch the losses of the steps since the last look and add them up; the only wait for the device.

        They are added one by one in their order, so that the sum does not depend on when was looked.
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
        """The loss of the epoch's step `step` (from 0) is no number: name its samples.

        Of several processes those name theirs whose `own` part of the loss it is.
        """
        share = self.processes.share(self.order[step]).tolist()
        found = self.processes.gather([] if math.isfinite(own) else share)
        epoch, rows = self.position.epoch + 1, found or self.order[step].tolist()
        facts = {"epoch": epoch, "step": step + 1, "loss": str(loss), "samples": rows}
        self.processes.from_main(lambda: write_text(self.folder.failed_batch, dumps(facts) + "\n"))
        more = len(rows) - SHOWN
        named = ", ".join(map(str, rows[:SHOWN])) + (f" and {more} more" if more > 0 else "")
        help = Help(f"the last good state is in {self.folder.path}, all samples in {self.folder.failed_batch.name}")
        problem = NotFinite(f"{loss}", epoch, step + 1, named)
        error = SpecError([Diagnostic(problem, self.recipe.place("optimizer"), helps=(help,), path=self.network.path)])
        return told(error, here=self.processes.is_main)

    def _show(self, pace: float) -> None:
        position = self.position
        loss, share = position.loss_sum / position.seen, position.hits / position.seen
        accuracy = share if self.setup.classes else None
        self.progress.step(position.epoch + 1, position.step, loss, accuracy, pace)

    def _finish_epoch(self) -> None:
        """Evaluate, write what there is to write, and last the checkpoint that counts the epoch as done.

        Where the evaluation is cut short, the epoch is as it was before it, and a resumed run evaluates anew.
        """
        position, setup = self.position, self.setup
        found = self._evaluation(test=False)
        if found is None:
            return
        self.last = found
        line = self._line(self.last)
        self.history.append(line)
        self.progress.epoch(line)
        self.board.epoch(self.steps_done, line)
        value, is_whole = self.last.figure(setup.monitor), position.step == self.epoch_steps
        if setup.is_better(value, position.best):
            if not is_whole:
                self.processes.from_main(self.folder.set_best_aside)
            self._save_weights(self.folder.best)
            if is_whole:
                position.best, position.best_epoch = value, line.epoch
        self.processes.from_main(lambda: self.folder.write_metrics(self.history))
        if is_whole:
            self._reduce_rate(value)
            position.next_epoch()
        self._save_weights()
        self._save_checkpoint()

    def _evaluation(self, *, test: bool) -> Evaluation | None:
        """The results on a split; None where the run was asked to stop meanwhile, and so is cut."""
        try:
            return self.setup.evaluate(
                self.stepper.result, test=test, processes=self.processes, stops=lambda: self._stops
            )
        except Stopped:
            self.is_cut = True
            return None

    def _line(self, found: Evaluation) -> EpochMetrics:
        position, figures = self.position, self.setup.figures
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
            val_f1=found.f1 if "f1" in figures else None,
        )

    def _reduce_rate(self, value: float) -> None:
        """What a plateau does after an epoch with this value of the monitored figure."""
        schedule, reductions = self.recipe.schedule, self.stepper.reductions
        if isinstance(schedule, Plateau):
            higher = self.setup.monitor != "loss"
            reductions.observe(schedule, value, self.recipe.optimizer.lr, higher_is_better=higher)

    def _is_checkpoint_due(self) -> bool:
        if self.position.step == self.epoch_steps or self._at_last_step:
            return False
        steps, seconds = self.recipe.checkpoint_steps, self.recipe.checkpoint_seconds
        by_steps = steps is not None and self.steps_done % steps == 0
        by_time = seconds is not None and time.monotonic() - self.saved >= seconds
        return by_steps or bool(self.processes.agreed(Wish.CHECKPOINT, by_time))

    def _save_weights(self, path: Path | None = None) -> None:
        state = self.processes.state(self.stepper.result)
        self.processes.from_main(lambda: write_tensors(path or self.folder.weights, state))

    def _save_checkpoint(self) -> None:
        self._look()
        save_checkpoint(self.folder.checkpoints, self.steps_done, self.recipe.keep, self.stepper, self.position)
        self.saved = time.monotonic()

    def _finish(self) -> Result:
        if self.is_cut or not (self._is_over or self._at_last_step):
            self.is_cut = True
            self._save_weights()
            self._save_checkpoint()
        if self.history:
            title = f"{self.network.name} on {self.setup.data.name}"
            self.processes.from_main(lambda: draw_curves(self.history, title, self.folder.curves))
        held_back = self.setup.data.validation is not self.setup.data.test
        test = None
        if held_back and not self.is_cut:
            test = self._evaluation(test=True)
        if self.at_end is not None and self.recipe.report and self.history and not self.is_cut:
            module = self.processes.whole(self.stepper.result, self.network.build)
            if module is not None:
                self._call_at_end(self.at_end, module)
        self._say_the_end(test)
        history, signal = tuple(self.history), self.stop.signal if self.is_cut else 0
        return Result(self.folder.path, history, self.last, test, self.is_cut, self._resume_command, signal)

    def _call_at_end(self, at_end: AtEnd, module: nn.Module) -> None:
        """What it writes is there as a whole or not at all, so that a signal may interrupt it anywhere."""
        try:
            with self.stop.at_once():
                at_end(self.folder, module, self.setup, self.history)
        except KeyboardInterrupt:
            self.is_cut = True

    def _say_the_end(self, test: Evaluation | None) -> None:
        if self.is_cut:
            where = f"in epoch {self.position.epoch + 1}, step {self.position.step}"
            where = "after the last epoch" if self._is_over else where
            self.progress.note(f"stopped {where}; go on with: {self._resume_command}")
            return
        monitor = self.setup.monitor
        if self._has_stalled:
            self.progress.note(f"stopped early: no better validation {monitor} for {self._waited} epochs")
        if test is not None:
            accuracy = "" if test.accuracy is None else f"  accuracy {test.accuracy:.2%}"
            self.progress.note(f"test loss {test.loss:.4f}{accuracy}")
        if self.history:
            best = self.history[0]
            for line in self.history[1:]:
                best = line if self.setup.is_better(line.figure(monitor), best.figure(monitor)) else best
            value = best.figure(monitor)
            shown = f"{value:.4f}" if monitor == "loss" else f"{value:.2%}"
            self.progress.note(f"best validation {monitor} {shown} in epoch {best.epoch}")
        self.progress.note(f"saved in {self.folder.path}")
