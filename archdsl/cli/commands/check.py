"""`archdsl check`: all errors in files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from archdsl.cli.network import spec_path
from archdsl.cli.options import Paths, arch_files
from archdsl.cli.printing import print_errors, print_json_text

if TYPE_CHECKING:
    from archdsl.diagnostics import Diagnostic
    from archdsl.elaborate import Checked

EXAMPLES = ("archdsl check specs/", "archdsl check my.arch --format json")


def check(
    paths: Paths,
    format: Annotated[
        Literal["text", "json", "concise", "github"], typer.Option(help="Output format of the errors.")
    ] = "text",
) -> None:
    """Check every model and recipe in files and folders.

    Prints all errors of all files; the exit code is 1 if there is any.
    """
    from archdsl.diagnostics.render import plural, render_concise, render_github, render_json

    files = list(arch_files([spec_path(path) for path in paths]))
    results = [_check(Path(file)) for file in files]
    found = _without_repeats([error for one in results for error in one.errors])
    match format:
        case "json":
            print_json_text(render_json(found))
        case "concise" | "github" if found:
            print(render_concise(found) if format == "concise" else render_github(found))
        case "text" if found:
            print_errors(found, file=sys.stdout)
        case "text":
            models, blocks = sum(one.models for one in results), sum(one.blocks for one in results)
            parts = [plural(models, "model")] * bool(models or not blocks) + [plural(blocks, "block")] * bool(blocks)
            print(f"checked {plural(len(files), 'file')} with {' and '.join(parts)}: no errors")
    raise typer.Exit(1 if found else 0)


def _check(path: Path) -> Checked:
    """The errors of a file, and how many definitions it has."""
    from archdsl.diagnostics import SpecError
    from archdsl.elaborate import Checked, check_source, read

    try:
        source = read(path)
    except SpecError as error:
        return Checked(list(error.diagnostics))
    return check_source(source, path)


def _without_repeats(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Each error once: one in an imported file is found through every file that imports it."""
    unique: dict[tuple[object, ...], Diagnostic] = {}
    for diagnostic in diagnostics:
        span = diagnostic.span
        place = (Path(span.source.path).resolve(), span.start, span.end) if span else (diagnostic.path,)
        unique.setdefault((diagnostic.code, diagnostic.message, *place), diagnostic)
    return list(unique.values())
