"""A resumed run is bit for bit one that was not stopped: optimizers, memory formats, averages, precisions."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import archdsl
from archdsl.recipe import FAMILIES, Recipe
from archdsl.recipe.augmentations import HFlip
from archdsl.recipe.optimizers import Adam, Sgd
from archdsl.recipe.schedules import Cosine
from archdsl.train.evaluation import Evaluation
from archdsl.train.setup import Setup
from tests.train import killed
from tests.train.stub import Stub, layouts, mlp, run
from tests.train.test_nothing_lost import assert_same_run

#: Arguments that give an optimizer all the state it can have, and rates at which every weight moves.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
    "adam": {"lr": 0.01, "amsgrad": True},
    "rmsprop": {"lr": 1e-3, "momentum": 0.9, "centered": True},
    "adadelta": {"lr": 1.0},
}
OPTIMIZERS = {kind: part(**ARGUMENTS.get(kind, {"lr": 0.01})) for kind, part in FAMILIES["optimizer"].items()}
#: Two epochs of four steps.
SHORT = Recipe(epochs=2, batch=400, device="cpu", validation=0.1, schedule=Cosine(), augment=(HFlip(),), report=False)
#: Inside the second epoch, with momenta of the first.
CUT = 6


def changed(**changes: Any) -> Recipe:
    return SHORT.model_copy(update=changes)


def assert_resumed_exactly(folder: Path, recipe: Recipe, network: Stub, cut: int = CUT) -> None:
    run(network, recipe, folder / "whole")
    run(network, recipe.model_copy(update={"max_steps": cut}), folder / "cut")
    run(network, recipe, None, resume=folder / "cut")
    assert_same_run(folder / "cut", folder / "whole")


@pytest.mark.parametrize("kind", ["sgd", "adam", "adafactor"])
def test_an_optimizer_goes_on_exactly(tmp_path: Path, kind: str) -> None:
    assert_resumed_exactly(tmp_path, changed(optimizer=OPTIMIZERS[kind]), Stub(layouts))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_with_an_average_goes_on_exactly(tmp_path: Path, precision: str) -> None:
    assert_resumed_exactly(tmp_path, changed(precision=precision, ema=0.8, optimizer=Adam(lr=0.01)), Stub(layouts))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("ema", [None, 0.8])
@pytest.mark.parametrize("channels_last", [None, False])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_every_combination_goes_on_exactly(
    tmp_path: Path, kind: str, channels_last: bool | None, ema: float | None, precision: str
) -> None:
    recipe = changed(optimizer=OPTIMIZERS[kind], channels_last=channels_last, ema=ema, precision=precision)
    assert_resumed_exactly(tmp_path, recipe, Stub(layouts))


def parametrized() -> nn.Module:
    """Weights that are computed; the vectors of spectral norm change in every forward pass of training."""
    spec = """
      model m {
        input(1x8x8)
        conv(6, 3, parametrization=weight_norm); batchnorm; relu
        conv(6, 3, parametrization=spectral_norm); relu
        flatten
        gru: { unflatten(1, (6, 16)); gru(8) }
        flatten
        linear(10, parametrization=spectral_norm(n_power_iterations=2))
      }
    """
    return archdsl.load(spec).build()


@pytest.mark.parametrize("ema", [None, 0.8])
def test_parametrizations_go_on_exactly(tmp_path: Path, ema: float | None) -> None:
    recipe = changed(ema=ema, optimizer=Sgd(lr=0.05, momentum=0.9))
    assert_resumed_exactly(tmp_path, recipe, Stub(parametrized))


def transposed() -> nn.Module:
    """Weights in an order of memory that no option gives."""
    module = mlp()
    for weight in module.parameters():
        if weight.ndim == 2:
            weight.data = weight.data.T.contiguous().T
    return module


@pytest.mark.parametrize("optimizer", [Sgd(lr=0.1, momentum=0.9), Adam(lr=0.01)], ids=lambda part: part.kind)
def test_weights_of_any_layout_go_on_exactly(tmp_path: Path, optimizer: Any) -> None:
    assert not next(iter(transposed().parameters())).is_contiguous()
    assert_resumed_exactly(tmp_path, changed(optimizer=optimizer), Stub(transposed))


def test_the_best_weights_are_those_of_the_run_that_was_not_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped where a part of an epoch was better than all of it."""
    accuracies = iter([0.5, 0.4, 0.5, 0.6, 0.4])
    real = Setup.evaluate

    def evaluate(self: Setup, module: nn.Module, **options: Any) -> Evaluation:
        found = real(self, module, **options)
        return found if options.get("test") else replace(found, accuracy=next(accuracies))

    monkeypatch.setattr(Setup, "evaluate", evaluate)
    assert_resumed_exactly(tmp_path, SHORT, Stub(mlp))


def killed_after(seconds: float, folder: Path, recipe: Recipe) -> bool:
    """Run or go on in a forked process, with SIGKILL so long after its first checkpoint; whether that came in time."""
    child = os.fork()
    if child == 0:
        os._exit(killed.main(folder, "never", recipe, layouts))
    while not any((folder / "checkpoints").glob("step-*")):
        time.sleep(0.001)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_run_killed_at_random_moments_goes_on_exactly(tmp_path: Path, kind: str, precision: str) -> None:
    recipe = changed(optimizer=OPTIMIZERS[kind], precision=precision, ema=0.8, checkpoint_every=1)
    started = time.perf_counter()
    run(Stub(layouts), recipe, tmp_path / "whole")
    duration, dice = time.perf_counter() - started, random.Random(f"{kind} {precision}")
    times = [killed_after(dice.uniform(0, duration / 2), tmp_path / "cut", recipe) for _ in range(4)]
    assert times[0]
    run(Stub(layouts), None, None, resume=tmp_path / "cut")
    assert_same_run(tmp_path / "cut", tmp_path / "whole")
