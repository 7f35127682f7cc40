"""The text of `archdsl explain CODE`."""

from __future__ import annotations

from difflib import get_close_matches
from textwrap import indent

import typer

from archdsl.diagnostics import CODES, Problem, SpecError, load_all


def explanation(code: str) -> str:
    """The meaning of a code, a failing example with the message it gives, and a mended one."""
    load_all()
    problem = CODES.get(code.upper())
    if problem is None:
        raise typer.BadParameter(_unknown(code), param_hint="CODE")
    parts = [f"{problem.code}: {_first_line(problem)}", problem.explanation.strip()]
    if problem.wrong:
        parts += ["This fails:", indent(problem.wrong.strip(), "    "), indent(_message(problem.wrong), "    ")]
    if problem.right:
        parts += ["This does not:", indent(problem.right.strip(), "    ")]
    return "\n\n".join(part for part in parts if part)


def _first_line(problem: type[Problem]) -> str:
    return (problem.__doc__ or problem.text).strip().partition("\n")[0]


def _message(text: str) -> str:
    """What the checker really says about a text."""
    from archdsl.diagnostics.render import render_text
    from archdsl.elaborate import check_source, elaborate, load_module
    from archdsl.text.source import Source
    from archdsl.view.tables import terminal_width

    source = Source("example.arch", text)
    found = check_source(source).errors
    if not found:  # nothing wrong with the file: then with what a command wants of it
        try:
            elaborate(load_module(source))
        except SpecError as error:
            found = list(error.diagnostics)
    return render_text(found, width=terminal_width() - 4).rpartition("\n\n")[0] if found else ""


def _unknown(code: str) -> str:
    close = get_close_matches(code.upper(), CODES, n=3, cutoff=0.6)
    meant = f"; close are {', '.join(close)}" if close else ""
    return f"no diagnostic has the code {code!r}{meant} (they run from {min(CODES)} to {max(CODES)})"
