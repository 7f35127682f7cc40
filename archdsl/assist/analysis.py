"""What is known of one version of a file: its definitions, its models, their nodes and diagnostics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from archdsl.diagnostics import Diagnostic
from archdsl.elaborate.check import check_module
from archdsl.elaborate.definitions import check_definitions
from archdsl.elaborate.modules import Reader, load
from archdsl.elaborate.references import Definition
from archdsl.elaborate.run import Run
from archdsl.elaborate.variants import default_model, models_in
from archdsl.graph import AnyNode, walk
from archdsl.graph.network import LayerInfo, Network
from archdsl.syntax import tree
from archdsl.text.source import Source, Span


class Placed(NamedTuple):
    """The nodes of one statement, in execution order, and the network that they are from."""

    network: Network
    nodes: list[AnyNode]


class Analysis:
    """What is known of a file. Everything is computed when it is first asked for, models one by one.

    source  the text of the file
    module  the file with its imports
    """

    def __init__(self, source: Source, path: Path, read: Reader) -> None:
        self.source = source
        self.path = path
        self._read = read
        self._paths = {source: path.absolute()}
        self.module, self._errors = load(source, path, self._reader)
        self._runs: dict[str, Run] = {}
        self._found: list[Diagnostic] | None = None
        self._definitions: list[Definition] | None = None
        self._places: dict[str, dict[tuple[int, int], list[AnyNode]]] = {}

    def _reader(self, path: Path, shown: str) -> Source:
        source = self._read(path, shown)
        self._paths[source] = path
        return source

    @property
    def files(self) -> set[Path]:
        """The files that were read."""
        return {self.path, *self._paths.values()}

    def path_of(self, source: Source) -> Path:
        """The file that a source was read from."""
        return self._paths.get(source, self.path)

    @property
    def definitions(self) -> list[Definition]:
        """The names of the file and of those that it imports."""
        if self._definitions is None:
            self._definitions = check_definitions(self.module.with_imports())[1]
        return self._definitions

    def definition_at(self, offset: int) -> Definition | None:
        """The definition of the name at a character of the file."""
        return next((one for one in self.definitions if self.span_at(one, offset)), None)

    def span_at(self, definition: Definition, offset: int) -> Span | None:
        """The place of a name, where it is defined or used, at a character of the file."""
        places = (span for span in (definition.span, *definition.references) if span.source is self.source)
        return next((span for span in places if span.start <= offset <= span.end), None)

    @cached_property
    def models(self) -> list[str]:
        """The models that can be built without settings; the one that the file is about comes first."""
        names = models_in(self.module)
        first = default_model(self.module) if names else None
        return sorted(names, key=lambda name: name != first)

    def run(self, model: str) -> Run:
        """The expansion of a model."""
        if model not in self._runs:
            self._runs[model] = Run(self.module, self.module.models[model], None, {})
        return self._runs[model]

    def network(self, model: str) -> Network:
        """A model, expanded as far as it is known."""
        return self.run(model).network

    def diagnostics(self, models: Sequence[str] | None = None) -> list[Diagnostic]:
        """The errors of the file and its imports, or the warnings if there are none, seen in these models or all."""
        if self._errors:
            return self._errors
        names = self.models if models is None else models
        found = check_module(self.module, runs=map(self.run, names))
        self._definitions = self._definitions or found.definitions  # the same walk has collected them
        # Warnings say what all models leave unused.
        self._found = found.errors or (found.warnings if len(names) == len(self.models) else [])
        return self._found

    @property
    def latest(self) -> list[Diagnostic]:
        """The diagnostics that were asked for last; those of all models if none were."""
        return self.diagnostics() if self._found is None else self._found

    def imported_at(self, offset: int) -> Path | None:
        """The file whose path in an import is at a character."""
        for item in self.items:
            if isinstance(item, tree.Import) and item.path_span.start <= offset <= item.path_span.end:
                return (self.path.parent / item.path).resolve()
        return None

    @cached_property
    def items(self) -> list[tree.TopLevel]:
        """What stands at the top level of the file."""
        return [item for item in self.module.file.items if not isinstance(item, tree.Missing)]

    def item_at(self, offset: int) -> tree.TopLevel | None:
        """The definition around a character."""
        return next((item for item in self.items if item.span.start <= offset <= item.span.end), None)

    def model_at(self, offset: int) -> str | None:
        """The model whose definition is around a character."""
        item = self.item_at(offset)
        if not isinstance(item, tree.ModelDef | tree.VariantDef):
            return None
        return item.name.name if item.name.name in self.models else None

    def placed(self, span: Span) -> Placed | None:
        """The nodes of a statement: in the model that it stands in, else in the first model that gets there.

        Of the models that do not have it themselves, only the first and those that were checked before are asked.
        """
        own = self.model_at(span.start)
        for model in [own] if own else [name for i, name in enumerate(self.models) if i == 0 or name in self._runs]:
            nodes = self._nodes(model).get((span.start, span.end))
            if nodes:
                return Placed(self.network(model), nodes)
        return None

    def _nodes(self, model: str) -> dict[tuple[int, int], list[AnyNode]]:
        """The nodes of a model that this file makes, by their places."""
        if model not in self._places:
            found: dict[tuple[int, int], list[AnyNode]] = {}
            for node in walk(self.network(model).root):
                if node.span.source is self.source:
                    found.setdefault((node.span.start, node.span.end), []).append(node)
            self._places[model] = found
        return self._places[model]

    def calls(self) -> Iterator[tuple[tree.TopLevel, tree.LayerCall]]:
        """Every layer and block call of the file, with the definition around it."""
        for item in self.items:
            for node in tree.nodes(item):
                if isinstance(node, tree.LayerCall):
                    yield item, node

    def layers_of(self, placed: Placed) -> list[LayerInfo]:
        """The rows of the layers that nodes stand for."""
        spans = {node.span for node in placed.nodes}
        return [row for row in placed.network.layers if row.span in spans]
