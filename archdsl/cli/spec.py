"""From what a user typed to a spec: a path first, then a name of the zoo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from archdsl.api import Network
    from archdsl.arguments.values import Entry
    from archdsl.elaborate.modules import Module
    from archdsl.runs.folder import RunInfo
    from archdsl.text.source import Source


class Chosen(NamedTuple):
    """The network that a command line asks for, the file it is in, and what `--set` says of its recipe."""

    network: Network
    file: Module
    entries: dict[str, Entry]


def network_of(
    spec: str, model: str | None, settings: Sequence[str] | None, input: str | None, *, run: str | None = None
) -> Network:
    """The checked network for a command that uses no recipe; arguments as those of `chosen`."""
    return network_and_file(spec, model, settings, input, run=run)[0]


def network_and_file(
    spec: str, model: str | None, settings: Sequence[str] | None, input: str | None, *, run: str | None = None
) -> tuple[Network, Module]:
    """The network and the file it is in. Raises SpecError (E717) for a setting of the recipe."""
    found = chosen(spec, model, settings, input, run=run)
    if found.entries:
        from archdsl.cli.settings import unused

        raise unused(found.entries)
    return found.network, found.file


def chosen(
    spec: str, model: str | None, settings: Sequence[str] | None, input: str | None, *, run: str | None = None
) -> Chosen:
    """What the options that all commands share ask for.

    `run` is what was given as weights. Where it is the folder of a run or a file in it, or weights that torchvision
    publishes, the model, settings and input of their training hold unless something else is asked for.
    """
    from archdsl.api import find
    from archdsl.api import network_of as checked
    from archdsl.cli.options import sizes

    shape = None if input is None else sizes(input)
    module, named = find(spec)
    model = model or named
    known = None if run is None or run.startswith("torchvision:") else _info(run, model, module)
    if known is not None:
        model, shape = known.model, shape or known.input
    values: dict[str, Any] = {}
    entries: dict[str, Entry] = {}
    if settings:
        from archdsl.cli.settings import read_settings

        values, entries = read_settings(settings, module, model)

    def made(size: Sequence[int] | None, settings: Mapping[str, Any]) -> Network:
        return checked(module, model, input=size, settings=settings)

    if run is not None and run.startswith("torchvision:"):
        from archdsl.backends.torch.published import fitted

        return Chosen(fitted(run, made, shape, values)[0], module, entries)
    return Chosen(made(shape, (known.settings if known else {}) | values), module, entries)


def _info(weights: str, model: str | None, module: Module) -> RunInfo | None:
    """What is known of the run that weights belong to; None where they are no run's.

    A single file of a run may be meant for another model.
    """
    from archdsl.runs.folder import run_of

    run = run_of(weights)
    if run is None:
        return None
    info = run.read_info()
    if (model or info.model) == info.model and (info.model in module.models or Path(weights).is_dir()):
        return info
    if not Path(weights).is_dir():
        return None
    message = f"the weights in {weights} are those of the model {info.model}, not of {model}"
    raise typer.BadParameter(message, param_hint="--model")


def spec_path(spec: str) -> str:
    """The path of a spec that is a file, or of the file with the network of that name; else what was given."""
    if Path(spec).exists():
        return spec
    from archdsl.cards import index as zoo

    entry = zoo.find(spec)
    return spec if entry is None else str(entry.path)


def source_of(spec: str) -> Source:
    """The text of a spec; raises SpecError where it cannot be read."""
    from archdsl.elaborate import read

    return read(Path(spec_path(spec)))
