"""Shapes at the end of lines, and the names of positional arguments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from archdsl.assist.analysis import Analysis
from archdsl.elaborate.environment import BlockValue
from archdsl.layers import kind_named
from archdsl.shapes import Shape
from archdsl.syntax import tree
from archdsl.view.rows import humanised


class Hint(NamedTuple):
    """A text that an editor shows at a character of the file; `tooltip` explains it."""

    offset: int
    text: str
    tooltip: str = ""
    before: bool = False


def shape_hints(analysis: Analysis, *, params: bool = False) -> Iterator[Hint]:
    """The output of each line's last statement, and on request its parameters."""
    last: dict[int, tree.Item] = {}
    for node in _nodes(analysis):
        if isinstance(node, tree.Item):
            last[node.span.line] = node
    for line, item in last.items():
        placed = analysis.placed(item.span)
        if placed is None or not all(node.output for node in placed.nodes):
            continue
        text = shapes_text([node.output for node in placed.nodes])
        if params and (count := sum(row.params for row in analysis.layers_of(placed))):
            text += f", {humanised(count)} parameters"
        times = f", {len(placed.nodes)} times" if len(placed.nodes) > 1 else ""
        yield Hint(_end_of_line(analysis, line), text, f"output in {placed.network.name}{times}")


def shapes_text(shapes: Sequence[Shape]) -> str:
    """One shape, or the first and the last size of each axis where they differ: `64..512 x 56..7`."""
    first = shapes[0]
    if any(len(shape) != len(first) for shape in shapes):
        return " or ".join(dict.fromkeys(map(str, shapes)))
    axes = [list(dict.fromkeys(shape[axis] for shape in shapes)) for axis in range(len(first))]
    if all(len(sizes) == 1 for sizes in axes):
        return str(first)
    return " x ".join(str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]}..{sizes[-1]}" for sizes in axes)


def argument_hints(analysis: Analysis) -> Iterator[Hint]:
    """The names of arguments that are given by position."""
    for _, call in analysis.calls():
        positional = [one for one in call.arguments if one.name is None]
        for argument, name in zip(positional, parameter_names(analysis, call.name), strict=False):
            if not (isinstance(argument.value, tree.Name) and argument.value.name == name):
                yield Hint(argument.span.start, f"{name}=", before=True)


def parameter_names(analysis: Analysis, name: str) -> list[str]:
    """The parameters of a block of the file, or of a layer type, in the order of positional arguments."""
    value = analysis.module.globals.values.get(name)
    if isinstance(value, BlockValue):
        return [param.name for param in value.definition.params]
    kind = kind_named(name)
    if kind is None or kind.takes_taps:
        return []
    return list(kind.model_fields)


def _nodes(analysis: Analysis) -> Iterator[object]:
    for item in analysis.items:
        yield from tree.nodes(item)


def _end_of_line(analysis: Analysis, line: int) -> int:
    """The offset after the last character of a line that is no comment."""
    start = analysis.source.line_start(line)
    end = start + len(analysis.source.line_text(line))
    comment = next((one.start for one in analysis.module.file.comments if start <= one.start < end), end)
    return start + len(analysis.source.text[start:comment].rstrip())
