"""A built module as an ONNX file: its graph, its weights, and itself as the truth to compare with."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from archdsl.network import Network
from archdsl.torch.build import network_of

Array = np.ndarray[Any, np.dtype[Any]]


def export_onnx(
    module: nn.Module,
    path: str | os.PathLike[str],
    *,
    opset: int = 20,
    fold_batchnorm: bool = True,
    normalize: tuple[Sequence[float], Sequence[float]] | None = None,
    tolerance: float = 1e-4,
) -> float:
    """Write a module made by `build()` to `path` as ONNX, in eval mode and float32.

    The file's input is `input`, batch x the network's input shape with any batch size, its outputs are
    `output` and the network's named ones. Before it is kept it is checked, and run in ONNX Runtime
    against the module on random batches of two sizes.

    Args:
        module: on any device and of any dtype; it is left as it was.
        path: the file; weights of 2 GB and more go beside it, into PATH.data.
        opset: the version of ONNX's operators, 13 to 23.
        fold_batchnorm: put each batch norm into the convolution before it, where nothing else reads that.
        normalize: mean and standard deviation, one number or one for each channel; the file then starts
            with (x - mean) / std, so that it takes what the module takes before its normalisation.
        tolerance: the largest difference allowed, times the largest output where that is over 1.

    Returns:
        The largest absolute difference between the two found.

    Raises:
        SpecError: the module was not built from a spec, the file was refused or differs; none is left then.
    """
    from archdsl.onnx import export

    network = network_of(module)
    weights = {name: _numpy(tensor) for name, tensor in module.state_dict().items()}
    with _eval_mode(_on_cpu(module)) as twin:

        def reference(batch: Array) -> dict[str, Array]:
            return _outputs(twin, network, _normalized(batch, normalize))

        return export(
            network,
            weights,
            path,
            reference,
            opset=opset,
            fold_batchnorm=fold_batchnorm,
            normalize=normalize,
            tolerance=tolerance,
        )


def _numpy(tensor: torch.Tensor) -> Array:
    tensor = tensor.detach().cpu()
    array: Array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return array


def _on_cpu(module: nn.Module) -> nn.Module:
    """The module itself, or a float32 copy on the CPU: other devices and dtypes round otherwise than the file does."""
    tensors = [tensor for tensor in module.state_dict().values() if tensor.is_floating_point()]
    if all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors):
        return module
    return copy.deepcopy(module).cpu().float()


@contextmanager
def _eval_mode(module: nn.Module) -> Iterator[nn.Module]:
    """The module in eval mode for a while; afterwards each part is back in the mode it was in."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        yield module.eval()
    finally:
        for part, training in modes:
            part.training = training


def _normalized(batch: Array, normalize: tuple[Sequence[float], Sequence[float]] | None) -> torch.Tensor:
    x = torch.from_numpy(batch)
    if normalize is None:
        return x
    mean, std = (torch.tensor(values, dtype=torch.float32).reshape(-1, *[1] * (x.ndim - 2)) for values in normalize)
    return (x - mean) / std


def _outputs(module: nn.Module, network: Network, x: torch.Tensor) -> dict[str, Array]:
    """The outputs of eval mode under the names they have in the file."""
    from archdsl.onnx import output_names

    with torch.no_grad():
        found: torch.Tensor | Mapping[str, torch.Tensor] = module(x)
    values = [found] if isinstance(found, torch.Tensor) else [found["out"], *(found[t.name] for t in network.outputs)]
    return {name: value.numpy() for name, value in zip(output_names(network), values, strict=True)}
