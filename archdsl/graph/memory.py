"""The memory that inference needs: the largest sum of the tensors that exist at one time.

Weights are left out. A tensor exists from the operation that makes it to the last one that reads it; views share the
memory of what they show. There are two measures:

- `planned`: of a runtime that lays out its memory ahead (Lin and others: "MCUNet", 2020). Layers and joins that compute
  each number by itself write over their input if nothing reads it later.
- `in_pytorch`: of the torch module. It overwrites what `archdsl.graph.in_place` says, and its functions keep their
  arguments and variables until they return.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from archdsl.combinators.join import CONCAT
from archdsl.graph import Aux, Cut, Group, LayerNode
from archdsl.graph.in_place import in_place, torch_forms
from archdsl.graph.lower import JOINS, Program, Slot, Step, Value, is_scope
from archdsl.shapes import BYTES, Shape


class Peak(NamedTuple):
    """The most memory that is needed at one time.

    bytes  for one sample
    at     the layer that runs then, or the part whose results are joined
    line   its line in the spec
    tensors  what exists then: what makes each, and its bytes
    """

    bytes: int
    at: str
    line: int
    tensors: Sequence[tuple[str, int]] = ()


def planned(program: Program) -> Peak:
    """The peak of a runtime that plans its memory."""
    operations = [step for step in program.operations if not step.aux]
    tensors = Tensors(program.inputs, operations, None, {})
    return tensors.peak(operations)


def in_pytorch(root: Group, program: Program) -> Peak:
    """The peak of the torch module in eval mode."""
    operations = [step for step in program.operations if not step.aux]
    overwriting = in_place(root, program, torch_forms(program))
    tensors = Tensors(program.inputs, operations, overwriting, lifetimes(program))
    return tensors.peak(operations, inside=True)


def name_of(step: Step) -> str:
    """What runs in a step, as people know it."""
    if isinstance(step.node, LayerNode):
        return step.node.name
    return f"{step.node.name} ({step.node.kind})" if step.node.name else step.node.kind


class Tensors:
    """The tensors that operations make, with those that are one memory as one.

    memory  the number of each value's memory
    bytes   the size of each memory, for one sample
    first   the operation that makes it
    last    the last operation that needs it
    makers  what makes it
    """

    def __init__(
        self,
        inputs: Iterable[Value],
        operations: Sequence[Step],
        overwriting: Collection[Step] | None,
        held: Mapping[Value, int],
    ) -> None:
        self.memory: dict[Value, int] = {}
        self.bytes: list[int] = []
        self.first: list[int] = []
        self.last: list[int] = []
        self.makers: list[str] = []
        self._overwriting = overwriting
        self._needed = {value.source: i for i, step in enumerate(operations) for value in step.inputs}
        for value, until in held.items():
            self._needed[value] = max(until, self._needed.get(value, 0))
        for value in inputs:
            self._add(value, self._new(value.shape, 0), 0)
        self.makers += ["input"] * len(self.bytes)
        for i, step in enumerate(operations):
            for value in step.outputs:
                self._add(value, self._memory_of(step, value, i), i)
            self.makers += [name_of(step)] * (len(self.bytes) - len(self.makers))

    def peak(self, operations: Sequence[Step], *, inside: bool = False) -> Peak:
        """The operation with the most memory; with the tensors `inside` PyTorch's modules."""
        changes = [0] * (len(operations) + 1)
        for size, first, last in zip(self.bytes, self.first, self.last, strict=True):
            changes[first] += size
            changes[last + 1] -= size
        most, now, at = -1, 0, 0
        for i, step in enumerate(operations):
            now += changes[i]
            needed = now + (_inside(step) if inside else 0)
            if needed > most:
                most, at = needed, i
        alive = [i for i, first in enumerate(self.first) if first <= at <= self.last[i]]
        tensors = tuple((self.makers[i], self.bytes[i]) for i in alive)
        return Peak(most, name_of(operations[at]), operations[at].node.span.line, tensors)

    def _new(self, shape: Shape, i: int, size: int | None = None) -> int:
        self.bytes.append(shape.numel * BYTES[shape.dtype] if size is None else size)
        self.first.append(i)
        self.last.append(i)
        return len(self.bytes) - 1

    def _add(self, value: Value, memory: int, i: int) -> None:
        self.memory[value] = memory
        self.last[memory] = max(self.last[memory], self._needed.get(value, i))

    def _memory_of(self, step: Step, value: Value, i: int) -> int:
        """The memory of an output: that of an input, or new."""
        memories = [self.memory[one.source] for one in step.inputs]
        if is_view(step):
            return memories[0]
        if isinstance(step.node, LayerNode) and step.node.layer.is_parameter:
            return self._new(value.shape, i, 0)
        if self._overwriting is not None:
            return memories[0] if step in self._overwriting else self._new(value.shape, i)
        if can_overwrite(step):
            size = value.shape.numel * BYTES[value.shape.dtype]
            free = [one for one in memories if self.last[one] == i and self.bytes[one] == size]
            return free[0] if free else self._new(value.shape, i)
        return self._new(value.shape, i)


def is_view(step: Step) -> bool:
    """Whether the outputs are the input's memory in eval mode."""
    if isinstance(step.node, LayerNode):
        return step.node.layer.is_view
    return step.op not in JOINS


def can_overwrite(step: Step) -> bool:
    """Whether a runtime can write the output over an input of the same size."""
    if isinstance(step.node, LayerNode):
        return step.node.layer.is_pointwise
    return step.op in JOINS and step.op != CONCAT.name


def _inside(step: Step) -> int:
    """The bytes of further tensors while PyTorch runs a step: those of a module, the sum of the first of many terms."""
    node = step.node
    if isinstance(node, LayerNode):
        shapes = [value.shape for value in step.inputs[1:]]
        inside = sum(tensor.nbytes for tensor in node.layer.memory(node.input, node.output).inside)
        return inside + (_terms(node.output, len(shapes) + 1) if node.layer.is_pointwise else 0)
    if step.op not in JOINS or step.op == CONCAT.name:
        return 0
    return _terms(step.outputs[0].shape, len(step.inputs))


def _terms(shape: Shape, count: int) -> int:
    """The bytes of the sum of all terms but the last, while that is added."""
    return shape.numel * BYTES[shape.dtype] if count > 2 else 0


class _Frame:
    """The variables of one call of a scope's `forward`, as `archdsl.backends.torch.forward` names them."""

    def __init__(self, arguments: Sequence[Value]) -> None:
        self.arguments = [value.source for value in arguments]
        self.variables: dict[str, Value] = {}
        self.taps: list[Value] = []
        self._names = {value.slot: value.slot.name for value in arguments}
        self._taken = set(self._names.values())
        self._open: list[list[Slot]] = []

    def open(self, values: Iterable[Value]) -> list[Value]:
        """Reserve variables for the slots that are new; returns the values in them."""
        opened = [value for value in values if value.slot not in self._names]
        for value in opened:
            self._reserve(value.slot)
        self._open.append([value.slot for value in opened])
        return opened

    def close(self) -> None:
        """Release the variables that the last `open` reserved; they keep their values."""
        self._taken.difference_update(self._names[slot] for slot in self._open.pop())

    def _reserve(self, slot: Slot) -> None:
        name, number = slot.name, 2
        while name in self._taken:
            name, number = f"{slot.name}{number}", number + 1
        self._names[slot] = name
        self._taken.add(name)

    def assign(self, value: Value) -> Value | None:
        """Put a value into the variable of its slot; returns the value that was there."""
        if value.slot not in self._names:
            self._reserve(value.slot)
        name = self._names[value.slot]
        before = self.variables.get(name)
        self.variables[name] = value.source
        return before


class _Lifetimes:
    """Until which operation the calls and variables of the torch module keep each value."""

    def __init__(self, program: Program) -> None:
        self.until: dict[Value, int] = {}
        self._i = 0
        #: The last step that reads each tap.
        self._read = {value: i for i, step in enumerate(program.steps) if step.op != "keep" for value in step.inputs}
        self._frames = [_Frame(program.inputs)]
        for number, step in enumerate(program.steps):
            if not step.aux and not isinstance(step.node, Aux):
                self._step(step, number)
        self._leave()

    def _step(self, step: Step, number: int) -> None:
        frame = self._frames[-1]
        if step.op == "enter" and is_scope(step.node):
            self._frames.append(_Frame(step.outputs))
        elif step.op == "exit" and is_scope(step.node):
            self._leave()
            # The call also returns the taps that are read after it.
            self._assign([*step.outputs, *(tap for tap in frame.taps if self._read[tap] > number)], self._i - 1)
        elif isinstance(step.node, Cut) and step.op == "split":
            self._i += 1
            self._assign(step.outputs, self._i - 1)
        elif step.op in {"fork", "split"}:
            opened = frame.open(step.outputs)
            is_copied = step.op == "split" or len(opened) < len(step.outputs)
            self._i += step.op == "split"
            self._assign(opened if is_copied else [], self._i - 1)
        elif step.op == "keep":
            self._assign([tap for tap in step.outputs if tap in self._read], self._i - 1)
        elif step.op == "layer" or step.op in JOINS:
            self._assign(step.outputs, self._i)
            self._i += 1
            if step.op in JOINS:
                frame.close()
        elif step.op == "output":
            self._i += 1

    def _assign(self, values: Iterable[Value], i: int) -> None:
        frame = self._frames[-1]
        for value in values:
            before = frame.assign(value)
            if before is not None:
                self._release([before], i)
            if value in self._read and value.source is not value:
                frame.taps.append(value)

    def _leave(self) -> None:
        """End a call, which releases its arguments and variables."""
        frame = self._frames.pop()
        self._release([*frame.arguments, *frame.variables.values()], self._i - 1)

    def _release(self, values: Iterable[Value], i: int) -> None:
        for value in values:
            self.until[value] = max(i, self.until.get(value, 0))


def lifetimes(program: Program) -> dict[Value, int]:
    """The last operation of the eval mode during which the torch module refers to each value."""
    return _Lifetimes(program).until
