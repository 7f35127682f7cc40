"""`archdsl zoo`: the networks that come with archdsl, from their cards."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from archdsl.cli.options import TableOrJson, reject_unused
from archdsl.cli.printing import print_json, print_json_text

if TYPE_CHECKING:
    from archdsl.cli.card import Entry

EXAMPLES = (
    "archdsl zoo",
    "archdsl zoo mobile --max-params 5M",
    "archdsl zoo resnet18",
    "archdsl zoo resnet18 --show",
)

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def zoo(
    text: Annotated[
        str, typer.Argument(metavar="[TEXT]", help="A network, or a part of its name, family or paper.")
    ] = "",
    task: Annotated[str | None, typer.Option(metavar="TASK", help="Task: classification, segmentation, ...")] = None,
    year: Annotated[str | None, typer.Option(metavar="2015-2017", help="Year of the paper, or a range.")] = None,
    max_params: Annotated[str | None, typer.Option(metavar="5M", help="Maximum number of parameters.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the spec of the network.")] = False,
    format: TableOrJson = "table",
) -> None:
    """List the networks that come with archdsl, or describe one."""
    from archdsl.cli import card

    as_json = format == "json"
    one = card.find(text)
    if show:
        others = {"task": task, "year": year, "max_params": max_params, "format": as_json}
        reject_unused("--show, which prints the spec of one network", **others)
        if not text:
            raise typer.BadParameter("--show requires the name of a network", param_hint="--show")
        print(_spec_text(text), end="")
    elif one is not None and (task, year, max_params) == (None, None, None):
        print_json(card.card_facts(one)) if as_json else print(card.card_text(one))
    else:
        found = _select(text, task, _years(year), _number(max_params))
        print_json_text(_json(found)) if as_json else _draw(found)


def _spec_text(name: str) -> str:
    """The file that defines a network."""
    from archdsl.cards import index

    entry = index.find(name)
    if entry is None:
        raise _unknown(f"there is no network `{name}` in the zoo", name)
    return entry.path.read_text(encoding="utf-8")


def _unknown(message: str, text: str) -> Exception:
    from archdsl.cards import index
    from archdsl.cli.usage import UnknownValue

    return UnknownValue(message, text, index.names(), param_hint="TEXT", otherwise="`archdsl zoo` lists the networks")


def _years(text: str | None) -> range | None:
    """`2015`, `2015-2017`, `2015-` or `-2012` as a range of years."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{4})?(-?)(\d{4})?", text)
    if match is None or not (match[1] or match[3]):
        message = f"`{text}` is neither a year such as 2015 nor a range such as 2015-2017"
        raise typer.BadParameter(message, param_hint="--year")
    first, last = int(match[1] or 0), int(match[3] or (9999 if match[2] else match[1]))
    return range(first, last + 1)


def _number(text: str | None) -> int | None:
    """`5000000`, `5_000_000`, `5M` or `2.5K` as a number."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d[\d_,]*(?:\.\d+)?)([KMG]?)", text.strip().upper())
    if match is None:
        raise typer.BadParameter(f"`{text}` is not a number such as 500000 or 5M", param_hint="--max-params")
    return int(float(re.sub("[_,]", "", match[1])) * UNITS[match[2]])


def _select(text: str, task: str | None, years: range | None, most: int | None) -> list[Entry]:
    """The networks with `text` in their name, family or paper, of a task, of these years, of `most` parameters."""
    from archdsl.cards.cards import Task
    from archdsl.cli.card import entries

    if task is not None and task not in get_args(Task):
        from archdsl.cli.usage import UnknownValue

        tasks = get_args(Task)
        message = f"there is no task `{task}`; the tasks are {', '.join(tasks)}"
        raise UnknownValue(message, task, tasks, param_hint="--task")
    found = [
        (place, entry)
        for entry in entries()
        if (place := _place(text.lower(), entry)) is not None
        and task in {None, entry.model.task}
        and (years is None or entry.year in years)
        and (most is None or entry.model.params <= most)
    ]
    if not found:
        raise _unknown(f"no network in the zoo matches{f' `{text}`' if text else ''}", text)
    return [entry for _, entry in sorted(found, key=lambda one: one[0])]


def _place(text: str, entry: Entry) -> int | None:
    """How good a match is: 0 for the beginning of the name, 1 for a part of it, then the family, then the paper."""
    if entry.name.startswith(text):
        return 0
    words = (entry.name, entry.card.title, entry.paper)
    return next((place for place, one in enumerate(words, 1) if text in one.lower()), None)


def _json(found: Sequence[Entry]) -> str:
    """A JSON list with one network per line (docs/json.md)."""
    lines = ",\n".join(f"  {json.dumps(entry.facts(), ensure_ascii=False)}" for entry in found)
    return f"[\n{lines}\n]"


def _draw(found: Sequence[Entry]) -> None:
    from archdsl.view.tables import Column, draw, terminal_width

    columns = [
        Column("name", fold=20),
        Column("params", right=True),
        Column("GMACs", right=True, drop=2),
        Column("year", right=True, drop=1),
        Column("family", drop=5),
        Column("task", drop=4),
        Column("as in", drop=3),
        Column("paper", drop=6),
    ]
    draw(columns, [_row(entry) for entry in found], file=sys.stdout, width=terminal_width())


def _row(entry: Entry) -> list[str]:
    model = entry.model
    library = "torchvision" if model.torchvision else "timm" if model.timm else ""
    year = str(entry.year or "")
    return [entry.name, f"{model.params:,}", entry.gmacs, year, entry.card.title, model.task, library, entry.paper]
