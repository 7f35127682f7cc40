"""What of a network a picture shows: a box for each layer, or for each scope that is folded, and the lines between."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

from archdsl.combinators import Scheme
from archdsl.diagrams.flow.fuse import chains
from archdsl.diagrams.flow.program import Flow, Op, Pair, Scope
from archdsl.diagrams.flow.repeats import Repeats
from archdsl.graph import Aux, Combined
from archdsl.graph.lower import Value
from archdsl.graph.network import Network
from archdsl.text.stack import deep

#: A tensor: the operation that makes it and the number of the output, or (None, number) for an input of the network.
Net = tuple[Op | None, int]


class View(NamedTuple):
    """What is shown of a network.

    depth    scopes nested deeper are one box
    fold     names of scopes or blocks, with * and ?, that are one box at any depth
    unfold   those whose inside is shown at any depth
    fuse     whether a norm, activation or dropout is in the box of the layer before
    repeats  whether equal scopes one after the other are drawn once, with their number
    """

    depth: int
    fold: Collection[str] = ()
    unfold: Collection[str] = ()
    fuse: bool = True
    repeats: bool = True


@dataclass(slots=True, eq=False)
class Box:
    """A box, or a sign where lines meet: operations that are drawn as one.

    kind     what it stands for; `sign` is a join
    scope    the scope that it is, if that is all drawn here
    repeats  all scopes that it stands for, if there are several
    """

    kind: Literal["input", "output", "layer", "fold", "sign"]
    ops: list[Op]
    scope: Scope | None = None
    repeats: Sequence[Scope] = ()
    id: str = ""
    text: str = ""


@dataclass(slots=True, eq=False)
class Frame:
    """A scope with what is in it."""

    scope: Scope
    parts: list[Part] = field(default_factory=list)
    repeats: Sequence[Scope] = ()


Part = Box | Frame
Side = Literal["left", "right"]


class Link(NamedTuple):
    """A tensor from the box that makes it to one that reads it.

    main  whether it is what the reader goes on with, as the body of a residual is, and a shortcut is not
    side  where a line beside others goes: "left" of them, or "right"
    """

    net: Net
    source: Box
    target: Box
    main: bool
    side: Side = "right"


class Visible(NamedTuple):
    """The parts of a picture in execution order, and the tensors between its boxes.

    axes  for joins of several equal branches, the tensor that the branches began with
    """

    root: Frame
    links: list[Link]
    axes: dict[Box, Net]

    @property
    def boxes(self) -> list[Box]:
        return list(boxes(self.root))


def boxes(part: Part) -> Iterator[Box]:
    """All boxes in a part."""
    ahead = [part]
    while ahead:
        part = ahead.pop()
        if isinstance(part, Box):
            yield part
        else:
            ahead += reversed(part.parts)


def visible(network: Network, flow: Flow, view: View) -> Visible:
    """What a picture of the network shows."""
    return _Builder(network, flow, view).build()


class _Builder:
    def __init__(self, network: Network, flow: Flow, view: View) -> None:
        self.network, self.flow, self.view = network, flow, view
        self.repeats = Repeats(flow)
        self.home: dict[Op, Box] = {}
        self.twin: dict[Op, Op] = {}
        self.units: dict[Op, dict[Scope, int]] = {}

    def build(self) -> Visible:
        sources = [Box("input", [], text=name) for name in self.network.inputs]
        outputs = [Box("output", [self.flow.output], text=name) for name in self.output_names()]
        root = Frame(self.flow.root, [*sources, *self.parts(self.flow.root.items, 1), *outputs])
        nets: dict[object, Net] = {value: (None, i) for i, value in enumerate(self.flow.program.inputs)}
        for op in self.flow.ops:
            nets |= {value: (self.stand(op), i) for i, value in enumerate(op.makes)}
        links = self.links(nets, sources, outputs)
        joins = [op for op in self.flow.ops if op.fork is not None and _has_axis(op)]
        axes = {self.home[self.stand(op)]: nets[op.fork] for op in joins if op.fork is not None}
        return Visible(root, links, axes)

    def output_names(self) -> list[str]:
        """The outputs that the network always has, by name."""
        taps = [tap.name for tap in self.network.outputs]
        return ["out", *taps] if taps else ["output"]

    # The boxes

    @deep
    def parts(self, items: Sequence[Op | Scope], level: int) -> list[Part]:
        """The boxes and frames of what a scope consists of."""
        runs = self.repeats.runs(items) if self.view.repeats else [[item] for item in items]
        found: list[Part] = []
        ops: list[Op] = []
        for run in [*runs, []]:
            if run and isinstance(run[0], Op):
                ops.append(run[0])
                continue
            found += [self.box(chain) for chain in chains(ops, self.flow, fuse=self.view.fuse)]
            ops = []
            if run:
                found += self.run([item for item in run if isinstance(item, Scope)], level)
        return found

    def run(self, scopes: Sequence[Scope], level: int) -> list[Part]:
        """A scope, or several equal ones."""
        first = scopes[0]
        ops = list(first.ops)
        if not ops:
            return []
        part = self.scope(first, ops, level, scopes)
        if len(scopes) > 1:
            part.repeats = scopes
            for number, one in enumerate(scopes):
                for op in one.ops:
                    self.units.setdefault(op, {})[first] = number
            self.twin |= dict(self.repeats.twins(scopes))
        return [part]

    def scope(self, scope: Scope, ops: list[Op], level: int, run: Sequence[Scope]) -> Part:
        together = chains(ops, self.flow, fuse=self.view.fuse) if len(ops) <= 8 else []
        if len(together) == 1 and not ops[0].is_join:
            return self.box(ops, scope)
        if not any(self.is_open(one, level) for one in run):
            return self.box(ops, scope, fold=True)
        parts = self.parts(scope.items, level + (not isinstance(scope, Pair) and not self.is_stream(scope)))
        only = parts[0] if len(parts) == 1 else None
        if isinstance(only, Box) and not only.repeats and only.kind != "sign":
            only.scope = scope
            return only
        return Frame(scope, parts)

    def is_open(self, scope: Scope, level: int) -> bool:
        """Whether the inside of a scope is shown."""
        if isinstance(scope, Pair):
            return True
        if any(one.startswith(f"{scope.name}.") for one in self.view.unfold) or matches(scope, self.view.unfold):
            return True
        level += isinstance(scope.node, Aux)
        return (level < self.view.depth or self.is_stream(scope)) and not matches(scope, self.view.fold)

    def is_stream(self, scope: Scope) -> bool:
        """Whether maps of several resolutions go in and come out beside each other: the lanes are always shown."""
        form = self.repeats.form(scope)
        inside = set(form.ops)
        made = [value for op in form.ops for value in op.makes]
        gone = [value for value in made if any(reader not in inside for reader in self.flow.readers.get(value, ()))]
        return min(_resolutions(form.outside), _resolutions(gone)) > 1

    def box(self, ops: Sequence[Op], scope: Scope | None = None, *, fold: bool = False) -> Box:
        kind: Literal["fold", "sign", "layer"] = "fold" if fold else "sign" if ops[0].is_sign else "layer"
        made = Box(kind, list(ops), scope)
        self.home |= dict.fromkeys(ops, made)
        return made

    # The lines

    def stand(self, op: Op) -> Op:
        """The operation that an operation of a repeated scope is drawn as."""
        while op in self.twin:
            op = self.twin[op]
        return op

    def links(self, nets: dict[object, Net], sources: Sequence[Box], outputs: Sequence[Box]) -> list[Link]:
        """Each tensor that goes from one box to another, once."""
        found: dict[tuple[Net, Box], Link] = {}
        led: set[Box] = set()
        for op in self.flow.ops:
            for i, value in enumerate(op.reads):
                target = outputs[i] if op is self.flow.output else self.home[self.stand(op)]
                maker = self.flow.maker.get(value)
                source = sources[nets[value][1]] if maker is None else self.home[self.stand(maker)]
                if source is target or (maker is not None and self.apart(maker, op)):
                    continue
                main = target not in led and self.leads(op, i, target)
                led |= {target} if main else set()
                if main or (nets[value], target) not in found:
                    found[nets[value], target] = Link(nets[value], source, target, main, _side(op, i))
        return list(found.values())

    def leads(self, op: Op, index: int, target: Box) -> bool:
        """Whether a tensor is what a box goes on with: a folded scope with the input that it runs on."""
        if target.kind == "fold" and target.scope is not None:
            return op.reads[index] is target.scope.input and not op.tapped[index]
        return _is_main(op, index)

    def apart(self, maker: Op, reader: Op) -> bool:
        """Whether two operations are in different scopes of a run, which is drawn once."""
        while True:
            units = self.units.get(reader, {})
            if any(units.get(run, number) != number for run, number in self.units.get(maker, {}).items()):
                return True
            if maker not in self.twin and reader not in self.twin:
                return False
            # In a scope that is drawn as another one, runs are those of the other one.
            maker, reader = self.twin.get(maker, maker), self.twin.get(reader, reader)


def _resolutions(values: Sequence[Value]) -> int:
    """How many resolutions feature maps have."""
    return len({value.shape.spatial for value in values if value.shape.rank})


def _is_main(op: Op, index: int) -> bool:
    """Whether a join or layer goes on with its input number `index`."""
    scheme = op.node.combinator.scheme if isinstance(op.node, Combined) and op.is_join else None
    if scheme in {Scheme.BRANCHES, Scheme.PARTS}:
        return False
    return index == (scheme is Scheme.CHAIN) or op.step.op == "output"


def _side(op: Op, index: int) -> Side:
    """Where a line into a join goes: the input of a `scale`, and the first of several branches, on the left."""
    if not isinstance(op.node, Combined) or not op.is_join or index:
        return "right"
    return "right" if op.node.combinator.shortcut else "left"


def _has_axis(op: Op) -> bool:
    return isinstance(op.node, Combined) and op.node.combinator.scheme in {Scheme.BRANCHES, Scheme.PARTS}


def matches(scope: Scope, names: Collection[str]) -> bool:
    """Whether a name or pattern is that of a scope or its block."""
    return any(fnmatchcase(scope.name, one) or fnmatchcase(scope.kind, one) for one in names)
