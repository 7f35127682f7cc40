"""Expansions kept for reuse: the same call on the same input with the same arguments makes the same nodes.

Deep networks repeat one block, or one layer in a loop, many times. The first call is expanded; later ones are
copies with other names and another chain of calls, which costs a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from archdsl.arguments.bind import Given
from archdsl.arguments.values import Construct
from archdsl.diagnostics import Frame
from archdsl.elaborate.environment import BlockValue, Environment, KindValue, PartialValue
from archdsl.elaborate.settings import Settings
from archdsl.graph import AnyNode, LayerNode, N, rebuilt
from archdsl.layers.base import Layer
from archdsl.shapes import Shape
from archdsl.syntax import tree
from archdsl.text.record import replace
from archdsl.text.source import Span
from archdsl.text.stack import deep


@dataclass(slots=True)
class Expansion:
    """The expansion of a block call: the nodes of its body, its depth, and the layers and steps that it took."""

    body: tuple[AnyNode, ...]
    output: Shape
    path: str
    chain: tuple[Frame, ...]
    depth: int
    layers: int
    steps: int

    @deep
    def at(self, path: str, chain: tuple[Frame, ...]) -> tuple[AnyNode, ...]:
        """The nodes as they are called from elsewhere: in the scope `path`, with `chain` leading there."""
        start, depth = len(self.path), len(self.chain)
        chains: dict[int, tuple[Frame, ...]] = {}

        def moved_chain(old: tuple[Frame, ...]) -> tuple[Frame, ...]:
            if id(old) not in chains:
                chains[id(old)] = chain + old[depth:]
            return chains[id(old)]

        def moved_name(old: str) -> str:
            return path + old[start:]

        return tuple(_moved(node, moved_name, moved_chain) for node in self.body)


def _moved(node: N, name: Callable[[str], str], chain: Callable[[tuple[Frame, ...]], tuple[Frame, ...]]) -> N:
    """A copy of a node and all that is in it under other names."""
    return rebuilt(node, lambda child: _moved(child, name, chain), name=name(node.name), chain=chain(node.chain))


def renamed(node: LayerNode, name: str, span: Span, chain: tuple[Frame, ...]) -> LayerNode:
    """A layer under another name, written or called elsewhere."""
    return replace(node, name=name, label=name.rpartition(".")[2], span=span, chain=chain)


def frozen(value: object) -> Hashable:
    """A value as a key that is equal for equal values; raises TypeError for one that has no such key (a tap)."""
    match value:
        case None | bool() | int() | float() | str() | KindValue() | range():
            # 1, 1.0 and true are equal as keys of a dictionary, but not as arguments.
            return (type(value), value)
        case list() | tuple():
            return (type(value), tuple([frozen(item) for item in value]))
        case dict():
            return (dict, tuple([(key, frozen(item)) for key, item in value.items()]))
        case BlockValue():
            return (BlockValue, id(value))
        case PartialValue():
            arguments = tuple([(name, frozen(argument)) for name, argument in value.arguments])
            return (PartialValue, frozen(value.callee), arguments)
        case Construct():
            return (Construct, value.name, frozen(value.args), frozen(value.kwargs))
        case _:
            raise TypeError(f"no key for {value!r}")


def key_of(block: BlockValue, env: Environment, x: Shape | None, settings: Settings, aux: bool) -> Hashable | None:
    """The key of a block call: all that its expansion depends on. None for one that takes taps."""
    try:
        arguments = tuple([(name, frozen(value)) for name, value in env.values.items()])
    except TypeError:
        return None
    return (id(block.definition), arguments, x, settings, aux)


def key_of_setting(statement: tree.Setting, value: object, settings: Settings) -> Hashable:
    """The key of settings changed by a statement, so that those of a repeated body are the same each time."""
    try:
        return (id(statement), frozen(value), settings)
    except TypeError:
        return object()


def key_of_layer(cls: type[Layer], given: Sequence[Given], x: Shape | None, settings: Settings) -> Hashable | None:
    """The key of a layer, wherever it is written: its arguments and the input. None for one that takes taps."""
    if x is None:
        return None
    try:
        values = tuple([(one.name, frozen(one.value)) for one in given])
    except TypeError:
        return None
    return (cls, values, x, settings)
