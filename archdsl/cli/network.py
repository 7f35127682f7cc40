"""The network that a command line asks for: by path or zoo name, with the options that all commands share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from torch import nn

    from archdsl.api import Network
    from archdsl.arguments.values import Entry
    from archdsl.elaborate.modules import Module
    from archdsl.runs.folder import RunInfo
    from archdsl.shapes import InputSizes


class Chosen(NamedTuple):
    """A network, its file, and the recipe entries among the settings."""

    network: Network
    file: Module
    entries: dict[str, Entry]


def network_of(
    spec: str, model: str | None, settings: Sequence[str] | None, input: Sequence[str] | None, *, run: str | None = None
) -> Network:
    """The checked network for a command without a recipe; arguments as those of `chosen`.

    Raises SpecError (E717) for a setting of the recipe.
    """
    return without_recipe(chosen(spec, model, settings, input, run=run)).network


def without_recipe(found: Chosen) -> Chosen:
    """Reject (E717) settings of the recipe."""
    if found.entries:
        from archdsl.cli.settings import unused

        raise unused(found.entries)
    return found


def chosen(
    spec: str, model: str | None, settings: Sequence[str] | None, input: Sequence[str] | None, *, run: str | None = None
) -> Chosen:
    """Find and check a network.

    Args:
        spec: a path or a zoo name.
        model: the value of `--model`.
        settings: the values of `--set`.
        input: the values of `--input`.
        run: the value of `--weights`. For a run folder, a file in one, or `torchvision:NAME`, the model, settings and
            input of that training are the defaults.
    """
    from archdsl.api import find

    module, named = find(spec)
    return chosen_of(module, model or named, settings, input, run=run)


def chosen_of(
    module: Module,
    model: str | None,
    settings: Sequence[str] | None,
    input: Sequence[str] | None,
    *,
    run: str | None = None,
) -> Chosen:
    """Check a network of a loaded file; arguments as those of `chosen`."""
    from archdsl.api import network_of as checked
    from archdsl.cli.options import input_sizes

    shape = input_sizes(input)
    published = run is not None and run.startswith("torchvision:")
    known = None if run is None or published else _run_info(run, model, module)
    if known is not None:
        model, shape = known.model, _together(shape, known.input)
    values: dict[str, Any] = {}
    entries: dict[str, Entry] = {}
    if settings:
        from archdsl.cli.settings import read_settings

        values, entries = read_settings(settings, module, model)

    def made(size: InputSizes | None, settings: Mapping[str, Any]) -> Network:
        return checked(module, model, input=size, settings=settings)

    if run is not None and published:
        from archdsl.backends.torch.published import fitted

        return Chosen(fitted(run, made, shape, values)[0], module, entries)
    return Chosen(made(shape, (known.settings if known else {}) | values), module, entries)


def _together(given: InputSizes | None, known: InputSizes) -> InputSizes:
    """The sizes that are given, and the known ones of the other inputs where these have names."""
    if isinstance(given, Mapping) and isinstance(known, Mapping):
        return {**known, **given}
    return known if given is None else given


def _run_info(weights: str, model: str | None, module: Module) -> RunInfo | None:
    """The run that weights belong to, if any. A single file of a run may be meant for another model."""
    from archdsl.runs.folder import run_of

    run = run_of(weights)
    if run is None:
        return None
    info = run.read_info()
    if (model or info.model) == info.model and (info.model in module.models or Path(weights).is_dir()):
        return info
    if not Path(weights).is_dir():
        return None
    message = f"the weights in {weights} belong to the model {info.model}, not to {model}"
    raise typer.BadParameter(message, param_hint="--model")


def built(network: Network, weights: str | None) -> nn.Module:
    """The torch module in evaluation mode, with the weights if there are any."""
    module = network.build()
    if weights is not None:
        from archdsl.backends.torch import load_weights

        load_weights(module, weights)
    return module.eval()


def spec_path(spec: str) -> str:
    """The path of the file with the zoo network of that name; otherwise the argument unchanged."""
    if Path(spec).exists():
        return spec
    from archdsl.cards import index as zoo

    entry = zoo.find(spec)
    return spec if entry is None else str(entry.path)
