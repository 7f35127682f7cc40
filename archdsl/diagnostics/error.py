"""The exception of everything that is wrong with a spec, a file or a run."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.diagnostics.diagnostic import Diagnostic
from archdsl.diagnostics.render import render_text


class SpecError(Exception):
    """A spec is wrong; `diagnostics` says where and why, in the order of the text. Its text is the whole report.

    here  whether this one of several processes is to print it; None where they have not agreed on that
    """

    here: bool | None = None

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__(diagnostics)
        self.diagnostics = tuple(diagnostics)

    def __str__(self) -> str:
        return render_text(self.diagnostics)
