"""Runs one layer's ONNX form in ONNX Runtime, for comparison with PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime

from archdsl.backends.onnx.builder import OnnxGraph, to_proto
from archdsl.graph import LayerNode, Tap
from archdsl.layers.base import Layer
from archdsl.shapes import Shape
from archdsl.text.source import Source, Span

Array = np.ndarray[Any, np.dtype[Any]]
#: The oldest opset that can be exported, and those that brought operators which the layers use.
OPSETS = (13, 17, 20, 23)


def onnx_model(layer: Layer, x: Shape, weights: dict[str, Array], *operands: Shape, opset: int = 20) -> onnx.ModelProto:
    """A checked model of one layer with a dynamic batch axis; its inputs are `input`, `tap0`, `tap1`, ..."""
    y = layer.shape(x, *operands)
    taps = tuple(Tap(i, f"tap{i}", shape) for i, shape in enumerate(operands))
    span = Span(Source("test.arch", ""), 0, 0)
    name = "layer" if layer.is_parameter else ""
    node = LayerNode(name=name, label=name, input=x, output=y, span=span, layer=layer, operands=taps)
    graph = OnnxGraph(opset)
    output = graph.layer(node, graph.values.unique("input"), tuple(graph.values.unique(tap.name) for tap in taps))
    if output in ("input", *(tap.name for tap in taps)):
        output = graph.node("Identity", "identity", [output]).outputs[0]
    inputs = [_value("input", x), *(_value(tap.name, tap.shape) for tap in taps)]
    by_key = {node.key(name): array for name, array in weights.items()}
    arrays = {name: by_key[key] for key, name in graph.weights.items()} | graph.constants
    initializers = [onnx.numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()]
    protos = [to_proto(node) for node in graph.nodes]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(protos, "layer", inputs, [_value(output, y)], initializers),
        opset_imports=[onnx.helper.make_opsetid("", opset)],
        ir_version=onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)]),
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    return model


def _value(name: str, shape: Shape) -> onnx.ValueInfoProto:
    kind = onnx.TensorProto.INT64 if shape.dtype == "int64" else onnx.TensorProto.FLOAT
    return onnx.helper.make_tensor_value_info(name, kind, ["batch", *shape])


def models_by_opset(layer: Layer, x: Shape, weights: dict[str, Array], *operands: Shape) -> Iterator[onnx.ModelProto]:
    """The models of one layer in ever later opsets, less those that are the same operators with the same attributes."""
    seen: list[object] = []
    for opset in OPSETS:
        model = onnx_model(layer, x, weights, *operands, opset=opset)
        nodes = [
            (onnx.defs.get_schema(node.op_type, opset).since_version, node.SerializeToString())
            for node in model.graph.node
        ]
        if nodes not in seen:
            seen.append(nodes)
            yield model


def session_of(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """ONNX Runtime's session of a small model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def feeds(x: Array, operands: Sequence[Array]) -> dict[str, Array]:
    """The inputs of a model of `onnx_model` by their names."""
    return {"input": x} | {f"tap{i}": operand for i, operand in enumerate(operands)}


def run_onnx(layer: Layer, x: Array, weights: dict[str, Array], *operands: Array, opset: int = 20) -> Array:
    """The layer's output in ONNX Runtime on a batch; weights and buffers by their names in the layer."""
    shapes = [Shape(operand.shape[1:]) for operand in operands]
    model = onnx_model(layer, Shape(x.shape[1:]), weights, *shapes, opset=opset)
    output: Array = session_of(model).run(None, feeds(x, operands))[0]
    return output
