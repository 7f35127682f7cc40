"""`archdsl fmt`: files in the standard format."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli.network import STDIN, UNNAMED
from archdsl.cli.options import Paths, StdinFilename, TextOrJson, arch_files, reject_unused
from archdsl.cli.printing import print_errors, print_json

if TYPE_CHECKING:
    from archdsl.diagnostics import Diagnostic

EXAMPLES = ("archdsl fmt net.arch", "archdsl fmt --check .", "archdsl fmt --diff net.arch")


def fmt(
    paths: Paths,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if a file would change.")] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Write nothing; print what would change, as `git diff`.")
    ] = False,
    format: TextOrJson = "text",
    stdin_filename: StdinFilename = None,
) -> None:
    """Format specs.

    `-` reads from stdin and writes to stdout.
    """
    from archdsl.diagnostics import SpecError

    if STDIN in paths and len(paths) > 1:
        raise typer.BadParameter("`-` (stdin) cannot be combined with other paths", param_hint="PATH")
    if STDIN not in paths:
        reject_unused("files; it is for `-`, standard input", stdin_filename=stdin_filename)
    is_json = format == "json"
    if is_json and (diff or (STDIN in paths and not check)):
        raise typer.BadParameter("JSON cannot be printed beside the formatted text", param_hint="--format")
    changed: list[str] = []
    errors: list[Diagnostic] = []
    files = [_Spec(file, stdin_filename) for file in arch_files(paths)]
    for file in files:
        try:
            if file.format(write=not (check or diff), diff=diff):
                changed.append(file.name)
        except SpecError as error:
            errors += error.diagnostics
    _report(files, changed, errors, is_json=is_json, writes=not (check or diff), diff=diff)
    raise typer.Exit(1 if errors or ((check or diff) and changed) else 0)


class _Spec:
    """A file to format, or standard input, which is printed."""

    def __init__(self, path: str, stdin_filename: str | None) -> None:
        self.path = path
        self.is_stdin = path == STDIN
        self.name = (stdin_filename or UNNAMED) if self.is_stdin else path

    def format(self, *, write: bool, diff: bool) -> bool:
        """Format it; returns whether it changes. A file with a syntax error is left unchanged."""
        from archdsl.cli.rewriting import changed, print_diff, rewritten
        from archdsl.cli.streams import read_stdin
        from archdsl.elaborate import read
        from archdsl.syntax.format import format_text

        source = read_stdin(self.name) if self.is_stdin else read(Path(self.path))
        text = format_text(source.text, self.name)
        if diff:
            print_diff(self.name, source.text, text)
        if write and self.is_stdin:
            print(text, end="")
        if self.is_stdin:
            return text != source.text
        return rewritten(Path(self.path), text) if write else changed(Path(self.path), text) is not None


def _report(
    files: Sequence[_Spec],
    changed: Sequence[str],
    errors: Sequence[Diagnostic],
    *,
    is_json: bool,
    writes: bool,
    diff: bool,
) -> None:
    """Print which files changed, or would; nothing that mixes with a spec on stdout."""
    from archdsl.diagnostics.render import as_dict, plural

    if is_json:
        facts = {"files": len(files), "changed": list(changed), "errors": [as_dict(one) for one in errors]}
        print_json(facts)
        return
    if not (writes and files and files[0].is_stdin):
        for name in changed:
            print(f"{'reformatted' if writes else 'would reformat'} {name}", file=sys.stderr if diff else sys.stdout)
    if errors:
        print_errors(errors)
    elif not changed and not (writes and files[0].is_stdin):
        print(f"{plural(len(files), 'file')} already formatted", file=sys.stderr if diff else sys.stdout)
