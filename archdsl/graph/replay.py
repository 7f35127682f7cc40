"""A network's steps run again on shapes of other inputs, without expanding the spec again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from archdsl.diagnostics.codes.shapes import NotDivisible, ShapesDiffer
from archdsl.diagnostics.codes.sizes import OtherWeights
from archdsl.diagnostics.problem import Problem, Rejected
from archdsl.graph.lower import JOINS, Step, Value
from archdsl.graph.network import Network
from archdsl.graph.nodes import AnyNode, Combined, LayerNode
from archdsl.shapes import Shape, Tensor
from archdsl.shapes.growing import NONE, Decisions, Opaque, Refine, decided, deciding
from archdsl.text.record import replace


class Expanded(Exception):
    """The spec reads a size that is another one now: it has to be expanded again."""


class Fault(NamedTuple):
    """Where and why a network does not take an input."""

    node: AnyNode
    problem: Problem


#: The outputs of an operation, the problem with its inputs, or what was raised instead.
_Result = tuple[Shape, ...] | Problem | Exception
#: The number of an operation and the shapes of all tensors that are still needed.
_Point = tuple[object, ...]
#: How a run ends.
_End = Fault | Exception | None


class Replay:
    """The steps of a network, run on shapes only.

    A spec is expanded to the same steps for another input if all sizes that its expressions have read are the same.
    What follows from equal shapes of all tensors that are still needed is found once: after a stride, neighbouring
    sizes have the same fate.
    """

    def __init__(self, network: Network) -> None:
        self._program = network.program
        self._operations = [step for step in network.program.operations if step.outputs]
        self._needed = _needed(self._operations)
        self._known: dict[tuple[object, ...], tuple[_Result, Decisions]] = {}
        self._ends: dict[_Point, tuple[_End, Decisions]] = {}
        self._reads: dict[Shape, set[int | None]] = {}
        for axis, shape in network.reads:
            self._reads.setdefault(shape, set()).add(axis)

    def run(self, inputs: Sequence[Shape]) -> Fault | None:
        """The first fault with inputs of these shapes; None if the network takes them with the same weights.

        Raises:
            Expanded: the steps may be others for these inputs.
            Refine: the answer differs among the sizes of a family.
            Opaque: it cannot be found for a family.
        """
        shapes: dict[Value, Shape] = {}
        passed: list[tuple[_Point, Decisions]] = []
        end, later = self._run(inputs, shapes, passed)
        for point, decisions in reversed(passed):
            later = later.and_(decisions)
            self._ends[point] = end, later
        decided(later)
        if isinstance(end, Exception):
            raise end
        return end

    def _run(
        self, inputs: Sequence[Shape], shapes: dict[Value, Shape], passed: list[tuple[_Point, Decisions]]
    ) -> tuple[_End, Decisions]:
        """How the run ends, with the decisions after the last point that was `passed`."""
        with deciding() as collected:
            for value, shape in zip(self._program.inputs, inputs, strict=True):
                shapes[value] = shape
                if self._differs(value, shape):
                    return Expanded(), collected.decisions
        passed.append((("start", *inputs), collected.decisions))
        for i, step in enumerate(self._operations):
            point = (i, *[shapes[value] for value in self._needed[i]])
            if point in self._ends:
                return self._ends[point]
            found, decisions = self._outputs(step, [shapes[value.source] for value in step.inputs])
            passed.append((point, decisions))
            if isinstance(found, Problem):
                return Fault(step.node, found), NONE
            if isinstance(found, Exception):
                return found, NONE
            for value, shape in zip(step.outputs, found, strict=True):
                shapes[value] = shape
                if value.shape in self._reads:
                    with deciding() as collected:
                        differs = self._differs(value, shape)
                    passed.append((point, collected.decisions))
                    if differs:
                        return Expanded(), NONE
        return None, NONE

    def _differs(self, value: Value, shape: Shape) -> bool:
        """Whether the spec has read a size of this tensor, or of one like it, that is another now."""
        axes = self._reads.get(value.shape, ())
        if axes and len(shape) != len(value.shape):
            return True
        return any(shape != value.shape if axis is None else shape[axis] != value.shape[axis] for axis in axes)

    def _outputs(self, step: Step, inputs: Sequence[Shape]) -> tuple[_Result, Decisions]:
        """The outputs of an operation, which are looked up where it, or an equal one, had the same inputs."""
        node = step.node
        key = (id(node.layer), node.shared, *inputs) if isinstance(node, LayerNode) else (id(step), *inputs)
        if key not in self._known:
            with deciding() as collected:
                result = _result(step, inputs)
            self._known[key] = result, collected.decisions
        return self._known[key]


def _needed(operations: Sequence[Step]) -> list[list[Value]]:
    """For each operation, the tensors that it or a later one reads."""
    found: list[list[Value]] = []
    needed: dict[Value, None] = {}
    for step in reversed(operations):
        for value in step.outputs:
            needed.pop(value, None)
        needed.update(dict.fromkeys(value.source for value in step.inputs))
        found.append(list(needed))
    return found[::-1]


def _result(step: Step, inputs: Sequence[Shape]) -> _Result:
    try:
        if isinstance(step.node, LayerNode):
            return (_layer(step.node, inputs),)
        if step.op == "split":
            return _split(step, inputs[0])
        return (_joined(step, inputs),)
    except Rejected as rejected:
        return rejected.problem
    except (Expanded, Refine, Opaque) as raised:
        return raised


def _layer(node: LayerNode, inputs: Sequence[Shape]) -> Shape:
    """The output of a layer.

    Raises:
        Rejected: it does not take the inputs, or would have other weights.
    """
    x, *operands = inputs
    output = node.layer.shape(x, *operands)
    own = node.weights | node.buffers
    if own and x != node.input:
        other = replace(node, input=x)
        _require_weights(node, own, other.weights | other.buffers)
        if node.shared and node.layer.torch(x) != node.layer.torch(node.input):
            raise Expanded
    return output


def _require_weights(node: LayerNode, own: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    for name in [*own, *other]:
        if own.get(name) != other.get(name):
            found, kept = (str(one[name].shape) if name in one else "nothing" for one in (other, own))
            raise Rejected(OtherWeights(node.key(name), found, kept))


def _split(step: Step, x: Shape) -> tuple[Shape, ...]:
    """The parts of a tensor.

    Raises:
        Rejected: its channels cannot be divided.
        Expanded: another number of channels is to be divided into parts of unequal sizes.
    """
    parts = [value.shape.channels for value in step.outputs]
    if x.channels != sum(parts):
        if len(set(parts)) > 1:
            raise Expanded
        if x.channels % len(parts):
            raise Rejected(NotDivisible("channels", x.channels, "parts", len(parts)))
        parts = [x.channels // len(parts)] * len(parts)
    return tuple(x.with_channels(part) for part in parts)


def _joined(step: Step, inputs: Sequence[Shape]) -> Shape:
    """The output of a join.

    Raises:
        Rejected: the tensors do not fit.
    """
    output, *others = inputs
    for other in others:
        joined = JOINS[step.op].shape(output, other)
        if joined is None:
            kind = step.node.combinator.keyword if isinstance(step.node, Combined) else step.op
            raise Rejected(ShapesDiffer(kind, f"one tensor is {output}", f"another is {other}"))
        output = joined
    return output
