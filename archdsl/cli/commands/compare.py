"""`archdsl compare`: runs side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli.options import TableOrJson, require_extension
from archdsl.cli.printing import print_json

if TYPE_CHECKING:
    from archdsl.report.compare import Comparison

EXAMPLES = ("archdsl compare runs/a runs/b", "archdsl compare runs/a runs/b -o compare.html")

#: What `-o` writes: a page, or the curves alone.
FORMS = (".html", ".png", ".svg", ".pdf")


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Two or more run folders.")],
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Also write a page (.html), or plot their curves (.png, .svg, .pdf)."
        ),
    ] = None,
    format: TableOrJson = "table",
) -> None:
    """Compare the results, recipes and settings of runs."""
    if output is not None:
        require_extension(output, FORMS)
    from archdsl.report.compare import compare_runs

    found = compare_runs([Path(run) for run in runs])
    if len(runs) < 2:
        raise typer.BadParameter("archdsl compare requires two runs or more", param_hint="RUN")
    if format == "json":
        print_json(found.to_dict())
    else:
        _draw(found)
    if output is not None:
        _write(found, Path(output))
        print(f"wrote {output}", file=sys.stderr)


def _write(found: Comparison, path: Path) -> None:
    """Write the page of a comparison, or its curves, by the extension."""
    if path.suffix.lower() == ".html":
        from archdsl.report.compare_page import write_comparison

        write_comparison(found, path)
    else:
        from archdsl import figures

        figures.save(figures.curves({run.name: run.history for run in found.runs}), path)


def _draw(found: Comparison) -> None:
    """Print two tables: the results, and the entries in which the runs differ."""
    from archdsl.view.tables import Column, draw, terminal_width

    columns = [Column("", fold=12), *(Column(run.name, right=True, fold=16) for run in found.runs)]
    draw(columns, [[name, *values] for name, values in found.results()], file=sys.stdout, width=terminal_width())
    rows = found.differences()
    if not rows and len(found.runs) > 1:
        print("\nthe recipes, models and settings are the same")
    if rows:
        print("\ndifferences\n")
        draw(columns, [[name, *values] for name, values in rows], file=sys.stdout, width=terminal_width())
