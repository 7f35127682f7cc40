"""What `archdsl compare` prints."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING

from archdsl.view.tables import Column, draw, terminal_width

if TYPE_CHECKING:
    from archdsl.report.compare import Comparison


def comparison_json(found: Comparison) -> str:
    """One object: the runs' results by their folders, and the entries that differ."""
    return json.dumps(found.to_dict(), indent=2, ensure_ascii=False)


def draw_comparison(found: Comparison, *, file: IO[str]) -> None:
    """Two tables: results, and the entries in which the runs differ."""
    columns = [Column("", fold=12), *(Column(run.name, right=True, fold=16) for run in found.runs)]
    draw(columns, [[name, *values] for name, values in found.results()], file=file, width=terminal_width())
    rows = found.differences()
    print("\nwhat differs\n" if rows else "\nthe recipes, models and settings are the same", file=file)
    if rows:
        draw(columns, [[name, *values] for name, values in rows], file=file, width=terminal_width())
