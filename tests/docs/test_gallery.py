"""docs/gallery is what benchmarks/gallery.py writes: its page, its pictures and its reports."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "gallery"
LARGEST = 300_000


@pytest.fixture(scope="module")
def gallery() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gallery", ROOT / "benchmarks" / "gallery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_lists_what_is_there(gallery: ModuleType) -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert text == gallery.page()
    shown = {*re.findall(r"\]\(([^#.)][^)]*\.(?:svg|html))\)", text), "README.md"}
    assert shown == {path.name for path in FOLDER.iterdir()}
    assert len(gallery.NETWORKS) >= 20
    assert len(gallery.REPORTS) == 3


def test_files_are_small_and_whole() -> None:
    for path in FOLDER.iterdir():
        assert path.stat().st_size < LARGEST, path.name
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag.endswith("svg")


@pytest.mark.slow
def test_pictures_are_those_of_today(gallery: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "FOLDER", tmp_path)
    for name in gallery.NETWORKS:
        for path in gallery.draw(name):
            assert path.read_bytes() == (FOLDER / path.name).read_bytes(), f"./run gallery {name}"
