"""Commands about runs: report, compare."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from archdsl.cli.streams import print_json

Run = Annotated[str, typer.Argument(metavar="RUN", help="The folder of a run.")]


def report(run: Run) -> None:
    """Write a run's report.html anew, from its folder alone."""
    from archdsl.report.page import report_of_run

    print(f"wrote {report_of_run(Path(run))}")


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="The folders of two or more runs.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Also draw their curves: .png, .svg or .pdf.")
    ] = None,
    format: Annotated[Literal["table", "json"], typer.Option(help="The form.")] = "table",
) -> None:
    """Runs side by side: results, and what differs."""
    from archdsl.cli.comparison import comparison_json, draw_comparison
    from archdsl.cli.pictures import require_form

    if output is not None:
        require_form(output)
    from archdsl.report.compare import compare_runs, comparison_figure

    found = compare_runs([Path(run) for run in runs])
    if format == "json":
        print_json(comparison_json(found))
    else:
        draw_comparison(found, file=sys.stdout)
    if output is not None:
        from archdsl.report.figures import save

        save(comparison_figure(found), Path(output))
        print(f"wrote {output}", file=sys.stderr)
