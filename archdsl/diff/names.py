"""Short forms of lists of names: `layer3.{6..22}` for `layer3.6`, `layer3.7`, ..., as labels in specs are written."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from archdsl.graph.traverse import prefixes


def shortened(names: Sequence[str]) -> list[str]:
    """The names with those in sequence, which differ in a number at the end only, as one."""
    runs: list[list[str]] = []
    for name in names:
        if runs and _follows(runs[-1][-1], name):
            runs[-1].append(name)
        else:
            runs.append([name])
    return [run[0] if len(run) == 1 else _range(run[0], run[-1]) for run in runs]


def _follows(one: str, other: str) -> bool:
    (stem, number), (next_stem, next_number) = _split(one), _split(other)
    return stem == next_stem and number != "" and next_number == str(int(number) + 1)


def _split(name: str) -> tuple[str, str]:
    """A name without the number at its end, and the number; one with leading zeros is not counted on."""
    found = re.fullmatch(r"(.*?)(0|[1-9][0-9]{0,8})?", name, re.DOTALL)
    assert found is not None
    return found[1], found[2] or ""


def _range(first: str, last: str) -> str:
    stem, start = _split(first)
    return f"{stem}{{{start}..{_split(last)[1]}}}"


def scopes(keys: Collection[str], all_keys: Collection[str]) -> list[str]:
    """The keys by the outermost scopes that have no others of `all_keys`, in short form."""
    chosen = set(keys)
    others = {prefix for key in all_keys if key not in chosen for prefix in prefixes(key)}
    found = dict.fromkeys(next(prefix for prefix in prefixes(key) if prefix not in others) for key in keys)
    return shortened(list(found))
