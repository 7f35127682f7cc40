"""The lowering: a checked graph as a flat list of steps in execution order.

What a combinator computes is written here and nowhere else. Tables, receptive fields, ONNX files, in-place
decisions and the code of torch modules are folds over the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, assert_never

from archdsl.combinators import COMBINATORS, Scheme
from archdsl.graph.nodes import AnyNode, Aux, Combined, Cut, Group, LayerNode, Tap, Use
from archdsl.shapes import Shape
from archdsl.text.stack import deep

#: The joins by their names, which are those of their steps.
JOINS = {one.join.name: one.join for one in COMBINATORS.values()}
#: The steps that only give a value another name.
ALIASES = frozenset({"fork", "use", "keep", "enter", "exit"})


class Slot:
    """Where code keeps a value: values in the same slot share one variable, best called `name`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Value:
    """A tensor that a step makes, or another name for one. `shape` is without the batch axis.

    scope   the name of the scope whose code makes it
    source  the value it is another name for; itself if an operation makes it
    """

    __slots__ = ("scope", "shape", "slot", "source")

    def __init__(self, shape: Shape, scope: str, slot: Slot, source: Value | None = None) -> None:
        self.shape, self.scope, self.slot = shape, scope, slot
        self.source: Value = self if source is None else source.source


class Step:
    """One step: an operation, or an alias (one of ALIASES), whose outputs are its input under other names.

    layer            run a layer on the current tensor and its operands
    split            cut a tensor into parts on channels: for the paths of a combinator, or for taps (Cut)
    concat, add, ... join tensors (JOINS); ends what the last open `fork` or `split` began
    output           return values from the model: those of the root, or that of an auxiliary head
    fork             give a value to several paths, each with a slot of its own
    use, keep        read a tap, define a tap
    enter, exit      begin and end a scope or an auxiliary head

    node   the node that the step belongs to
    scope  the name of the scope whose code it is in
    aux    runs in training only
    """

    __slots__ = ("aux", "inputs", "node", "op", "outputs", "scope")

    def __init__(
        self, op: str, node: AnyNode, inputs: Sequence[Value], outputs: Sequence[Value], scope: str, aux: bool
    ) -> None:
        self.op, self.node, self.inputs, self.outputs, self.scope, self.aux = op, node, inputs, outputs, scope, aux


class _Place(NamedTuple):
    """Where the result of a node goes, and what the node is inside of."""

    slot: Slot
    scope: str
    aux: bool = False


class Program(NamedTuple):
    """A network as a list of steps.

    inputs   the tensors that the model takes; the first is the current tensor at the start
    outputs  the last tensor and the taps that the model returns
    """

    inputs: Sequence[Value]
    steps: list[Step]
    outputs: Sequence[Value]

    @property
    def input(self) -> Value:
        """The first input."""
        return self.inputs[0]

    @property
    def operations(self) -> list[Step]:
        """The steps that compute or return something."""
        return [step for step in self.steps if step.op not in ALIASES]

    def last_uses(self) -> dict[Value, int]:
        """For each value that an operation makes and another reads, the index of the last operation that does."""
        return {value.source: i for i, step in enumerate(self.operations) for value in step.inputs}


def is_scope(node: AnyNode) -> bool:
    """Whether the node is a module with modules in it."""
    return node.label is not None and not isinstance(node, LayerNode)


def lower(root: Group, outputs: Sequence[Tap] = (), inputs: Sequence[Tap] = ()) -> Program:
    """The steps of a model that returns its last tensor and the taps `outputs`; `inputs` are those with a name."""
    at = _Place(Slot("x"), root.name)
    lowering = _Lowering()
    slots = [at.slot, *(Slot(tap.name) for tap in inputs[1:])]
    shapes = [tap.shape for tap in inputs] or [root.input]
    values = [Value(shape, at.scope, slot) for shape, slot in zip(shapes, slots, strict=True)]
    for tap, value in zip(inputs, values, strict=False):
        [lowering.taps[tap.id]] = lowering.alias("keep", root, value, at, Slot(tap.name))
    last = lowering.keep(root, lowering.inside(root, values[0], at), at)
    returned = [last, *(lowering.taps[tap.id] for tap in outputs)]
    lowering.add("output", root, returned, (), at)
    return Program(values, lowering.steps, returned)


class _Lowering:
    """The walk over the graph. Its methods for nodes return the value after the node."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.taps: dict[int, Value] = {}

    def add(
        self, op: str, node: AnyNode, inputs: Sequence[Value], outputs: Sequence[Value], at: _Place
    ) -> Sequence[Value]:
        self.steps.append(Step(op, node, inputs, outputs, at.scope, at.aux))
        return outputs

    def alias(self, op: str, node: AnyNode, x: Value, at: _Place, *slots: Slot) -> Sequence[Value]:
        """Append a step that gives `x` a new name in each slot."""
        return self.add(op, node, [x], [Value(x.shape, at.scope, slot, x) for slot in slots], at)

    def visit(self, node: AnyNode, x: Value, at: _Place) -> Value:
        """Append a node, the scope it opens and the taps it defines."""
        if isinstance(node, LayerNode):
            operands = [self.taps[tap.id] for tap in node.operands]
            [x] = self.add("layer", node, [x, *operands], [Value(node.output, at.scope, at.slot)], at)
        elif isinstance(node, Aux):
            self.aux(node, x, at)
        elif isinstance(node, Cut):
            self.cut(node, x, at)
        elif node.label is not None:
            x = self.scope(node, x, at)
        else:
            x = self.inside(node, x, at)
        return self.keep(node, x, at) if node.taps else x

    def keep(self, node: AnyNode, x: Value, at: _Place) -> Value:
        for tap in node.taps:
            [self.taps[tap.id]] = self.alias("keep", node, x, at, Slot(tap.name))
        return x

    def scope(self, node: Group | Use | Combined, x: Value, at: _Place) -> Value:
        inner = _Place(Slot("x"), node.name, at.aux)
        [x] = self.alias("enter", node, x, inner, inner.slot)
        [y] = self.alias("exit", node, self.inside(node, x, inner), at, at.slot)
        return y

    @deep
    def inside(self, node: Group | Use | Combined, x: Value, at: _Place) -> Value:
        """Append what a node consists of."""
        match node:
            case Group():
                for inner in node.nodes:
                    x = self.visit(inner, x, at)
            case Use():
                [x] = self.alias("use", node, self.taps[node.tap.id], at, at.slot)
            case Combined():
                x = self.combined(node, x, at)
            case _:
                assert_never(node)
        return x

    def combined(self, node: Combined, x: Value, at: _Place) -> Value:
        match node.combinator.scheme:
            case Scheme.BODY:
                return self.with_input(node, x, at)
            case Scheme.BRANCHES:
                return self.branches(node, x, at)
            case Scheme.PARTS:
                return self.parts(node, x, at)
            case Scheme.CHAIN:
                return self.chain(node, x, at)
            case _:
                assert_never(node.combinator.scheme)

    def with_input(self, node: Combined, x: Value, at: _Place) -> Value:
        if not node.combinator.shortcut:
            starts = self.alias("fork", node, x, at, Slot(node.combinator.keyword))
            return self.join(node, [x, *self.paths(node.nodes, starts, at)], at)
        # The body takes the place of `x`, which is kept for the shortcut.
        kept = Slot("identity" if len(node.nodes) == 1 else "shortcut")
        starts = self.alias("fork", node, x, at, at.slot, kept)
        ends = self.paths(node.nodes, starts, at)
        return self.join(node, [*ends, *starts[len(ends) :]], at)

    def branches(self, node: Combined, x: Value, at: _Place) -> Value:
        if len(node.nodes) == 1:
            return self.visit(node.nodes[0], x, at)
        labels = [one.label or "0" for one in node.nodes]
        names = [f"branch{i}" if label.isdigit() else label for i, label in enumerate(labels, start=1)]
        starts = self.alias("fork", node, x, at, *map(Slot, names))
        return self.join(node, self.paths(node.nodes, starts, at), at)

    def parts(self, node: Combined, x: Value, at: _Place) -> Value:
        count = len(node.nodes)
        if count == 1:
            return self.visit(node.nodes[0], x, at)
        sizes = node.sizes or (x.shape.channels // count,) * count
        shapes = [x.shape.with_channels(size) for size in sizes]
        parts = [Value(shape, at.scope, Slot(f"part{i}")) for i, shape in enumerate(shapes, start=1)]
        self.add("split", node, [x], parts, at)
        return self.join(node, self.paths(node.nodes, parts, at), at)

    def cut(self, node: Cut, x: Value, at: _Place) -> None:
        values: Sequence[Value] = [x]
        if len(node.parts) > 1:
            values = [Value(tap.shape, at.scope, Slot(tap.name)) for tap in node.parts]
            self.add("split", node, [x], values, at)
        for tap, value in zip(node.parts, values, strict=True):
            [self.taps[tap.id]] = self.alias("keep", node, value, at, Slot(tap.name))

    def chain(self, node: Combined, x: Value, at: _Place) -> Value:
        for item in node.nodes:
            start = self.alias("fork", node, x, at, Slot("new"))
            [new] = self.paths([item], start, at)
            x = self.join(node, [x, new], at, node.combinator.join.shape(x.shape, new.shape))
        return x

    def paths(self, nodes: Sequence[AnyNode], starts: Sequence[Value], at: _Place) -> list[Value]:
        """Append nodes that run on a value each, and leave their results in its slot."""
        return [
            self.visit(node, start, at._replace(slot=start.slot)) for node, start in zip(nodes, starts, strict=False)
        ]

    def join(self, node: Combined, values: Sequence[Value], at: _Place, shape: Shape | None = None) -> Value:
        result = Value(node.output if shape is None else shape, at.scope, at.slot)
        self.add(node.combinator.join.name, node, values, [result], at)
        return result

    def aux(self, node: Aux, x: Value, at: _Place) -> None:
        slot, scope = (Slot(node.output_name), at.scope) if node.label is None else (Slot("x"), node.name)
        inner = _Place(slot, scope, aux=True)
        start = self.alias("enter", node, x, inner, slot)
        end = self.paths(node.nodes, start, inner)
        self.add("output", node, end, (), inner)
        self.add("exit", node, end, (), at)
