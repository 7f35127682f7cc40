"""The networks that come with archdsl, by name.

zoo.build("resnet18", classes=10)                  # a torch.nn.Module
zoo.build("resnet50", weights="IMAGENET1K_V2")     # with published weights
zoo.load("resnet18").params                        # the checked graph, without torch
"""

from __future__ import annotations

from collections.abc import Mapping
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
    weights: str | None = None,
    input: InputSizes | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> nn.Module:
    """A network of the zoo as a torch.nn.Module: `zoo.build("resnet18", classes=10)`.

    `weights` is the name of published weights in torchvision, `"IMAGENET1K_V2"` or `"DEFAULT"`, which are downloaded
    once. The network then has the input size and settings with which they were trained, unless others are given. With
    another number of classes the head is initialised afresh, with a warning.

    Raises:
        SpecError: the network, a setting or the weights do not exist, do not fit or cannot be downloaded.
    """
    given = {**(settings or {}), **parameters}
    if weights is None:
        return load(name, input=input, settings=given).build(seed=seed)
    with needed_for("a network with published weights"):
        from archdsl.backends.torch import published

    def elaborate(size: InputSizes | None, values: Mapping[str, Any]) -> Network:
        return load(name, input=size, settings=values)

    reference = f"torchvision:{str(weights).removeprefix('torchvision:')}"
    network, found = published.fitted(reference, elaborate, input, given)
    module = network.build(seed=seed)
    published.load(module, found)
    return module
