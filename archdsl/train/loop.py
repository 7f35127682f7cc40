"""The training loop: epochs of steps, an evaluation and a checkpoint after each, interrupted and resumed exactly."""

from __future__ import annotations

import math
import shlex
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from json import dumps
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from archdsl.diagnostics import Diagnostic, Help, Refused, SpecError
from archdsl.diagnostics.recipe import (
    NoClassScores,
    NoDevice,
    NotFinite,
    NothingToTrain,
    OtherRun,
    TooManyClasses,
)
from archdsl.recipe import Adam, AdamW, AnyOptimizer, Recipe, RmsProp, Sgd
from archdsl.shapes import Shape
from archdsl.train.checkpoint import Position, load_checkpoint, save_checkpoint
from archdsl.train.curves import draw_curves
from archdsl.train.data import Data, load_data
from archdsl.train.evaluation import Evaluation, evaluate
from archdsl.train.files import write_tensors, write_text
from archdsl.train.losses import class_scores, loss_function
from archdsl.train.prepare import Preparation
from archdsl.train.progress import Progress
from archdsl.train.run import EpochMetrics, RunFolder, RunInfo, create_run_folder, environment, find_run_folder
from archdsl.train.schedule import learning_rate
from archdsl.train.seeds import epoch_order, seed_for, seed_global
from archdsl.train.splits import statistics

OPTIMIZERS: dict[type[AnyOptimizer], type[torch.optim.Optimizer]] = {
    Sgd: torch.optim.SGD,
    Adam: torch.optim.Adam,
    AdamW: torch.optim.AdamW,
    RmsProp: torch.optim.RMSprop,
}
#: What may differ when a run is resumed.
CHANGEABLE = {"epochs", "max_steps", "root", "device", "workers"}
#: Seconds between two looks at the loss; each waits for the device.
PROGRESS_INTERVAL = 0.1
#: Evaluation needs no gradients, so that small inputs go through in larger batches: numbers in one, and samples.
EVALUATION_NUMEL, EVALUATION_BATCH = 2**20, 1024


class Trainable(Protocol):
    """What training needs of a checked network (archdsl.network.Network)."""

    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def spec(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def input_shape(self) -> Shape: ...
    @property
    def output_shape(self) -> Shape: ...
    @property
    def aux(self) -> Sequence[Any]: ...
    def build(self, *, seed: int | None = None) -> nn.Module: ...


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to.

    metrics      one line for each epoch, those before a resumption included
    evaluation   the last epoch's, on the validation split; None where no epoch ended in this session
    test         on the test split, where validation was held back from the training set
    interrupted  stopped by Ctrl-C: the caller's exit code is 130
    resume       the command that goes on with the run
    """

    folder: Path
    metrics: tuple[EpochMetrics, ...]
    evaluation: Evaluation | None
    test: Evaluation | None
    interrupted: bool
    resume: str


@dataclass(frozen=True, slots=True)
class Setup:
    """A network with data that suit it: what training and evaluation share."""

    recipe: Recipe
    device: torch.device
    data: Data
    preparation: Preparation
    mean: tuple[float, ...]
    std: tuple[float, ...]
    input: Shape
    notes: tuple[str, ...]

    def evaluate(self, module: nn.Module, *, test: bool = False) -> Evaluation:
        """The module's results on the validation split, or on the test split."""
        split = self.data.test if test else self.data.validation
        batch = max(self.recipe.batch, min(EVALUATION_BATCH, EVALUATION_NUMEL // self.input.numel))
        loss = loss_function(self.recipe.loss)
        return evaluate(module, split, self.preparation.evaluate, loss, classes=self.data.classes, batch=batch)


def set_up(network: Trainable, recipe: Recipe, info: RunInfo | None = None) -> Setup:
    """Load the recipe's data and check that network and data suit each other, before anything is computed.

    `info` is an earlier run's, whose normalisation is used again. Raises SpecError (E61x, E62x, E636).
    """
    with placed(recipe, network.path):
        device = _device(recipe.device)
        data = load_data(recipe, network.input_shape)
        notes = [data.fit.note] if data.fit.note else []
        notes += _check_output(network.output_shape, data)
        mean, std = _normalisation(recipe, data, info)
        channels = 3 if data.fit.repeat else data.sample.channels
        stored = (data.sample[1], data.sample[2])
        preparation = Preparation(
            data.fit, stored=stored, channels=channels, augmentations=recipe.augment, mean=mean, std=std, device=device
        )
        return Setup(recipe, device, data.to(device), preparation, mean, std, network.input_shape, tuple(notes))


@contextmanager
def placed(recipe: Recipe, path: str) -> Iterator[None]:
    """Give what is refused inside its place in the recipe's text, or else the spec's path."""
    try:
        yield
    except Refused as refused:
        helps = (Help(refused.help),) if refused.help else ()
        span = recipe.place(refused.argument or "")
        raise SpecError([Diagnostic(refused.problem, span, helps=helps, path=path)]) from refused


def _device(name: str) -> torch.device:
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if name == "auto":
        return found if found is not None and found.type in {"cuda", "mps"} else torch.device("cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        reason = f"torch sees {torch.cuda.device_count()} CUDA devices"
        raise Refused(NoDevice(name, reason), argument="device")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise Refused(NoDevice(name, "torch does not see one"), argument="device")
    return device


def _check_output(output: Shape, data: Data) -> list[str]:
    """Refuse an output that is no vector of scores, or has too few; returns what is worth saying."""
    if any(size != 1 for size in output[1:]):
        raise Refused(NoClassScores(str(output)), argument="dataset")
    classes = len(data.classes)
    if classes > output.channels:
        raise Refused(TooManyClasses(data.name, classes, output.channels), argument="dataset")
    spare = output.channels - classes
    return [f"{data.name}: {classes} classes; the last {spare} of {output.channels} outputs stay unused"] * bool(spare)


def _normalisation(recipe: Recipe, data: Data, info: RunInfo | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if recipe.normalize is not None:
        return recipe.normalize.mean, recipe.normalize.std
    return statistics(data.train) if info is None else (info.mean, info.std)


def train(
    network: Trainable, recipe: Recipe | None, out: Path | None, resume: Path | None, progress: Progress
) -> Result:
    """Train a network by a recipe into a new folder, or go on with the run in `resume`.

    A resumed run takes the recipe it was started with where none is given; one that is given may differ
    in CHANGEABLE only. On the CPU its weights are bit for bit those of a run that was never stopped.
    Raises SpecError for all that is wrong with the data, the folder, the disk or the loss.
    """
    old = find_run_folder(resume) if resume is not None else None
    if old is not None:
        recipe = _resumed_recipe(old, recipe)
    recipe = recipe or Recipe()
    info = old.read_info() if old is not None else None
    setup = set_up(network, recipe, info)
    module = network.build(seed=recipe.seed).to(setup.device)
    optimizer = _optimizer(recipe, module, network.path)
    folder = old or create_run_folder(out, network.name)
    run = _Run(network, setup, module, optimizer, folder, progress)
    with progress, torch.random.fork_rng([setup.device] if setup.device.type == "cuda" else []):
        for note in setup.notes:
            progress.note(note)
        if old is None:
            run.write_start()
        else:
            run.restore()
        with placed(recipe, network.path), catching_interrupts() as run.stop:
            return run.train()


def _resumed_recipe(folder: RunFolder, recipe: Recipe | None) -> Recipe:
    """The recipe to go on with. Refuses (E634) one that would not go on with the same run."""
    started = folder.read_recipe()
    if recipe is None:
        return started
    for name in Recipe.model_fields:
        before, now = getattr(started, name), getattr(recipe, name)
        if name not in CHANGEABLE and before != now:
            problem = OtherRun(str(folder.path), name, str(now), str(before))
            raise SpecError([Diagnostic(problem, recipe.place(name), path=str(folder.path))])
    return recipe


def _optimizer(recipe: Recipe, module: nn.Module, path: str) -> torch.optim.Optimizer:
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    if not weights:
        raise SpecError([Diagnostic(NothingToTrain(), path=path)])
    part = recipe.optimizer
    arguments = {name: getattr(part, name) for name in part.arguments()}
    if not isinstance(part, RmsProp):
        arguments["fused"] = True  # one kernel for all weights; torch has none for RMSprop
    return OPTIMIZERS[type(part)](weights, **arguments)


@dataclass
class Stop:
    """Whether the run has been asked to stop."""

    requested: bool = False


@contextmanager
def catching_interrupts() -> Iterator[Stop]:
    """Let the first Ctrl-C only ask for a stop; a second one interrupts at once. Main thread only."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(_: int, __: FrameType | None) -> None:
        stop.requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass
class _Run:
    """A run in progress."""

    network: Trainable
    setup: Setup
    module: nn.Module
    optimizer: torch.optim.Optimizer
    folder: RunFolder
    progress: Progress
    stop: Stop = field(default_factory=Stop)
    position: Position = field(default_factory=Position)
    history: list[EpochMetrics] = field(default_factory=list)
    last: Evaluation | None = None

    def __post_init__(self) -> None:
        self.recipe, self.device = self.setup.recipe, self.setup.device
        self.loss = loss_function(self.recipe.loss)
        self.aux = [head.output_name for head in self.network.aux]
        self.keep_lone = not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in self.module.modules())
        self.generator = torch.Generator(self.device)
        self.epoch_steps = len(self._order(0))

    def write_start(self) -> None:
        """All that is known before the first step, and a checkpoint: the disk's refusal comes now."""
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
        )
        write_text(self.folder.spec, network.spec)
        write_text(self.folder.recipe, self.recipe.to_json() + "\n")
        write_text(self.folder.info, info.to_json() + "\n")
        write_text(self.folder.environment, dumps(environment(self.device), indent=2) + "\n")
        self._save()

    def restore(self) -> None:
        """The state of the checkpoint; metrics of later epochs are dropped, they will be written again."""
        self.position = load_checkpoint(self.folder.checkpoint, self.module, self.optimizer)
        self.history = self.folder.read_metrics(self.position.epoch)
        write_text(self.folder.recipe, self.recipe.to_json() + "\n")
        self.progress.note(f"resumed {self.folder.path} after epoch {self.position.epoch}, step {self.position.step}")

    def train(self) -> Result:
        """Epoch after epoch to the end of the recipe, or until asked to stop."""
        self.progress.start(self.recipe.epochs, self.epoch_steps, self._steps_done)
        try:
            while not self._is_over and not self.stop.requested:
                self._train_epoch()
                if self.position.step == self.epoch_steps or self._at_max_steps:
                    self._finish_epoch()
                    if self._at_max_steps:
                        break
        except KeyboardInterrupt:
            self.progress.note(f"stopped at once; from the last checkpoint: {self._resume_command}")
            raise
        return self._finish()

    @property
    def _steps_done(self) -> int:
        return self.position.epoch * self.epoch_steps + self.position.step

    @property
    def _at_max_steps(self) -> bool:
        return self.recipe.max_steps is not None and self._steps_done >= self.recipe.max_steps

    @property
    def _is_over(self) -> bool:
        """Whether nothing is left to do; a part of an epoch before `max_steps` still has its evaluation to come."""
        return self.position.epoch >= self.recipe.epochs or (self._at_max_steps and self.position.step == 0)

    @property
    def _resume_command(self) -> str:
        network = self.network
        words = (network.path or "SPEC", "--model", network.name, "--resume", str(self.folder.path))
        return f"archdsl train {shlex.join(words)}"

    def _order(self, epoch: int) -> list[Tensor]:
        samples = len(self.setup.data.train.labels)
        return epoch_order(samples, self.recipe.batch, self.recipe.seed, epoch, keep_lone=self.keep_lone)

    def _train_epoch(self) -> None:
        """The rest of the epoch, from the position on, until its end, `max_steps` or a request to stop."""
        position = self.position
        sums = torch.tensor([position.loss_sum, position.hits], dtype=_sum_type(self.device), device=self.device)
        before, started = position.seconds, time.perf_counter()
        looked = started
        rest = [] if self._at_max_steps else self._order(position.epoch)[position.step :]
        self.module.train()
        for images, labels in self.setup.data.train.batches(rest):
            loss, hits = self._step(images, labels)
            position.step += 1
            position.seen += len(labels)
            sums += torch.stack((loss * len(labels), hits))
            now = time.perf_counter()
            if self.device.type == "cpu" or now - looked >= PROGRESS_INTERVAL:
                self._require_finite(loss.item())
            if now - looked >= PROGRESS_INTERVAL:
                looked = now
                self._show(sums, position.seen / (before + now - started))
            if self.stop.requested or self._at_max_steps:
                break
        position.loss_sum, position.hits = sums[0].item(), round(sums[1].item())
        position.seconds = before + time.perf_counter() - started
        self._require_finite(position.loss_sum)

    def _step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """One step of the optimizer; the batch's mean loss and its number of hits, both still on the device."""
        recipe, step = self.recipe, self._steps_done
        self.generator.manual_seed(seed_for(recipe.seed, "augment", step))
        seed_global(self.device, seed_for(recipe.seed, "step", step))
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate(step)
        output = self.module(self.setup.preparation.train(images, self.generator))
        scores = class_scores(output)
        loss = self.loss(scores, labels)
        for name in self.aux:
            loss = loss + recipe.aux_weight * self.loss(output[name].flatten(1), labels)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        hits = scores.detach()[:, : len(self.setup.data.classes)].argmax(1).eq(labels).sum()
        return loss.detach(), hits

    def _learning_rate(self, step: int) -> float:
        recipe = self.recipe
        return learning_rate(recipe.schedule, recipe.optimizer.lr, step, self.epoch_steps, recipe.epochs)

    def _require_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            problem = NotFinite(f"{loss}", self.position.epoch + 1, self.position.step)
            span = self.recipe.place("optimizer")
            help = Help(f"the checkpoint of the last good epoch is in {self.folder.path}")
            raise SpecError([Diagnostic(problem, span, helps=(help,), path=self.network.path)])

    def _show(self, sums: Tensor, pace: float) -> None:
        position = self.position
        loss, accuracy = (sums / position.seen).tolist()
        self.progress.step(position.epoch + 1, position.step, loss, accuracy, pace)

    def _finish_epoch(self) -> None:
        """Evaluate, write what there is to write, and last the checkpoint that counts the epoch as done."""
        position = self.position
        self.last = self.setup.evaluate(self.module)
        line = EpochMetrics(
            epoch=position.epoch + 1,
            steps=position.step,
            train_loss=position.loss_sum / position.seen,
            train_accuracy=position.hits / position.seen,
            val_loss=self.last.loss,
            val_accuracy=self.last.accuracy,
            lr=self._learning_rate(self._steps_done - 1),
            images_per_second=position.seen / position.seconds,
            seconds=position.seconds,
        )
        self.history.append(line)
        self.progress.epoch(line)
        if self.last.accuracy > position.best:
            position.best = self.last.accuracy
            write_tensors(self.folder.best, self.module.state_dict())
        self.folder.write_metrics(self.history)
        if position.step == self.epoch_steps:
            position.next_epoch()
        self._save()

    def _save(self) -> None:
        write_tensors(self.folder.weights, self.module.state_dict())
        save_checkpoint(self.folder.checkpoint, self.module, self.optimizer, self.position)

    def _finish(self) -> Result:
        interrupted = self.stop.requested and not self._is_over and not self._at_max_steps
        if interrupted:
            self._save()
        if self.history:
            draw_curves(self.history, f"{self.network.name} on {self.setup.data.name}", self.folder.curves)
        held_back = self.setup.data.validation is not self.setup.data.test
        test = None if interrupted or not held_back else self.setup.evaluate(self.module, test=True)
        self._say_the_end(interrupted, test)
        history = tuple(self.history)
        return Result(self.folder.path, history, self.last, test, interrupted, self._resume_command)

    def _say_the_end(self, interrupted: bool, test: Evaluation | None) -> None:
        if interrupted:
            where = f"epoch {self.position.epoch + 1}, step {self.position.step}"
            self.progress.note(f"stopped in {where}; go on with: {self._resume_command}")
            return
        if test is not None:
            self.progress.note(f"test loss {test.loss:.4f}  accuracy {test.accuracy:.2%}")
        if self.history:
            best = max(self.history, key=lambda line: line.val_accuracy)
            self.progress.note(f"best validation accuracy {best.val_accuracy:.2%} in epoch {best.epoch}")
        self.progress.note(f"saved in {self.folder.path}")


def _sum_type(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64
