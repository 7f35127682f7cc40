"""A copy of a network's model under another name, as `archdsl new --from` writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from archdsl.arguments.values import spec_text
from archdsl.cards import index
from archdsl.cli.network import STDIN, Asked, Chosen
from archdsl.elaborate import elaborate, load_module
from archdsl.elaborate.modules import Module
from archdsl.elaborate.outside import blocks_in, plain
from archdsl.elaborate.run import run_of
from archdsl.elaborate.standalone import standalone
from archdsl.graph import same_graph
from archdsl.syntax import format_text, tree
from archdsl.text.source import Source, Span


def copy_of(base: str, name: str) -> str:
    """A spec with the model of a network, called `name`, and all that it needs.

    The values that a run gave to parameters are the defaults of the copy.

    Raises:
        KeyError: the model needs something of that name.
        SpecError: the network cannot be found or has errors.
    """
    found = Asked(base).chosen()
    chosen, module = found.network, found.file
    values = {} if found.run is None else _changed(found)
    blocks = [block for value in values.values() for block in blocks_in(value)]
    text, names = standalone(module, chosen.name, name, blocks)
    text = _with_values(text, name, {key: plain(value, names) for key, value in values.items()})
    network = elaborate(load_module(Source(f"{name}.arch", text)), name)
    header = f"# {name}: started from {_origin(base, found)}.\n"
    if not same_graph(network.root, chosen.root):
        header += _difference(found)
    return format_text(header + text, name)


def _origin(base: str, found: Chosen) -> str:
    """What a network was copied from, in words."""
    if base == STDIN:
        return "standard input"
    is_path = found.run is not None or Path(base).exists()
    return f"{base} of the zoo" if not is_path and index.find(base) is not None else base


def _changed(found: Chosen) -> Mapping[str, Any]:
    """The values of the model's parameters that are not their defaults."""
    run = run_of(found.file, found.network.name, settings=found.network.settings)
    usual = run_of(found.file, found.network.name)
    _ = run.network, usual.network  # `used` is known after the expansion
    return {key: value for key, value in run.used.items() if usual.used.get(key) != value}


def _with_values(text: str, name: str, values: Mapping[str, Any]) -> str:
    """The source with other values for parameters of a model."""
    module = load_module(Source(name, text))
    edits = sorted(_edits(module, name, values), key=lambda edit: edit[0].start, reverse=True)
    for span, value in edits:
        text = text[: span.start] + value + text[span.end :]
    return text


def _edits(module: Module, name: str, values: Mapping[str, Any]) -> Iterator[tuple[Span, str]]:
    """The defaults of a model, or what a variant gives to its base, with their new values."""
    definition = module.models[name].definition
    own = {param.name: param for param in definition.params}
    for key, value in values.items():
        if key in own:
            default = own[key].default
            written = spec_text(value)
            yield (own[key].span, f"{key} = {written}") if default is None else (default.span, written)
    if isinstance(definition, tree.VariantDef):
        yield from _edits_of_base(definition.base, {key: value for key, value in values.items() if key not in own})


def _edits_of_base(base: tree.Call, values: Mapping[str, Any]) -> Iterator[tuple[Span, str]]:
    """The arguments of a variant's base with new values."""
    given = {one.name: one for one in base.arguments}
    for key in values.keys() & given.keys():
        yield given[key].value.span, spec_text(values[key])
    more = ", ".join(f"{key}={spec_text(value)}" for key, value in values.items() if key not in given)
    if more and base.arguments:
        end = base.arguments[-1].span.end
        yield Span(base.span.source, end, end), f", {more}"
    elif more:
        yield base.span, f"{base.name}({more})"


def _difference(found: Chosen) -> str:
    """The options with which the copy is the network that it was made from."""
    network = found.network
    settings = " ".join(f"--set {key}={spec_text(value)}" for key, value in network.settings.items())
    sizes = " ".join(f"--input {name}={shape.sizes}" for name, shape in network.inputs.items())
    size = sizes if network.named_inputs else f"--input {network.input_shape.sizes}"
    return f"# It was trained with {' '.join(filter(None, [settings, size]))}\n"
