"""The checked graph as an ONNX model: a fold over its operations, each layer writing its own nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from archdsl.arguments.values import stored_settings
from archdsl.backends.onnx.builder import Array, Names, OnnxGraph, to_proto
from archdsl.backends.onnx.dynamic import Dynamic, running_node
from archdsl.backends.onnx.passes import (
    arrays_of,
    broadcast_parameters,
    compute_constants,
    drop_unused,
    fold,
    merge_equal,
)
from archdsl.diagnostics import Diagnostic, Help, Rejected, SpecError
from archdsl.diagnostics.codes.commands import WrongNormalisation, WrongOpset
from archdsl.graph import AnyNode, LayerNode
from archdsl.graph.lower import JOINS, Step
from archdsl.graph.network import Network
from archdsl.shapes import Shape
from archdsl.version import __version__

#: The first and the last opset that can be written.
OPSETS = (13, 23)
OUTPUT = "output"
#: ONNX's element types.
ELEMENTS = {"float32": onnx.TensorProto.FLOAT, "int64": onnx.TensorProto.INT64}
#: The name of the dynamic batch axis.
BATCH = "batch"

#: Mean and standard deviation of the input, each one number or one for each channel.
Normalization = tuple[Sequence[float], Sequence[float]]


def emit(
    network: Network,
    weights: Mapping[str, Array],
    *,
    opset: int = 20,
    fold_batchnorm: bool = True,
    normalize: Normalization | None = None,
    dynamic: Dynamic | None = None,
) -> onnx.ModelProto:
    """The network in eval mode as an ONNX model with all its weights inside, for all sizes that `dynamic` tells.

    `weights` has the state_dict's keys; entries that eval mode does not need may be absent. The inputs are
    the network's by their names, `input` without one, the outputs `output` and the network's named ones; the
    batch axis is dynamic and auxiliary heads are left out. With `normalize` = (mean, std) the file starts
    with (x - mean) / std of the first input. Raises SpecError where the weights or the opset do not fit.
    """
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise SpecError([Diagnostic(WrongOpset(opset, *OPSETS), path=network.path)])
    names = output_names(network)
    graph = OnnxGraph(opset, Names([*network.inputs, *names]))
    outputs = _Emitter(graph, network, dynamic).run(normalize)
    _name_outputs(graph, outputs, names, list(network.inputs))
    drop_unused(graph, names)
    arrays = compute_constants(graph, arrays_of(graph, network, weights))
    arrays = broadcast_parameters(graph, arrays, names)
    if fold_batchnorm:
        arrays = fold(graph, arrays, names)
    return _model(network, graph, merge_equal(graph, arrays), names, dynamic)


def node_count(model: onnx.ModelProto) -> int:
    """The number of nodes of a model, those of its functions counted where they are called."""
    bodies = {(function.domain, function.name): function for function in model.functions}

    def count(nodes: Sequence[onnx.NodeProto]) -> int:
        inner = (bodies.get((node.domain, node.op_type)) for node in nodes)
        return sum(1 if body is None else count(body.node) for body in inner)

    return count(model.graph.node)


def output_names(network: Network) -> list[str]:
    """The file's names for the outputs of eval mode: `output`, then the named ones."""
    names = Names(list(network.inputs))
    return [names.unique(name) for name in (OUTPUT, *(tap.name for tap in network.outputs))]


class _Emitter:
    """Appends the nodes of a network: a fold over its operations."""

    def __init__(self, graph: OnnxGraph, network: Network, dynamic: Dynamic | None = None) -> None:
        self.graph = graph
        self.network = network
        self.dynamic = dynamic

    def run(self, normalize: Normalization | None) -> list[str]:
        """Append everything; returns the names of the outputs."""
        program = self.network.program
        names = dict(zip(program.inputs, self.network.inputs, strict=True))
        if normalize is not None:
            names[program.input] = self.normalize(names[program.input], normalize)
        for i, step in enumerate(program.operations):
            running = None
            if self.dynamic is not None and isinstance(step.node, LayerNode):
                running = running_node(self.dynamic, i, step, step.node, names)
            outputs = self.step(step, [names[value.source] for value in step.inputs], running)
            names.update(zip(step.outputs, outputs, strict=True))
            for name, value in zip(outputs, step.outputs, strict=True):
                if self.dynamic is not None and name in self.graph.shapes:
                    self.graph.shapes[name] = self.dynamic.shape(value)
        return [names[value.source] for value in program.outputs]

    def normalize(self, x: str, normalize: Normalization) -> str:
        """(x - mean) / std as the first two nodes."""
        mean, std = statistics(normalize, self.network)
        mean_name = self.graph.constant(mean, "normalize/mean")
        std_name = self.graph.constant(std, "normalize/std")
        centred = self.graph.node("Sub", "normalize/Sub", [x, mean_name])
        return self.graph.node("Div", "normalize/Div", [*centred.outputs, std_name]).outputs[0]

    def step(self, step: Step, inputs: list[str], running: LayerNode | None) -> list[str]:
        """Append the nodes of an operation; returns the names of its outputs."""
        if isinstance(step.node, LayerNode):
            return [self.layer(step.node, running, *inputs)]
        if step.op == "split":
            sizes = self.graph.ints([value.shape.channels for value in step.outputs])
            name = _inner_name(step.node, "Split")
            return self.graph.node("Split", name, [inputs[0], sizes], {"axis": 1}, len(step.outputs)).outputs
        return [self.join(step, inputs)] if step.outputs else []

    def layer(self, node: LayerNode, running: LayerNode | None, x: str, *operands: str) -> str:
        try:
            return self.graph.layer(node, x, operands, running)
        except Rejected as rejected:
            helps = (Help(rejected.help),) if rejected.help else ()
            path = self.network.path
            placed = Diagnostic(rejected.problem, node.span, helps=helps, chain=node.chain, path=path)
            raise SpecError([placed]) from None

    def join(self, step: Step, inputs: list[str]) -> str:
        """One operator, with the name of the node where it makes the node's output."""
        join, [output] = JOINS[step.op], step.outputs
        op = join.several if len(inputs) > 2 and join.several else join.onnx
        ends = step.node.label is not None and output.shape == step.node.output
        name = step.node.name if ends else _inner_name(step.node, op)
        attributes = {"axis": 1} if op == "Concat" else {}
        while len(inputs) > 2 and not join.several:
            inputs = [self.graph.node(op, _inner_name(step.node, op), inputs[:2], attributes).outputs[0], *inputs[2:]]
        value = self.graph.node(op, name, inputs, attributes).outputs[0]
        self.graph.shapes[value] = output.shape
        return value


def _inner_name(node: AnyNode, op: str) -> str:
    """The name of a combinator's node that has none in the spec: no label holds a slash."""
    return f"{node.name}/{op}" if node.name else op


def statistics(normalize: Normalization, network: Network) -> tuple[Array, Array]:
    """Mean and standard deviation in a shape that broadcasts over the input's spatial axes."""
    shape = network.input_shape
    mean, std = (np.asarray(values, dtype=np.float32).reshape(-1) for values in normalize)
    reason = ""
    if not {mean.size, std.size} <= {1, shape.channels}:
        reason = f"{mean.size} means and {std.size} deviations for the {shape.channels} channels of the input {shape}"
    elif not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
        reason = (
            f"means must be finite and standard deviations greater than 0, found {mean.tolist()} and {std.tolist()}"
        )
    if reason:
        raise SpecError([Diagnostic(WrongNormalisation(reason), path=network.path)])
    sizes = (-1, *[1] * shape.rank)
    return mean.reshape(sizes), std.reshape(sizes)


def _name_outputs(graph: OnnxGraph, values: Sequence[str], names: Sequence[str], inputs: Sequence[str]) -> None:
    """Give the output values their names; one that is an input, or an output already, goes through an Identity."""
    renamed: dict[str, str] = {}
    for value, name in zip(values, names, strict=True):
        if value in inputs or value in renamed:
            source = renamed.get(value, value)
            node = graph.node("Identity", f"{name}/Identity", [source])
            graph.rename(node.outputs[0], name)
        else:
            graph.rename(value, name)
            renamed[value] = name


def _model(
    network: Network,
    graph: OnnxGraph,
    arrays: Mapping[str, Array],
    names: Sequence[str],
    dynamic: Dynamic | None,
) -> onnx.ModelProto:
    shapes = [value.shape if dynamic is None else dynamic.shape(value) for value in network.program.outputs]
    outputs = [tensor_info(name, shape) for name, shape in zip(names, shapes, strict=True)]
    inputs = network.inputs if dynamic is None else dynamic.input_shapes
    produced = {value for node in graph.nodes for value in node.outputs} - set(names)
    proto = helper.make_graph(
        [to_proto(node) for node in graph.nodes],
        network.name,
        [tensor_info(name, shape) for name, shape in inputs.items()],
        outputs,
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
        value_info=[tensor_info(value, shape) for value, shape in graph.shapes.items() if value in produced],
    )
    opset = helper.make_opsetid("", graph.opset)
    model = helper.make_model(
        proto,
        opset_imports=[opset],
        ir_version=helper.find_min_ir_version_for([opset]),
        producer_name="archdsl",
        producer_version=__version__,
    )
    helper.set_model_props(model, metadata(network))
    return model


def metadata(network: Network) -> dict[str, str]:
    """What the file says about its origin, as strings: the spec's text, the model and its settings."""
    return {
        "archdsl.version": __version__,
        "archdsl.model": network.name,
        "archdsl.settings": json.dumps(stored_settings(network.settings)),
        "archdsl.path": network.path,
        "archdsl.spec": network.spec,
    }


def tensor_info(name: str, shape: Shape) -> onnx.ValueInfoProto:
    """A value with the dynamic batch axis before `shape`, in which an axis may have a name or None for its size."""
    return helper.make_tensor_value_info(name, ELEMENTS[shape.dtype], [BATCH, *shape])
