"""The weights that parametrizations compute, as an ONNX file holds them: with their values in eval mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from archdsl.graph import LayerNode, layer_nodes
from archdsl.graph.network import Network
from archdsl.layers.parametrizations import PREFIX, SpectralNorm, WeightNorm

Array = np.ndarray[Any, np.dtype[Any]]


def parametrized(network: Network) -> dict[str, LayerNode]:
    """The layers with a parametrization, by the keys that their weights would have in the state_dict without it."""
    return {node.key("weight"): node for node in layer_nodes(network.root) if node.parametrization is not None}


def sources(node: LayerNode) -> list[str]:
    """The keys of the entries that the layer's weight is computed from."""
    return [node.key(name) for name in node.weights | node.buffers if name.startswith(PREFIX)]


def computed(node: LayerNode, state: Mapping[str, Array]) -> Array:
    """The layer's weight, from the entries of the state_dict."""
    parts = {name: state[node.key(f"{PREFIX}.{name}")] for name in _names(node)}
    match node.parametrization:
        case WeightNorm(dim=dim):
            return _weight_norm(parts["original0"], parts["original1"], dim)
        case SpectralNorm() as norm:
            return _spectral_norm(parts, norm, norm.axis(node.layer.output_axis))
    raise TypeError(node.parametrization)


def _names(node: LayerNode) -> list[str]:
    prefix = node.key(f"{PREFIX}.")
    return [key.removeprefix(prefix) for key in sources(node)]


def _weight_norm(norm: Array, direction: Array, dim: int | None) -> Array:
    axes = tuple(axis for axis in range(direction.ndim) if axis != dim)
    length = np.sqrt((direction * direction).sum(axis=axes, keepdims=dim is not None))
    return np.asarray(direction * (norm / length))


def _spectral_norm(parts: Mapping[str, Array], norm: SpectralNorm, axis: int) -> Array:
    weight = parts["original"]
    if weight.ndim == 1:
        return np.asarray(weight / max(float(np.linalg.norm(weight)), norm.eps))
    matrix = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
    return np.asarray(weight / (parts["0._u"] @ matrix @ parts["0._v"]))
