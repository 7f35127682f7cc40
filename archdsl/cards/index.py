"""The index of the zoo: every model of the included specs, by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.cards.folders import specs_folder

if TYPE_CHECKING:
    from archdsl.cards.cards import Card, ModelCard

#: A model or variant at the start of a line: only the names are needed here, not the trees.
MODEL = re.compile(r"^model[ \t]+([A-Za-z_]\w*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Entry:
    """The place of a network of the zoo."""

    name: str
    path: Path
    model: str


@cache
def entries() -> dict[str, Entry]:
    """Every model of every spec by name, including those that are only a base for others."""
    found: dict[str, Entry] = {}
    for path in sorted(specs_folder().glob("*.arch")):
        for name in MODEL.findall(path.read_text(encoding="utf-8")):
            found.setdefault(name, Entry(name, path, name))
    return found


@cache
def names() -> tuple[str, ...]:
    """The networks on the cards, by family. All can be built without settings."""
    from archdsl.cards.cards import cards

    return tuple(name for card in cards().values() for name in card.models)


def find(name: str) -> Entry | None:
    """The place of a network, None if there is none of that name."""
    return entries().get(name)


def card(name: str) -> Card | None:
    """The card of the family of a network, None if there is no network of that name."""
    from archdsl.cards.cards import cards

    entry = find(name)
    return None if entry is None else cards().get(entry.path.stem)


def task(name: str, path: str) -> str:
    """What the model `name` of the spec at `path` is for, as its card says; empty if it is not in the zoo."""
    found = _model(name, path)
    return "" if found is None else found.task


def _model(name: str, path: str) -> ModelCard | None:
    """The card of the model `name` of the spec at `path`."""
    entry, family = find(name), card(name)
    if entry is None or family is None or Path(path).resolve() != entry.path.resolve():
        return None
    return family.models.get(name)


def twin(name: str, path: str) -> str:
    """The torchvision name of the model `name` of the spec at `path`; empty if it is not in torchvision or the zoo."""
    found = _model(name, path)
    return "" if found is None else found.torchvision
