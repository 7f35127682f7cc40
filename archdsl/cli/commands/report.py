"""`archdsl report`: a run as one HTML page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from archdsl.cli.options import TextOrJson, require_extension
from archdsl.cli.printing import print_written

EXAMPLES = ("archdsl report runs/lenet", "archdsl report runs/lenet -o lenet.html --open")


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder.")],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="The .html file to write.", show_default="RUN/report.html"),
    ] = None,
    open: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    format: TextOrJson = "text",
) -> None:
    """Write a run's results as one HTML page, from its folder alone.

    Training writes the page at its end; this writes it for a run that was stopped, failed or is running too.
    """
    if output is not None:
        require_extension(output, (".html",))
    from archdsl.report.page import report_of_run

    path = report_of_run(Path(run), None if output is None else Path(output), _note)
    print_written(path, format)
    if open:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)
