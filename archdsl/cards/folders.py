"""The folders of the zoo's specs and cards: next to the package in a checkout, inside it when installed."""

from __future__ import annotations

from pathlib import Path


def _folder(name: str) -> Path:
    package = Path(__file__).parents[1]
    inside = package / "data" / name
    return inside if inside.is_dir() else package.parent / name


def specs_folder() -> Path:
    """The folder of the specs."""
    return _folder("specs")


def cards_folder() -> Path:
    """The folder of the cards."""
    return _folder("zoo")
