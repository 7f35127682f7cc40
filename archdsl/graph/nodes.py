"""The checked graph: a frozen tree of nodes with every shape known. All back ends read it and nothing else.

A node takes the current tensor and leaves the next. Layers are the leaves; the combinators are a closed
set of inner nodes, to be matched exhaustively. A node with a `label` opens the scope `name` (a layer's
name is its state_dict prefix); one without is transparent: its children belong to the scope around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.diagnostics import Frame
from archdsl.shapes import Shape, Tensor
from archdsl.text.record import Record
from archdsl.text.source import Span

if TYPE_CHECKING:
    from archdsl.layers.base import Layer
    from archdsl.layers.initializers import Initializer


@dataclass(frozen=True, slots=True)
class Tap:
    """A tensor kept under a name for later (`-> name`). `id` is unique in the network."""

    id: int
    name: str
    shape: Shape


class Node(Record, kw_only=True):
    """What all nodes have.

    name    the state_dict prefix of the node, or of the scope around a transparent one ("" is the model)
    label   the last part of `name`, or None for a transparent node
    taps    the names under which this node's output is kept
    shared  made by `reuse`: it runs on the weights of an earlier node of the same name
    """

    name: str
    label: str | None
    input: Shape
    output: Shape
    span: Span
    chain: tuple[Frame, ...] = ()
    taps: tuple[Tap, ...] = ()
    shared: bool = False

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(getattr(self, one) == getattr(other, one) for one in self._fields)

    def __hash__(self) -> int:
        return hash((type(self), self.name, self.span))


class LayerNode(Node, kw_only=True):
    """A layer. `operands` are the taps it takes besides the current tensor.

    `frozen` are the names of the weights that training leaves as they are.
    """

    layer: Layer
    operands: tuple[Tap, ...] = ()
    init: Mapping[str, Initializer] = {}
    frozen: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        return self.layer.kind

    @property
    def weights(self) -> dict[str, Tensor]:
        return self.layer.weights(self.input)

    @property
    def buffers(self) -> dict[str, Tensor]:
        return self.layer.buffers(self.input)

    @property
    def macs(self) -> int:
        return self.layer.macs(self.input, self.output)

    def key(self, name: str) -> str:
        """The state_dict's key of the layer's weight or buffer `name`."""
        if self.layer.is_parameter:
            return self.name
        return f"{self.name}.{name}" if self.name else name


class Group(Node, kw_only=True):
    """`{ }`, a block call or the model itself: one node after the other. `block` is the block's name, if it is one."""

    body: tuple[AnyNode, ...]
    block: str | None = None


class Use(Node, kw_only=True):
    """`use(tap)`: the current tensor is dropped, the tap's takes its place. Never labelled."""

    tap: Tap


class Residual(Node, kw_only=True):
    """`residual { }`: shortcut(x) + body(x). `shortcut` is None for the identity."""

    body: Group
    shortcut: Group | None = None


class Inception(Node, kw_only=True):
    """`inception { }`: every branch on x, concatenated on channels."""

    branches: tuple[AnyNode, ...]


class Sum(Node, kw_only=True):
    """`sum { }`: every branch on x, added."""

    branches: tuple[AnyNode, ...]


class Dense(Node, kw_only=True):
    """`dense { }`: x becomes [x, f(x)] on channels for each item f in turn."""

    items: tuple[AnyNode, ...]


class Scale(Node, kw_only=True):
    """`scale { }`: x * body(x), broadcast."""

    body: Group


class Split(Node, kw_only=True):
    """`split(k) { }`: x cut into as many equal parts on channels as there are branches, each its own, concatenated."""

    branches: tuple[AnyNode, ...]


class Aux(Node, kw_only=True):
    """`aux { }`: x goes on unchanged; in training the body is one more output of the model, called `output_name`."""

    body: Group
    output_name: str


AnyNode = LayerNode | Group | Use | Residual | Inception | Sum | Dense | Scale | Split | Aux
