"""`archdsl layers`: layer types, combinators, functions and the parts of recipes, with their arguments."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from textwrap import fill, wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archdsl.cli.options import TextOrJson
from archdsl.cli.printing import print_json
from archdsl.view.catalog import Section

if TYPE_CHECKING:
    from archdsl.view.catalog import Item

EXAMPLES = (
    "archdsl layers",
    "archdsl layers conv",
    "archdsl layers --kind optimizers",
    "archdsl layers cosine --format json",
)


def layers(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One of them, with all its arguments.")] = None,
    kind: Annotated[Section | None, typer.Option(help="Of one kind only.")] = None,
    format: TextOrJson = "text",
) -> None:
    """List layer types and all else that specs name."""
    from archdsl.view.catalog import all_items, items

    found = all_items() if kind is None else items(kind)
    if name is not None:
        found = _named(name, found, kind)
    if format == "json":
        print_json([_facts(item) for item in found])
    elif name is None:
        _draw(found)
    else:
        print("\n\n".join(map(_text, found)))


def _named(name: str, items: Sequence[Item], kind: Section | None) -> list[Item]:
    """The items of that name: `linear` is a layer type and a schedule."""
    if found := [item for item in items if item.name == name]:
        return found
    from archdsl.cli.usage import UnknownValue
    from archdsl.view.catalog import all_items

    others = [] if kind is None else [item.section for item in all_items() if item.name == name]
    where = f"; it is one of the {' and of the '.join(others)}" if others else ""
    raise UnknownValue(
        f"nothing is called `{name}`" if kind is None else f"none of the {kind} is called `{name}`{where}",
        name,
        [item.name for item in items],
        param_hint="NAME",
        otherwise="`archdsl layers` lists the names",
    )


def _facts(item: Item) -> dict[str, Any]:
    """An item in JSON (docs/json.md)."""
    return {
        "section": item.section,
        "kind": item.name,
        "summary": item.summary,
        "arguments": [argument._asdict() for argument in item.arguments],
    }


def _draw(items: Sequence[Item]) -> None:
    """A table for each section: names, arguments and short descriptions."""
    from archdsl.view.tables import Column, draw, terminal_width

    titles = {"layers": "layer", "datasets": "data set"}
    for number, section in enumerate(dict.fromkeys(item.section for item in items)):
        title = titles.get(section, section.removesuffix("es") if section == "losses" else section[:-1])
        columns = [Column(title), Column("arguments", fold=24), Column("description", fold=24, drop=1)]
        rows = [[item.name, item.call, _short(item)] for item in items if item.section == section]
        if not any(row[1] for row in rows):
            columns, rows = columns[::2], [row[::2] for row in rows]
        if number:
            print()
        draw(columns, rows, file=sys.stdout, width=terminal_width())
    print("\n" + fill("`archdsl layers NAME` shows types, ranges and defaults.", terminal_width()))


def _short(item: Item) -> str:
    """The beginning of the description; of a layer type what is before its formula."""
    end = r"[:,(]" if item.section == "layers" else r"; | \((?=[A-Z`])"
    return re.split(end, item.summary)[0].strip()


def _text(item: Item) -> str:
    """One item: its description, and every argument with its type and default."""
    from archdsl.view.tables import terminal_width

    room = terminal_width()
    wide = max((len(argument.name) for argument in item.arguments), default=0) + 4
    lines = [
        fill(
            f"  {a.name:<{wide - 2}}{a.type}" + (f" = {a.default}" if a.default else "  (required)"),
            max(room, wide + 20),
            subsequent_indent=" " * wide,
            break_long_words=False,
        )
        for a in item.arguments
    ]
    head = fill(item.written, room, subsequent_indent="    ", break_long_words=False)
    return "\n".join([head, "", *wrapped(item.text, room), "", *lines]).rstrip()


#: Lines of a docstring that are nearly as long go on in the next line.
LONG = 96


def wrapped(text: str, width: int) -> Iterator[str]:
    """The lines of a docstring within `width`; lines that the author broke early stay apart."""
    line = ""
    for part in text.splitlines():
        if line and part and len(line.splitlines()[-1]) + len(part.split()[0]) >= LONG:
            line += f"\n{part}"
            continue
        yield from _filled(line, width)
        if not part:
            yield ""
        line = part
    yield from _filled(line, width)


def _filled(text: str, width: int) -> list[str]:
    return wrap(" ".join(text.split("\n")), width, break_long_words=False, break_on_hyphens=False)
