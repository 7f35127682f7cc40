"""The folders of the zoo's specs and cards: next to the package in a checkout, inside it when installed."""

from __future__ import annotations

from pathlib import Path

from archdsl.text.paths import shown


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


def shown_spec(path: str) -> str:
    """The path of a spec as titles show it: that of the zoo by its name, unless it lies in the current folder."""
    if Path(path).is_absolute() or path.startswith(".."):
        found = Path(path).resolve()
        if found.is_relative_to(specs_folder().resolve()) and not found.is_relative_to(Path.cwd()):
            return f"{found.name} of the zoo"
    return shown(path)
