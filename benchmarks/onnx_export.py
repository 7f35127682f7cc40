"""ONNX export compared with `torch.onnx.export(dynamo=True)`: time, nodes, and the speed of the files in ONNX Runtime.

    python benchmarks/onnx_export.py [--rounds 3] [--batch 8] [NAME ...]

Both export the same weights to a file with a dynamic batch axis, in turns in one process; figures are medians, ratios
torch's figure divided by ours. `archdsl` writes the file; `archdsl, compared` also checks it and compares it with the
module in ONNX Runtime, which torch does not do. torch exports torchvision's module.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
import torchvision
from timing import Timed, interleaved
from torch import nn

import archdsl
from archdsl import zoo
from archdsl.backends.onnx import emit, node_count, write
from archdsl.backends.torch import network_of

OPSET = 20
HEADER = "| {:<28} | {:>10} | {:>10} | {:>12} |"


def twins(name: str) -> tuple[nn.Module, nn.Module]:
    """The built module and torchvision's, with the same weights, in eval mode."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer: nn.Module = torchvision.models.get_model(name, weights=None).eval()
    ours = zoo.build(name).eval()
    ours.load_state_dict(peer.state_dict())
    return ours, peer


def write_ours(module: nn.Module, path: Path) -> None:
    """Write the file only, without check and comparison."""
    weights = {key: tensor.numpy() for key, tensor in module.state_dict().items()}
    write(emit(network_of(module), weights, opset=OPSET), path)


def write_torch(module: nn.Module, path: Path) -> None:
    """Export with PyTorch's exporter as its documentation does, without its progress messages."""
    shape = {0: torch.export.Dim("batch")}
    x = torch.randn(2, 3, 224, 224)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (x,), str(path), dynamo=True, opset_version=OPSET, dynamic_shapes=(shape,), external_data=False
        )


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_of(path: Path, batch: int) -> Timed:
    """One run of a file on a random batch."""
    model = session(path)
    x = torch.randn(batch, 3, 224, 224, generator=torch.Generator().manual_seed(0)).numpy()
    feed: dict[str, Any] = {model.get_inputs()[0].name: x}
    return Timed(lambda: model.run(None, feed))


def row(what: str, ours: float, theirs: float, unit: str) -> None:
    digits = 0 if not unit else 2
    print(HEADER.format(what, f"{ours:.{digits}f}{unit}", f"{theirs:.{digits}f}{unit}", f"{theirs / ours:.2f}"))


def measure(name: str, folder: Path, rounds: int, batch: int) -> None:
    ours, peer = twins(name)
    mine, theirs = folder / f"{name}.onnx", folder / f"{name}-torch.onnx"
    plain = Timed(lambda: write_ours(ours, mine))
    compared = Timed(lambda: archdsl.export_onnx(ours, mine, opset=OPSET))
    yardstick = Timed(lambda: write_torch(peer, theirs))
    interleaved(rounds, plain, compared, yardstick)
    row(f"{name}: export", plain.median, yardstick.median, " s")
    row(f"{name}: export, compared", compared.median, yardstick.median, " s")
    row(f"{name}: nodes", node_count(onnx.load(str(mine))), node_count(onnx.load(str(theirs))), "")
    for size in (1, batch):
        our_run, their_run = run_of(mine, size), run_of(theirs, size)
        interleaved(rounds * 6, our_run, their_run)
        row(f"{name}: run, batch {size}", our_run.median * 1e3, their_run.median * 1e3, " ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=["resnet50", "densenet121"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
    versions = f"torch {torch.__version__}, onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}"
    print(f"{versions}, {torch.get_num_threads()} threads of {os.cpu_count()}, {arguments.rounds} rounds\n")
    print(HEADER.format("work", "archdsl", "torch", "torch/archdsl"))
    print("|:" + "-" * 28 + " |" + "|".join(" " + "-" * width + ":" for width in (9, 9, 11)) + " |")
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.names:
            measure(name, Path(folder), arguments.rounds, arguments.batch)


if __name__ == "__main__":
    main()
