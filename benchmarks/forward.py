"""The built module compared with torchvision's: forward, and forward with backward, on the CPU.

    python benchmarks/forward.py [--rounds 9] [--batch 4] [NAME ...]

Both have the same weights and get the same batch, in turns in one process; they take turns to start. Forward is in eval
mode without gradients, forward with backward in training mode with auxiliary heads. Times are medians; the ratio is the
median over the rounds of our time divided by torchvision's. The last column, the noise, compares torchvision's module
with a copy of itself.
"""

from __future__ import annotations

import argparse
import copy
import warnings
from collections.abc import Callable
from statistics import median

import torch
import torchvision
from timing import Timed, interleaved
from torch import Tensor, nn

from archdsl import zoo

NAMES = ("resnet18", "densenet121", "googlenet", "vgg11")
ROW = "| {:<12} | {:<20} | {:>9} | {:>11} | {:>5} | {:>5} |"


def total(output: object) -> Tensor:
    """The sum of all outputs of a module, to differentiate."""
    if isinstance(output, Tensor):
        return output.sum()
    parts = output.values() if isinstance(output, dict) else output
    return torch.stack([part.sum() for part in parts]).sum()  # type: ignore[attr-defined]


def forward(module: nn.Module, x: Tensor) -> Callable[[], object]:
    """One forward pass in inference mode."""

    def work() -> object:
        module.eval()
        with torch.inference_mode():
            return module(x)

    return work


def training_step(module: nn.Module, x: Tensor) -> Callable[[], object]:
    """One forward and backward pass in training mode, without the optimizer."""

    def work() -> None:
        module.train()
        module.zero_grad(set_to_none=True)
        torch.autograd.backward(total(module(x)))

    return work


def ratio(ours: Timed, theirs: Timed) -> float:
    """The median of the ratios of the rounds, so that a slow minute affects both."""
    return median(a / b for a, b in zip(ours.seconds, theirs.seconds, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=4)
    options = parser.parse_args()
    print(ROW.format("network", "work", "archdsl", "torchvision", "ratio", "noise"))
    print(ROW.format("---", "---", "--:", "--:", "--:", "--:"))
    for name in options.names or NAMES:
        torch.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = torchvision.models.get_model(name, weights=None)
        ours = zoo.build(name)
        ours.load_state_dict(theirs.state_dict())
        modules = [ours, theirs, copy.deepcopy(theirs)]
        x = torch.randn(options.batch, 3, 224, 224)
        for label, make in (("forward", forward), ("forward and backward", training_step)):
            a, b, c = (Timed(make(module, x)) for module in modules)
            interleaved(options.rounds, a, b, c)
            times = [f"{piece.median * 1e3:.1f} ms" for piece in (a, b)]
            print(ROW.format(name, label, *times, f"{ratio(a, b):.2f}", f"{ratio(c, b):.2f}"), flush=True)
    print(f"\nBatch {options.batch}, {options.rounds} rounds, {torch.get_num_threads()} threads.")


if __name__ == "__main__":
    main()
