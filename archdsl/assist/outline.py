"""The structure of a file: definitions with their labelled parts, folds, the figures of models, calls of blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from archdsl.assist.analysis import Analysis
from archdsl.graph.network import Network
from archdsl.graph.requirement import Requirement
from archdsl.graph.requirements import ACCURACY, FIGURES
from archdsl.syntax import tree
from archdsl.text.source import Span
from archdsl.view.rows import humanised

SymbolKind = Literal["model", "block", "value", "recipe", "part"]


class Symbol(NamedTuple):
    """A named part of a file: `span` is all of it, `name_span` its name."""

    name: str
    kind: SymbolKind
    detail: str
    span: Span
    name_span: Span
    children: Sequence[Symbol] = ()


class Lens(NamedTuple):
    """A line above a model."""

    span: Span
    text: str
    model: str


def symbols(analysis: Analysis) -> list[Symbol]:
    """The definitions of a file, with the labelled statements inside."""
    return [symbol for item in analysis.items for symbol in _symbols(item)]


def _symbols(item: tree.TopLevel) -> Iterator[Symbol]:
    match item:
        case tree.ModelDef():
            yield Symbol(item.name.name, "model", _params(item.params), item.span, item.name.span, _parts(item.body))
        case tree.BlockDef():
            yield Symbol(item.name.name, "block", _params(item.params), item.span, item.name.span, _parts(item.body))
        case tree.VariantDef():
            yield Symbol(item.name.name, "model", f"= {item.base.name}", item.span, item.name.span)
        case tree.Let():
            for name in tree.names_of(item.targets):
                yield Symbol(name.name, "value", "", item.span, name.span)
        case tree.TrainDef():
            names = ", ".join(one.name for one in item.models)
            start = item.span.start
            yield Symbol("train", "recipe", names, item.span, Span(item.span.source, start, start + len("train")))


def _params(params: Sequence[tree.Param]) -> str:
    return ", ".join(param.name for param in params)


def _parts(body: tree.Body) -> list[Symbol]:
    """The labelled statements of a body, and inside of others those of theirs."""
    found: list[Symbol] = []
    for statement in body.statements:
        match statement:
            case tree.Item() as item:
                inner = [part for each in _bodies(item.form) for part in _parts(each)]
                if item.label is None:
                    found += inner
                else:
                    label = item.label.span
                    found.append(Symbol(label.text, "part", _what(item.form), item.span, label, inner))
            case tree.For():
                found += _parts(statement.body)
            case tree.If():
                found += _branches(statement)
    return found


def _branches(statement: tree.If) -> list[Symbol]:
    found = _parts(statement.body)
    match statement.otherwise:
        case tree.Body() as body:
            found += _parts(body)
        case tree.If() as other:
            found += _branches(other)
    return found


def _bodies(form: tree.Form) -> list[tree.Body]:
    match form:
        case tree.GroupForm() | tree.CombinatorForm():
            return [form.body]
        case tree.ResidualForm():
            return [form.body] + ([form.shortcut] if form.shortcut else [])
        case _:
            return []


def _what(form: tree.Form) -> str:
    match form:
        case tree.LayerCall():
            return form.name
        case tree.CombinatorForm():
            return form.kind
        case tree.ResidualForm():
            return "residual"
        case _:
            return "group"


def folds(analysis: Analysis) -> list[tuple[int, int]]:
    """The first and the last line of everything that can be folded: bodies, recipes, comments of several lines."""
    found = set()
    for item in analysis.items:
        for node in tree.nodes(item):
            if isinstance(node, tree.Body | tree.TrainDef | tree.ListDisplay | tree.DictDisplay | tree.Require):
                found.add((node.span.line, _last_line(node.span)))
    lines = [span.line for span in analysis.module.file.comments if _is_alone(span)]
    for first in [line for line in lines if line - 1 not in lines]:
        last = first
        while last + 1 in lines:
            last += 1
        found.add((first, last))
    return sorted((first, last) for first, last in found if last > first)


def _last_line(span: Span) -> int:
    return span.source.position(max(span.end - 1, span.start))[0]


def _is_alone(span: Span) -> bool:
    line = span.source.line_text(span.line)
    return line.lstrip().startswith("#")


def lenses(analysis: Analysis) -> Iterator[Lens]:
    """Parameters and MACs above every model that can be built, and how it stands to its requirements."""
    for item in analysis.items:
        if not isinstance(item, tree.ModelDef | tree.VariantDef) or item.name.name not in analysis.models:
            continue
        if analysis.run(item.name.name).diagnostics:
            continue
        network = analysis.network(item.name.name)
        text = f"{network.params:,} parameters · {humanised(network.macs)} MACs"
        bounds = [_bound(one, network) for one in network.requirements]
        yield Lens(item.name.span, " · ".join([text, *filter(None, bounds)]), item.name.name)


def _bound(wanted: Requirement, network: Network) -> str:
    """`params <= 10_000 (61,706)`; nothing for a figure that is measured."""
    if wanted.figure == ACCURACY:
        return ""
    return f"{wanted.span.text} ({FIGURES[wanted.figure].value(network, wanted.op):,g})"


class Call(NamedTuple):
    """Calls of one definition by another: the other one, and the places of the name."""

    other: Symbol
    spans: list[Span]


def incoming(analysis: Analysis, name: str) -> list[Call]:
    """Where a block is called, by the definitions of the file."""
    return _grouped(analysis, ((caller, span) for caller, called, span in _block_calls(analysis) if called == name))


def outgoing(analysis: Analysis, name: str) -> list[Call]:
    """The blocks of the file that a definition calls."""
    return _grouped(analysis, ((called, span) for caller, called, span in _block_calls(analysis) if caller == name))


def _grouped(analysis: Analysis, others: Iterable[tuple[str, Span]]) -> list[Call]:
    """Calls by the other definition, where it is one of the file."""
    known = {one.name: one for one in symbols(analysis) if one.kind in {"block", "model"}}
    found: dict[str, list[Span]] = {}
    for name, span in others:
        found.setdefault(name, []).append(span)
    return [Call(known[name], spans) for name, spans in found.items() if name in known]


def _block_calls(analysis: Analysis) -> Iterator[tuple[str, str, Span]]:
    """The caller, the name called, and its place."""
    for item, call in analysis.calls():
        if isinstance(item, tree.BlockDef | tree.ModelDef):
            yield item.name.name, call.name, call.name_span
    for item in analysis.items:
        if isinstance(item, tree.VariantDef):
            yield item.name.name, item.base.name, item.base.name_span
