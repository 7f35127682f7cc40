"""The checked graph as an indented text, for `archdsl show --stage graph`."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.arguments.values import spec_text
from archdsl.graph import AnyNode, Aux, Combined, Cut, Group, LayerNode, Node, Use
from archdsl.graph.network import Network
from archdsl.layers.base import Layer
from archdsl.text.stack import deep


@deep
def graph_text(network: Network) -> str:
    """One line for each node: label, what it is, its shapes, taps, and its place in the file."""
    root = network.root
    lines = [line for node in root.nodes for line in _lines(node, 1)]
    wide = max((len(text) for text, _ in lines), default=0)
    head = f"{_model(network)}  {_inputs(network)} -> {root.output}  {_place(root)}"
    return "\n".join([head, *(f"{text:<{wide}}  {rest}".rstrip() for text, rest in lines)])


def _model(network: Network) -> str:
    return f"model {network.title}" + "".join(f" -> {tap.name}" for tap in network.root.taps)


def _inputs(network: Network) -> str:
    named = [f"{name}: {shape}" for name, shape in network.inputs.items()]
    return ", ".join(named) if network.named_inputs else str(network.input_shape)


def _lines(node: AnyNode, level: int) -> Iterator[tuple[str, str]]:
    yield "  " * level + _head(node), f"{node.input} -> {node.output}  {_place(node)}"
    if isinstance(node, Combined) and node.combinator.shortcut and len(node.nodes) == 2:
        for word, path in zip(("body", "shortcut"), node.nodes, strict=True):
            yield "  " * (level + 1) + word, f"{path.input} -> {path.output}"
            for child in path.nodes:
                yield from _lines(child, level + 2)
        return
    for child in _inside(node):
        yield from _lines(child, level + 1)


def _inside(node: AnyNode) -> tuple[AnyNode, ...]:
    """The children; a node's only body is replaced by its items."""
    inner = node.nodes
    if len(inner) == 1 and isinstance(inner[0], Group) and inner[0].label is None and not isinstance(node, Group):
        return inner[0].nodes
    return inner


def _head(node: AnyNode) -> str:
    label = f"{node.label}: " if node.label is not None else ""
    taps = "".join(f" -> {tap.name}" for tap in node.taps)
    shared = " (shared)" if node.shared else ""
    return f"{label}{_what(node)}{shared}{taps}"


def _what(node: AnyNode) -> str:
    match node:
        case LayerNode():
            return _layer(node)
        case Use():
            return f"use({node.tap.name})"
        case Cut():
            return f"chunk -> {', '.join(tap.name for tap in node.parts)}"
        case Aux():
            return f"aux (output {node.output_name})"
        case _:
            return node.kind


def _layer(node: LayerNode) -> str:
    """The layer as a spec could write it: taps first, then the arguments that are not at their defaults."""
    arguments = node.layer.written_operands([tap.name for tap in node.operands]) + _arguments(node.layer)
    if node.parametrization is not None:
        arguments.append(f"parametrization={node.parametrization}")
    names = [name for name in node.weights if name in node.frozen]
    which = "" if len(names) == len(node.weights) else f"{', '.join(names)} "
    frozen = f" ({which}frozen)" if names else ""
    return f"{node.kind}({', '.join(arguments)}){frozen}" if arguments else f"{node.kind}{frozen}"


def _arguments(layer: Layer) -> list[str]:
    values = {name: getattr(layer, name) for name in type(layer).model_fields if name not in layer.tap_arguments}
    fields = type(layer).model_fields
    return [f"{name}={spec_text(value)}" for name, value in values.items() if value != fields[name].default]


def _place(node: Node) -> str:
    return f"{node.span.source.path}:{node.span.line}"
