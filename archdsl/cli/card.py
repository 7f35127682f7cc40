"""The card of one network of the zoo, as `archdsl zoo NAME` prints it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any, NamedTuple

from archdsl.arguments.values import spec_text, stored_settings
from archdsl.cards.cards import Card, ModelCard, Reached, Result, cards
from archdsl.view.tables import terminal_width


class Entry(NamedTuple):
    """A network of the zoo: its name, its family's spec and card, and its own card."""

    name: str
    family: str
    card: Card
    model: ModelCard

    @property
    def source(self) -> Card | ModelCard:
        """Where the paper is: the network's own card, or the family's."""
        return self.model if self.model.paper else self.card

    @property
    def paper(self) -> str:
        return self.source.paper

    @property
    def year(self) -> int | None:
        return self.source.year

    @property
    def gmacs(self) -> str:
        return "" if self.model.gmacs is None else f"{self.model.gmacs:.3f}"

    def facts(self) -> dict[str, Any]:
        """What the list of the zoo has in JSON (docs/json.md)."""
        return {
            "name": self.name,
            "family": self.family,
            "title": self.card.title,
            "params": self.model.params,
            "gmacs": self.model.gmacs,
            "task": self.model.task,
            "paper": self.paper,
            "year": self.year,
            "url": self.source.url,
            "torchvision": self.model.torchvision or None,
            "timm": self.model.timm or None,
        }


def entries() -> list[Entry]:
    """Every network, family by family."""
    return [Entry(name, family, card, model) for family, card in cards().items() for name, model in card.models.items()]


def find(name: str) -> Entry | None:
    """The network with exactly that name."""
    return next((entry for entry in entries() if entry.name == name), None)


def card_facts(entry: Entry) -> dict[str, Any]:
    """Everything known about one network (docs/json.md)."""
    from archdsl.api import load
    from archdsl.view.summary import inputs_of

    model, network = entry.model, load(entry.name)
    return entry.facts() | {
        "authors": entry.source.authors,
        "params_eval": model.params_eval,
        "input": list(network.input_shape),
        **({"inputs": inputs_of(network)} if network.named_inputs else {}),
        "parameters": stored_settings(network.settings),
        "note": model.note,
        "source": model.source,
        "results": [result.model_dump(exclude_defaults=True) for result in model.results],
        "reached": [result.model_dump() for result in model.reached],
    }


def card_text(entry: Entry) -> str:
    """Everything known about one network: paper, figures, published results, commands."""
    parts = [
        [f"{entry.name}  {entry.card.title}"],
        _paper(entry),
        _figures(entry),
        list(_results(entry.model.results)),
        list(_reached(entry.model.reached)),
        _usage(entry),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _paper(entry: Entry) -> list[str]:
    where = "  ".join(filter(None, [str(entry.year or ""), entry.source.url]))
    return [line for text in (entry.paper, entry.source.authors, where) for line in wrap(text, terminal_width())]


def _figures(entry: Entry) -> list[str]:
    from archdsl.api import load

    model, network = entry.model, load(entry.name)
    without = "" if model.params_eval is None else f" ({model.params_eval:,} without auxiliary heads)"
    facts = {
        "Parameters": f"{model.params:,}{without}",
        "GMACs": entry.gmacs,
        "Input": ", ".join(
            f"{name} {shape}" if network.named_inputs else str(shape) for name, shape in network.inputs.items()
        ),
        "Task": model.task,
        "torchvision": model.torchvision,
        "timm": model.timm,
        "Settings": ", ".join(f"{name}={spec_text(value)}" for name, value in network.settings.items()),
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


def _results(results: Sequence[Result]) -> Iterator[str]:
    """The published results, in percent, with the weights that reach them."""
    figures = {"top1": "top-1", "top5": "top-5", "miou": "mean IoU", "pixel_accuracy": "pixels", "box_map": "box mAP"}
    for result in results:
        values = [(title, getattr(result, name)) for name, title in figures.items()]
        shown = ", ".join(f"{title} {value:g} %" for title, value in values if value is not None)
        text = f"{result.dataset}: {shown}{f' with {result.weights}' if result.weights else ''}"
        yield from wrap(text, terminal_width(), subsequent_indent="  ")


def _reached(reached: Sequence[Reached]) -> Iterator[str]:
    """The results of training the spec, with the command."""
    for each in reached:
        seeds = f", mean of {each.runs} seeds (within {each.spread:g})" if each.runs > 1 else ""
        text = f"{each.dataset}: {each.metric} {each.value:g} %{seeds} in {each.minutes:g} minutes on {each.machine}"
        yield from wrap(text, terminal_width(), subsequent_indent="  ")
        yield f"  {each.command}"


def _usage(entry: Entry) -> list[str]:
    """Commands to try next."""
    lines = [f"archdsl summary {entry.name}", f"archdsl new mynet --from {entry.name}"]
    if entry.model.torchvision:
        weights = next((result.weights for result in reversed(entry.model.results) if result.weights), "DEFAULT")
        task = "predict" if entry.model.task == "classification" else "export"
        rest = "image.jpg" if task == "predict" else f"-o {entry.name}.onnx"
        lines.append(f"archdsl {task} {entry.name} {rest} --weights torchvision:{weights}")
    return lines
