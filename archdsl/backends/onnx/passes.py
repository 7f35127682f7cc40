"""Passes over the nodes before they are written: drop unused ones, fold batch norms, share equal arrays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np

from archdsl.backends.onnx.builder import Array, OnnxGraph, OnnxNode
from archdsl.backends.onnx.parametrized import computed, parametrized, sources
from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.commands import MissingWeight, WrongWeightShape
from archdsl.graph.network import Network
from archdsl.shapes import Shape, Tensor

Arrays = dict[str, Array]
#: The attributes of a Gemm that computes x W^T + b.
_PLAIN_GEMM = {("transB", 1), ("transA", 0), ("alpha", 1.0), ("beta", 1.0)}


def drop_unused(graph: OnnxGraph, outputs: Sequence[str]) -> None:
    """Remove the nodes no output depends on: auxiliary heads, and layers whose output a `use(tap)` drops."""
    needed, kept = set(outputs), []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
            kept.append(node)
    graph.nodes = kept[::-1]


def arrays_of(graph: OnnxGraph, network: Network, weights: Mapping[str, Array]) -> Arrays:
    """The initializers the nodes read, by name: the model's weights in its dtypes, and the constants."""
    used = {value for node in graph.nodes for value in node.inputs}
    keys = {name: key for key, name in graph.weights.items() if name in used}
    layers = parametrized(network)
    needed = [entry for key in keys.values() for entry in (sources(layers[key]) if key in layers else [key])]
    problems = [p for key in needed if (p := _misfit(key, network.state[key], weights))]
    if problems:
        raise SpecError([Diagnostic(problem, path=network.path) for problem in problems])
    arrays = {
        name: _as(computed(layers[key], weights), "float32")
        if key in layers
        else _as(weights[key], network.state[key].dtype)
        for name, key in keys.items()
    }
    return arrays | {name: array for name, array in graph.constants.items() if name in used}


def _misfit(key: str, expected: Tensor, weights: Mapping[str, Array]) -> MissingWeight | WrongWeightShape | None:
    if key not in weights:
        return MissingWeight(key, str(expected.shape))
    found = Shape(weights[key].shape)
    return None if found == expected.shape else WrongWeightShape(key, str(found), str(expected.shape))


def _as(array: Array, dtype: str) -> Array:
    return np.ascontiguousarray(array, dtype=dtype).reshape(array.shape)


def compute_constants(graph: OnnxGraph, arrays: Arrays) -> Arrays:
    """Run the nodes that only rearrange an initializer, so that no runtime has to; returns the arrays left."""
    kept = []
    for node in graph.nodes:
        if _is_computed(node, arrays):
            arrays[node.outputs[0]] = _rearranged(node, [arrays[value] for value in node.inputs])
        else:
            kept.append(node)
    graph.nodes = kept
    return _used(graph, arrays)


def _is_computed(node: OnnxNode, arrays: Arrays) -> bool:
    """Whether a node moves the numbers of initializers without making more of them."""
    if node.op not in ("Transpose", "Reshape", "Unsqueeze", "Concat", "Gather"):
        return False
    inputs = [arrays[value] for value in node.inputs if value in arrays]
    is_known = len(inputs) == len(node.inputs)
    return is_known and (node.op != "Gather" or inputs[1].size <= inputs[0].shape[node.attributes.get("axis", 0)])


def _rearranged(node: OnnxNode, inputs: list[Array]) -> Array:
    array = inputs[0]
    if node.op == "Transpose":
        return np.ascontiguousarray(array.transpose(node.attributes.get("perm")))
    if node.op == "Unsqueeze":
        return np.expand_dims(array, tuple(inputs[1].tolist()))
    if node.op == "Concat":
        return np.concatenate(inputs, axis=node.attributes["axis"])
    if node.op == "Gather":
        return array.take(inputs[1], axis=node.attributes.get("axis", 0))
    # A size of 0 stands for the input's own.
    return array.reshape([size or array.shape[axis] for axis, size in enumerate(inputs[1].tolist())])


def broadcast_parameters(graph: OnnxGraph, arrays: Arrays, outputs: Sequence[str]) -> Arrays:
    """Let sums and products read a parameter itself, not its copy for each sample: they repeat it anyway.

    The other operand must have the batch axis already. Returns the arrays left.
    """
    copies = {
        node.outputs[0]: node.inputs[0]
        for node in graph.nodes
        if node.op == "Expand" and node.inputs[0] in arrays and node.outputs[0] not in outputs
    }
    for node in graph.nodes:
        batched = [value for value in node.inputs if value not in copies and value not in arrays]
        if node.op in ("Add", "Mul") and batched:
            node.inputs = [copies.get(value, value) for value in node.inputs]
    drop_unused(graph, outputs)
    return _used(graph, arrays)


def _used(graph: OnnxGraph, arrays: Arrays) -> Arrays:
    used = {value for node in graph.nodes for value in node.inputs}
    return {name: array for name, array in arrays.items() if name in used}


def fold(graph: OnnxGraph, arrays: Arrays, outputs: Sequence[str]) -> Arrays:
    """Fold each batch norm into the convolution or linear layer whose output only it reads; returns the arrays left.

    A weight that several nodes share is folded only where the same batch norm follows all of them.
    """
    readers = _readers(graph)
    gone: set[int] = set()
    for weight in [name for name in arrays if name in readers]:
        convs = readers[weight]
        norms = [_norm_after(conv, weight, readers, outputs) for conv in convs]
        if norms[0] is None or any(norm is None or not _same(norm, norms[0]) for norm in norms):
            continue
        if any(len(readers[value]) != len(convs) for value in convs[0].inputs[2:]):
            continue
        inputs = _fold_arrays(graph, arrays, convs[0], norms[0])
        for conv, norm in zip(convs, norms, strict=True):
            assert norm is not None
            conv.inputs, conv.outputs = [conv.inputs[0], *inputs], norm.outputs
            gone.add(id(norm))
    graph.nodes = [node for node in graph.nodes if id(node) not in gone]
    return _used(graph, arrays)


def _readers(graph: OnnxGraph) -> dict[str, list[OnnxNode]]:
    readers: dict[str, list[OnnxNode]] = defaultdict(list)
    for node in graph.nodes:
        for value in node.inputs:
            readers[value].append(node)
    return readers


def _norm_after(
    node: OnnxNode, weight: str, readers: Mapping[str, list[OnnxNode]], outputs: Sequence[str]
) -> OnnxNode | None:
    """The batch norm that a convolution or linear layer with this weight can take in."""
    linear = node.op in ("Conv", "ConvTranspose") or (node.op == "Gemm" and set(node.attributes.items()) <= _PLAIN_GEMM)
    value = node.outputs[0]
    if not linear or node.inputs[1] != weight or value in outputs or len(readers[value]) != 1:
        return None
    norm = readers[value][0]
    eval_mode = norm.op == "BatchNormalization" and not norm.attributes.get("training_mode")
    return norm if eval_mode else None


def _same(one: OnnxNode, other: OnnxNode) -> bool:
    return one.inputs[1:] == other.inputs[1:] and one.attributes == other.attributes


def _fold_arrays(graph: OnnxGraph, arrays: Arrays, conv: OnnxNode, norm: OnnxNode) -> list[str]:
    """Scale the weight and bias by gamma / sqrt(var + eps), in float64; returns the names of both."""
    gamma, beta, mean, var = (arrays[name].astype(np.float64) for name in norm.inputs[1:])
    scale = gamma / np.sqrt(var + norm.attributes.get("epsilon", 1e-5))
    weight, *rest = conv.inputs[1:]
    bias = rest[0] if rest else graph.values.unique(f"{weight.removesuffix('weight')}bias")
    old = arrays[bias].astype(np.float64) if rest else 0.0
    arrays[weight] = _scaled(arrays[weight], scale, conv)
    arrays[bias] = ((old - mean) * scale + beta).astype(np.float32)
    return [weight, bias]


def _scaled(weight: Array, scale: Array, conv: OnnxNode) -> Array:
    """The weight with each output channel times its factor; a transposed one holds them on axis 1, by groups."""
    if conv.op == "ConvTranspose":
        groups = conv.attributes.get("group", 1)
        grouped = weight.reshape(groups, -1, *weight.shape[1:])
        return _product(grouped, scale.reshape(groups, 1, -1, *[1] * (weight.ndim - 2))).reshape(weight.shape)
    return _product(weight, scale.reshape(-1, *[1] * (weight.ndim - 1)))


def _product(weight: Array, factors: Array) -> Array:
    """In float64, rounded once; without a copy of the weight in float64."""
    return np.multiply(weight, factors, out=np.empty_like(weight), dtype=np.float64, casting="same_kind")


def merge_equal(graph: OnnxGraph, arrays: Arrays) -> Arrays:
    """Let integers with the same bytes share one initializer, the first's; returns those left.

    They are tables of positions, the same in every block. Weights that are equal now would not be after a step
    of training: each keeps its own name, and the graph does not depend on their values.
    """
    kept: dict[tuple[str, tuple[int, ...], int], list[str]] = defaultdict(list)
    replaced: dict[str, str] = {}
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating):
            continue
        alike = kept[array.dtype.str, array.shape, crc32(array.data)]
        twin = next((other for other in alike if arrays[other].tobytes() == array.tobytes()), None)
        if twin is None:
            alike.append(name)
        else:
            replaced[name] = twin
    for node in graph.nodes:
        node.inputs = [replaced.get(value, value) for value in node.inputs]
    return {name: array for name, array in arrays.items() if name not in replaced}
