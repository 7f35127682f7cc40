"""Paths as messages show them."""

from __future__ import annotations

import os


def shown(path: str) -> str:
    """A path relative to the current folder where that is shorter."""
    if not path:
        return ""
    try:
        return min(os.path.relpath(path), path, key=len)
    except ValueError:  # it is on another drive
        return path
