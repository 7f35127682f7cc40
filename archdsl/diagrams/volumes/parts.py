"""The way of the tensor through a network, as parts one after the other with arcs past some of them.

A part is a layer, or a scope or combinator that is drawn as one. What a tensor passes on the longest way from the input
to the output is the chain; the other ways are arcs, which may have a few layers of their own (a projection, a crop).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archdsl.combinators import Scheme
from archdsl.diagrams.labels import family
from archdsl.diagrams.volumes.errors import not_a_chain
from archdsl.graph import AnyNode, Aux, Combined, Cut, Group, LayerNode, Use, walk
from archdsl.graph.lower import Program, Step, Value
from archdsl.graph.network import Network
from archdsl.text.record import Record
from archdsl.text.stack import deep

#: The families whose layers make a map of their own, where others change the map before them.
DRAWN = frozenset({"conv", "linear", "pool", "attention", "recurrent", "resample"})
#: The layers on an arc: at most so many, of which one may be a convolution.
LONGEST_ARC = 4


class Part:
    """A layer, a folded scope, or the join of a residual that is drawn open, with the tensors it reads."""

    def __init__(self, node: AnyNode) -> None:
        self.node = node
        self.steps: list[Step] = []
        self.reads: list[Value] = []

    @property
    def is_join(self) -> bool:
        """Whether it adds to the tensor of the chain what an arc brings, and changes nothing else."""
        if isinstance(self.node, LayerNode):
            return self.node.kind in ("add", "sub", "mul", "div") and bool(self.node.operands)
        return len(self.steps) == 1 and isinstance(self.node, Combined)

    @property
    def is_concat(self) -> bool:
        """Whether it puts the tensors of arcs beside that of the chain, along the channels."""
        return isinstance(self.node, LayerNode) and self.node.kind == "concat" and len(self.reads) > 1

    @property
    def convolutions(self) -> int:
        nodes = (step.node for step in self.steps)
        return sum(isinstance(node, LayerNode) and family(node) in ("conv", "linear") for node in nodes)


class Arc(Record):
    """A way past a part of the chain: from the output of `start` (-1 is the input) into `end`, through `parts`."""

    start: int
    end: int
    parts: Sequence[Part]


class Chain(Record):
    """The parts on the longest way, the tensor that leaves each, and the arcs."""

    parts: Sequence[Part]
    values: Sequence[Value]
    arcs: Sequence[Arc]


def deepest(network: Network) -> int:
    """The depth at which every scope is open."""
    return max((node.name.count(".") + 1 for node in walk(network.root) if node.name), default=1)


def chain_of(network: Network, depth: int) -> Chain:
    """The chain with scopes open down to `depth`. Raises SpecError (E856) where a network is none."""
    program = network.program
    if len(program.inputs) > 1:
        raise not_a_chain(network, f"it has {len(program.inputs)} inputs")
    if len(program.outputs) > 1:
        raise not_a_chain(network, f"it has {len(program.outputs)} outputs")
    makers, parts = _parts(program, owners(network.root, depth))
    if not parts:
        raise not_a_chain(network, "it has no layers")
    links = _longest(parts, makers, program)
    chain = [makers[value] for value in links]
    if not chain or program.inputs[0] not in chain[0].reads:
        raise not_a_chain(network, "its longest path does not begin at the input")
    place = {part: i for i, part in enumerate(chain)}
    _require_one_tensor(network, chain, parts)
    arcs = [arc for end, part in enumerate(chain) for arc in _arcs(network, part, end, links, makers, place)]
    return Chain(chain, links, arcs)


# Which node each step is drawn as


def owners(root: Group, depth: int) -> dict[int, AnyNode]:
    """For each node inside one that is drawn as one part, by its id, that one."""
    folded = (node for one in root.nodes for node in _folded(one, depth))
    return {id(inner): node for node in folded for inner in walk(node)}


@deep
def _folded(node: AnyNode, depth: int) -> Iterator[AnyNode]:
    """The scopes and combinators that are drawn as one part."""
    if isinstance(node, LayerNode | Use | Cut | Aux):
        return
    inner = depth - (node.label is not None)
    if (inner <= 0 and not _is_one_layer(node)) or (isinstance(node, Combined) and not _opens(node)):
        yield node
        return
    for one in node.nodes:
        yield from _folded(one, inner)


def _is_one_layer(node: AnyNode) -> bool:
    """Whether a scope is a single layer with what is attached to it, such as a convolution with its norm."""
    inside = list(walk(node))
    drawn = [one for one in inside if isinstance(one, LayerNode) and family(one) in DRAWN]
    return len(drawn) == 1 and all(isinstance(one, LayerNode | Group) for one in inside)


def _opens(node: Combined) -> bool:
    """Whether a combinator is a chain with an arc, and not several ways beside each other."""
    return node.combinator.scheme is Scheme.BODY and node.combinator.shortcut


def _parts(program: Program, owner: dict[int, AnyNode]) -> tuple[dict[Value, Part], list[Part]]:
    """The parts in execution order, and which of them makes each tensor. Auxiliary heads run in training only."""
    parts: dict[int, Part] = {}
    makers: dict[Value, Part] = {}
    for step in program.operations:
        if step.aux or step.op == "output":
            continue
        node = owner.get(id(step.node), step.node)
        part = parts.setdefault(id(node), Part(node))
        part.steps.append(step)
        read = (value.source for value in step.inputs[_drops(step.node) :])
        part.reads += [value for value in read if makers.get(value) is not part and value not in part.reads]
        makers |= dict.fromkeys(step.outputs, part)
    return makers, list(parts.values())


def _drops(node: AnyNode) -> bool:
    """Whether a step puts a parameter or constant in place of the tensor before it, which goes nowhere then."""
    return isinstance(node, LayerNode) and family(node) == "parameter"


# The chain and its arcs


def _longest(parts: Sequence[Part], makers: dict[Value, Part], program: Program) -> list[Value]:
    """The tensors on the longest way to the output, each made by a part of the chain."""
    length: dict[Part, int] = {}
    before: dict[Part, Value | None] = {}
    for part in parts:
        found = {value: length[makers[value]] if value in makers else 0 for value in part.reads}
        before[part] = longest = max(found, key=lambda value: found[value], default=None)
        length[part] = len(part.steps) + (found[longest] if longest is not None else 0)
    links: list[Value] = []
    value: Value | None = program.outputs[0].source
    while value is not None and value in makers:
        links.append(value)
        value = before[makers[value]]
    return links[::-1]


def _require_one_tensor(network: Network, chain: Sequence[Part], parts: Sequence[Part]) -> None:
    """Reject parts that give several tensors to the rest, as streams of other resolutions do."""
    read = {value for part in parts for value in part.reads} | {network.program.outputs[0].source}
    for part in chain:
        given = {value for step in part.steps for value in step.outputs} & read
        if len(given) > 1:
            raise not_a_chain(network, f"{_name(part)} gives {len(given)} tensors", part.node)


def _arcs(
    network: Network,
    part: Part,
    end: int,
    links: Sequence[Value],
    makers: dict[Value, Part],
    place: dict[Part, int],
) -> Iterator[Arc]:
    """The arcs into a part of the chain."""
    main = links[end - 1] if end else network.program.inputs[0]
    for value in part.reads:
        if value is main:
            continue
        aside = list(_aside(value, makers, place))
        starts = {place[makers[read]] if read in makers else -1 for read in _roots(value, aside, makers, place)}
        if len(starts) != 1 or sum(len(one.steps) for one in aside) > LONGEST_ARC or _is_branch(aside):
            raise not_a_chain(network, f"several paths run beside each other into {_name(part)}", part.node)
        yield Arc(starts.pop(), end, aside)


def _is_branch(aside: Sequence[Part]) -> bool:
    return sum(part.convolutions for part in aside) > 1


def _aside(value: Value, makers: dict[Value, Part], place: dict[Part, int]) -> Iterator[Part]:
    """The parts that a tensor passes before it meets the chain, first to last."""
    part = makers.get(value)
    if part is not None and part not in place:
        for read in part.reads:
            yield from _aside(read, makers, place)
        yield part


def _roots(value: Value, aside: Sequence[Part], makers: dict[Value, Part], place: dict[Part, int]) -> list[Value]:
    """The tensors of the chain that an arc begins with."""
    inside = set(aside)
    reads = [read for part in aside for read in part.reads] if aside else [value]
    return [read for read in reads if makers.get(read) not in inside]


def _name(part: Part) -> str:
    return part.node.name or part.node.kind
