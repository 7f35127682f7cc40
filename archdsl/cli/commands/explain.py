"""`archdsl explain`: what the code of an error or warning means."""

from __future__ import annotations

from inspect import getdoc
from textwrap import fill, indent
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from archdsl.diagnostics import Problem

EXAMPLES = ("archdsl explain E402",)


def explain(code: Annotated[str, typer.Argument(metavar="CODE", help="A code, such as E402 or W001.")]) -> None:
    """Explain the code of an error or warning with examples."""
    problem = _problem(code)
    parts = [_wrapped(part) for part in f"{problem.code}: {getdoc(problem)}".split("\n\n")]
    if problem.wrong:
        title = "Erroneous example:" if problem.severity == "error" else "Example:"
        parts += [title, indent(problem.wrong.strip(), "    "), indent(_report(problem), "    ")]
    if problem.right:
        parts += ["Corrected example:", indent(problem.right.strip(), "    ")]
    print("\n\n".join(parts))


def _wrapped(paragraph: str) -> str:
    """Wrap a paragraph at the width of the terminal, unless it is indented."""
    from archdsl.view.tables import terminal_width

    text = " ".join(paragraph.splitlines())
    return paragraph if text.startswith(" ") else fill(text, terminal_width(), break_long_words=False)


def _problem(code: str) -> type[Problem]:
    from archdsl.diagnostics import CODES, RETIRED, load_all
    from archdsl.text.suggest import suggestion

    load_all()
    if (found := (CODES | RETIRED).get(code.upper())) is not None:
        return found
    meant = suggestion(code.upper(), CODES)
    help = f"; did you mean {meant}?" if meant else f"; codes range from {min(CODES)} to {max(CODES)}"
    raise typer.BadParameter(f"there is no code {code!r}{help}", param_hint="CODE")


def _report(problem: type[Problem]) -> str:
    """What the checker really reports for the example that is wrong."""
    from archdsl.diagnostics import SpecError
    from archdsl.diagnostics.render import render_text
    from archdsl.elaborate import check_source, elaborate, load_module
    from archdsl.text.source import Source
    from archdsl.view.tables import terminal_width

    source = Source("example.arch", problem.wrong)
    checked = check_source(source)
    found = checked.errors if problem.severity == "error" else list(checked.warnings)
    if not found:  # The file is valid, but not for a command that needs a model.
        try:
            elaborate(load_module(source))
        except SpecError as error:
            found = list(error.diagnostics)
    return render_text(found, width=terminal_width() - 4).rpartition("\n\n")[0] if found else ""
