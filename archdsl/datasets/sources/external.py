"""Data sets that other installed projects offer."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import entry_points

from archdsl.datasets.download import reason
from archdsl.datasets.missing import INSTEAD
from archdsl.datasets.source import Source, Wanted
from archdsl.datasets.sources.arrays import source_of
from archdsl.datasets.sources.torchvision import unknown
from archdsl.diagnostics import Rejected
from archdsl.diagnostics.codes.data import ExternalFailed
from archdsl.recipe.datasets import External

#: Each entry is called with the root (a string, or None) and returns what `source_of` reads.
GROUP = "archdsl.datasets"


def read(dataset: External, wanted: Wanted) -> Source:
    """The set that the entry point of that name returns. Raises Rejected (E623) where there is none."""
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if dataset.name not in found:
        raise unknown("external", dataset.name, found)
    entry = found[dataset.name]
    try:
        made = entry.load()(wanted.root)
    except (OSError, RuntimeError, ValueError, ImportError, AttributeError) as error:
        package = entry.dist.name if entry.dist else entry.module
        problem = ExternalFailed(dataset.name, package, reason(error))
        raise Rejected(problem, argument="dataset", help=INSTEAD) from error
    source = source_of(dataset.name, made)
    return replace(source, place=wanted.root or "")
