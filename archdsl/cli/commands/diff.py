"""`archdsl diff`: what differs between two networks."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from archdsl.cli.network import STDIN, Asked
from archdsl.cli.options import NETWORK, Input, Settings, StdinFilename
from archdsl.cli.printing import print_json

EXAMPLES = (
    "archdsl diff resnet50 resnet101",
    "archdsl diff HEAD~1:net.arch net.arch",
    "archdsl diff runs/a runs/b",
    "archdsl diff lenet lenet --new-set classes=100 --format markdown",
)


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help=NETWORK)],
    new: Annotated[str, typer.Argument(metavar="NEW", help=NETWORK)],
    model: Annotated[str | None, typer.Option(metavar="NAME", help="The model in both files.")] = None,
    old_model: Annotated[str | None, typer.Option(metavar="NAME", help="The model in OLD.")] = None,
    new_model: Annotated[str | None, typer.Option(metavar="NAME", help="The model in NEW.")] = None,
    settings: Settings = None,
    old_settings: Annotated[
        list[str] | None, typer.Option("--old-set", metavar="KEY=VALUE", help="A parameter of OLD only; repeatable.")
    ] = None,
    new_settings: Annotated[
        list[str] | None, typer.Option("--new-set", metavar="KEY=VALUE", help="A parameter of NEW only; repeatable.")
    ] = None,
    input: Input = None,
    stdin_filename: StdinFilename = None,
    format: Annotated[Literal["table", "json", "markdown"], typer.Option(help="Output format.")] = "table",
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 if there is a difference, as `git diff` does.")
    ] = False,
) -> None:
    """Compare two networks: layers, shapes, figures, checkpoints."""
    from archdsl.diff import Difference
    from archdsl.view import diff as forms

    both = settings or []
    if old == new == STDIN:
        raise typer.BadParameter("only one of the two networks can be on standard input", param_hint="NEW")
    first = Asked(old, old_model or model, [*both, *(old_settings or ())], input, _name(old, new, stdin_filename))
    second = Asked(new, new_model or model, [*both, *(new_settings or ())], input, _name(new, old, stdin_filename))
    found = Difference(first.network(), second.network())
    titles = [old, new] if old != new else forms.titles_of(found.old, found.new)
    match format:
        case "table":
            from archdsl.view.tables import terminal_width

            forms.draw_diff(found, titles, file=sys.stdout, width=terminal_width())
        case "json":
            print_json(forms.to_dict(found))
        case "markdown":
            print(forms.to_markdown(found, titles))
    if exit_code and not found.is_empty:
        raise typer.Exit(1)


def _name(side: str, other: str, stdin_filename: str | None) -> str | None:
    """The name of standard input for one side: it is for the other one if only that is `-`."""
    return None if other == STDIN != side else stdin_filename
