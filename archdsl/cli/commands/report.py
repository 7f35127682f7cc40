"""`archdsl report`: a run as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = ("archdsl report runs/lenet",)


def report(run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder.")]) -> None:
    """Write a run's report.html again, from its folder alone."""
    from archdsl.report.page import report_of_run

    print(f"wrote {report_of_run(Path(run))}")
