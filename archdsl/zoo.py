"""The zoo: every model of the specs that come with archdsl, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from archdsl.cards import Card
    from archdsl.network import Network

#: A model or variant at the beginning of a line. The names alone are needed here, not the trees.
MODEL = re.compile(r"^model[ \t]+([A-Za-z_]\w*)", re.MULTILINE)


def _folder(name: str) -> Path:
    """A data folder: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).parent
    inside = package / "data" / name
    return inside if inside.is_dir() else package.parent / name


def specs_folder() -> Path:
    """Where the specs are."""
    return _folder("specs")


def cards_folder() -> Path:
    """Where the cards are."""
    return _folder("zoo")


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a network of the zoo is written."""

    name: str
    path: Path
    model: str


@cache
def entries() -> dict[str, Entry]:
    """Every model of every spec by its name. Models that are only a base for others are among them."""
    found: dict[str, Entry] = {}
    for path in sorted(specs_folder().glob("*.arch")):
        for name in MODEL.findall(path.read_text(encoding="utf-8")):
            found.setdefault(name, Entry(name, path, name))
    return found


@cache
def names() -> tuple[str, ...]:
    """The networks of the zoo that can be built without settings, family by family. The cards list them all."""
    from archdsl.cards import cards

    return tuple(name for card in cards().values() for name in card.models)


def find(name: str) -> Entry | None:
    """Where a network is written, None if there is none of that name."""
    return entries().get(name)


def card(name: str) -> Card | None:
    """What is known about a network from outside: its paper, reference figures and twins."""
    from archdsl.cards import cards

    entry = find(name)
    return None if entry is None else cards().get(entry.path.stem)


def twin(name: str, path: str) -> str:
    """What torchvision calls the model `name` of the spec at `path`; empty where it has none or the zoo has not it."""
    entry, family = find(name), card(name)
    if entry is None or family is None or name not in family.models or Path(path).resolve() != entry.path.resolve():
        return ""
    return family.models[name].torchvision


def load(
    name: str,
    *,
    input: Sequence[int] | None = None,
    settings: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> Network:
    """The checked graph of a network of the zoo; see `archdsl.load`."""
    from archdsl.loading import load as load_spec

    return load_spec(name, input=input, settings=settings, **parameters)


def build(
    name: str,
    *,
    weights: str | None = None,
    input: Sequence[int] | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> nn.Module:
    """A network of the zoo as a torch.nn.Module: `zoo.build("resnet18", classes=10)`.

    `weights` is torchvision's name of published ones, `"IMAGENET1K_V2"` or `"DEFAULT"`, which it downloads
    once. The network then has the input size and the settings they were trained with, unless others are
    given; with another number of classes the head is fresh, and a warning says so.

    Raises:
        SpecError: no such network, settings or weights, or they cannot be downloaded or do not fit.
    """
    given = {**(settings or {}), **parameters}
    if weights is None:
        return load(name, input=input, settings=given).build(seed=seed)
    from archdsl.torch import published

    def elaborate(size: Sequence[int] | None, values: Mapping[str, Any]) -> Network:
        return load(name, input=size, settings=values)

    reference = f"torchvision:{str(weights).removeprefix('torchvision:')}"
    network, found = published.fitted(reference, elaborate, input, given)
    module = network.build(seed=seed)
    published.load(module, found)
    return module
