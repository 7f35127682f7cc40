"""A checked network: what `archdsl.load` returns. Its figures are folds over the graph, without torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, assert_never

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
)
from archdsl.receptive_field import ReceptiveField
from archdsl.shapes import BYTES, Shape, Tensor
from archdsl.source import Span

if TYPE_CHECKING:
    from torch import nn


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
    settings   the model's parameters with the values they have here
    root       the graph
    outputs    the taps the model returns besides its last tensor (`output(a, b)`)
    spec       the text of the spec, with the imported files' after it
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
        from archdsl.graph import walk

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
            prefix = f"{node.name}." if node.name else ""
            entries |= {prefix + name: tensor for name, tensor in (node.weights | node.buffers).items()}
        return entries

    def build(self, *, seed: int | None = None) -> nn.Module:
        """The network as a torch.nn.Module, freshly initialised (from `seed`, where one is given)."""
        from archdsl.torch import build

        return build(self, seed=seed)


def _rows(root: Group) -> Iterator[LayerInfo]:
    fields: dict[int, ReceptiveField] = {}
    rows: list[LayerInfo] = []
    _visit(root, ReceptiveField.of_input(root.input), fields, rows, aux=False)
    return iter(rows)


def _visit(
    node: AnyNode, field: ReceptiveField, taps: dict[int, ReceptiveField], rows: list[LayerInfo], *, aux: bool
) -> ReceptiveField:
    """Append the rows of a node; returns the receptive field behind it."""

    def visit(inner: AnyNode, before: ReceptiveField) -> ReceptiveField:
        return _visit(inner, before, taps, rows, aux=aux)

    match node:
        case LayerNode():
            after = node.layer.receptive_field(field, node.input, node.output)
            for tap in node.operands:
                after = after.join(taps[tap.id])
            rows.append(_row(node, after, aux=aux))
        case Use():
            after = taps[node.tap.id]
        case Group():
            after = field
            for inner in node.body:
                after = visit(inner, after)
        case Residual():
            after = visit(node.body, field)
            after = after.join(field if node.shortcut is None else visit(node.shortcut, field))
        case Inception() | Sum() | Split():
            ends = [visit(branch, field) for branch in node.branches]
            after = ends[0]
            for end in ends[1:]:
                after = after.join(end)
        case Dense():
            after = field
            for item in node.items:
                after = after.join(visit(item, after))
        case Scale():
            after = field.join(visit(node.body, field))
        case Aux():
            _visit(node.body, field, taps, rows, aux=True)
            after = field
        case _:
            assert_never(node)
    for tap in node.taps:
        taps[tap.id] = after
    return after


def _row(node: LayerNode, field: ReceptiveField, *, aux: bool) -> LayerInfo:
    weights = {} if node.shared else node.weights
    buffers = {} if node.shared else node.buffers
    params = sum(tensor.numel for tensor in weights.values())
    return LayerInfo(
        name=node.name,
        kind=node.kind,
        input=node.input,
        output=node.output,
        params=params,
        trainable_params=params if node.trainable else 0,
        macs=node.macs,
        param_bytes=sum(tensor.nbytes for tensor in weights.values()),
        buffer_bytes=sum(tensor.nbytes for tensor in buffers.values()),
        activation_bytes=node.output.numel * BYTES["float32"],
        receptive_field=field.sizes,
        span=node.span,
        chain=node.chain,
        shared=node.shared,
        aux=aux,
    )
