"""`archdsl fmt`: files in the standard format."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli.options import Paths, arch_files
from archdsl.cli.printing import print_errors

if TYPE_CHECKING:
    from archdsl.diagnostics import Diagnostic

EXAMPLES = ("archdsl fmt net.arch", "archdsl fmt --check .")


def fmt(
    paths: Paths,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if a file would change.")] = False,
) -> None:
    """Format specs.

    `-` reads from stdin and writes to stdout.
    """
    from archdsl.diagnostics import SpecError
    from archdsl.diagnostics.render import plural

    if list(paths) == ["-"]:
        raise typer.Exit(1 if _format_stdin(check) else 0)
    if "-" in paths:
        raise typer.BadParameter("`-` (stdin) cannot be combined with other paths", param_hint="PATH")
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
        print(f"{plural(len(files), 'file')} already formatted")
    raise typer.Exit(1 if errors or (check and changed) else 0)


def _format_stdin(check: bool) -> bool:
    """Print stdin formatted, or with `check` only whether it would change; returns that too."""
    from archdsl.syntax.format import format_text

    text = "" if sys.stdin is None else sys.stdin.read()
    formatted = format_text(text, "<stdin>")
    if not check:
        print(formatted, end="")
    elif text != formatted:
        print("would reformat <stdin>")
    return check and text != formatted


def _format(file: str, check: bool) -> bool:
    """Format one file; returns whether it changes. A file with a syntax error is left unchanged."""
    from archdsl.elaborate import read
    from archdsl.files.write import write_text
    from archdsl.syntax.format import format_text

    text = format_text(read(Path(file)).text, file)
    before = Path(file).read_bytes()
    if before.partition(b"\n")[0].endswith(b"\r"):  # Keep the line endings of the first line.
        text = text.replace("\n", "\r\n")
    if text.encode() == before:
        return False
    if not check:
        write_text(Path(file), text)
    print(f"{'would reformat' if check else 'reformatted'} {file}")
    return True
