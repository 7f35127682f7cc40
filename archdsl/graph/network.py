"""A checked network: what `archdsl.load` returns. Its figures are folds over the graph, without torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.arguments.values import spec_text
from archdsl.diagnostics import Frame
from archdsl.graph import Aux, Group, LayerNode, Tap, layer_nodes, walk
from archdsl.graph.integers import integer_limits
from archdsl.graph.lower import Program, Value, lower
from archdsl.graph.memory import Peak, in_pytorch, planned
from archdsl.graph.requirement import Requirement
from archdsl.graph.traverse import prefixes
from archdsl.shapes import BYTES, Shape, Tensor, in_module_order
from archdsl.shapes.receptive_field import ReceptiveField
from archdsl.text.source import Span

#: An axis whose size an expression of the spec read, None for all of them, and the shape of the tensor.
Read = tuple[int | None, Shape]

if TYPE_CHECKING:
    from archdsl.graph.training_memory import Precision, TrainingMemory


class LayerInfo(NamedTuple):
    """One layer as people and tools read it. All shapes are without the batch axis.

    `params`, `macs` and the bytes are this layer's own; a `shared` layer runs on an earlier one's weights,
    so its `params` are 0. `aux` layers run in training only.
    """

    name: str
    kind: str
    input: Shape
    output: Shape
    params: int
    trainable_params: int
    macs: int
    param_bytes: int
    buffer_bytes: int
    activation_bytes: int
    receptive_field: tuple[int, ...]
    span: Span
    chain: tuple[Frame, ...]
    shared: bool = False
    aux: bool = False

    def __repr__(self) -> str:
        place = f"line {self.line}" + (", shared" if self.shared else "") + (", aux" if self.aux else "")
        figures = f"{self.params:,} parameters, {self.macs:,} MACs"
        return f"<LayerInfo {self.name}: {self.kind} {self.input} -> {self.output}, {figures}, {place}>"

    @property
    def flops(self) -> int:
        """Two for each multiply-add."""
        return 2 * self.macs

    @property
    def line(self) -> int:
        return self.span.line


@dataclass(frozen=True)
class Network:
    """A model of a spec, expanded and checked.

    name       the model's name in the spec
    settings   the model's parameters with the values they have here, which make the same network again from `spec`;
               a layer or block is a Construct
    root       the graph
    outputs    the taps the model returns besides its last tensor (`output(a, b)`)
    requirements  the bounds that `require { }` sets
    named_inputs  the inputs in order, if they have names
    spec       a text that the network can be made from again without other files
    recipe     the entries of the `train` block as values with their places, None without one
    reads      the sizes of tensors that the spec's expressions read (`height`)
    """

    name: str
    settings: Mapping[str, Any]
    root: Group
    outputs: tuple[Tap, ...] = ()
    spec: str = ""
    path: str = ""
    recipe: Any = field(default=None)
    requirements: tuple[Requirement, ...] = ()
    named_inputs: tuple[Tap, ...] = ()
    reads: frozenset[Read] = frozenset()

    @property
    def title(self) -> str:
        """The model as a spec could call it: `resnet18(classes=10)`."""
        settings = ", ".join(f"{name}={spec_text(value)}" for name, value in self.settings.items())
        return f"{self.name}({settings})" if settings else self.name

    @property
    def input_shape(self) -> Shape:
        """The shape of the first input."""
        return self.root.input

    @cached_property
    def inputs(self) -> dict[str, Shape]:
        """The shapes of all inputs by name, in the order of `forward`; one without a name is called `input`."""
        return {tap.name: tap.shape for tap in self.named_inputs} or {"input": self.input_shape}

    @cached_property
    def integer_limits(self) -> dict[str, int]:
        """For each input of integers that an embedding reads, a number that all of them have to be below."""
        return integer_limits(self.program, self.inputs)

    @property
    def input_sizes(self) -> tuple[int, ...] | dict[str, tuple[int, ...]]:
        """The sizes with which the same network is loaded again."""
        if not self.named_inputs:
            return tuple(self.input_shape)
        return {name: tuple(shape) for name, shape in self.inputs.items()}

    @property
    def output_shape(self) -> Shape:
        return self.root.output

    @cached_property
    def output_shapes(self) -> dict[str, Shape]:
        """All outputs by name: `out`, then the named ones, then those that exist in training only."""
        shapes = {"out": self.output_shape} | {tap.name: tap.shape for tap in self.outputs}
        return shapes | {aux.output_name: aux.body.output for aux in self.aux}

    @cached_property
    def aux(self) -> tuple[Aux, ...]:
        """The auxiliary heads, in execution order."""
        return tuple(node for node in walk(self.root) if isinstance(node, Aux))

    @cached_property
    def program(self) -> Program:
        """The network as a list of steps, which the back ends read."""
        return lower(self.root, self.outputs, self.named_inputs)

    @cached_property
    def layers(self) -> tuple[LayerInfo, ...]:
        """Every layer in execution order, each as often as it runs."""
        return tuple(_rows(self.program))

    @cached_property
    def fields(self) -> dict[str, ReceptiveField]:
        """The receptive field of the output of each layer and scope by name, where one runs several times of the last.

        Its `axes` tell which axes of that tensor run along which spatial axes of the input.
        """
        fields, found = dict(receptive_fields(self.program)), {}
        for step in self.program.steps:
            if step.op in {"layer", "exit"} and step.outputs:
                [value] = step.outputs
                found[step.node.name] = fields[value.source]
        return found

    @cached_property
    def params(self) -> int:
        return sum(layer.params for layer in self.layers)

    @cached_property
    def trainable_params(self) -> int:
        return sum(layer.trainable_params for layer in self.layers)

    @cached_property
    def macs(self) -> int:
        """Multiply-adds of one forward pass in eval mode for one sample; auxiliary heads do not run then."""
        return sum(layer.macs for layer in self.layers if not layer.aux)

    @property
    def flops(self) -> int:
        """Two for each multiply-add."""
        return 2 * self.macs

    @cached_property
    def param_bytes(self) -> int:
        return sum(layer.param_bytes for layer in self.layers)

    @cached_property
    def buffer_bytes(self) -> int:
        return sum(layer.buffer_bytes for layer in self.layers)

    @cached_property
    def activation_bytes(self) -> int:
        """Bytes of the outputs of all layers that run in eval mode, one sample, float32."""
        return sum(layer.activation_bytes for layer in self.layers if not layer.aux)

    @cached_property
    def peak(self) -> Peak:
        """The peak memory of inference in a runtime that plans its memory: one sample, float32, weights apart."""
        return planned(self.program)

    @cached_property
    def peak_in_pytorch(self) -> Peak:
        """The same in the module that `build` returns, in eval mode without gradients."""
        return in_pytorch(self.root, self.program)

    @property
    def peak_memory(self) -> int:
        """The bytes of `peak`."""
        return self.peak.bytes

    def training_memory(self, *, batch: int | None = None, precision: Precision | None = None) -> TrainingMemory:
        """The memory of a step of training with the network's recipe.

        Args:
            batch: the samples of a step, instead of the recipe's.
            precision: "fp32", "bf16" or "fp16", instead of the recipe's.

        Raises:
            SpecError: the recipe has errors.
        """
        from archdsl.graph.training_memory import training_memory
        from archdsl.recipe import read_recipe

        recipe = read_recipe(self.recipe)
        return training_memory(
            self.root,
            self.program,
            batch=batch or recipe.batch,
            parts=recipe.accumulate,
            precision=precision or recipe.precision,
            frozen=recipe.freeze,
            states=recipe.optimizer.states,
            is_averaged=recipe.ema is not None,
        )

    @cached_property
    def depth(self) -> int:
        """The layers with a kernel or matrix on the longest way through the network: 50 for ResNet-50."""
        program = self.program
        found: dict[Value, int] = dict.fromkeys(program.inputs, 0)
        for step in program.operations:
            deepest = max(found[value.source] for value in step.inputs)
            if isinstance(step.node, LayerNode):
                deepest += any(len(tensor.shape) > 1 for tensor in step.node.weights.values())
            found |= dict.fromkeys(step.outputs, deepest)
        return max(found[value.source] for value in program.outputs)

    @cached_property
    def state(self) -> dict[str, Tensor]:
        """The entries of the state_dict by their keys: parameters and buffers, in PyTorch's order of layers."""
        entries: dict[str, Tensor] = {}
        for node in layer_nodes(self.root):
            entries |= {node.key(name): tensor for name, tensor in (node.weights | node.buffers).items()}
        return in_module_order(entries)

    @cached_property
    def labels(self) -> frozenset[str]:
        """The names of all parts and parameters, as the module has them: what a recipe's labels may be."""
        names = {node.name for node in walk(self.root)}
        names |= {node.key(name) for node in layer_nodes(self.root) for name in node.weights}
        return frozenset(prefix for name in names for prefix in prefixes(name))

    @cached_property
    def trained(self) -> tuple[str, ...]:
        """The names of the parameters that the spec does not freeze."""
        layers = [node for node in layer_nodes(self.root) if not node.shared]
        return tuple(node.key(name) for node in layers for name in node.weights if name not in node.frozen)


def _rows(program: Program) -> Iterator[LayerInfo]:
    """The rows of all layers, each with the receptive field of its output."""
    #: A repeated layer is the same object on the same shape.
    figures: dict[tuple[int, Shape], _Figures] = {}
    fields = dict(receptive_fields(program))
    for step in program.operations:
        node = step.node
        if isinstance(node, LayerNode):
            key = (id(node.layer), node.input)
            if key not in figures:
                figures[key] = _figures(node)
            yield _row(node, fields[step.outputs[0]], figures[key], aux=step.aux)


def receptive_fields(program: Program) -> Iterator[tuple[Value, ReceptiveField]]:
    """Each tensor with its receptive field, in the first input that it depends on."""
    fields = {x: {i: ReceptiveField.of_input(x.shape)} for i, x in enumerate(program.inputs)}
    for step in program.operations:
        node = step.node
        first, *others = step.inputs
        found = fields[first.source]
        if isinstance(node, LayerNode):
            found = {i: node.layer.receptive_field(field, node.input, node.output) for i, field in found.items()}
        # A join with a mistake inside has no output shape; outputs may have any number of axes.
        for other in others if node.output and step.outputs else ():
            joined = fields[other.source]
            if isinstance(node, LayerNode):
                joined = {i: node.layer.operand_field(field, other.shape) for i, field in joined.items()}
            found = _joined(found, joined)
        for value in step.outputs:
            fields[value] = found
    return ((value, _shown(found)) for value, found in fields.items())


def _joined(fields: _Fields, others: _Fields) -> _Fields:
    """The fields after a join of two tensors."""
    return fields | {i: fields[i].join(other) if i in fields else other for i, other in others.items()}


def _shown(fields: _Fields) -> ReceptiveField:
    """The field of a row: in the first input that the tensor depends on."""
    first, *others = fields.values()
    return next((field for field in (first, *others) if any(field.size)), first) if others else first


#: The receptive fields of a tensor in the network's inputs, by their numbers.
_Fields = dict[int, ReceptiveField]
#: Parameters, multiply-adds, bytes of parameters and bytes of buffers.
_Figures = tuple[int, int, int, int]


def _row(node: LayerNode, field: ReceptiveField, figures: _Figures, *, aux: bool) -> LayerInfo:
    params, macs, param_bytes, buffer_bytes = figures
    frozen = sum(node.weights[name].numel for name in node.frozen)
    if node.shared:
        params = param_bytes = buffer_bytes = frozen = 0
    return LayerInfo(
        name=node.name,
        kind=node.kind,
        input=node.input,
        output=node.output,
        params=params,
        trainable_params=params - frozen,
        macs=macs,
        param_bytes=param_bytes,
        buffer_bytes=buffer_bytes,
        activation_bytes=node.output.numel * BYTES[node.output.dtype],
        receptive_field=field.sizes,
        span=node.span,
        chain=node.chain,
        shared=node.shared,
        aux=aux,
    )


def _figures(node: LayerNode) -> _Figures:
    weights = [(tensor.numel, BYTES[tensor.dtype]) for tensor in node.weights.values()]
    params = sum([count for count, _ in weights])
    param_bytes = sum([count * size for count, size in weights])
    return params, node.macs, param_bytes, sum([tensor.nbytes for tensor in node.buffers.values()])
