"""The feature maps along a chain: what is drawn as a solid, with its shape, its operation and its label."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.diagrams.labels import family
from archdsl.diagrams.volumes.errors import not_a_chain
from archdsl.diagrams.volumes.parts import DRAWN, Arc, Chain, Part
from archdsl.diagrams.volumes.titles import family_of, title
from archdsl.graph import AnyNode, Combined, LayerNode, layer_nodes
from archdsl.graph.network import Network
from archdsl.shapes import Shape, Window
from archdsl.text.record import Record, replace

#: The layers whose maps have the channels last, and those that put axes in another order.
WINDOWED = frozenset({"shifted_window_attention", "shifted_window_attention_v2"})
TURNING = WINDOWED | {"permute", "transpose"}


#: The families of layers on an arc that it does not name.
SILENT = frozenset({"norm", "activation", "other"})
#: Equal maps side by side, up to so many.
LONGEST = 12
#: What becomes of the tensor of an arc where it ends: at a layer, by its type; or that of a block.
JOINS = {"concat": "concatenated", "mul": "multiplied", "sub": "subtracted", "div": "divided"}


class Map(Record):
    """A feature map or vector.

    title     the operation that makes it: `3x3 conv, /2`
    family    that of the operation, for its colour
    names     the full names of the parts that it is made by
    windows   the window that slides over the map before it, None where there is none
    parts     for a concatenation: the family and the channels of each part
    active    an activation follows the operation
    loops     the operation has a residual inside
    line      the line of the operation in the spec, 0 for the input
    params    parameters of the parts
    """

    shape: Shape
    title: str
    family: str
    names: tuple[str, ...] = ()
    windows: tuple[Window, ...] | None = None
    parts: tuple[tuple[str, int], ...] = ()
    active: bool = False
    loops: bool = False
    line: int = 0
    params: int = 0

    @property
    def name(self) -> str:
        """The name of the part that gives the map its shape."""
        return "" if not self.names else self.names[-1] if self.parts else self.names[0]

    @property
    def is_flat(self) -> bool:
        """Whether it is drawn as a bar of units: a vector, or a map of one position."""
        return all(size == 1 for size in self.shape.spatial)

    @property
    def is_pool(self) -> bool:
        """Whether it is a pool that slides over the map before it, and not one over the whole map."""
        return self.family == "pool" and not self.is_flat

    def looks_like(self, other: Map) -> bool:
        """Whether both are the same operation on the same shape, so that they are drawn as one with a count."""
        return (self.title, self.shape, self.family, self.parts) == (other.title, other.shape, other.family, ())


class Column(Record):
    """Maps that stand side by side without a gap: those of one operation, which runs once or several times.

    `first` is the index of the first. `tail` is a pool drawn right after them, without a label of its own.
    """

    first: int
    maps: tuple[Map, ...]
    tail: Map | None = None

    @property
    def hidden(self) -> range:
        """The maps of a long row that dots stand for, by their places: all but the first two and the last."""
        return range(2, len(self.maps) - 1) if len(self.maps) > LONGEST else range(0)

    @property
    def slices(self) -> tuple[Map, ...]:
        """The maps, and the pool after them."""
        return self.maps if self.tail is None else (*self.maps, self.tail)


class Skip(Record):
    """An arc from one map to another, by their indices: the titles of what is on it, and what becomes of it there."""

    start: int
    end: int
    titles: tuple[str, ...]
    join: str


class Maps(Record):
    """All maps of a drawing from the input on, and the arcs past them."""

    maps: Sequence[Map]
    skips: Sequence[Skip]


def maps_of(network: Network, chain: Chain) -> Maps:
    """The maps along a chain. Raises SpecError (E856) where tensors are no maps."""
    _require_maps(network, chain)
    maps = [Map(network.input_shape, "input", "input", ("",))]
    #: For each part, the index of the map that has its output.
    place = []
    for part, value in zip(chain.parts, chain.values, strict=True):
        one = _map(part, value.shape)
        if part.is_concat:
            _add_concat(maps, one, part, chain)
        elif _is_attached(part, maps[-1], one, is_last=part is chain.parts[-1]):
            maps[-1] = _with(maps[-1], one)
        else:
            maps.append(one)
        place.append(len(maps) - 1)
    return Maps(maps, [_skip(arc, chain, [*place, 0]) for arc in chain.arcs])


def _skip(arc: Arc, chain: Chain, place: Sequence[int]) -> Skip:
    titles = tuple(title(part.node) for part in arc.parts if family_of(part.node) not in SILENT)
    end = place[arc.end]
    part = chain.parts[arc.end]
    return Skip(place[arc.start], end, titles, _join(part))


def _join(part: Part) -> str:
    return JOINS.get(part.node.kind, "added") if part.is_concat or part.is_join else "an input of the block"


def _require_maps(network: Network, chain: Chain) -> None:
    """Reject inputs and tensors that are no images, sequences or vectors of features (E856)."""
    shape = network.input_shape
    if shape.rank > 2 or not shape or shape.dtype != "float32":
        what = "integers" if shape.dtype != "float32" else f"{shape.rank} spatial axes" if shape else "a number"
        raise not_a_chain(network, f"its input {shape} has {what}")
    allowed = {1: (0, 1)}.get(shape.rank, (0, 2))
    for part, value in zip(chain.parts, chain.values, strict=True):
        if _is_turned(part.node) or value.shape.rank not in allowed or not value.shape:
            name = part.node.name or part.node.kind
            raise not_a_chain(network, f"what {name} gives ({value.shape}) is no feature map", part.node)


def _is_turned(node: AnyNode) -> bool:
    """Whether a part works on axes that are not channels first. A folded one may turn them and turn them back."""
    if isinstance(node, LayerNode):
        return node.kind in TURNING
    return any(layer.kind in WINDOWED for layer in layer_nodes(node))


def _map(part: Part, shape: Shape) -> Map:
    """What a part makes, as a map of its own."""
    node = part.node
    layers = list(layer_nodes(node))
    return Map(
        shape,
        title(node),
        family_of(node),
        (node.name,),
        node.layer.windows(node.input) if isinstance(node, LayerNode) else None,
        active=isinstance(node, LayerNode) and family(node) == "activation",
        loops=not isinstance(node, LayerNode) and any(map(_is_residual, (node, *node.nodes))),
        line=node.span.line,
        params=sum(tensor.numel for one in layers if not one.shared for tensor in one.weights.values()),
    )


def _is_residual(node: AnyNode) -> bool:
    return isinstance(node, Combined) and node.combinator.shortcut


def _is_attached(part: Part, last: Map, one: Map, *, is_last: bool) -> bool:
    """Whether a part belongs to the map before it, which has its shape."""
    node = part.node
    if part.is_join:
        return True
    if not isinstance(node, LayerNode):
        return isinstance(node, Combined) and node.combinator.keyword == "scale" and one.shape == last.shape
    if node.kind == "flatten":
        return last.is_flat or not is_last
    if node.kind == "pad":
        return True
    return node.output == node.input and (family(node) not in DRAWN or hasattr(node.layer, "output_size"))


def _with(last: Map, one: Map) -> Map:
    """A map with what is attached to it."""
    active = last.active or one.active
    return replace(last, names=last.names + one.names, active=active, params=last.params + one.params)


def _add_concat(maps: list[Map], one: Map, part: Part, chain: Chain) -> None:
    """Append a concatenation; it takes the place of a map that was only enlarged for it."""
    last = maps[-1]
    tensors = [value.source for value in part.steps[0].inputs]
    before = chain.values[chain.parts.index(part) - 1]
    parts = tuple((last.family if value is before else "other", value.shape.channels) for value in tensors)
    if last.family == "resample" and last.shape.spatial == one.shape.spatial:
        maps.pop()
        names, params = last.names + one.names, last.params + one.params
        one = replace(one, title=last.title, names=names, params=params, line=last.line)
    maps.append(replace(one, parts=parts, family="join"))
