"""Parse, expand and check in a warm process, compared with PyTorch's shape propagation on the meta device.

    python benchmarks/check.py [--rounds 15]

`archdsl` goes from the source to the checked graph (`load_module` and `elaborate`); the second row of each network adds
all figures of the table (parameters, multiply-adds, memory, receptive fields), which PyTorch's side does not compute.
PyTorch builds the module on the meta device and runs it on one image, so no values are computed; "forward" excludes
building. Both run in one process, in turns; figures are medians, ratios PyTorch's time divided by ours. Python's
collector runs as usual, but leaves out the objects of the imported packages (`gc.freeze`): a full collection of torch's
takes 300 ms, wherever it falls.

The network of 1,000 layers is written as a loop of three lines, and once more with a line for each layer, where most of
the time is parsing. The specs of 250 to 4,000 layers have a line for each layer too.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from timing import Timed, interleaved
from torch import nn

from archdsl.elaborate import elaborate, load_module
from archdsl.graph.network import Network
from archdsl.text.source import Source
from archdsl.zoo import specs_folder

SIZES = (250, 500, 1000, 2000, 4000)
ROW = "| {:<34} | {:>9} | {:>9} | {:>15} | {:>14} | {:>20} |"


def checked(text: str, path: Path, model: str) -> Network:
    """Go from the source to the checked graph; only the parser's table is kept between calls."""
    return elaborate(load_module(Source(str(path), text), path), model)


def with_figures(network: Network) -> int:
    """Compute all figures of the table."""
    return network.params + network.macs + network.activation_bytes


#: The network of `long_module(1000)` as one would write it.
LOOP = """
model long {
  input(3x32x32)
  for i in 0..499 { conv(16 + i % 7, 3, padding=1); relu }
}
"""


def width(index: int) -> int:
    """The channels after convolution `index`, different for neighbouring layers."""
    return 16 + index // 2 % 7


def long_text(layers: int) -> str:
    """A spec with this many layers, convolutions and ReLUs in turn, one per line."""
    lines = (f"  conv({width(i)}, 3, padding=1)" if i % 2 == 0 else "  relu" for i in range(layers))
    return "\n".join(["model long {", "  input(3x32x32)", *lines, "}", ""])


def long_module(layers: int) -> nn.Sequential:
    """The same network as one would write it by hand."""
    modules: list[nn.Module] = []
    channels = 3
    for i in range(layers):
        if i % 2 == 0:
            modules.append(nn.Conv2d(channels, width(i), 3, padding=1))
            channels = width(i)
        else:
            modules.append(nn.ReLU())
    return nn.Sequential(*modules)


def on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return make().eval()


def forward(module: nn.Module, shape: tuple[int, ...]) -> torch.Size:
    with torch.no_grad():
        result: torch.Tensor = module(torch.empty(1, *shape, device="meta"))
    return result.shape


def compare(name: str, text: str, path: Path, model: str, make: Callable[[], nn.Module], rounds: int) -> None:
    """Print the two rows of one network."""
    network, module = checked(text, path, model), on_meta(make)
    shape = tuple(network.input_shape)
    if tuple(forward(module, shape))[1:] != tuple(network.output_shape) or network.params != sum(
        p.numel() for p in module.parameters()
    ):
        raise SystemExit(f"{name}: the two sides are not the same network")
    check = Timed(lambda: checked(text, path, model))
    figures = Timed(lambda: with_figures(checked(text, path, model)))
    run = Timed(lambda: forward(module, shape))
    both = Timed(lambda: forward(on_meta(make), shape))
    interleaved(rounds, check, figures, run, both)
    for what, ours in ((name, check), (f"{name}, all figures", figures)):
        print(
            ROW.format(
                what,
                *(f"{piece.median * 1e3:.1f} ms" for piece in (ours, run, both)),
                f"{run.median / ours.median:.1f}",
                f"{both.median / ours.median:.1f}",
            )
        )


def linearity(rounds: int) -> None:
    """Print the time per layer for specs of increasing length."""
    pieces = {}
    for size in SIZES:
        text = long_text(size)
        if len(checked(text, Path("long.arch"), "long").layers) != size:
            raise SystemExit(f"the spec of {size} layers has another number of layers")
        pieces[size] = Timed(lambda text=text: checked(text, Path("long.arch"), "long"))  # type: ignore[misc]
    interleaved(rounds, *pieces.values())
    print("| layers | time | per layer |\n|---:|---:|---:|")
    for size, piece in pieces.items():
        print(f"| {size:,} | {piece.median * 1e3:.1f} ms | {piece.median / size * 1e6:.1f} µs |")
    first, last = pieces[SIZES[0]].median / SIZES[0], pieces[SIZES[-1]].median / SIZES[-1]
    print(f"\nA layer of the longest spec takes {last / first:.2f} times as long as one of the shortest.")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    path = specs_folder() / "resnet.arch"
    gc.collect()
    gc.freeze()

    print(f"{rounds} rounds, medians\n")
    print(ROW.format("network", "archdsl", "forward", "build + forward", "forward, ratio", "build+forward, ratio"))
    print("|:" + "-" * 35 + "|" + "|".join("-" * (width + 1) + ":" for width in (9, 9, 15, 14, 20)) + "|")
    compare("resnet152", path.read_text("utf-8"), path, "resnet152", torchvision.models.resnet152, rounds)
    for name, text in (("in a loop", LOOP), ("a line each", long_text(1000))):
        compare(f"1,000 layers, {name}", text, Path("long.arch"), "long", lambda: long_module(1000), rounds)
    print()
    linearity(rounds)
    gc.unfreeze()


if __name__ == "__main__":
    main()
