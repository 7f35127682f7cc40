"""Edits that remove what is never used, where that changes no network."""

from __future__ import annotations

from collections.abc import Iterable

from archdsl.diagnostics import Help
from archdsl.elaborate.references import Definition
from archdsl.syntax import tree
from archdsl.text.source import Span


class Removals:
    """The `let` statements and taps of a file, to remove those that nothing reads."""

    def __init__(self, nodes: Iterable[object]) -> None:
        self.lets: dict[int, tree.Let] = {}
        self.taps: dict[int, tree.TapTarget] = {}
        for node in nodes:
            if isinstance(node, tree.Let):
                self.lets |= {name.span.start: node for name in node.targets if isinstance(name, tree.Name)}
            elif isinstance(node, tree.Item) and node.tap is not None and not node.more:
                self.taps[node.tap.span.end] = node.tap

    def helps(self, one: Definition, *, is_certain: bool) -> tuple[Help, ...]:
        """How to remove a name; none where others may give it, such as a parameter."""
        if one.kind == "value" and (let := self.lets.get(one.span.start)) is not None:
            if len(let.targets) > 1:
                return (Help("write `_` for what is not used", one.span, "_", certain=is_certain),)
            return (Help("remove it", statement(let.span), "", certain=is_certain),)
        tap = self.taps.get(one.span.end) if one.kind == "tap" else None
        return () if tap is None else (Help("remove the tap", _with_arrow(tap.span), "", certain=is_certain),)


def statement(span: Span) -> Span:
    """A statement with what separates it from the others: its line, or a `;`."""
    text = span.source.text
    first = text.rfind("\n", 0, span.start) + 1
    last = text.find("\n", span.end)
    before, after = text[first : span.start], text[span.end : len(text) if last < 0 else last]
    if after.lstrip().startswith(";"):
        rest = after.lstrip()[1:]
        return Span(span.source, span.start, span.end + len(after) - len(rest.lstrip()))
    if before.rstrip().endswith(";"):
        return Span(span.source, first + len(before.rstrip()) - 1, span.end)
    if before.strip() or after.strip():
        return span
    return Span(span.source, first, len(text) if last < 0 else last + 1)


def _with_arrow(span: Span) -> Span:
    """A tap's name and index with the arrow before it."""
    before = span.source.text[: span.start].rstrip()
    start = len(before.removesuffix("->").rstrip()) if before.endswith("->") else len(before)
    return Span(span.source, start, span.end)
