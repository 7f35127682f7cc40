"""A built module as an ONNX file, compared with the module itself."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from archdsl.backends.torch.build import build, network_of
from archdsl.backends.torch.probe import run_with_random_weights
from archdsl.graph.network import Network

if TYPE_CHECKING:
    from archdsl.backends.onnx import Comparison

Array = np.ndarray[Any, np.dtype[Any]]
#: A batch of each input, by the inputs' names.
Batches = Mapping[str, Array]
#: Mean and standard deviation of the input, each one number or one for each channel.
Normalization = tuple[Sequence[float], Sequence[float]]


def export_onnx(
    module: nn.Module,
    path: str | os.PathLike[str],
    *,
    opset: int = 20,
    fold_batchnorm: bool = True,
    normalize: Normalization | None = None,
    tolerance: float = 1e-4,
    dynamic_size: bool = False,
) -> float:
    """Write a module made by `build()` to `path` as ONNX, in eval mode and float32.

    The file's inputs have the names of the network's, `input` without one, and any batch size; its outputs are
    `output` and the network's named ones. Before it is kept it is compared with the module as by
    `verify_onnx`.

    Args:
        module: on any device and of any dtype; it is left as it was.
        path: the file; weights of 2 GB and more go into a second file, PATH.data.
        opset: the version of ONNX's operators, 13 to 23.
        fold_batchnorm: put each batch norm into the convolution before it, where nothing else reads that.
        normalize: mean and standard deviation, one number or one for each channel; the file then starts
            with (x - mean) / std, so that it takes what the module takes before its normalisation.
        tolerance: the largest difference allowed, as a share of how much the output varies between inputs.
        dynamic_size: write a file for all input sizes that the network takes (`archdsl.input_sizes`), with symbolic
            axes `height` and `width`; it is compared at three of them.

    Returns:
        The largest absolute difference from the module's outputs.

    Raises:
        SpecError: the module was not built from a spec, the file was rejected or differs; none is left then.
    """
    return compared_export(
        module,
        path,
        opset=opset,
        fold_batchnorm=fold_batchnorm,
        normalize=normalize,
        tolerance=tolerance,
        dynamic_size=dynamic_size,
    ).difference


def compared_export(
    module: nn.Module,
    path: str | os.PathLike[str],
    *,
    opset: int = 20,
    fold_batchnorm: bool = True,
    normalize: Normalization | None = None,
    tolerance: float = 1e-4,
    dynamic_size: bool = False,
) -> Comparison:
    """Export as `export_onnx` does; returns the whole comparison, of several sizes the one that differs the most."""
    from archdsl.backends.onnx import dynamic, export

    network = network_of(module)
    sizes = dynamic(network) if dynamic_size else None
    with _eval_mode(_on_cpu(module)) as twin:
        others = [(other, _Peer(_resized(twin, other), other, normalize)) for other in (sizes.others if sizes else ())]
        return export(
            network,
            _Peer(twin, network, normalize),
            path,
            opset=opset,
            fold_batchnorm=fold_batchnorm,
            normalize=normalize,
            tolerance=tolerance,
            dynamic=sizes,
            others=others,
        )


def _resized(module: nn.Module, network: Network) -> nn.Module:
    """The module of the same network for other inputs, with the weights of `module`, in eval mode."""
    other = build(network)
    other.load_state_dict(module.state_dict())
    return other.eval()


def verify_onnx(
    path: str | os.PathLike[str],
    module: nn.Module,
    *,
    normalize: Normalization | None = None,
    tolerance: float = 1e-4,
    weights: bool = True,
) -> Comparison:
    """Compare an ONNX file with a module made by `build()`, in eval mode and float32.

    Both run on the same random inputs, and no output may differ by more than `tolerance` times how much it
    varies between inputs. A file written by archdsl must also hold the module's weights, bit for bit, and
    is compared a second time with random weights in both: that finds what the module's own weights hide,
    such as everything before a layer of zeros. Other files must have the inputs and outputs in the
    network's order; they are compared with the module's weights alone.

    Args:
        path: the file; its external data, if any, is in the same folder.
        module: on any device and of any dtype; it is left as it was.
        normalize: the mean and standard deviation that the file starts with.
        tolerance: the largest difference allowed, as a share of how much the output varies between inputs.
        weights: False compares with random weights only, whatever the file's own are.

    Raises:
        SpecError: the file cannot be read, it differs, or the comparison could not show it if it did.
    """
    from archdsl.backends.onnx import verify

    network = network_of(module)
    with _eval_mode(_on_cpu(module)) as twin:
        peer = _Peer(twin, network, normalize)
        return verify(path, network, peer, normalize=normalize, tolerance=tolerance, weights=weights)


class _Peer:
    """A module in eval mode, on the CPU and in float32, as `archdsl.backends.onnx` compares files with it."""

    def __init__(self, module: nn.Module, network: Network, normalize: Normalization | None) -> None:
        self._module, self._network, self._normalize = module, network, normalize

    @property
    def weights(self) -> dict[str, Array]:
        return _arrays(self._module.state_dict())

    def outputs(self, x: Batches) -> dict[str, Array]:
        with torch.no_grad():
            return self._named(self._module(*_normalized(x, self._normalize)))

    def outputs_with_random_weights(self, x: Batches, gain: float) -> tuple[dict[str, Array], dict[str, Array]]:
        state, found = run_with_random_weights(self._module, _normalized(x, self._normalize), gain)
        return _arrays(state), self._named(found)

    def exact(self, x: Batches, weights: Mapping[str, Array]) -> dict[str, Array]:
        twin = copy.deepcopy(self._module).double()
        twin.load_state_dict({key: torch.from_numpy(array) for key, array in weights.items()})
        inputs = [one.double() if one.is_floating_point() else one for one in _normalized(x, self._normalize)]
        with torch.no_grad():
            return self._named(twin(*inputs))

    def _named(self, found: torch.Tensor | Mapping[str, torch.Tensor]) -> dict[str, Array]:
        """The outputs under the names they have in a file of our own."""
        from archdsl.backends.onnx import output_names

        taps = self._network.outputs
        values = [found] if isinstance(found, torch.Tensor) else [found["out"], *(found[tap.name] for tap in taps)]
        return {name: value.numpy() for name, value in zip(output_names(self._network), values, strict=True)}


def _arrays(state: Mapping[str, torch.Tensor]) -> dict[str, Array]:
    return {key: tensor.detach().numpy() for key, tensor in state.items()}


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


def _normalized(batches: Batches, normalize: Normalization | None) -> list[torch.Tensor]:
    """The inputs as tensors, the first one normalised."""
    first, *others = map(torch.from_numpy, batches.values())
    if normalize is not None:
        mean, std = (
            torch.tensor(values, dtype=torch.float32).reshape(-1, *[1] * (first.ndim - 2)) for values in normalize
        )
        first = (first - mean) / std
    return [first, *others]
