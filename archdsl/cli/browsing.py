"""Commands around the zoo: its list, the card of one network, a new file from it. None of them needs torch."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import typer

from archdsl.cli.options import Json, reject_unused
from archdsl.cli.streams import print_json

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def zoo(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="A network, or what its name, family or paper contains.")
    ] = "",
    task: Annotated[
        str | None, typer.Option(metavar="TASK", help="What the networks are for: classification, segmentation, ...")
    ] = None,
    year: Annotated[str | None, typer.Option(metavar="2015-2017", help="Of the paper: one year, or a range.")] = None,
    max_params: Annotated[str | None, typer.Option(metavar="5M", help="Only networks of at most so many.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the spec of the network.")] = False,
    format: Annotated[Literal["table", "json"], typer.Option(help="The form.")] = "table",
    as_json: Json = False,
) -> None:
    """The networks that come along, or one of them in full."""
    from archdsl.cli import gallery

    form = "json" if as_json else format
    one = gallery.find(text)
    if show:
        others = {"task": task, "year": year, "max_params": max_params, "json": form == "json"}
        reject_unused("--show, which prints the spec of one network", **others)
        print(gallery.spec_text(text), end="")
    elif one is not None and (task, year, max_params) == (None, None, None):
        print_json(gallery.card_json(one)) if form == "json" else print(gallery.card_text(one))
    else:
        found = gallery.select(text, task, _years(year), _number(max_params))
        print_json(gallery.as_json(found)) if form == "json" else gallery.draw_list(found)


def _years(text: str | None) -> range | None:
    """`2015`, `2015-2017`, `2015-` or `-2012` as a range of years."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{4})?(-?)(\d{4})?", text)
    if match is None or not (match[1] or match[3]):
        raise typer.BadParameter(
            f"{text!r} is not a year such as 2015, nor a range such as 2015-2017", param_hint="--year"
        )
    first, last = int(match[1] or 0), int(match[3] or (9999 if match[2] else match[1]))
    return range(first, last + 1)


def _number(text: str | None) -> int | None:
    """`5000000`, `5_000_000`, `5M` or `2.5K` as a number."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d[\d_,]*(?:\.\d+)?)([KMG]?)", text.strip().upper())
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a number such as 500000 or 5M", param_hint="--max-params")
    return int(float(re.sub("[_,]", "", match[1])) * UNITS[match[2]])


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the model; the file is NAME.arch.")],
    base: Annotated[
        str | None, typer.Option("--from", metavar="SPEC", help="The network to start from: of the zoo, or a file.")
    ] = None,
) -> None:
    """A new file to start from, empty or with a network of the zoo."""
    from archdsl.cli.starting import new_file

    path = new_file(name, base)
    print(f"wrote {path}: see `archdsl summary {path}`")
