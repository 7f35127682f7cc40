"""docs/training.md lists every entry of a recipe with its default, and every construct."""

from __future__ import annotations

import re

import pytest

from archdsl.recipe import FAMILIES, Recipe
from tests.docs.page import DOCS

PAGE = (DOCS / "training.md").read_text("utf-8")
SECTIONS = {
    "dataset": "Data sets",
    "augment": "Augmentations",
    "optimizer": "Optimizers",
    "schedule": "Schedules",
    "loss": "Losses",
}


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def shown(value: object) -> str:
    """A default as the page writes it."""
    text = str(getattr(value, "kind", value))
    return {"None": "none", "True": "true", "False": "false", "()": "[]", "auto": '"auto"'}.get(text, text)


def test_every_entry_is_listed_with_its_default() -> None:
    rows = re.findall(r"^\| ((?:`\w+`,? ?)+) \| ([^|]+) \|", section("Entries"), re.MULTILINE)
    listed = {name: default.strip("` ") for names, default in rows for name in re.findall(r"`(\w+)`", names)}
    recipe = Recipe()
    assert set(listed) == set(Recipe.model_fields)
    described = {"metrics": "[accuracy]", "monitor": "accuracy", "channels_last": "by the device"}
    for name, default in listed.items():
        assert default == described.get(name, shown(getattr(recipe, name)))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_construct_is_listed(family: str) -> None:
    text = section(SECTIONS[family])
    assert [name for name in FAMILIES[family] if not re.search(rf"`{name}[`(]", text)] == []
