"""`archdsl check`: all errors and warnings in files."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from archdsl.cli.network import STDIN, find, spec_path
from archdsl.cli.options import Paths, Require, StdinFilename, arch_files, reject_unused
from archdsl.cli.printing import print_errors, print_json_text
from archdsl.cli.requirements import read_requirements
from archdsl.diagnostics.codes.warnings import NothingExpanded, Unused
from archdsl.diagnostics.render import plural, render_concise, render_github, render_json

if TYPE_CHECKING:
    from archdsl.diagnostics import Diagnostic
    from archdsl.elaborate import Checked
    from archdsl.graph.requirement import Requirement

EXAMPLES = (
    "archdsl check net.arch",
    "archdsl check . --format json",
    "archdsl check net.arch --strict --require 'params <= 5M'",
    "archdsl check - --stdin-filename net.arch < net.arch",
)


def check(
    paths: Paths,
    format: Annotated[
        Literal["text", "json", "concise", "github"], typer.Option(help="Output format of what is found.")
    ] = "text",
    strict: Annotated[bool, typer.Option("--strict", help="Report warnings as errors.")] = False,
    no_warnings: Annotated[bool, typer.Option("--no-warnings", help="Report errors only.")] = False,
    required: Require = None,
    stdin_filename: StdinFilename = None,
) -> None:
    """Check every model and recipe in files and folders.

    PATH may also be a zoo name, REV:FILE.arch in git, or - (standard input). Prints all errors and warnings of all
    files; the exit code is 1 if there is any error.
    """
    if strict and no_warnings:
        raise typer.BadParameter("--no-warnings leaves nothing for --strict", param_hint="--strict")
    if STDIN not in paths:
        reject_unused("files; it is for `-`, standard input", stdin_filename=stdin_filename)
    named = [spec_path(path) for path in paths]
    bounds = read_requirements(required)
    results = {file: _check(file, stdin_filename if file == STDIN else None, bounds) for file in arch_files(named)}
    warnings = [] if no_warnings else _warnings(results, named)
    errors = [error for one in results.values() for error in one.errors]
    found = _without_repeats([*errors, *(replace(one, strict=strict) for one in warnings)])
    _print(found, format, results.values())
    raise typer.Exit(1 if any(one.severity == "error" for one in found) else 0)


def _print(found: Sequence[Diagnostic], format: str, results: Collection[Checked]) -> None:
    """Print what was found, or that nothing was."""
    match format:
        case "json":
            print_json_text(render_json(found))
        case "concise" | "github" if found:
            print(render_concise(found) if format == "concise" else render_github(found))
        case "text":
            if found:
                print_errors(found, file=sys.stdout)
            if all(one.severity == "warning" for one in found):
                print(("\n" if found else "") + _checked(results))


def _checked(results: Collection[Checked]) -> str:
    """What was checked without errors: `checked 2 files with 3 models: no errors`."""
    models, blocks = sum(one.models for one in results), sum(one.blocks for one in results)
    parts = [plural(models, "model")] * bool(models or not blocks) + [plural(blocks, "block")] * bool(blocks)
    return f"checked {plural(len(results), 'file')} with {' and '.join(parts)}: no errors"


def _warnings(results: Mapping[str, Checked], named: Collection[str]) -> list[Diagnostic]:
    """The warnings about files, less those that the other files settle.

    What a file defines may be for the files that import it, and whoever checks a folder checks libraries too.
    """
    imported = {path for one in results.values() for path in one.imported}
    found = []
    for file, one in results.items():
        is_library = Path(file).resolve() in imported
        for warning in one.warnings:
            exported = isinstance(warning.problem, Unused) and warning.problem.is_global
            expanded = isinstance(warning.problem, NothingExpanded) and (is_library or file not in named)
            if not expanded and not (exported and is_library):
                found.append(warning)
    return found


def _check(file: str, stdin_filename: str | None, required: Sequence[Requirement]) -> Checked:
    """The errors of a file, and how many definitions it has."""
    from archdsl.diagnostics import SpecError
    from archdsl.elaborate import Checked, check_source
    from archdsl.elaborate.modules import read

    try:
        found = find(file, stdin_filename)
    except SpecError as error:
        return Checked(list(error.diagnostics))
    return check_source(found.source, found.path, required, found.read or read)


def _without_repeats(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Each error once: one in an imported file is found through every file that imports it."""
    unique: dict[tuple[object, ...], Diagnostic] = {}
    for diagnostic in diagnostics:
        span = diagnostic.span
        place = (Path(span.source.path).resolve(), span.start, span.end) if span else (diagnostic.path,)
        unique.setdefault((diagnostic.code, diagnostic.message, *place), diagnostic)
    return list(unique.values())
