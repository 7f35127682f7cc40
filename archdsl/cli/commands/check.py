"""`archdsl check`: all errors and warnings in files."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Literal

import typer

from archdsl.cli.network import STDIN, find, spec_path
from archdsl.cli.options import Paths, Require, StdinFilename, arch_files, reject_unused
from archdsl.cli.printing import print_errors, print_json_text
from archdsl.cli.requirements import read_requirements
from archdsl.diagnostics.codes.warnings import NothingExpanded, Unused
from archdsl.diagnostics.render import plural, render_concise, render_github, render_json

if TYPE_CHECKING:
    from archdsl.cli.network import Found
    from archdsl.diagnostics import Diagnostic
    from archdsl.elaborate import Checked
    from archdsl.graph.requirement import Requirement
    from archdsl.text.source import Source

EXAMPLES = (
    "archdsl check net.arch",
    "archdsl check . --format json",
    "archdsl check net.arch --fix",
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
    fix: Annotated[bool, typer.Option("--fix", help="Make the suggested changes that are certain.")] = False,
    unsafe: Annotated[
        bool, typer.Option("--unsafe-fixes", help="Make all suggested changes, also to names and networks.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Print what --fix would change; write nothing.")] = False,
    required: Require = None,
    stdin_filename: StdinFilename = None,
) -> None:
    """Check every model and recipe in files and folders.

    PATH may also be a zoo name, REV:FILE.arch in git, or - (standard input). Prints all errors and warnings of all
    files; the exit code is 1 if there is any error. `-` with --fix prints the spec after the changes.
    """
    if strict and no_warnings:
        raise typer.BadParameter("--no-warnings leaves nothing for --strict", param_hint="--strict")
    if diff:
        reject_unused("--diff, which prints the changes", format=format != "text")
    if STDIN not in paths:
        reject_unused("files; it is for `-`, standard input", stdin_filename=stdin_filename)
    named = [spec_path(path) for path in paths]
    bounds = read_requirements(required)
    files = {file: _File(file, stdin_filename if file == STDIN else None, bounds) for file in arch_files(named)}
    fixed = 0
    if fix or unsafe or diff:
        _require_files(paths)
        fixed = sum(file.fix(unsafe=unsafe, warnings=not no_warnings, diff=diff) for file in files.values())
    results = {name: file.checked for name, file in files.items()}
    warnings = [] if no_warnings else _warnings(results, named)
    errors = [error for one in results.values() for error in one.errors]
    found = _without_repeats([*errors, *(replace(one, strict=strict) for one in warnings)])
    if not diff:
        _print(found, format, results.values(), file=sys.stderr if fix and STDIN in paths else sys.stdout)
    if fix or unsafe or diff:
        text = f"{'would fix' if diff else 'fixed'} {fixed} of {plural(fixed + len(found), 'problem')}"
        print(text, file=sys.stdout if format == "text" and STDIN not in paths and not diff else sys.stderr)
    raise typer.Exit(1 if (diff and fixed) or any(one.severity == "error" for one in found) else 0)


def _require_files(paths: Sequence[str]) -> None:
    """Reject the networks that --fix must not write: those of the zoo and of git."""
    from archdsl.cli.revisions import is_revision

    for path in paths:
        if path != STDIN and (spec_path(path) != path or is_revision(path)):
            message = f"`{path}` is not a file of yours: `archdsl new NAME --from {path}` makes one"
            raise typer.BadParameter(message, param_hint="PATH")


class _File:
    """A file that is checked, and fixed where that is asked for."""

    def __init__(self, file: str, stdin_filename: str | None, required: Sequence[Requirement]) -> None:
        from archdsl.diagnostics import SpecError
        from archdsl.elaborate import Checked

        self.required = required
        self.is_stdin = file == STDIN
        self.found: Found | None = None
        try:
            self.found = find(file, stdin_filename)
            self.checked = self._check(self.found.source)
        except SpecError as error:
            self.checked = Checked(list(error.diagnostics))

    def _check(self, source: Source) -> Checked:
        from archdsl.elaborate import check_source
        from archdsl.elaborate.modules import read

        assert self.found is not None
        return check_source(source, self.found.path, self.required, self.found.read or read)

    def fix(self, *, unsafe: bool, warnings: bool, diff: bool) -> int:
        """Make the suggested changes, or print them as a diff; returns how many problems they fix."""
        from archdsl.cli.rewriting import print_diff, rewritten
        from archdsl.elaborate.fix import fix

        if self.found is None:
            return 0
        done = {self.found.source.text: self.checked}

        def problems(source: Source) -> list[Diagnostic]:
            checked = done[source.text] = self._check(source)
            return [*checked.errors, *(checked.warnings if warnings else ())]

        before = self.found.source
        fixed = fix(before, problems, unsafe=unsafe)
        self.checked = done[fixed.text]
        if diff:
            print_diff(before.path, before.text, fixed.text)
        elif self.is_stdin:
            print(fixed.text, end="")
        elif fixed.number:
            rewritten(self.found.path, fixed.text)
        return fixed.number


def _print(found: Sequence[Diagnostic], format: str, results: Collection[Checked], file: IO[str]) -> None:
    """Print what was found, or that nothing was."""
    match format:
        case "json":
            print_json_text(render_json(found), file=file)
        case "concise" | "github" if found:
            print(render_concise(found) if format == "concise" else render_github(found), file=file)
        case "text":
            if found:
                print_errors(found, file=file)
            if all(one.severity == "warning" for one in found):
                print(("\n" if found else "") + _checked(results), file=file)


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


def _without_repeats(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Each error once: one in an imported file is found through every file that imports it."""
    unique: dict[tuple[object, ...], Diagnostic] = {}
    for diagnostic in diagnostics:
        span = diagnostic.span
        place = (Path(span.source.path).resolve(), span.start, span.end) if span else (diagnostic.path,)
        unique.setdefault((diagnostic.code, diagnostic.message, *place), diagnostic)
    return list(unique.values())
