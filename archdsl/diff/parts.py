"""The parts of a network as they are compared: layers and scopes with what defines them, apart from their names."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from functools import cached_property
from itertools import repeat

from pydantic import BaseModel

from archdsl.arguments.values import Construct, spec_text
from archdsl.graph import AnyNode, Combined, Cut, Group, LayerNode, Node, Tap, walk
from archdsl.text.stack import deep

#: The fields of nodes that say where they are and what shapes they have, or that have a form of their own here.
PLACED = frozenset((*Node._fields, "layer", "operands", "init", "frozen", "block", "combinator"))

#: The arguments of layers for which one number and the same number for each axis are the same.
PER_AXIS = frozenset(
    ("kernel_size", "stride", "padding", "dilation", "output_padding", "output_size", "size", "scale_factor")
)


class Part:
    """A node as it is compared.

    facts  what defines it besides its kind and its parts: the arguments of a layer, ...
    parts  what is inside; the items of a group without a name belong to the part around it
    role   `body` or `shortcut` of a residual
    key    a number that is the same for parts with the same facts and the same parts, whatever their names are
    named  the same for parts whose inner labels agree too
    """

    def __init__(self, node: AnyNode, parts: tuple[Part, ...], keys: dict[Hashable, int], role: str = "") -> None:
        self.node = node
        self.parts = parts
        self.role = role
        self.facts = _facts(node)
        #: A block call is what is in it: another block with the same content changes nothing.
        kind = "scope" if isinstance(node, Group) else node.kind
        content = (type(node), kind, tuple(self.facts.items()), tuple(part.key for part in parts))
        self.key: int = keys.setdefault(content, len(keys))
        self.named: int = keys.setdefault((self.key, tuple((part.label, part.named) for part in parts)), len(keys))

    @property
    def name(self) -> str:
        """The full name; of a part without a label, that of the scope around."""
        return self.node.name

    @property
    def label(self) -> str | None:
        return self.node.label

    @property
    def kind(self) -> str:
        return self.role or self.node.kind

    @property
    def is_layer(self) -> bool:
        return isinstance(self.node, LayerNode)

    @cached_property
    def layers(self) -> tuple[LayerNode, ...]:
        """The layers inside, in execution order."""
        return tuple(node for node in walk(self.node) if isinstance(node, LayerNode))

    @cached_property
    def has_state(self) -> bool:
        """Whether there is an entry of the state_dict inside."""
        return any(layer.weights or layer.buffers for layer in self.layers)


@deep
def parts_of(node: AnyNode, keys: dict[Hashable, int], role: str = "") -> Part:
    """A node with its parts. `keys` are the numbers given so far; both networks share them."""
    inner = list(_spliced(node) if isinstance(node, Group) else node.nodes)
    has_shortcut = isinstance(node, Combined) and node.combinator.shortcut and len(inner) == 2
    roles = ("body", "shortcut") if has_shortcut else ("",) * len(inner)
    return Part(node, tuple(map(parts_of, inner, repeat(keys), roles)), keys, role)


def _spliced(group: Group) -> Iterator[AnyNode]:
    """The items of a group, with those of groups without a label in their place."""
    ahead = list(reversed(group.nodes))
    while ahead:
        node = ahead.pop()
        if isinstance(node, Group) and node.label is None:
            ahead += reversed(node.nodes)
        else:
            yield node


def _facts(node: AnyNode) -> Mapping[str, str]:
    """What defines a node, as a spec writes it."""
    facts = {name: _text(getattr(node, name)) for name in node._fields if name not in PLACED}
    if node.shared:
        facts["shared"] = "true"
    if isinstance(node, Cut):
        sizes = tuple(tap.shape.channels for tap in node.parts)
        facts["sizes"] = _text(sizes) if len(set(sizes)) > 1 else "equal"
    if not isinstance(node, LayerNode):
        return facts
    layer = node.layer
    names = (name for name in type(layer).model_fields if name not in layer.tap_arguments)
    facts |= {name: _argument(name, getattr(layer, name)) for name in names}
    if node.operands:
        facts["taps"] = _text(node.operands)
    if node.frozen:
        facts["trainable"] = (
            "false" if len(node.frozen) == len(node.weights) else _text(dict.fromkeys(node.frozen, False))
        )
    return facts | {f"init of {name}": _text(initializer) for name, initializer in node.init.items()}


def _argument(name: str, value: object) -> str:
    """An argument of a layer; one number for each axis as a size, or as one number where they are equal."""
    if name in PER_AXIS and isinstance(value, tuple):
        return _text(value[0]) if len(set(value)) == 1 else "x".join(map(_text, value))
    return _text(value)


def _text(value: object) -> str:
    if isinstance(value, Tap):
        return value.name
    if isinstance(value, tuple) and value and all(isinstance(one, Tap) for one in value):
        return ", ".join(map(_text, value))
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        given = {name: getattr(value, name) for name, field in fields.items() if getattr(value, name) != field.default}
        return spec_text(Construct(getattr(value, "kind", type(value).__name__), kwargs=given))
    return spec_text(value)
