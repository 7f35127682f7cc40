"""A network's program as operations inside scopes: what a picture is made from, since it has every tensor's way."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from archdsl.diagrams.labels import family, joins
from archdsl.graph import AnyNode, Aux, Cut, LayerNode
from archdsl.graph.lower import ALIASES, Program, Step, Value, is_scope

#: The steps that end what `fork` or `split` began.
NO_JOINS = frozenset({"layer", "split", "output"})


class Op:
    """An operation and the tensors it depends on.

    tapped  for each of them, whether it is not the current tensor but one kept under a name
    fork    the tensor that the paths of a join began with
    """

    __slots__ = ("fork", "makes", "reads", "scope", "step", "tapped")

    def __init__(self, step: Step, scope: Scope, fork: Value | None = None, kept: Collection[Value] = ()) -> None:
        self.step, self.scope, self.fork = step, scope, fork
        # A parameter or constant takes the place of the current tensor: no tensor goes there.
        drops = isinstance(step.node, LayerNode) and family(step.node) == "parameter"
        self.reads = [value.source for value in step.inputs[drops:]]
        self.tapped = [value in kept for value in step.inputs[drops:]]
        self.makes = list(step.outputs)

    @property
    def node(self) -> AnyNode:
        return self.step.node

    @property
    def is_join(self) -> bool:
        """Whether it ends a combinator."""
        return self.step.op not in NO_JOINS

    @property
    def is_sign(self) -> bool:
        """Whether it is drawn as a sign where lines meet."""
        return self.is_join or (isinstance(self.node, LayerNode) and joins(self.node))


class Scope:
    """A labelled part of the network, an auxiliary head or the network itself, each time it runs on its `input`."""

    __slots__ = ("input", "items", "node", "outer")

    def __init__(self, node: AnyNode | None, outer: Scope | None, input: Value | None = None) -> None:
        self.node, self.outer, self.input = node, outer, input
        self.items: list[Op | Scope] = []

    @property
    def name(self) -> str:
        return self.node.name if self.node is not None else ""

    @property
    def label(self) -> str:
        """The last part of the name; of an auxiliary head, that of its output."""
        if isinstance(self.node, Aux):
            return self.node.output_name
        return (self.node.label if self.node is not None else None) or ""

    @property
    def last_label(self) -> str:
        """The label at the end of a run that ends here."""
        return self.label

    @property
    def level(self) -> int:
        """The number of scopes around it."""
        return 0 if self.outer is None else self.outer.level + 1

    @property
    def kind(self) -> str:
        """The block or combinator that it is a call of."""
        return self.node.kind if self.node is not None else ""

    @property
    def inside(self) -> Iterator[Scope]:
        """The scope and all scopes in it."""
        ahead = [self]
        while ahead:
            scope = ahead.pop()
            yield scope
            ahead += reversed(scope.scopes)

    @property
    def ops(self) -> Iterator[Op]:
        """All operations inside, in execution order."""
        ahead: list[Op | Scope] = [self]
        while ahead:
            item = ahead.pop()
            if isinstance(item, Op):
                yield item
            else:
                ahead += reversed(item.items)

    @property
    def scopes(self) -> list[Scope]:
        return [item for item in self.items if isinstance(item, Scope)]


class Pair(Scope):
    """Two scopes that repeat together, as the blocks of Swin do, of which every second one is shifted."""

    __slots__ = ()

    def __init__(self, one: Scope, other: Scope) -> None:
        super().__init__(None, one.outer, one.input)
        self.items = [one, other]

    @property
    def name(self) -> str:
        return "+".join(scope.name for scope in self.scopes)

    @property
    def label(self) -> str:
        return self.scopes[0].label

    @property
    def last_label(self) -> str:
        return self.scopes[1].label

    @property
    def kind(self) -> str:
        kinds = {scope.kind for scope in self.scopes}
        return kinds.pop() if len(kinds) == 1 else ""


class Flow:
    """The operations of a program, and who makes and reads each tensor.

    output  what returns the network's outputs; it is in no scope, and those of auxiliary heads are left out
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.root = _scopes(program)
        self.output = Op(program.steps[-1], self.root)
        self.ops = [*self.root.ops, self.output]
        self.maker = {value: op for op in self.ops for value in op.makes}
        self.readers: dict[Value, list[Op]] = {}
        for op in self.ops:
            for value in dict.fromkeys(op.reads):
                self.readers.setdefault(value, []).append(op)


def _scopes(program: Program) -> Scope:
    """The root, with the operations in the scopes that are open when they run."""
    scope = root = Scope(None, None)
    forks: list[Value] = []
    kept: set[Value] = set()
    for step in program.steps:
        if step.op == "fork" or (step.op == "split" and not isinstance(step.node, Cut)):
            forks.append(step.inputs[0].source)
        if step.op in {"keep", "use"} or (step.op in ALIASES and step.inputs[0] in kept):
            kept.update(step.outputs)
        if step.op in {"enter", "exit"}:
            if not is_scope(step.node) and not isinstance(step.node, Aux):
                continue
            if step.op == "enter":
                inner = Scope(step.node, scope, step.inputs[0].source)
                scope.items.append(inner)
                scope = inner
            else:
                assert scope.outer is not None
                scope = scope.outer
        elif step.outputs and step.outputs[0].source is step.outputs[0]:
            fork = forks.pop() if step.op not in NO_JOINS else None
            scope.items.append(Op(step, scope, fork, kept))
    return root
