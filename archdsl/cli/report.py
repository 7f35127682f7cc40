"""What commands print besides their results: the diagnostics."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import IO, Literal

from archdsl.diagnostics import Diagnostic

ErrorFormat = Literal["text", "json", "concise", "github"]


def print_errors(diagnostics: Sequence[Diagnostic], *, file: IO[str] | None = None) -> None:
    """The full report, to stderr unless told otherwise."""
    from archdsl.diagnostics.render import render_text
    from archdsl.view.tables import terminal_width, wants_color

    file = file or sys.stderr
    print(render_text(diagnostics, color=wants_color(file), width=terminal_width()), file=file)


def render(diagnostics: Sequence[Diagnostic], format: ErrorFormat) -> str:
    """The diagnostics in one of the forms for tools."""
    from archdsl.diagnostics import render as forms

    match format:
        case "json":
            return forms.render_json(diagnostics)
        case "github":
            return forms.render_github(diagnostics)
        case _:
            return forms.render_concise(diagnostics)
