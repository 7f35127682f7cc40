"""`archdsl layers`: the layer types and their arguments."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from inspect import cleandoc
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from archdsl.cli.printing import print_json

if TYPE_CHECKING:
    from archdsl.layers.base import Layer

EXAMPLES = ("archdsl layers", "archdsl layers conv")


def layers(
    kind: Annotated[str | None, typer.Argument(metavar="LAYER", help="One layer type, with all its arguments.")] = None,
    format: Annotated[Literal["text", "json"], typer.Option(help="Output format.")] = "text",
) -> None:
    """List the layer types and their arguments."""
    from archdsl.layers import all_kinds

    kinds = all_kinds() if kind is None else {kind: _kind(kind)}
    if format == "json":
        print_json([_facts(name, cls) for name, cls in kinds.items()])
    elif kind is None:
        _draw(kinds)
    else:
        print(_text(kind, kinds[kind]))


def _kind(name: str) -> type[Layer]:
    from archdsl.layers import all_kinds
    from archdsl.text.suggest import suggestion

    kinds = all_kinds()
    if name not in kinds:
        meant = suggestion(name, kinds)
        help = f"did you mean {meant}?" if meant else "`archdsl layers` lists them"
        raise typer.BadParameter(f"there is no layer type {name!r}; {help}", param_hint="LAYER")
    return kinds[name]


def _facts(name: str, kind: type[Layer]) -> dict[str, Any]:
    from archdsl.layers import arguments

    return {"kind": name, "summary": _summary(kind), "arguments": [a._asdict() for a in arguments(kind)]}


def _draw(kinds: Mapping[str, type[Layer]]) -> None:
    """A table with every layer type, its arguments and a short description."""
    from archdsl.view.tables import Column, draw, terminal_width

    columns = [Column("layer"), Column("arguments", fold=24), Column("description", fold=24, drop=1)]
    rows = [[name, _call(kind), re.split(r"[:,(]", _summary(kind))[0].strip()] for name, kind in kinds.items()]
    draw(columns, rows, file=sys.stdout, width=terminal_width())
    print("\n`archdsl layers LAYER` shows types, ranges and defaults.")


def _summary(kind: type[Layer]) -> str:
    """The first line of the docstring."""
    return (kind.__doc__ or "").strip().partition("\n")[0].rstrip(".")


def _call(kind: type[Layer]) -> str:
    """The arguments: required ones bare, the others with their defaults."""
    from archdsl.layers import arguments

    listed = ", ".join(a.name if not a.default else f"{a.name}={a.default}" for a in arguments(kind))
    return ", ".join(filter(None, ["taps..." if kind.takes_taps else "", listed]))


def _text(name: str, kind: type[Layer]) -> str:
    """One layer type: its docstring, and every argument with its type and default."""
    from archdsl.layers import arguments

    listed = arguments(kind)
    wide = max((len(argument.name) for argument in listed), default=0)
    lines = [f"  {a.name:<{wide}}  {a.type}" + (f" = {a.default}" if a.default else "  (required)") for a in listed]
    head = f"{name}({_call(kind)})" if lines or kind.takes_taps else name
    return "\n".join([head, "", cleandoc(kind.__doc__ or ""), "", *lines]).rstrip()
