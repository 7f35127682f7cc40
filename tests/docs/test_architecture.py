"""docs/architecture.md: its example runs, and its floors are those that tests/test_architecture.py holds."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.docs.page import DOCS, run_page
from tests.test_architecture import FLOORS

PAGE = (DOCS / "architecture.md").read_text("utf-8")


def test_the_page_does_what_it_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_page("architecture.md", capsys)


def test_the_floors_are_those_of_the_package() -> None:
    section = PAGE.partition("\n## The floors\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [name for name in FLOORS if "__" not in name]


def test_every_path_exists() -> None:
    paths = [path for path in re.findall(r"`([\w/.]+/[\w/.]*)`", PAGE) if not re.search("[A-Z]{3}", path)]
    assert len(paths) > 5
    root, package = DOCS.parent, DOCS.parent / "archdsl"
    places = (root, package, package / "backends")
    assert [path for path in paths if not any((place / path).exists() for place in places)] == []


def test_the_picture_is_well_formed() -> None:
    picture = ElementTree.parse(DOCS / "architecture.svg").getroot()
    assert picture.tag.endswith("svg")
