"""Helpers of the ONNX tests: a network from a spec, random weights, one run in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

import archdsl
from archdsl import Network
from archdsl.backends.onnx import emit

Array = np.ndarray[Any, np.dtype[Any]]
Weights = dict[str, torch.Tensor]


def network(body: str, shape: str = "4x8x8") -> Network:
    return archdsl.load(f"model m {{ input({shape})\n{body}\n}}")


def random_weights(net: Network, seed: int = 0) -> Weights:
    """Random values for every entry of the state_dict; running variances are positive."""
    random = torch.Generator().manual_seed(seed)
    weights = {}
    for key, tensor in net.state.items():
        if tensor.dtype == "int64":
            weights[key] = torch.tensor(7)
        elif key.endswith("running_var"):
            weights[key] = torch.rand(*tensor.shape, generator=random) + 0.5
        else:
            weights[key] = torch.randn(*tensor.shape, generator=random) * 0.5
    return weights


def arrays(weights: Weights) -> dict[str, Array]:
    return {key: tensor.numpy() for key, tensor in weights.items()}


def model_of(net: Network, weights: Weights, **options: Any) -> onnx.ModelProto:
    """The emitted model, after ONNX's own checks."""
    model = emit(net, arrays(weights), **options)
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model: onnx.ModelProto | str, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """All outputs by name."""
    content = model if isinstance(model, str) else model.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    values = session.run(names, {"input": x.numpy()})
    return {name: torch.from_numpy(value) for name, value in zip(names, values, strict=True)}


def batch(net: Network, size: int = 3) -> torch.Tensor:
    return torch.randn(size, *net.input_shape, generator=torch.Generator().manual_seed(size))


def ops(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@dataclass(frozen=True)
class Peer:
    """What a file is compared with: a network written out with PyTorch's functions."""

    own: Weights
    function: Callable[[torch.Tensor, Weights], Mapping[str, torch.Tensor]]

    @property
    def weights(self) -> dict[str, Array]:
        return arrays(self.own)

    def outputs(self, x: Mapping[str, Array]) -> dict[str, Array]:
        return arrays(dict(self.function(torch.from_numpy(x["input"]), self.own)))

    def outputs_with_random_weights(
        self, x: Mapping[str, Array], gain: float
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        random = torch.Generator().manual_seed(1)
        weights = {key: value + gain * torch.rand(value.shape, generator=random) for key, value in self.own.items()}
        return arrays(weights), arrays(dict(self.function(torch.from_numpy(x["input"]), weights)))

    def exact(self, x: Mapping[str, Array], weights: Mapping[str, Array]) -> dict[str, Array]:
        exact = {key: torch.from_numpy(array).double() for key, array in weights.items()}
        return arrays(dict(self.function(torch.from_numpy(x["input"]).double(), exact)))
