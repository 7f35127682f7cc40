"""`archdsl explain`: what the codes of errors and warnings mean."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from inspect import getdoc
from textwrap import fill, indent
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archdsl.cli.options import TableOrJson
from archdsl.cli.printing import print_json

if TYPE_CHECKING:
    from archdsl.diagnostics import Problem

EXAMPLES = ("archdsl explain E402", "archdsl explain", "archdsl explain E4", "archdsl explain padding")


def explain(
    code: Annotated[
        str,
        typer.Argument(metavar="[CODE]", help="A code, such as E402 or W001, its beginning, or a word to search for."),
    ] = "",
    format: TableOrJson = "table",
) -> None:
    """Explain the code of an error or warning, or list all codes."""
    from archdsl.diagnostics import CODES, RETIRED, load_all

    load_all()
    one = (CODES | RETIRED).get(code.upper())
    found = [one] if one is not None else _found(code)
    if format == "json":
        print_json([_facts(problem) for problem in found])
    elif one is not None:
        print(_explanation(one))
    else:
        _draw(found)


def _found(text: str) -> list[type[Problem]]:
    """The problems with a code that begins like the text, or the text in their message or explanation."""
    from archdsl.diagnostics import CODES

    by_code = [CODES[code] for code in sorted(CODES) if code.startswith(text.upper())]
    words = {code: f"{getdoc(problem)}\n{problem.text}".lower() for code, problem in CODES.items()}
    if found := by_code or [CODES[code] for code in sorted(CODES) if text.lower() in words[code]]:
        return found
    from archdsl.cli.usage import UnknownValue

    message = f"no code is or contains `{text}`"
    otherwise = "`archdsl explain` lists all codes"
    raise UnknownValue(message, text, sorted(CODES), param_hint="CODE", otherwise=otherwise)


def _summary(problem: type[Problem]) -> str:
    return str(getdoc(problem)).partition("\n")[0].rstrip(".")


def _facts(problem: type[Problem]) -> dict[str, Any]:
    """A problem in JSON (docs/json.md)."""
    return {
        "code": problem.code,
        "severity": problem.severity,
        "summary": _summary(problem),
        "explanation": getdoc(problem),
        "wrong": problem.wrong or None,
        "right": problem.right or None,
    }


def _draw(problems: Sequence[type[Problem]]) -> None:
    """The codes with a line each, under the title of their file's range."""
    from archdsl.view.tables import Column, draw, terminal_width

    titles = {problem: str(sys.modules[problem.__module__].__doc__) for problem in problems}
    for number, title in enumerate(dict.fromkeys(titles.values())):
        rows = [[one.code, _summary(one)] for one in problems if titles[one] == title]
        if number:
            print()
        columns = [Column("code"), Column(re.split(r"\.(?: |\n|$)", title.partition(": ")[2])[0], fold=20)]
        draw(columns, rows, file=sys.stdout, width=terminal_width())
    print("\n" + fill("`archdsl explain CODE` explains one with examples.", terminal_width()))


def _explanation(problem: type[Problem]) -> str:
    """What a problem means, with an example that has it and one that does not."""
    parts = [_wrapped(part) for part in f"{problem.code}: {getdoc(problem)}".split("\n\n")]
    if problem.wrong:
        title = "Erroneous example:" if problem.severity == "error" else "Example:"
        parts += [title, indent(problem.wrong.strip(), "    "), indent(_report(problem), "    ")]
    if problem.right:
        parts += ["Corrected example:", indent(problem.right.strip(), "    ")]
    return "\n\n".join(parts)


def _wrapped(paragraph: str) -> str:
    """Wrap a paragraph at the width of the terminal, unless it is indented."""
    from archdsl.view.tables import terminal_width

    text = " ".join(paragraph.splitlines())
    return paragraph if text.startswith(" ") else fill(text, terminal_width(), break_long_words=False)


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
