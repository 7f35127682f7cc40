"""Fifty steps of a run against fifty steps of a plain PyTorch loop, for every optimizer and every schedule.

Nothing of the loop is the package's own: the data, their order, the network and the rates are written out here. The
resumed runs stop inside an epoch. All comparisons are exact: both compute the same operations in the same order, the
fused optimizers included, and the rates of torch's schedulers differ from ours in the last bits of a double at most,
which is rounded away where they meet weights in single precision.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn, optim
from torch.nn import functional
from torch.optim import lr_scheduler

from archdsl.api import load
from archdsl.recipe import FAMILIES, Recipe, schedules
from archdsl.recipe.augmentations import Normalize
from archdsl.recipe.optimizers import Sgd
from archdsl.runs.folder import RunFolder
from archdsl.train import run_training

STEPS, CUT, BATCH, RATE = 50, 22, 100, 0.05
EPOCH = 15  # steps, the last of 42 samples
SPEC = """model net {
  input(1x8x8)
  conv(6, 3, padding=1, bias=false); batchnorm; relu
  conv(6, 3, padding=1, groups=6);   conv(8, 1); relu
  maxpool(2)
  conv(8, 3); relu
  flatten; linear(10)
}
"""


def network() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU()),
        *(nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.Conv2d(6, 8, 1), nn.ReLU()),
        nn.MaxPool2d(2),
        *(nn.Conv2d(8, 8, 3), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(32, 10)),
    )


@cache
def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Inputs and labels for training and for testing: every fifth of each class is for testing."""
    from sklearn.datasets import load_digits

    table = load_digits()
    pixels = torch.tensor(table.images[:, None] * 255 / 16).round().float()
    labels, seen, test = torch.tensor(table.target), [0] * 10, []
    for label in labels.tolist():
        seen[label] += 1
        test.append(seen[label] % 5 == 0)
    inputs, held_back = pixels * torch.tensor(1 / 255), torch.tensor(test)
    return inputs[~held_back], labels[~held_back], inputs[held_back], labels[held_back]


def order(epoch: int, samples: int) -> tuple[Tensor, ...]:
    """The rows of each batch with the seed 0, as docs/training.md describes them."""
    digest = blake2b(f"0/order/{epoch}".encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest) >> 1)
    return torch.split(torch.randperm(samples, generator=generator), BATCH)


Scheduler = Callable[[optim.Optimizer], Any]


def plain_loop(
    make: Callable[..., optim.Optimizer], scheduler: Scheduler | None = None, every: str = "step"
) -> nn.Module:
    """Fifty steps, with a scheduler that is stepped after each step, each epoch, or each epoch's accuracy."""
    inputs, labels, test_inputs, test_labels = digits()
    torch.manual_seed(0)
    module = network().to(memory_format=torch.channels_last)
    optimizer = make(module.parameters())
    schedule = scheduler(optimizer) if scheduler else None
    for step in range(STEPS):
        rows = order(step // EPOCH, len(inputs))[step % EPOCH]
        module.train()
        optimizer.zero_grad()
        scores = module(inputs[rows].contiguous(memory_format=torch.channels_last))
        functional.cross_entropy(scores, labels[rows]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        ends_epoch = step % EPOCH == EPOCH - 1
        if schedule and every == "accuracy" and ends_epoch:
            module.eval()
            schedule.step(module(test_inputs).argmax(1).eq(test_labels).double().mean().item())
        elif schedule and (every == "step" or (every == "epoch" and ends_epoch)):
            schedule.step()
    return module


def train(folder: Path, *, resumed: bool, **entries: Any) -> dict[str, Tensor]:
    """The weights after fifty steps of `archdsl train`."""
    (folder / "net.arch").write_text(SPEC, encoding="utf-8")
    net, out = load(folder / "net.arch"), folder / "run"
    off = Normalize(mean=(0.0,), std=(1.0,))
    recipe = Recipe(steps=STEPS, batch=BATCH, device="cpu", augment=(off,), report=False, **entries)
    if resumed:
        run_training(net, recipe.model_copy(update={"max_steps": CUT}), out=out, quiet=True)
        run_training(net, recipe, resume=out, quiet=True)
    else:
        run_training(net, recipe, out=out, quiet=True)
    return load_file(RunFolder(out).weights)


def assert_equal(found: dict[str, Tensor], module: nn.Module) -> None:
    expected = module.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), (name, (found[name] - tensor).abs().max())


OPTIMIZERS: dict[str, tuple[Callable[..., optim.Optimizer], dict[str, Any]]] = {
    "sgd": (partial(optim.SGD, fused=True), {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}),
    "adam": (partial(optim.Adam, fused=True), {"lr": 0.01, "amsgrad": True}),
    "adamw": (partial(optim.AdamW, fused=True), {"lr": 0.01, "weight_decay": 0.1}),
    "rmsprop": (optim.RMSprop, {"lr": 1e-3, "momentum": 0.9, "centered": True}),
    "adadelta": (optim.Adadelta, {"lr": 1.0}),
    "adafactor": (optim.Adafactor, {"lr": 0.01}),
    "adagrad": (optim.Adagrad, {"lr": 0.01}),
    "adamax": (optim.Adamax, {"lr": 0.01}),
    "asgd": (optim.ASGD, {"lr": 0.01}),
    "nadam": (optim.NAdam, {"lr": 0.01}),
    "radam": (optim.RAdam, {"lr": 0.01}),
    "rprop": (optim.Rprop, {"lr": 1e-3}),
}
RESUMED = [True, pytest.param(False, marks=pytest.mark.slow)]


def test_every_optimizer_and_schedule_is_here() -> None:
    assert OPTIMIZERS.keys() == FAMILIES["optimizer"].keys()
    assert {name.partition(" ")[0] for name in SCHEDULES} == FAMILIES["schedule"].keys()


@pytest.mark.parametrize("resumed", RESUMED, ids=["resumed", "at once"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_an_optimizer(tmp_path: Path, kind: str, *, resumed: bool) -> None:
    make, arguments = OPTIMIZERS[kind]
    found = train(tmp_path, resumed=resumed, optimizer=FAMILIES["optimizer"][kind](**arguments))
    assert_equal(found, plain_loop(partial(make, **arguments)))


def warmed_up(optimizer: optim.Optimizer) -> Any:
    """Ten steps up, from a tenth of the rate; then a half cosine over the other forty."""
    up = lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=9)
    down = lr_scheduler.CosineAnnealingLR(optimizer, T_max=40)
    return lr_scheduler.SequentialLR(optimizer, [up, down], milestones=[10])


SCHEDULES: dict[str, tuple[Any, Scheduler | None, str]] = {
    "constant": (schedules.Constant(), None, ""),
    "step": (schedules.Step(every=2, gamma=0.3), lambda o: lr_scheduler.StepLR(o, 2, 0.3), "epoch"),
    "multistep": (
        schedules.MultiStep(milestones=(1, 3), gamma=0.3),
        lambda o: lr_scheduler.MultiStepLR(o, [1, 3], 0.3),
        "epoch",
    ),
    "exponential": (schedules.Exponential(gamma=0.7), lambda o: lr_scheduler.ExponentialLR(o, 0.7), "epoch"),
    "cosine": (
        schedules.Cosine(minimum=1e-3),
        lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=1e-3),
        "step",
    ),
    "cosine after a warm-up": (schedules.Cosine(warmup_steps=10), warmed_up, "step"),
    "linear": (
        schedules.Linear(end_factor=0.1),
        lambda o: lr_scheduler.LinearLR(o, start_factor=1, end_factor=0.1, total_iters=STEPS),
        "step",
    ),
    "polynomial": (schedules.Polynomial(power=2), lambda o: lr_scheduler.PolynomialLR(o, STEPS, power=2), "step"),
    "onecycle": (
        schedules.OneCycle(),
        lambda o: lr_scheduler.OneCycleLR(o, RATE, total_steps=STEPS, cycle_momentum=False),
        "step",
    ),
    "plateau": (
        schedules.Plateau(factor=0.3, patience=0, threshold=0.5),
        lambda o: lr_scheduler.ReduceLROnPlateau(o, "max", factor=0.3, patience=0, threshold=0.5),
        "accuracy",
    ),
}


@pytest.mark.parametrize("resumed", RESUMED, ids=["resumed", "at once"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule(tmp_path: Path, name: str, *, resumed: bool) -> None:
    schedule, scheduler, every = SCHEDULES[name]
    found = train(tmp_path, resumed=resumed, optimizer=Sgd(lr=RATE, momentum=0.9), schedule=schedule)
    expected = plain_loop(partial(optim.SGD, lr=RATE, momentum=0.9, fused=True), scheduler, every)
    assert_equal(found, expected)
