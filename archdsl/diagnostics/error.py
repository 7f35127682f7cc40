"""The exception for all problems with specs, files and runs."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.diagnostics.diagnostic import Diagnostic
from archdsl.diagnostics.render import render_text


class SpecError(Exception):
    """One or more problems; `diagnostics` are in source order, and `str()` is the full report.

    here  whether this one of several processes prints the report; None if they have not agreed
    """

    here: bool | None = None

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__(diagnostics)
        self.diagnostics = tuple(diagnostics)

    def __str__(self) -> str:
        return render_text(self.diagnostics)
