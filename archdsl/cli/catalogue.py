"""The kinds of layers there are to use."""

from __future__ import annotations

import json
import re
import sys
from difflib import get_close_matches
from inspect import cleandoc

import typer

from archdsl.layers import all_kinds, arguments
from archdsl.layers.base import Layer
from archdsl.view.tables import Column, draw, terminal_width


def draw_layers() -> None:
    """The table of `archdsl layers`: every kind, how it is written, what it is."""
    columns = [Column("kind"), Column("arguments", fold=24), Column("what it is", fold=24, drop=1)]
    rows = [[name, _call(kind), _in_short(kind)] for name, kind in all_kinds().items()]
    draw(columns, rows, file=sys.stdout, width=terminal_width())
    print("\n`archdsl layers KIND` shows types, ranges and defaults.")


def _call(kind: type[Layer]) -> str:
    """The arguments, those that must be given first and bare, the others with their defaults."""
    listed = ", ".join(a.name if not a.default else f"{a.name}={a.default}" for a in arguments(kind))
    return ", ".join(filter(None, ["taps..." if kind.takes_taps else "", listed]))


def summary_line(kind: type[Layer]) -> str:
    """The first line of a kind's docstring."""
    return (kind.__doc__ or "").strip().partition("\n")[0].rstrip(".")


def _in_short(kind: type[Layer]) -> str:
    """The first clause of that line."""
    return re.split(r"[:,(]", summary_line(kind))[0].strip()


def layer_text(name: str) -> str:
    """A kind in full: its docstring and every argument with its type and default."""
    kind = _kind(name)
    listed = arguments(kind)
    wide = max((len(argument.name) for argument in listed), default=0)
    lines = [f"  {a.name:<{wide}}  {a.type}" + (f" = {a.default}" if a.default else "  (required)") for a in listed]
    head = f"{name}({_call(kind)})" if lines or kind.takes_taps else name
    return "\n".join([head, "", cleandoc(kind.__doc__ or ""), "", *lines]).rstrip()


def layers_json(name: str | None) -> str:
    """The kinds as a JSON list; one kind as a list of one."""
    kinds = all_kinds() if name is None else {name: _kind(name)}
    objects = [
        {"kind": key, "summary": summary_line(kind), "arguments": [a._asdict() for a in arguments(kind)]}
        for key, kind in kinds.items()
    ]
    return json.dumps(objects, indent=2, ensure_ascii=False)


def _kind(name: str) -> type[Layer]:
    kinds = all_kinds()
    if name not in kinds:
        close = get_close_matches(name, kinds, n=3)
        meant = f"; close are {', '.join(close)}" if close else "; `archdsl layers` lists them"
        raise typer.BadParameter(f"there is no layer {name!r}{meant}", param_hint="KIND")
    return kinds[name]
