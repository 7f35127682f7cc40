"""What a name or a statement means, as Markdown."""

from __future__ import annotations

from inspect import cleandoc
from typing import NamedTuple

from archdsl.arguments.values import spec_text
from archdsl.assist.analysis import Analysis, Placed
from archdsl.assist.hints import shapes_text
from archdsl.combinators import COMBINATORS
from archdsl.elaborate.functions import FUNCTIONS
from archdsl.elaborate.references import Definition
from archdsl.graph import LayerNode
from archdsl.graph.network import LayerInfo
from archdsl.layers import arguments, kind_named
from archdsl.layers.base import AXES, Layer
from archdsl.layers.windows import rule
from archdsl.syntax import tree
from archdsl.text.source import Span
from archdsl.view.rows import field, humanised


class Hover(NamedTuple):
    """A Markdown text about a stretch of the file."""

    text: str
    span: Span


def hover(analysis: Analysis, offset: int) -> Hover | None:
    """What stands at a character: a name of the spec, a layer type, a combinator, or nothing that has a text."""
    word = _word(analysis, offset)
    call = next((one for _, one in analysis.calls() if one.name_span.start <= offset <= one.name_span.end), None)
    definition = analysis.definition_at(offset)
    if definition is not None and (span := analysis.span_at(definition, offset)) is not None:
        item = None if call is None else _item(analysis, offset)
        return Hover(_about_name(analysis, definition, item), span)
    if call is not None and (kind := kind_named(call.name)) is not None:
        item = _item(analysis, offset)
        return Hover(_about_layer(analysis, call.name, kind, item), call.name_span)
    if word is None:
        return None
    if (kind := kind_named(word.text)) is not None:
        return Hover(_documentation(word.text, kind), word)
    if word.text in COMBINATORS:
        return Hover(f"**{word.text}**: {COMBINATORS[word.text].summary}{_here(analysis, offset)}", word)
    if word.text in FUNCTIONS:
        return Hover(f"**{word.text}** gives {FUNCTIONS[word.text].summary}", word)
    return None


def _word(analysis: Analysis, offset: int) -> Span | None:
    text = analysis.source.text
    start = end = offset
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_"):
        start -= 1
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return Span(analysis.source, start, end) if start < end else None


def _item(analysis: Analysis, offset: int) -> tree.Item | None:
    """The innermost statement around a character."""
    top = analysis.item_at(offset)
    around = [
        node for node in tree.nodes(top) if isinstance(node, tree.Item) and node.span.start <= offset <= node.span.end
    ]
    return min(around, key=lambda item: item.span.end - item.span.start, default=None)


def _here(analysis: Analysis, offset: int) -> str:
    item = _item(analysis, offset)
    placed = None if item is None else analysis.placed(item.span)
    return "" if placed is None else f"\n\n{_figures(analysis, placed)}"


def _about_layer(analysis: Analysis, name: str, kind: type[Layer], item: tree.Item | None) -> str:
    placed = None if item is None else analysis.placed(item.span)
    parts = [] if placed is None else [_figures(analysis, placed)]
    return "\n\n".join([*parts, _documentation(name, kind)])


def _documentation(name: str, kind: type[Layer]) -> str:
    """The signature of a layer type and its documentation."""
    listed = ", ".join(one.name if not one.default else f"{one.name}={one.default}" for one in arguments(kind))
    taps = "taps..." if kind.takes_taps else ""
    head = f"```arch\n{name}({', '.join(filter(None, [taps, listed]))})\n```"
    return f"{head}\n\n{cleandoc(kind.__doc__ or '')}"


def _figures(analysis: Analysis, placed: Placed) -> str:
    """The shapes and figures of the layers that a statement stands for, in the network it was found in."""
    rows, nodes = analysis.layers_of(placed), placed.nodes
    lines = [
        f"{shapes_text([node.input for node in nodes])} → **{shapes_text([node.output for node in nodes])}**",
    ]
    if len(nodes) == 1 and isinstance(nodes[0], LayerNode):
        lines += _formulas(nodes[0])
    own = rows if rows else _inside(placed)
    if own:
        params, macs = sum(row.params for row in own), sum(row.macs for row in own)
        field_text = field(max((row.receptive_field for row in own), default=()))
        lines.append(f"{params:,} parameters, {humanised(macs)} MACs, receptive field {field_text}")
    keys = [node.key(name) for node in nodes if isinstance(node, LayerNode) for name in node.weights]
    if keys:
        shown = ", ".join(f"`{key}`" for key in keys[:4])
        lines.append(f"state_dict: {shown}" + (f" and {len(keys) - 4} more" if len(keys) > 4 else ""))
    times = f", {len(nodes)} times" if len(nodes) > 1 else ""
    lines.append(f"in `{placed.network.name}`{times}")
    return "  \n".join(lines)


def _formulas(node: LayerNode) -> list[str]:
    """The output-size formula with the numbers of each axis, once where they agree, for layers of that rule."""
    windows = node.layer.windows(node.input) or ()
    found: dict[str, list[str]] = {}
    for axis, size, window, output in zip(
        AXES.get(len(windows), ()), node.input.spatial, windows, node.output.spatial, strict=False
    ):
        ceil = window.output(size) != output
        if window.output(size, ceil=ceil) == output:
            text = f"{rule(size, window, ceil=ceil).rpartition(' = ')[2]} = {output}"
            found.setdefault(text, []).append(axis)
    return [f"{' and '.join(axes)}: `{text}`" for text, axes in found.items()]


def _inside(placed: Placed) -> list[LayerInfo]:
    names = tuple(f"{node.name}." for node in placed.nodes if node.label is not None)
    return [row for row in placed.network.layers if names and row.name.startswith(names)]


def _about_name(analysis: Analysis, definition: Definition, item: tree.Item | None) -> str:
    """What a name of the spec stands for."""
    lines = [f"**{definition.name}**: {_kind(definition)}"]
    value = _value(analysis, definition)
    if value:
        lines.append(value)
    if item is not None and (placed := analysis.placed(item.span)) is not None:
        lines.append(_figures(analysis, placed))
    uses = len(definition.references)
    lines.append(f"defined on line {definition.span.line} of {definition.span.source.path}, used {uses} times")
    return "\n\n".join(lines)


def _kind(definition: Definition) -> str:
    return f"{'an' if definition.kind == 'input' else 'a'} {definition.kind}"


def _value(analysis: Analysis, definition: Definition) -> str:
    """The value of a parameter of a model, or of a `let` of the file."""
    if definition.kind == "parameter":
        model = analysis.model_at(definition.span.start)
        values = analysis.network(model).settings if model else {}
        return f"`{spec_text(values[definition.name])}` in `{model}`" if definition.name in values else ""
    if definition.kind == "value" and definition.span.source is analysis.source:
        found = analysis.module.globals.values.get(definition.name)
        plain = isinstance(found, int | float | str | bool | list | tuple) or found is None
        return f"`{spec_text(found)}`" if definition.name in analysis.module.globals.values and plain else ""
    if definition.kind == "model" and definition.name in analysis.models:
        network = analysis.network(definition.name)
        return f"{network.params:,} parameters, {humanised(network.macs)} MACs, output {network.output_shape}"
    return ""
