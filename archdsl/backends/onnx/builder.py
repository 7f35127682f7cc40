"""The nodes of an ONNX graph while it grows, and the builder through which a layer writes its own."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import defs

from archdsl.diagnostics.codes.commands import OperatorNotInOpset
from archdsl.diagnostics.codes.sizes import NotDynamic
from archdsl.diagnostics.problem import Rejected
from archdsl.graph import LayerNode
from archdsl.shapes import Shape
from archdsl.shapes.extent import Extent, Unanswered, is_known

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class OnnxNode:
    """One node before it becomes protobuf: names may still change, nodes may still go."""

    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]


class Names:
    """Gives each name once."""

    def __init__(self, reserved: Sequence[str] = ()) -> None:
        self._taken = set(reserved)

    def unique(self, wanted: str) -> str:
        """`wanted`, or `wanted:1`, `wanted:2`, ... where it is taken; no label has a colon."""
        name, count = wanted, 0
        while name in self._taken:
            count += 1
            name = f"{wanted}:{count}"
        self._taken.add(name)
        return name


@dataclass
class OnnxGraph:
    """A graph that grows node by node.

    shapes    the shapes of the values that a layer or combinator leaves, without the batch axis
    weights   the initializers asked for so far: their names, which are state_dict keys
    """

    opset: int
    values: Names = field(default_factory=Names)
    node_names: Names = field(default_factory=Names)
    nodes: list[OnnxNode] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)
    _constant_names: dict[tuple[str, tuple[int, ...], bytes], str] = field(default_factory=dict)
    _extents: dict[Extent, str] = field(default_factory=dict)

    def weight(self, key: str) -> str:
        """The initializer of the state_dict's entry `key`, the same one each time."""
        if key not in self.weights:
            self.weights[key] = self.values.unique(key)
        return self.weights[key]

    def constant(self, array: Array, name: str = "constant") -> str:
        """An initializer with these values; equal arrays share one."""
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constant_names:
            self._constant_names[key] = self.values.unique(name)
            self.constants[self._constant_names[key]] = array
        return self._constant_names[key]

    def ints(self, values: Sequence[int | Extent]) -> str:
        """An int64 vector; with sizes that only the running file knows it is computed there."""
        if all(map(is_known, values)):
            return self.constant(np.array(values, dtype=np.int64))
        parts = [self.extent(value) for value in values]
        return parts[0] if len(parts) == 1 else self.node("Concat", "sizes/Concat", parts, {"axis": 0}).outputs[0]

    def extent(self, value: int | Extent) -> str:
        """A size as a vector of one number."""
        if isinstance(value, int):
            return self.constant(np.array([value], dtype=np.int64))
        if value not in self._extents:
            self._extents[value] = self._new_extent(value)
        return self._extents[value]

    def _new_extent(self, value: Extent) -> str:
        if value.op == "unknown":
            raise Unanswered
        if value.op == "size":
            name, axis = value.args
            shape = self.node("Shape", "sizes/Shape", [name]).outputs[0]
            return self.node("Gather", "sizes/Gather", [shape, self.extent(axis)]).outputs[0]
        left, right = (self.extent(each) for each in value.args)
        if value.op == "Div":
            # ONNX divides towards zero, Python downwards.
            rest = self.node("Mod", "sizes/Mod", [left, right]).outputs[0]
            left = self.node("Sub", "sizes/Sub", [left, rest]).outputs[0]
        return self.node(value.op, f"sizes/{value.op}", [left, right]).outputs[0]

    def node(
        self, op: str, name: str, inputs: Sequence[str], attributes: Mapping[str, Any] | None = None, outputs: int = 1
    ) -> OnnxNode:
        """Append a node called `name`, and its values likewise."""
        schema = _schema(op, self.opset)
        given = attributes or {}
        if any(
            isinstance(value, list | tuple) and any(isinstance(v, Extent) for v in value) for value in given.values()
        ):
            raise Unanswered
        typed = {key: _typed(schema, key, value) for key, value in given.items() if value is not None}
        values = [self.values.unique(name) for _ in range(outputs)]
        present = list(inputs)
        while present and not present[-1]:
            present.pop()
        node = OnnxNode(op, self.node_names.unique(name), present, values, typed)
        self.nodes.append(node)
        return node

    def rename(self, old: str, new: str, since: int = 0) -> None:
        """Call the value `old` by `new` in all nodes from number `since` on."""
        for node in self.nodes[since:]:
            node.inputs = [new if value == old else value for value in node.inputs]
            node.outputs = [new if value == old else value for value in node.outputs]
        if old in self.shapes:
            self.shapes[new] = self.shapes.pop(old)

    def layer(
        self, node: LayerNode, input: str, operands: tuple[str, ...] = (), running: LayerNode | None = None
    ) -> str:
        """Append a layer's nodes; the last one, and the layer's output, get the layer's name.

        `running` is the same node with the sizes that only the running file knows.
        """
        running = running or node
        start = len(self.nodes)
        builder = GraphBuilder(self, node, input, operands)
        try:
            output = running.layer.onnx(running.input, running.output, builder)
        except Unanswered:
            reason = "what it computes depends on a size that is known only when the file runs"
            raise Rejected(NotDynamic(f"`{node.kind}`", reason)) from None
        last = next((inner for inner in self.nodes[start:] if output in inner.outputs), None)
        if last is None:
            return output
        name = node.name or node.layer.kind
        last.name = self.node_names.unique(name)
        value = self.values.unique(name)
        self.rename(output, value, start)
        self.shapes[value] = node.output
        return value


class GraphBuilder:
    """What a layer's `onnx` method writes to: the archdsl.layers.base.OnnxBuilder of one layer of a graph."""

    def __init__(self, graph: OnnxGraph, node: LayerNode, input: str, operands: tuple[str, ...] = ()) -> None:
        self.opset = graph.opset
        self.input = input
        self.operands = operands
        self._graph = graph
        # With the weight that a parametrization computes, which the file holds.
        self._entries = node.layer.weights(node.input) | node.layer.buffers(node.input)
        self._scope = node.name or node.layer.kind
        self._node = node

    def has(self, name: str) -> bool:
        return name in self._entries

    def weight(self, name: str) -> str:
        return self._graph.weight(self._node.key(name))

    def ints(self, values: Sequence[int]) -> str:
        return self._graph.ints(values)

    def floats(self, values: Sequence[float], shape: Sequence[int] | None = None) -> str:
        if not all(map(is_known, shape or ())):
            raise Unanswered
        array = np.array(values, dtype=np.float32)
        return self._graph.constant(array if shape is None else array.reshape(shape))

    def scalar(self, value: float) -> str:
        return self._graph.constant(np.array(value, dtype=np.float32))

    def integer(self, value: int) -> str:
        if is_known(value):
            return self._graph.constant(np.array(value, dtype=np.int64))
        return self.node("Squeeze", self.ints([value]), self.ints([0]))

    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        return self._graph.node(op, f"{self._scope}/{op}", inputs, attributes, outputs).outputs[0]


def _is_written(value: object) -> bool:
    """Whether a value can stand in a file."""
    return not isinstance(value, Extent)


@cache
def _schema(op: str, opset: int) -> defs.OpSchema:
    try:
        return defs.get_schema(op, opset, "")
    except defs.SchemaError:
        versions = [schema.since_version for schema in defs.get_all_schemas_with_history() if schema.name == op]
        if not versions:
            raise
        raise Rejected(
            OperatorNotInOpset(op, min(versions), opset), help=f"export with opset={min(versions)} or later"
        ) from None


def _typed(schema: defs.OpSchema, name: str, value: Any) -> Any:
    """An attribute's value in the type the operator declares: 1 for a float attribute would be an int otherwise."""
    declared = schema.attributes.get(name)
    if declared is not None and declared.type == defs.OpSchema.AttrType.FLOAT:
        return struct.unpack("f", struct.pack("f", value))[0]
    if declared is not None and declared.type == defs.OpSchema.AttrType.INT:
        return int(value)
    return value


def to_proto(node: OnnxNode) -> onnx.NodeProto:
    """The node as protobuf."""
    return onnx.helper.make_node(node.op, node.inputs, node.outputs, name=node.name, **node.attributes)
