"""Lists in messages."""

from __future__ import annotations

from collections.abc import Sequence


def listed(items: Sequence[object], most: int) -> str:
    """The first items, separated by commas, and the number of the others: `a, b and 3 more`."""
    more = len(items) - most
    return ", ".join(map(str, items[:most])) + (f" and {more} more" if more > 0 else "")
