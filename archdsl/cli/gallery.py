"""What `archdsl zoo` prints: the list of the networks, all from their cards, and the card of one."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from textwrap import wrap
from typing import Any, NamedTuple, get_args

import typer

from archdsl.arguments.values import spec_text as value_text
from archdsl.arguments.values import stored_settings
from archdsl.cards import index as zoo
from archdsl.cards.cards import Card, ModelCard, Reached, Result, Task, cards
from archdsl.view.tables import Column, draw, terminal_width


class Entry(NamedTuple):
    """A network of the zoo: its name, its family's spec and card, and its own card."""

    name: str
    family: str
    card: Card
    model: ModelCard

    @property
    def paper(self) -> str:
        return self.model.paper or self.card.paper

    @property
    def year(self) -> int | None:
        return self.model.year if self.model.paper else self.card.year

    @property
    def url(self) -> str:
        return self.model.url if self.model.paper else self.card.url

    @property
    def authors(self) -> str:
        return self.model.authors if self.model.paper else self.card.authors


def entries() -> list[Entry]:
    """Every network, family by family."""
    return [Entry(name, family, card, model) for family, card in cards().items() for name, model in card.models.items()]


def find(name: str) -> Entry | None:
    """The network of exactly that name."""
    return next((entry for entry in entries() if entry.name == name), None)


def select(text: str, task: str | None, years: range | None, most: int | None) -> list[Entry]:
    """The networks with `text` in their name, family or paper, for a task, of these years, of `most` parameters."""
    if task is not None and task not in get_args(Task):
        raise typer.BadParameter(f"{task!r} is none of {', '.join(get_args(Task))}", param_hint="--task")
    found = [
        entry
        for entry in entries()
        if any(text.lower() in words.lower() for words in (entry.name, entry.card.title, entry.paper))
        and task in {None, entry.model.task}
        and (years is None or entry.year in years)
        and (most is None or entry.model.params <= most)
    ]
    if not found:
        raise typer.BadParameter(f"no network of the zoo is like that{_meant(text)}", param_hint="TEXT")
    return found


def _meant(text: str) -> str:
    close = get_close_matches(text, zoo.names(), n=3)
    return f"; close to {text!r} are {', '.join(close)}" if close else ""


def as_json(found: Sequence[Entry]) -> str:
    """A JSON list, one object a line for each network (docs/json.md)."""
    lines = ",\n".join(f"  {json.dumps(_facts(entry), ensure_ascii=False)}" for entry in found)
    return f"[\n{lines}\n]"


def _facts(entry: Entry) -> dict[str, Any]:
    model = entry.model
    return {
        "name": entry.name,
        "family": entry.family,
        "title": entry.card.title,
        "params": model.params,
        "gmacs": model.gmacs,
        "task": model.task,
        "paper": entry.paper,
        "year": entry.year,
        "url": entry.url,
        "torchvision": model.torchvision or None,
        "timm": model.timm or None,
    }


def draw_list(found: Sequence[Entry]) -> None:
    """The table of `archdsl zoo`."""
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
    rows = [
        [
            entry.name,
            f"{entry.model.params:,}",
            _gmacs(entry.model),
            str(entry.year or ""),
            entry.card.title,
            entry.model.task,
            _library(entry.model),
            entry.paper,
        ]
        for entry in found
    ]
    draw(columns, rows, file=sys.stdout, width=terminal_width())


def _gmacs(model: ModelCard) -> str:
    return "" if model.gmacs is None else f"{model.gmacs:.3f}"


def _library(model: ModelCard) -> str:
    """Where the network's weights or count can be had from."""
    return "torchvision" if model.torchvision else "timm" if model.timm else ""


def spec_text(name: str) -> str:
    """The text of the file in which a network is written."""
    entry = zoo.find(name)
    if entry is None:
        raise typer.BadParameter(f"no network of the zoo is called {name!r}{_meant(name)}", param_hint="TEXT")
    return entry.path.read_text(encoding="utf-8")


def card_json(entry: Entry) -> str:
    """All that is known about one network as a JSON object."""
    from archdsl.api import load

    model, network = entry.model, load(entry.name)
    facts = _facts(entry) | {
        "authors": entry.authors,
        "params_eval": model.params_eval,
        "input": list(network.input_shape),
        "parameters": stored_settings(network.settings),
        "note": model.note,
        "source": model.source,
        "results": [result.model_dump(exclude_defaults=True) for result in model.results],
        "reached": [result.model_dump() for result in model.reached],
    }
    return json.dumps(facts, indent=2, ensure_ascii=False)


def card_text(entry: Entry) -> str:
    """All that is known about one network: paper, figures, published results, what to do with it."""
    parts = [
        [f"{entry.name}  {entry.card.title}"],
        _paper(entry),
        _figures(entry),
        _results(entry.model.results),
        _reached(entry.model.reached),
        _usage(entry),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _paper(entry: Entry) -> list[str]:
    width = terminal_width()
    where = "  ".join(filter(None, [str(entry.year or ""), entry.url]))
    return [line for text in (entry.paper, entry.authors, where) for line in wrap(text, width)]


def _figures(entry: Entry) -> list[str]:
    from archdsl.api import load

    model, network = entry.model, load(entry.name)
    without = "" if model.params_eval is None else f" ({model.params_eval:,} without auxiliary heads)"
    facts = {
        "Parameters": f"{model.params:,}{without}",
        "GMACs": _gmacs(model),
        "Input": str(network.input_shape),
        "Task": model.task,
        "torchvision": model.torchvision,
        "timm": model.timm,
        "Settings": ", ".join(f"{name}={value_text(value)}" for name, value in network.settings.items()),
        "Spec": f"specs/{entry.family}.arch",
        "Note": model.note,
        "Figures": model.source,
    }
    wide = max(map(len, facts)) + 2
    room = max(terminal_width() - wide, 20)
    return [
        f"{name if first else '':<{wide}}{line}"
        for name, text in facts.items()
        for first, line in zip([True, *[False] * len(text)], wrap(text, room, break_long_words=False), strict=False)
    ]


def _results(results: Sequence[Result]) -> list[str]:
    """The published results, in percent, each with the weights that reach it."""
    figures = {"top1": "top-1", "top5": "top-5", "miou": "mean IoU", "pixel_accuracy": "pixels"}
    lines = []
    for result in results:
        values = [(title, getattr(result, name)) for name, title in figures.items()]
        shown = ", ".join(f"{title} {value:g} %" for title, value in values if value is not None)
        text = f"{result.dataset}: {shown}{f' with {result.weights}' if result.weights else ''}"
        lines += wrap(text, terminal_width(), subsequent_indent="  ")
    return lines


def _reached(reached: Sequence[Reached]) -> list[str]:
    """What was reached from the spec alone, with the command."""
    lines = []
    for each in reached:
        seeds = f", mean of {each.runs} seeds (within {each.spread:g})" if each.runs > 1 else ""
        text = f"{each.dataset}: {each.metric} {each.value:g} %{seeds} in {each.minutes:g} minutes on {each.machine}"
        lines += [*wrap(text, terminal_width(), subsequent_indent="  "), f"  {each.command}"]
    return lines


def _usage(entry: Entry) -> list[str]:
    """Commands to go on with."""
    lines = [f"archdsl summary {entry.name}", f"archdsl new mynet --from {entry.name}"]
    if entry.model.torchvision:
        weights = next((result.weights for result in reversed(entry.model.results) if result.weights), "DEFAULT")
        task = "predict" if entry.model.task == "classification" else "export"
        rest = "picture.jpg" if task == "predict" else f"-o {entry.name}.onnx"
        lines.append(f"archdsl {task} {entry.name} {rest} --weights torchvision:{weights}")
    return lines
