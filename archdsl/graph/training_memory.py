"""The memory that a step of training needs: a forward and a backward pass, one operation after the other.

The forward pass keeps what layers say that their backward pass reads; the backward pass makes the gradient of each
tensor and of each weight, and releases what it has read. With bf16 or fp16, as under `torch.autocast`, layers with
weights run on 16-bit copies, and the weights, their gradients and the optimizer's state stay float32. Left out is what
kernels allocate for themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, cast

from archdsl.combinators.join import CONCAT, MUL, SUB
from archdsl.graph import Group, LayerNode
from archdsl.graph.in_place import in_place, torch_forms
from archdsl.graph.lower import JOINS, Program, Step, Value
from archdsl.graph.memory import is_view, name_of
from archdsl.graph.traverse import prefixes
from archdsl.shapes import BYTES, Tensor

Precision = Literal["fp32", "bf16", "fp16"]
FLOAT, HALF = 4, 2


class TrainingMemory(NamedTuple):
    """The bytes that a step of training needs.

    activations  what the forward pass keeps for the backward pass, with the copies of weights in 16 bits
    gradients    of the weights
    optimizer    its state, and the moving average of the weights
    peak         the most at one time, all together
    at, line     the layer that runs then, or the part whose results are joined
    phase        the pass in which it runs
    """

    batch: int
    precision: Precision
    parameters: int
    buffers: int
    activations: int
    gradients: int
    optimizer: int
    peak: int
    at: str
    line: int
    phase: str


class Block:
    """A piece of memory with the number of things that need it. `is_dense` is false for a part of a larger one."""

    __slots__ = ("is_dense", "size", "users")

    def __init__(self, size: int) -> None:
        self.size, self.users, self.is_dense = size, 0, True


class Ledger:
    """The memory in use, now and at most."""

    def __init__(self) -> None:
        self.now = self.peak = 0
        self.at: tuple[Step | None, str] = (None, "forward")

    def new(self, size: int) -> Block:
        block = Block(size)
        self.keep(block)
        return block

    def keep(self, block: Block) -> Block:
        self.now += block.size if block.users == 0 else 0
        block.users += 1
        return block

    def drop(self, block: Block) -> None:
        block.users -= 1
        self.now -= block.size if block.users == 0 else 0

    def note(self, step: Step, phase: str) -> None:
        """Compare the memory in use with the most so far."""
        if self.now > self.peak:
            self.peak, self.at = self.now, (step, phase)


class _Training:
    """One step of training.

    held   the memory of each value
    width  the bytes of a number of each value
    kept   what the backward pass of each step reads
    """

    def __init__(self, root: Group, program: Program, batch: int, precision: Precision, frozen: Sequence[str]) -> None:
        self.batch, self.is_mixed = batch, precision != "fp32"
        self.frozen = frozenset(frozen)
        self.program, self.operations = program, program.operations
        self.overwriting = in_place(root, program, torch_forms(program))
        self.ledger = Ledger()
        self.held: dict[Value, Block] = {}
        self.width: dict[Value, int] = {}
        self.learns: set[Value] = set()
        self.kept: dict[Step, list[Block]] = {}
        self.gradients: dict[Value, Block] = {}
        self.weights: dict[str, Block] = {}

    def start_from_gradients(self) -> None:
        """Make the gradients of all weights, to which those of this pass are added."""
        for step in self.operations:
            self._weight_gradients(step)

    def run(self) -> int:
        """Do both passes; returns the bytes that the first one leaves."""
        before = self.ledger.now
        for value in self.program.inputs:
            self.width[value] = BYTES[value.shape.dtype]
            self.held[value] = self.ledger.new(self._size(value))  # the data stays until the end
        last = {value.source: i for i, step in enumerate(self.operations) for value in step.inputs}
        for i, step in enumerate(self.operations):
            self._forward(step)
            for value in {value.source for value in step.inputs} | set(step.outputs):
                if last.get(value, i) == i and step.op != "output" and value not in self.program.inputs:
                    self.ledger.drop(self.held[value])
        left = self.ledger.now - before
        for step in self.operations:
            if step.op == "output":
                for value in step.inputs:
                    self._add_gradient(value.source, self.ledger.new(self._size(value.source)))
        for step in reversed(self.operations):
            if step in self.kept:
                self._backward(step)
        return left

    def _size(self, value: Value) -> int:
        return self.batch * value.shape.numel * self.width[value]

    def _tensor(self, tensor: Tensor, width: int) -> int:
        return self.batch * tensor.numel * (width if tensor.dtype == "float32" else BYTES[tensor.dtype])

    def _trained(self, step: Step) -> Mapping[str, Tensor]:
        """The weights of a step's layer that are trained, by their keys."""
        node = step.node
        if not isinstance(node, LayerNode):
            return {}
        keys = {node.key(name): tensor for name, tensor in node.weights.items() if name not in node.frozen}
        if not self.frozen:
            return keys
        return {key: tensor for key, tensor in keys.items() if self.frozen.isdisjoint(prefixes(key))}

    # The forward pass

    def _forward(self, step: Step) -> None:
        if step.op == "output":
            return
        inputs = [value.source for value in step.inputs]
        learns = bool(self._trained(step)) or not self.learns.isdisjoint(inputs)
        width = max(self.width[value] for value in inputs)
        casts: list[Block] = []
        if isinstance(step.node, LayerNode):
            width, casts = self._cast(step, inputs, width)
        for value in step.outputs:
            self.width[value] = width
            shares = is_view(step) and not _drops(step)
            if shares or step in self.overwriting:
                self.held[value] = self.ledger.keep(self.held[inputs[0]])
            else:
                self.held[value] = self.ledger.new(0 if _is_parameter(step) else self._size(value))
        if learns:
            self.learns.update(step.outputs)
            self.kept[step] = [self.ledger.keep(block) for block in self._saved(step, inputs, casts, width)]
        self.ledger.note(step, "forward")
        for block in casts:
            self.ledger.drop(block)

    def _cast(self, step: Step, inputs: Sequence[Value], width: int) -> tuple[int, list[Block]]:
        """The width of a layer's numbers, and the copies of its inputs and weights in that width."""
        node = cast("LayerNode", step.node)
        wanted = {"input": width, "half": HALF, "float32": FLOAT}[node.layer.autocast] if self.is_mixed else FLOAT
        if not self.is_mixed or node.layer.autocast == "input":
            return wanted, []
        sizes = [value.shape.numel * self.batch for value in inputs if self.width[value] != wanted]
        if wanted == HALF:
            sizes.append(sum(tensor.numel for tensor in node.weights.values()))
        return wanted, [self.ledger.new(wanted * size) for size in sizes if size]

    def _saved(self, step: Step, inputs: Sequence[Value], casts: Sequence[Block], width: int) -> list[Block]:
        """What the backward pass of a step reads."""
        if not isinstance(step.node, LayerNode):
            return [self.held[value] for value in inputs] if step.op == MUL.name else []
        memory = step.node.layer.memory(step.node.input, step.node.output)
        found = [*casts, *(self._fresh(self._tensor(tensor, width)) for tensor in memory.kept)]
        read = [v for i, v in enumerate(inputs) if ("operands" if i else "input") in memory.saves]
        if step in self.overwriting and "input" in memory.saves:
            found.append(self._fresh(self._size(step.outputs[0])))  # a copy, since the input is overwritten
        else:
            # What was converted is kept in its new form only.
            found += [self.held[value] for value in read if self.width[value] == width or not casts]
        if "output" in memory.saves:
            found += [self.held[value] for value in step.outputs]
        return found

    def _fresh(self, size: int) -> Block:
        """A piece of memory that nothing needs yet."""
        return Block(size)

    # The backward pass

    def _backward(self, step: Step) -> None:
        incoming = [self.gradients.pop(value) for value in step.outputs if value in self.gradients]
        made: list[tuple[Value, Block]] = []
        halves: list[Block] = []
        if incoming:
            wanted = [(i, v.source) for i, v in enumerate(step.inputs) if v.source in self.learns]
            made = [(value, self._gradient(step, i, value, incoming[0])) for i, value in wanted]
            halves = self._half_gradients(step)
            if not halves:
                self._weight_gradients(step)
            self.ledger.note(step, "backward")
        for block in (*incoming, *self.kept[step]):
            self.ledger.drop(block)
        if incoming and halves:
            self._weight_gradients(step)
            self.ledger.note(step, "backward")
            for block in halves:
                self.ledger.drop(block)
        for value, block in made:
            self._add_gradient(value, block)
            self.ledger.note(step, "backward")

    def _gradient(self, step: Step, i: int, value: Value, incoming: Block) -> Block:
        """The gradient of an input: the output's own, a part of it, or a new tensor."""
        shapes = [one.shape for one in step.outputs]
        if (_passes_on(step, i) and shapes == [value.shape]) or _is_reshape(step):
            return self.ledger.keep(incoming)
        if step.op == CONCAT.name or (isinstance(step.node, LayerNode) and step.node.kind == "concat"):
            incoming.is_dense = False
            return self.ledger.keep(incoming)
        return self.ledger.new(self._size(value))

    def _half_gradients(self, step: Step) -> list[Block]:
        """The gradients of the 16-bit copies of weights, before they are converted."""
        if not self.is_mixed or not isinstance(step.node, LayerNode) or step.node.layer.autocast != "half":
            return []
        return [self.ledger.new(tensor.numel * HALF) for tensor in self._trained(step).values()]

    def _weight_gradients(self, step: Step) -> None:
        """Make the gradients of a layer's weights; those of weights that have one are added to it and released."""
        for key, tensor in self._trained(step).items():
            block = self.ledger.new(tensor.nbytes)
            self.ledger.note(step, "backward")
            if key in self.weights:
                self.ledger.drop(block)
            else:
                self.weights[key] = block

    def _add_gradient(self, value: Value, block: Block) -> None:
        """Add a gradient to what other steps gave, in place where nothing else needs the memory."""
        before = self.gradients.get(value)
        if before is None:
            self.gradients[value] = block
            return
        if before.users > 1 or not before.is_dense:
            self.gradients[value] = self.ledger.new(self._size(value))
            self.ledger.drop(before)
        self.ledger.drop(block)


def _drops(step: Step) -> bool:
    """Whether a layer without effect in eval mode makes a new tensor in training."""
    return isinstance(step.node, LayerNode) and step.node.layer.is_view and getattr(step.node.layer, "p", 0) > 0


def _is_parameter(step: Step) -> bool:
    return isinstance(step.node, LayerNode) and step.node.layer.is_parameter


def _passes_on(step: Step, i: int) -> bool:
    """Whether the gradient of an input is the output's: in sums, and for the first term of a difference."""
    if isinstance(step.node, LayerNode):
        return step.node.kind == "add" or (step.node.kind == "sub" and i == 0)
    return step.op in JOINS and step.op not in {CONCAT.name, MUL.name} and (step.op != SUB.name or i == 0)


def _is_reshape(step: Step) -> bool:
    """Whether the output has all numbers of the input, in the same memory."""
    return is_view(step) and not _drops(step) and step.inputs[0].shape.numel == step.outputs[0].shape.numel


def training_memory(
    root: Group,
    program: Program,
    *,
    batch: int,
    parts: int = 1,
    precision: Precision = "fp32",
    frozen: Sequence[str] = (),
    states: int = 0,
    is_averaged: bool = False,
) -> TrainingMemory:
    """The memory of a step of training.

    Args:
        root: the network's graph.
        program: its steps.
        batch: the samples of a step.
        parts: in how many parts they pass through the network.
        precision: as in a recipe.
        frozen: labels whose weights are not trained, besides those that the spec freezes.
        states: the numbers that the optimizer keeps for each weight that is trained.
        is_averaged: whether there is a moving average of the weights.
    """
    training = _Training(root, program, -(-batch // parts), precision, frozen)
    if parts > 1:
        training.start_from_gradients()
    left = training.run()
    layers = {step.node.name: step.node for step in program.operations if isinstance(step.node, LayerNode)}
    parameters = sum(tensor.nbytes for node in layers.values() for tensor in node.weights.values())
    buffers = sum(tensor.nbytes for node in layers.values() for tensor in node.buffers.values())
    gradients = sum(block.size for block in training.weights.values())
    optimizer = states * gradients + is_averaged * (parameters + buffers)
    step, phase = training.ledger.at
    assert step is not None
    return TrainingMemory(
        batch=batch,
        precision=precision,
        parameters=parameters,
        buffers=buffers,
        activations=left,
        gradients=gradients,
        optimizer=optimizer,
        peak=training.ledger.peak + parameters + buffers + optimizer,
        at=name_of(step),
        line=step.node.span.line,
        phase=phase,
    )
