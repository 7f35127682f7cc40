"""Training on the CPU: an epoch compared with a plain loop, steps with other trainers, and the start of a process.

    python benchmarks/training.py [--rounds 5] [--root DIR]

Epoch: LeNet (ReLU, max pooling) on the 60,000 images of Fashion-MNIST with random crops (padding 2) and flips, batch
128, Adam. The other side is the loop of course notes: torchvision's data set, transforms on each image, a DataLoader
with two workers. Ours is the time of the training epoch in the run's metrics, with the input pipeline, without
evaluation.
*Fixed batch* runs as many of our steps on one prepared batch: the rest of the difference is the input pipeline.

Steps: the same images in memory, in the same order. The other sides get batches that are already normalised; ours
converts them from bytes. Lightning and Accelerate are skipped if not installed (`pip install "archdsl[bench]"`).

Start: a process that ends after its first training step, compared with `python -c "import torch"`.

Both sides run in turns; figures are medians. A ratio is the other side's time divided by ours.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from timing import Timed, interleaved
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from torchvision import transforms
from torchvision.datasets import FashionMNIST

import archdsl
from archdsl import Network
from archdsl.datasets.sources.fashion_mnist import SYSTEM_FOLDER
from archdsl.recipe import Recipe
from archdsl.recipe.augmentations import HFlip, RandomCrop
from archdsl.recipe.datasets import Arrays
from archdsl.recipe.datasets import FashionMnist as FashionMnistSet
from archdsl.recipe.optimizers import Adam
from archdsl.train import run_training
from archdsl.train.setup import Setup, set_up
from archdsl.train.step import Stepper

ROW = "| {:<44} | {:>10} | {:>6} |"
BATCH, RATE = 128, 1e-3
FIRST_STEP = """
import os, sys
from archdsl.train.step import Stepper
step = Stepper.step
def first(*arguments):
    step(*arguments)
    os._exit(0)
Stepper.step = first
from archdsl.cli import main
main(["train", "lenet", "--model", "lenet_relu", "--dataset", "digits", "--out", sys.argv[1], "--quiet"])
"""


@dataclass
class Reported:
    """Work that measures its own time in seconds."""

    work: Callable[[], float]
    seconds: list[float] = field(default_factory=list)

    def run(self) -> None:
        self.seconds.append(self.work())

    @property
    def median(self) -> float:
        return median(self.seconds)


def print_rows(rows: dict[str, float], ours: str, unit: str = "s") -> None:
    """Print a table of times, each with its ratio to ours."""
    print(ROW.format("", "time", "ratio"))
    print(ROW.format("---", "--:", "--:"))
    for name, seconds in rows.items():
        scaled = seconds * (1e3 if unit == "ms" else 1)
        print(ROW.format(name, f"{scaled:.2f} {unit}", f"{seconds / rows[ours]:.2f}"))
    print(flush=True)


def lenet() -> Network:
    return archdsl.load("lenet", model="lenet_relu")


# An epoch


def epoch_of_ours(recipe: Recipe) -> float:
    """The seconds of the training epoch, from the run's metrics."""
    with tempfile.TemporaryDirectory() as folder:
        return run_training(lenet(), recipe, out=Path(folder, "run"), quiet=True).metrics[0].seconds


def epoch_of_the_notes(root: str) -> Callable[[], object]:
    """The loop of the course notes."""
    steps = [transforms.RandomCrop(28, padding=2), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    prepare = transforms.Compose([*steps, transforms.Normalize((0.286,), (0.353,))])
    pictures = FashionMNIST(root, train=True, transform=prepare)

    def work() -> None:
        module = lenet().build(seed=0).train()
        optimizer = torch.optim.Adam(module.parameters(), lr=RATE)
        for images, labels in DataLoader(pictures, BATCH, shuffle=True, num_workers=2):
            optimizer.zero_grad()
            functional.cross_entropy(module(images), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return work


def fixed_batch(setup: Setup) -> Callable[[], object]:
    """As many of our steps as an epoch has, on one prepared batch."""
    rows = torch.arange(BATCH)
    images, labels = next(iter(setup.data.train.batches([rows])))
    inputs = setup.preparation.evaluate(images)
    count = -(-len(setup.data.train.labels) // BATCH)

    def work() -> None:
        module = lenet().build(seed=0)
        stepper = Stepper(setup.recipe, module, setup.device, classes=10)
        stepper.train_mode()
        for _ in range(count):
            stepper.set_rate(RATE)
            stepper.step(inputs, labels)

    return work


def epochs(rounds: int, folder: Path) -> None:
    crops = (RandomCrop(size=(28, 28), padding=(2, 2)), HFlip())
    recipe = Recipe(
        dataset=FashionMnistSet(root=str(folder)),
        epochs=1,
        batch=BATCH,
        optimizer=Adam(lr=RATE),
        augment=crops,
        report=False,
    )
    with tempfile.TemporaryDirectory() as root:
        raw = Path(root, "FashionMNIST", "raw")
        raw.mkdir(parents=True)
        for file in folder.iterdir():
            Path(raw, file.name).symlink_to(file)
        for name in [path.name for path in raw.glob("*.gz")]:
            unpack(raw / name)
        ours, notes = Reported(lambda: epoch_of_ours(recipe)), Timed(epoch_of_the_notes(root))
        fixed = Timed(fixed_batch(set_up(lenet(), recipe)))
        for number in range(rounds):
            for piece in (ours, notes, fixed) if number % 2 else (fixed, notes, ours):
                piece.run()
    print("One epoch of LeNet on Fashion-MNIST\n")
    rows = {
        "archdsl": ours.median,
        "the loop of the notes": notes.median,
        "archdsl's steps on one fixed batch": fixed.median,
    }
    print_rows(rows, "archdsl")


def unpack(path: Path) -> None:
    """Decompress a .gz file into its folder, where torchvision expects it."""
    import gzip

    path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))


# Steps


def trainers(network: Network, images: Tensor, labels: Tensor, folder: Path) -> dict[str, Timed | Reported]:
    """The same epoch on the same images with each trainer."""
    np.savez(
        folder / "set.npz", x_train=images.numpy(), y_train=labels, x_test=images[:256].numpy(), y_test=labels[:256]
    )
    recipe = Recipe(
        dataset=Arrays(root=str(folder / "set.npz")), epochs=1, batch=BATCH, optimizer=Adam(lr=RATE), report=False
    )
    setup = set_up(network, recipe)
    inputs = setup.preparation.evaluate(images)
    batches = list(zip(torch.split(inputs, BATCH), torch.split(labels, BATCH), strict=True))

    def ours() -> float:
        with tempfile.TemporaryDirectory() as out:
            return run_training(network, recipe, out=Path(out, "run"), quiet=True).metrics[0].seconds

    def by_hand() -> None:
        module = network.build(seed=0).train()
        optimizer = torch.optim.Adam(module.parameters(), lr=RATE)
        for x, y in batches:
            optimizer.zero_grad()
            functional.cross_entropy(module(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    found: dict[str, Timed | Reported] = {"archdsl": Reported(ours), "a loop by hand": Timed(by_hand)}
    rows = [slice(start, start + BATCH) for start in range(0, len(labels), BATCH)]
    loader = DataLoader(TensorDataset(inputs, labels), batch_size=None, sampler=rows)
    for name, make in {"Accelerate": with_accelerate, "Lightning": with_lightning}.items():
        try:
            found[name] = Timed(make(network, loader))
        except ImportError:
            print(f"{name} is not installed.\n")
    return found


def with_accelerate(network: Network, loader: DataLoader[Any]) -> Callable[[], object]:
    """The loop of Accelerate's documentation."""
    from accelerate import Accelerator

    def work() -> None:
        accelerator = Accelerator(cpu=True)
        module = network.build(seed=0).train()
        optimizer = torch.optim.Adam(module.parameters(), lr=RATE)
        prepared, optimizer = accelerator.prepare(module, optimizer)
        for x, y in loader:
            optimizer.zero_grad()
            accelerator.backward(functional.cross_entropy(prepared(x), y))
            optimizer.step()

    return work


def with_lightning(network: Network, loader: DataLoader[Any]) -> Callable[[], object]:
    """A LightningModule and its Trainer without logger, checkpoints, progress bar or checks."""
    import lightning

    class Classifier(lightning.LightningModule):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.network = network.build(seed=0)

        def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
            return functional.cross_entropy(self.network(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=RATE)

    def work() -> None:
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(Classifier(), loader)

    return work


def steps(rounds: int) -> None:
    random = torch.Generator().manual_seed(0)
    for title, network, size, count in (
        ("LeNet", lenet(), (1, 28, 28), 128 * 120),
        ("ResNet-20 for CIFAR", archdsl.load("resnet20"), (3, 32, 32), 128 * 12),
    ):
        images = torch.randint(0, 256, (count, *size), dtype=torch.uint8, generator=random)
        labels = torch.randint(0, 10, (count,), generator=random)
        with tempfile.TemporaryDirectory() as folder:
            pieces = trainers(network, images, labels, Path(folder))
            for number in range(rounds + 1):
                for piece in list(pieces.values())[:: 1 if number % 2 else -1]:
                    piece.run()
        times = {name: median(piece.seconds[1:]) / (count // BATCH) for name, piece in pieces.items()}
        print(f"A step of {title}, batch {BATCH}\n")
        print_rows(times, "archdsl", "ms")


# The start


def start(rounds: int) -> None:
    def process(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)

    def first_step() -> None:
        with tempfile.TemporaryDirectory() as folder:
            process("-c", FIRST_STEP, str(Path(folder, "run")))

    ours, bare = Timed(first_step), Timed(lambda: process("-c", "import torch"))
    interleaved(rounds, ours, bare)
    print("From the command to the end of the first step\n")
    print_rows({"archdsl": ours.median, "`python -c 'import torch'`": bare.median}, "archdsl")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--root", type=Path, default=SYSTEM_FOLDER, help="Fashion-MNIST's four files")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{options.rounds} rounds, {torch.get_num_threads()} threads\n")
    if options.root.is_dir():
        epochs(options.rounds, options.root)
    else:
        print(f"Fashion-MNIST is not in {options.root}: no epoch was measured.\n")
    steps(options.rounds)
    start(options.rounds)


if __name__ == "__main__":
    main()
