"""From what a user typed to a spec: a path first, then a name of the zoo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from archdsl.elaborate.files import Module
    from archdsl.network import Network
    from archdsl.source import Source


def network_of(
    spec: str,
    model: str | None,
    settings: Sequence[str] | None,
    input: str | None,
    *,
    option: str = "--set",
    run: str | None = None,
) -> Network:
    """The checked network that the options of a command ask for.

    `option` is the one that gave the settings. `run` may be the folder of a run, or weights that torchvision
    publishes: the model, settings and input of their training hold unless something else is asked for.
    """
    return network_and_file(spec, model, settings, input, option=option, run=run)[0]


def network_and_file(
    spec: str,
    model: str | None,
    settings: Sequence[str] | None,
    input: str | None,
    *,
    option: str = "--set",
    run: str | None = None,
) -> tuple[Network, Module]:
    """The network, and the file it is in."""
    from archdsl.cli.options import sizes
    from archdsl.elaborate import elaborate
    from archdsl.loading import find

    shape = None if input is None else sizes(input)
    module, named = find(spec)
    values = {}
    if settings:
        from archdsl.cli.values import model_settings

        values = model_settings(settings, option, module.globals)
    if run is not None and run.startswith("torchvision:"):
        from archdsl.torch.published import fitted

        def made(size: Sequence[int] | None, settings: Mapping[str, Any]) -> Network:
            return elaborate(module, model or named, input=size, settings=settings)

        return fitted(run, made, shape, values)[0], module
    if run is not None and (Path(run) / "run.json").is_file():
        from archdsl.train.run import RunFolder

        info = RunFolder(Path(run)).read_info()
        if (model or named or info.model) != info.model:
            message = f"the weights in {run} are those of the model {info.model}, not of {model or named}"
            raise typer.BadParameter(message, param_hint="--model")
        model, shape, values = info.model, shape or info.input, info.settings | values
    return elaborate(module, model or named, input=shape, settings=values), module


def spec_path(spec: str) -> str:
    """The path of a spec that is a file, or of the file with the network of that name; else what was given."""
    if Path(spec).exists():
        return spec
    from archdsl import zoo

    entry = zoo.find(spec)
    return spec if entry is None else str(entry.path)


def source_of(spec: str) -> Source:
    """The text of a spec; raises SpecError where it cannot be read."""
    from archdsl.elaborate import read

    return read(Path(spec_path(spec)))
