"""The checked graph: a frozen tree of nodes with every shape known. All back ends read it and nothing else.

A node takes the current tensor and leaves the next. Layers are the leaves; the combinators are a closed
set of inner nodes, to be matched exhaustively. A node with a `label` opens the scope `name` (a layer's
name is its state_dict prefix); one without is transparent: its children belong to the scope around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from archdsl.diagnostics import Frame
from archdsl.shapes import Shape, Tensor
from archdsl.text.record import Record
from archdsl.text.source import Span

if TYPE_CHECKING:
    from archdsl.combinators import Combinator
    from archdsl.layers.base import Layer
    from archdsl.layers.initializers import Initializer
    from archdsl.layers.parametrizations import Parametrization


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
    nodes   the nodes inside, in execution order
    taps    the names under which this node's output is kept
    shared  made by `reuse`: it runs on the weights of an earlier node of the same name
    """

    name: str
    label: str | None
    input: Shape
    output: Shape
    span: Span
    chain: tuple[Frame, ...] = ()
    nodes: tuple[AnyNode, ...] = ()
    taps: tuple[Tap, ...] = ()
    shared: bool = False

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(getattr(self, one) == getattr(other, one) for one in self._fields)

    def __hash__(self) -> int:
        return hash((type(self), self.name, self.span))


class LayerNode(Node, kw_only=True):
    """A layer. `operands` are the taps it takes besides the current tensor.

    `init` are the initializers of the layer's own weights. `parametrization` is what computes its `weight` from others,
    which the state_dict has instead. `frozen` are the names of the weights that training leaves as they are.
    """

    layer: Layer
    operands: tuple[Tap, ...] = ()
    init: Mapping[str, Initializer] = {}
    frozen: frozenset[str] = frozenset()
    parametrization: Parametrization | None = None

    @property
    def kind(self) -> str:
        return self.layer.kind

    @property
    def weights(self) -> dict[str, Tensor]:
        own = self.layer.weights(self.input)
        return own if self.parametrization is None else self.parametrization.replaced(own, self.layer.output_axis)

    @property
    def buffers(self) -> dict[str, Tensor]:
        own = self.layer.buffers(self.input)
        if self.parametrization is None:
            return own
        return own | self.parametrization.added(self.layer.weights(self.input), self.layer.output_axis)

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

    block: str | None = None

    @property
    def kind(self) -> str:
        return self.block or "group"


class Use(Node, kw_only=True):
    """`use(tap)`: the current tensor is dropped, the tap's takes its place. Never labelled."""

    kind: ClassVar[str] = "use"

    tap: Tap


class Combined(Node, kw_only=True):
    """A combinator with its items: a node for each, or one for its body and one for its shortcut, if it has one.

    `sizes` are the channels of the parts of a `split`, where they are given one by one.
    """

    combinator: Combinator
    sizes: tuple[int, ...] = ()

    @property
    def kind(self) -> str:
        return self.combinator.keyword


class Aux(Node, kw_only=True):
    """`aux { }`: x passes unchanged; in training the body is one more output of the model, called `output_name`."""

    kind: ClassVar[str] = "aux"

    output_name: str

    @property
    def body(self) -> AnyNode:
        return self.nodes[0]


class Cut(Node, kw_only=True):
    """`chunk(2) -> a, b`: x passes unchanged; its parts along the channels are kept as taps. Never labelled."""

    kind: ClassVar[str] = "chunk"

    parts: tuple[Tap, ...]


AnyNode = LayerNode | Group | Use | Combined | Aux | Cut
