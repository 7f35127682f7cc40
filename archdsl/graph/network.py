"""A checked network: what `archdsl.load` returns. Its figures are folds over the graph, without torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any, NamedTuple, assert_never

from archdsl.arguments.values import spec_text
from archdsl.diagnostics import Frame
from archdsl.graph import (
    AnyNode,
    Aux,
    Dense,
    Group,
    Inception,
    LayerNode,
    Residual,
    Scale,
    Split,
    Sum,
    Tap,
    Use,
    layer_nodes,
    walk,
)
from archdsl.shapes import BYTES, Shape, Tensor, in_module_order
from archdsl.shapes.receptive_field import ReceptiveField
from archdsl.text.source import Span


@dataclass(frozen=True, slots=True)
class LayerInfo:
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
    spec       a text that the network can be made from again without other files
    recipe     the entries of the `train` block as values with their places, None without one
    """

    name: str
    settings: Mapping[str, Any]
    root: Group
    outputs: tuple[Tap, ...] = ()
    spec: str = ""
    path: str = ""
    recipe: Any = field(default=None)

    @property
    def title(self) -> str:
        """The model as a spec could call it: `resnet18(classes=10)`."""
        settings = ", ".join(f"{name}={spec_text(value)}" for name, value in self.settings.items())
        return f"{self.name}({settings})" if settings else self.name

    @property
    def input_shape(self) -> Shape:
        return self.root.input

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
    def layers(self) -> tuple[LayerInfo, ...]:
        """Every layer in execution order, each as often as it runs."""
        return tuple(_rows(self.root))

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
        return frozenset(prefix for name in names for prefix in _prefixes(name))

    @cached_property
    def trained(self) -> tuple[str, ...]:
        """The names of the parameters that the spec does not freeze."""
        layers = [node for node in layer_nodes(self.root) if not node.shared]
        return tuple(node.key(name) for node in layers for name in node.weights if name not in node.frozen)


def _prefixes(name: str) -> Iterator[str]:
    """`a`, `a.b` and `a.b.c` of `a.b.c`."""
    parts = name.split(".") if name else []
    return (".".join(parts[: i + 1]) for i in range(len(parts)))


def _rows(root: Group) -> Iterator[LayerInfo]:
    rows = _Rows()
    rows.visit(root, ReceptiveField.of_input(root.input), aux=False)
    return iter(rows.rows)


class _Figures(NamedTuple):
    """What a layer on an input amounts to, wherever it stands."""

    params: int
    macs: int
    param_bytes: int
    buffer_bytes: int


class _Rows:
    """One walk that makes the rows, with the receptive field behind each node."""

    def __init__(self) -> None:
        self.rows: list[LayerInfo] = []
        self._taps: dict[int, ReceptiveField] = {}
        #: Repeated layers are the same object on the same shape.
        self._figures: dict[tuple[int, Shape], _Figures] = {}

    def visit(self, node: AnyNode, before: ReceptiveField, *, aux: bool) -> ReceptiveField:
        """Append the rows of a node; returns the receptive field behind it."""
        match node:
            case LayerNode():
                after = node.layer.receptive_field(before, node.input, node.output)
                for tap in node.operands:
                    after = after.join(self._taps[tap.id])
                self.rows.append(self._row(node, after, aux=aux))
            case Use():
                after = self._taps[node.tap.id]
            case Group():
                after = before
                for inner in node.body:
                    after = self.visit(inner, after, aux=aux)
            case Residual():
                after = self.visit(node.body, before, aux=aux)
                after = after.join(before if node.shortcut is None else self.visit(node.shortcut, before, aux=aux))
            case Inception() | Sum() | Split():
                first, *others = [self.visit(branch, before, aux=aux) for branch in node.branches]
                after = reduce(ReceptiveField.join, others, first)
            case Dense():
                after = before
                for item in node.items:
                    after = after.join(self.visit(item, after, aux=aux))
            case Scale():
                after = before.join(self.visit(node.body, before, aux=aux))
            case Aux():
                self.visit(node.body, before, aux=True)
                after = before
            case _:
                assert_never(node)
        for tap in node.taps:
            self._taps[tap.id] = after
        return after

    def _row(self, node: LayerNode, field: ReceptiveField, *, aux: bool) -> LayerInfo:
        key = (id(node.layer), node.input)
        figures = self._figures.get(key) or self._figures.setdefault(key, _figures(node))
        params, macs, param_bytes, buffer_bytes = figures
        if node.shared:
            params = param_bytes = buffer_bytes = 0
        frozen = 0 if node.shared else sum(node.weights[name].numel for name in node.frozen)
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
            activation_bytes=node.output.numel * BYTES["float32"],
            receptive_field=field.sizes,
            span=node.span,
            chain=node.chain,
            shared=node.shared,
            aux=aux,
        )


def _figures(node: LayerNode) -> _Figures:
    weights, buffers = node.weights.values(), node.buffers.values()
    return _Figures(
        params=sum(tensor.numel for tensor in weights),
        macs=node.macs,
        param_bytes=sum(tensor.nbytes for tensor in weights),
        buffer_bytes=sum(tensor.nbytes for tensor in buffers),
    )
