"""Commands on files as texts: check and fmt."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli.report import ErrorFormat, print_errors, render
from archdsl.cli.streams import print_json

if TYPE_CHECKING:
    from archdsl.diagnostics import Diagnostic
    from archdsl.elaborate import Checked

Paths = Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, and folders for every .arch file in them.")]


def check(
    paths: Paths,
    format: Annotated[ErrorFormat, typer.Option(help="How to print the errors.")] = "text",
) -> None:
    """Check files and folders: every model, every recipe.

    All errors of all files are printed; the exit code is 1 if there is any.
    """
    from archdsl.cli.spec import spec_path

    files = list(arch_files([spec_path(path) for path in paths]))
    results = [_check(file) for file in files]
    found = _without_repeats([error for one in results for error in one.errors])
    if format != "text":
        if text := render(found, format):
            print_json(text) if format == "json" else print(text)
    elif found:
        print_errors(found, file=sys.stdout)
    else:
        models, blocks = sum(one.models for one in results), sum(one.blocks for one in results)
        looked_at = [_plural(models, "model")] * bool(models or not blocks) + [_plural(blocks, "block")] * bool(blocks)
        print(f"checked {_plural(len(files), 'file')} with {' and '.join(looked_at)}: no errors")
    raise typer.Exit(1 if found else 0)


def _check(file: str) -> Checked:
    """The errors of a file and what there is in it."""
    from archdsl.diagnostics import SpecError
    from archdsl.elaborate import Checked, check_source, read

    path = Path(file)
    try:
        source = read(path)
    except SpecError as error:
        return Checked(list(error.diagnostics))
    return check_source(source, path)


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def arch_files(paths: Sequence[str]) -> Iterator[str]:
    """The files themselves, and the .arch files of folders at any depth, each once."""
    seen = set()
    for path in paths:
        inside = sorted(map(str, Path(path).rglob("*.arch"))) if Path(path).is_dir() else [path]
        if not inside:
            raise typer.BadParameter(f"there is no .arch file in {path}", param_hint="PATH")
        for file in inside:
            if file not in seen:
                seen.add(file)
                yield file


def _without_repeats(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Each error once: one in an imported file is found through every file that imports it."""
    unique: dict[tuple[object, ...], Diagnostic] = {}
    for diagnostic in diagnostics:
        span = diagnostic.span
        place = (Path(span.source.path).resolve(), span.start, span.end) if span else (diagnostic.path,)
        unique.setdefault((diagnostic.code, diagnostic.message, *place), diagnostic)
    return list(unique.values())


def fmt(
    paths: Paths,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if a file would change.")] = False,
) -> None:
    """Bring files into the one form of the language.

    `-` reads from stdin and writes to stdout.
    """
    from archdsl.diagnostics import SpecError

    if list(paths) == ["-"]:
        raise typer.Exit(1 if _format_stdin(check) else 0)
    if "-" in paths:
        raise typer.BadParameter("`-` stands alone: standard input goes to standard output", param_hint="PATH")
    changed = 0
    errors: list[Diagnostic] = []
    files = list(arch_files(paths))
    for file in files:
        try:
            changed += _format(file, check)
        except SpecError as error:
            errors += error.diagnostics
    if errors:
        print_errors(errors)
    elif not changed:
        print(f"{_plural(len(files), 'file')} in form already")
    raise typer.Exit(1 if errors or (check and changed) else 0)


def _format_stdin(check: bool) -> bool:
    """Print what stdin holds in form, or with `check` nothing but whether it would change, which is returned."""
    from archdsl.syntax.format import format_text

    text = "" if sys.stdin is None else sys.stdin.read()
    formatted = format_text(text, "<stdin>")
    if not check:
        print(formatted, end="")
    elif text != formatted:
        print("would reformat <stdin>")
    return check and text != formatted


def _format(file: str, check: bool) -> bool:
    """Format one file; returns whether it changes. A file with a syntax error stays as it is."""
    from archdsl.elaborate import read
    from archdsl.files.write import write_text
    from archdsl.syntax.format import format_text

    text = format_text(read(Path(file)).text, file)
    before = Path(file).read_bytes()
    if before.partition(b"\n")[0].endswith(b"\r"):  # the first line end is that of all
        text = text.replace("\n", "\r\n")
    if text.encode() == before:
        return False
    if not check:
        write_text(Path(file), text)
    print(f"{'would reformat' if check else 'reformatted'} {file}")
    return True
