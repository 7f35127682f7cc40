"""The networks that come with archdsl, by name.

zoo.build("resnet18", classes=10)                  # a torch.nn.Module
zoo.build("resnet50", weights="IMAGENET1K_V2")     # with published weights
zoo.build("lenet", weights="runs/lenet")           # with those of a run, or of a file
zoo.load("resnet18").params                        # the checked graph, without torch
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl import api
from archdsl.api import Network
from archdsl.cards.cards import Card
from archdsl.cards.folders import cards_folder, specs_folder
from archdsl.cards.index import Entry, card, entries, find, names
from archdsl.diagnostics.extras import needed_for
from archdsl.shapes import InputSizes

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "Card",
    "Entry",
    "build",
    "card",
    "cards_folder",
    "entries",
    "find",
    "load",
    "names",
    "specs_folder",
]


def load(
    name: str,
    *,
    input: InputSizes | None = None,
    settings: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> Network:
    """The checked graph of a network of the zoo; see `archdsl.load`."""
    return api.load(name, input=input, settings=settings, **parameters)


def build(
    name: str,
    *,
    weights: str | os.PathLike[str] | None = None,
    input: InputSizes | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> nn.Module:
    """A network of the zoo as a torch.nn.Module: `zoo.build("resnet18", classes=10)`.

    `weights` is a run folder, a file of weights, or published weights of torchvision: their name, `"IMAGENET1K_V2"` or
    `"DEFAULT"`, or the member of torchvision's enum. Published weights are downloaded once. The network then has the
    input size and settings with which they were trained, unless others are given. With published weights and another
    number of classes the head is initialised afresh, with a warning.

    Raises:
        SpecError: the network, a setting or the weights do not exist, do not fit or cannot be downloaded.
    """
    given = {**(settings or {}), **parameters}
    if weights is None:
        return load(name, input=input, settings=given).build(seed=seed)
    if isinstance(weights, os.PathLike) or _is_path(str(weights)):
        return _with_own(name, Path(weights), input, given)
    with needed_for("a network with published weights"):
        from archdsl.backends.torch import published

    def elaborate(size: InputSizes | None, values: Mapping[str, Any]) -> Network:
        return load(name, input=size, settings=values)

    reference = f"torchvision:{str(weights).removeprefix('torchvision:')}"
    network, found = published.fitted(reference, elaborate, input, given)
    module = network.build(seed=seed)
    published.load(module, found)
    return module


def _is_path(weights: str) -> bool:
    """Whether weights are meant as a file or folder, also where there is none."""
    if weights.startswith("torchvision:"):
        return False
    path = Path(weights)
    return path.suffix in {".safetensors", ".pt", ".pth"} or weights.startswith((".", "/", "~")) or path.exists()


def _with_own(name: str, path: Path, input: InputSizes | None, given: Mapping[str, Any]) -> nn.Module:
    """A network with weights of one's own; those of a run of the same network bring its settings and input."""
    with needed_for("a network with weights"):
        from archdsl.backends.torch import load_weights
        from archdsl.runs.folder import run_of

    path = path.expanduser()
    run = run_of(path) if path.exists() else None
    info = None if run is None else run.read_info()
    if info is not None and info.model == name:
        given, input = info.settings | dict(given), info.input if input is None else input
    module = load(name, input=input, settings=given).build()
    load_weights(module, path)
    return module
