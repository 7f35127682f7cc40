"""`archdsl diff`: what differs between two networks."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from archdsl.cli.options import Input, Settings
from archdsl.cli.printing import print_json
from archdsl.cli.revisions import network_at

EXAMPLES = (
    "archdsl diff resnet50 resnet101",
    "archdsl diff HEAD~1:specs/lenet.arch specs/lenet.arch",
    "archdsl diff specs/lenet.arch specs/lenet.arch --new-set classes=100 --format markdown",
)

SIDE = "A spec, a name from `archdsl zoo`, a run folder, or REV:PATH in git."


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help=SIDE)],
    new: Annotated[str, typer.Argument(metavar="NEW", help=SIDE)],
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
    format: Annotated[Literal["table", "json", "markdown"], typer.Option(help="Output format.")] = "table",
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 if there is a difference, as `git diff` does.")
    ] = False,
) -> None:
    """Compare two networks: layers, shapes, figures, checkpoints."""
    from archdsl.diff import Difference
    from archdsl.view import diff as forms

    both = settings or []
    first = network_at(old, old_model or model, [*both, *(old_settings or ())], input)
    second = network_at(new, new_model or model, [*both, *(new_settings or ())], input)
    found = Difference(first, second)
    titles = [old, new] if old != new else forms.titles_of(first, second)
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
