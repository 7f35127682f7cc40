"""Warnings about a file without errors: what is valid, but hardly meant."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, islice, zip_longest
from typing import NamedTuple

from archdsl.diagnostics import Diagnostic, Help, Note
from archdsl.diagnostics.codes.warnings import ActivationBeforeLoss, BiasBeforeNorm, Hides, NothingExpanded, Unused
from archdsl.elaborate.expressions import FIGURES
from archdsl.elaborate.modules import Module
from archdsl.elaborate.references import Definition
from archdsl.elaborate.run import position
from archdsl.elaborate.unused import Removals
from archdsl.elaborate.variants import models_in, open_params
from archdsl.graph import AnyNode, Group, LayerNode, walk
from archdsl.graph.network import Network
from archdsl.layers import is_built_in
from archdsl.syntax import tree
from archdsl.text.limits import MAX_ERRORS
from archdsl.text.source import Span

#: Names for the size of a network that are also figures, with the figures that are read beside these.
COMMON = {"width": {"height"}, "depth": {"height", "width"}, "length": set[str]()}
#: The activations that a loss applies itself.
APPLIED = {
    "cross_entropy": ("log_softmax", ("softmax", "log_softmax")),
    "bce": ("the sigmoid", ("sigmoid", "logsigmoid")),
}


def warnings_of(module: Module, definitions: Sequence[Definition], expanded: Expanded) -> list[Diagnostic]:
    """The warnings about a file, in source order, as many as there may be errors; none about files that it imports.

    Args:
        module: the file.
        definitions: the names that it and its imports define.
        expanded: what its models, expanded, have told.
    """
    names = _Names(module, [one for one in definitions if one.span.source is module.source])
    found = chain(
        names.unused(), names.hiding(), expanded.biases(module), map(_loss, expanded.losses), _unexpanded(module)
    )
    return sorted(islice(found, MAX_ERRORS), key=position)


# Names


class _Names:
    """The names that a file defines."""

    def __init__(self, module: Module, own: Sequence[Definition]) -> None:
        self.module = module
        self.own = own
        self.items = module.file.items
        self.starts = [item.span.start for item in self.items]
        nodes = list(tree.nodes(module.file.items))
        self.strings = {one.value for one in nodes if isinstance(one, tree.Literal) and isinstance(one.value, str)}
        self.reads = [one for one in nodes if isinstance(one, tree.Name) and one.name in FIGURES]
        self.values = dict(_values(nodes))
        self.first_inputs = set(_first_inputs(nodes))
        self.removals = Removals(nodes)

    def unused(self) -> Iterator[Diagnostic]:
        """Values, parameters, blocks, taps and further inputs that nothing reads."""
        shared = self._shared_parameters() | self.first_inputs
        exported = set(self.module.definitions.values())
        for one in self.own:
            # A tap of a block is read from outside as `label.tap`.
            is_global = one in exported or (one.kind == "tap" and self._is_in_block(one))
            is_used = one.is_read or one.span.start in shared or (is_global and not self.module.models)
            if is_used or one.name.startswith("_") or (one.kind == "block" and one.name in self.strings):
                continue
            if one.kind in {"value", "parameter", "tap", "block", "input"}:
                helps = self.removals.helps(one, is_certain=not is_global)
                yield Diagnostic(Unused(one.kind, one.name, is_global), one.span, helps=helps)

    def _is_in_block(self, one: Definition) -> bool:
        return isinstance(self.items[self._item(one.span)], tree.BlockDef)

    def _shared_parameters(self) -> set[int]:
        """Where the parameters of blocks are that are passed as values: such blocks take the same arguments."""
        found = set[int]()
        for item in self.items:
            if isinstance(item, tree.BlockDef):
                block = self.module.definitions.get(item.name.name)
                if block is not None and (block.is_passed or block.name in self.strings):
                    found |= {param.span.start for param in item.params}
        return found

    def hiding(self) -> Iterator[Diagnostic]:
        """Parameters, values and loop variables with the name of a figure or a layer type."""
        for one in self.own:
            if one.kind in {"parameter", "value", "loop variable"} and (hidden := self._hidden(one)):
                yield Diagnostic(Hides(one.kind, one.name, hidden), one.span, helps=(Help("choose another name"),))

    def _hidden(self, one: Definition) -> str:
        """What a name hides that may be missed; empty for nothing."""
        if one.name in COMMON:
            return self._figure(one.name) if self._figures[self._item(one.span)] & COMMON[one.name] else ""
        if one.name in FIGURES or one.name == "shape":
            return self._figure(one.name)
        if one.is_called or not is_built_in(one.name) or self._is_layer(self.values.get(one.span.start)):
            return ""
        return f"the layer type `{one.name}`"

    def _figure(self, name: str) -> str:
        return f"the {name} of the current tensor"

    def _item(self, span: Span) -> int:
        """The number of the definition in which a span is."""
        return bisect_right(self.starts, span.start) - 1

    @cached_property
    def _figures(self) -> list[set[str]]:
        """The figures of the current tensor that each definition reads, and does not bind."""
        found: list[set[str]] = [set() for _ in self.items]
        for read in self.reads:
            found[self._item(read.span)].add(read.name)
        for one in self.own:
            found[self._item(one.span)].discard(one.name)
        return found

    def _is_layer(self, value: tree.Expr | None) -> bool:
        """Whether an expression is a layer type or block, perhaps with arguments."""
        if not isinstance(value, tree.Name | tree.Call):
            return False
        known = self.module.definitions.get(value.name)
        return is_built_in(value.name) if known is None else known.kind == "block"


def _first_inputs(nodes: Sequence[object]) -> Iterator[int]:
    """Where the first inputs of models are, which are their current tensors to begin with."""
    for call in nodes:
        if isinstance(call, tree.LayerCall) and call.name == "input" and call.arguments:
            yield call.arguments[0].span.start


def _values(nodes: Sequence[object]) -> Iterator[tuple[int, tree.Expr | None]]:
    """The values that parameters and single names are bound to, by the places of the names."""
    for one in nodes:
        if isinstance(one, tree.Param):
            yield one.span.start, one.default
        elif isinstance(one, tree.Let) and isinstance(one.targets[0], tree.Name):
            yield one.targets[0].span.start, one.value


# Layers


class Expanded:
    """What the warnings need of a file's models. Each is looked at when it is expanded, so that none has to be kept."""

    def __init__(self) -> None:
        self.losses: list[_AppliedTwice] = []
        self._cancelled: dict[int, tuple[LayerNode, LayerNode]] = {}
        self._needed: set[int] = set()

    def add(self, network: Network) -> None:
        """Look at a model."""
        for parent in walk(network.root):
            following = parent.nodes[1:] if isinstance(parent, Group) else ()
            for node, norm in zip_longest(parent.nodes, following):
                if not isinstance(node, LayerNode) or not _has_default_bias(node):
                    continue
                if isinstance(norm, LayerNode) and norm.layer.cancels_bias and not node.taps and not node.shared:
                    self._cancelled.setdefault(id(node.span), (node, norm))
                else:
                    self._needed.add(id(node.span))
        self.losses += _applied_twice(network)

    def biases(self, module: Module) -> Iterator[Diagnostic]:
        """Biases that are not written and that the norm after them cancels, wherever the layer is used."""
        forms = _forms(module) if self._cancelled else {}
        for key, (node, norm) in self._cancelled.items():
            if key not in self._needed and key in forms:
                helps = _without_bias(forms[key])
                yield Diagnostic(BiasBeforeNorm(node.kind, norm.kind), forms[key].span, helps=helps)


def _has_default_bias(node: LayerNode) -> bool:
    """Whether a layer adds a bias to each channel that nobody asked for."""
    layer = node.layer
    if layer.bias_axis is None or range(len(node.output))[layer.bias_axis] != 0:
        return False
    return bool(getattr(layer, "bias", False)) and "bias" not in layer.model_fields_set


def _forms(module: Module) -> dict[int, tree.LayerCall]:
    """The calls in a file by the places of their items."""
    items = (one for one in tree.nodes(module.file.items) if isinstance(one, tree.Item))
    return {id(item.span): item.form for item in items if isinstance(item.form, tree.LayerCall)}


def _without_bias(form: tree.LayerCall) -> tuple[Help, ...]:
    message = "write `bias=false`, or `bias=true` if it is meant"
    if not form.arguments:
        return (Help(message),)
    last = form.arguments[-1].span
    return (Help(message, Span(last.source, last.end, last.end), ", bias=false"),)


class _AppliedTwice(NamedTuple):
    """A last layer that the recipe's loss applies itself, and the place of the loss."""

    layer: LayerNode
    loss: str
    applied: str
    place: Span | None


def _loss(found: _AppliedTwice) -> Diagnostic:
    layer, loss, applied, place = found
    notes = (Note("the loss is chosen here", place),) if place else (Note("it is the loss of the recipe"),)
    problem = ActivationBeforeLoss(layer.kind, loss, applied)
    return Diagnostic(problem, layer.span, notes=notes, helps=(Help("remove the layer"),), chain=layer.chain)


def _applied_twice(network: Network) -> Iterator[_AppliedTwice]:
    last = _last(network.root)
    names = {name for _, kinds in APPLIED.values() for name in kinds}
    if network.recipe is None or not isinstance(last, LayerNode) or last.kind not in names:
        return
    from archdsl.recipe import read_recipe

    recipe = read_recipe(network.recipe)
    applied, kinds = APPLIED.get(recipe.loss.kind, ("", ()))
    if last.kind in kinds:
        yield _AppliedTwice(last, recipe.loss.kind, applied, recipe.place("loss"))


def _last(node: AnyNode) -> AnyNode:
    """The node that makes the output of another one."""
    while isinstance(node, Group) and node.nodes:
        node = node.nodes[-1]
    return node


# Models


def _unexpanded(module: Module) -> Iterator[Diagnostic]:
    """A file whose blocks or models are not part of any network that is checked."""
    made = [item for item in module.file.items if isinstance(item, tree.BlockDef | tree.ModelDef)]
    if not made or models_in(module):
        return
    missing = [
        f"model `{name}` requires {', '.join(f'`{param}`' for param in open_params(model, module))}"
        for name, model in module.models.items()
    ]
    problem = NothingExpanded(module.source.path, f" ({'; '.join(missing)})" if missing else "")
    yield Diagnostic(problem, made[0].name.span)
