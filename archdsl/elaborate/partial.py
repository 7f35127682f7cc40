"""Networks of specs with errors: what is known of them, for tools that work while a spec is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.elaborate.check import Found, check_module
from archdsl.elaborate.modules import load
from archdsl.elaborate.references import Definition
from archdsl.elaborate.run import run_of, unknown_graph
from archdsl.graph import AnyNode, walk
from archdsl.graph.network import Network
from archdsl.shapes import InputSizes
from archdsl.text.source import Source, Span


@dataclass(frozen=True, repr=False)
class PlacedNetwork(Network):
    """A network with the places of its nodes and names; of a spec with errors, what is known.

    Nodes after a mistake are there where their shapes are known: those of other branches, and those after `use`. A
    combinator with a mistake inside has the nodes that are known; its output, and that of the network, is the empty
    shape. Settings and recipe are kept as far as they are known.

    diagnostics  the errors that `archdsl check` reports, or if there are none its warnings, if it was loaded as partial
    definitions  the names of the spec and its imports with the places where they stand, if it was loaded as partial
    """

    diagnostics: tuple[Diagnostic, ...] = ()
    definitions: tuple[Definition, ...] = ()

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The errors among the diagnostics."""
        return tuple(one for one in self.diagnostics if one.severity == "error")

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """The warnings among the diagnostics."""
        return tuple(one for one in self.diagnostics if one.severity == "warning")

    def at(self, *, line: int | None = None, offset: int | None = None, path: str | None = None) -> tuple[AnyNode, ...]:
        """The nodes of a place in a file, in execution order; a block that is called several times has several.

        Args:
            line: nodes that begin on this line, from 1.
            offset: the innermost nodes around this character, from 0.
            path: the file as diagnostics name it; by default the spec's own.
        """
        spans = {
            span: nodes
            for span, nodes in self._nodes_by_span.items()
            if span.source.path == (self.path if path is None else path)
            and (line is None or span.line == line)
            and (offset is None or span.start <= offset < span.end)
        }
        if offset is not None and spans:
            shortest = min(span.end - span.start for span in spans)
            spans = {span: nodes for span, nodes in spans.items() if span.end - span.start == shortest}
        return tuple(node for nodes in spans.values() for node in nodes)

    @cached_property
    def _nodes_by_span(self) -> dict[Span, list[AnyNode]]:
        found: dict[Span, list[AnyNode]] = {}
        for node in walk(self.root):
            found.setdefault(node.span, []).append(node)
        return found

    def definition_at(self, offset: int, path: str | None = None) -> Definition | None:
        """The definition of the name at a character of a file, None if there is none."""
        wanted = self.path if path is None else path
        for one in self.definitions:
            for span in (one.span, *one.references):
                if span.source.path == wanted and span.start <= offset <= span.end:
                    return one
        return None


def load_partial(
    source: Source,
    path: Path | None = None,
    name: str | None = None,
    *,
    input: InputSizes | None = None,
    settings: Mapping[str, Any] | None = None,
) -> PlacedNetwork:
    """A model of a source, with its errors as data; arguments as those of `load` and `elaborate`."""
    from archdsl.elaborate.definitions import check_definitions

    module, errors = load(source, path)
    run, unknown = None, list[Diagnostic]()
    try:
        run = run_of(module, name, input=input, settings=settings)
    except SpecError as error:
        unknown = list(error.diagnostics)
    network = nothing(source) if run is None else run.network
    # Other errors may follow from those that were found when the files were read.
    found = Found(errors, check_definitions(module.with_imports())[1], []) if errors else check_module(module, run)
    known = {one.name: getattr(network, one.name) for one in fields(Network)}
    diagnostics = tuple(found.errors or unknown or found.warnings)
    return PlacedNetwork(**known, diagnostics=diagnostics, definitions=tuple(found.definitions))


def nothing(source: Source, diagnostics: Sequence[Diagnostic] = ()) -> PlacedNetwork:
    """A network without nodes, for a source that cannot be read."""
    root = unknown_graph(Span(source, 0, len(source.text)))
    return PlacedNetwork("", {}, root, spec=source.text, path=source.path, diagnostics=tuple(diagnostics))
