"""What completes the value of an argument or option: names of the zoo, runs, models of the file, keys, files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from archdsl.elaborate.modules import Module

WEIGHTS = (".safetensors", ".pt", ".pth")
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm")
#: A network on a card of the zoo.
ON_CARD = re.compile(r"^\[models\.([\w-]+)\]", re.MULTILINE)
#: The commands with a recipe, whose entries `--set` takes too.
WITH_RECIPE = ("train", "eval")


class Candidate(NamedTuple):
    """A completed value, with a description for shells that show one."""

    value: str
    help: str = ""


class Line(NamedTuple):
    """The command, the values that are given, and the beginning of the one to complete."""

    command: str
    given: Mapping[str, Sequence[str]]
    text: str

    def first(self, *names: str) -> str | None:
        """The first value of the first of these parameters that is given."""
        return next((self.given[name][0] for name in names if name in self.given), None)


Completer = Callable[[Line], Iterable[Candidate]]


def paths(text: str, extensions: Sequence[str] | None, *, runs: bool = False) -> Iterator[Candidate]:
    """The files with these extensions (None: all), run folders with `runs`, and the folders on the way to them."""
    folder, name = os.path.split(text)
    try:
        entries = sorted(os.scandir(Path(folder or ".").expanduser()), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        full = os.path.join(folder, entry.name)  # noqa: PTH118  `./` has to stay
        if not entry.name.startswith(name) or (entry.name.startswith(".") and not name.startswith(".")):
            continue
        if entry.is_dir():
            is_run = runs and Path(entry.path, "run.json").is_file()
            yield Candidate(full, "run folder") if is_run else Candidate(f"{full}/")
        elif extensions is None or entry.name.lower().endswith(tuple(extensions)):
            yield Candidate(full)


def zoo_names() -> Iterator[str]:
    """The networks of the zoo, from their cards' headings: reading the cards would take longer than the rest."""
    from archdsl.cards.folders import cards_folder

    for path in sorted(cards_folder().glob("*.toml")):
        yield from ON_CARD.findall(path.read_text(encoding="utf-8"))


def _zoo(line: Line) -> Iterator[Candidate]:
    return map(Candidate, zoo_names())


def _network(line: Line) -> Iterator[Candidate]:
    yield from paths(line.text, [".arch"], runs=True)
    if not line.text and Path("runs").is_dir():
        yield from (one for one in paths("runs/", [], runs=True) if one.help)
    yield from _zoo(line)


def _specs(line: Line) -> Iterator[Candidate]:
    yield from paths(line.text, [".arch"])


def _runs(line: Line) -> Iterator[Candidate]:
    yield from paths(line.text, [], runs=True)
    if not line.text and Path("runs").is_dir():
        yield from (one for one in paths("runs/", [], runs=True) if one.help)


def _folders(line: Line) -> Iterator[Candidate]:
    return paths(line.text, [])


def _files(*extensions: str) -> Completer:
    return lambda line: paths(line.text, extensions or None)


def _weights(line: Line) -> Iterator[Candidate]:
    """Run folders, files, and what torchvision publishes of the network."""
    yield from paths(line.text, WEIGHTS, runs=True)
    network = line.first("network") or ""
    for name in _published(network):
        yield Candidate(f"torchvision:{name}", f"torchvision's weights of {network}")


def _published(network: str) -> list[str]:
    """The names of torchvision's weights of a network of the zoo."""
    import tomllib

    from archdsl.cards import index
    from archdsl.cards.folders import cards_folder

    entry = index.find(network)
    if entry is None:
        return []
    card = tomllib.loads((cards_folder() / f"{entry.path.stem}.toml").read_text(encoding="utf-8"))
    model = card["models"].get(network, {})
    names = [one["weights"] for one in model.get("results", []) if one.get("weights")]
    return ["DEFAULT", *dict.fromkeys(names)] if model.get("torchvision") else []


def _module(line: Line, *names: str) -> tuple[Module, str | None] | None:
    """The file of the network that is given, and the model that a zoo name stands for; None where it cannot be read."""
    from archdsl.cli.network import STDIN, find
    from archdsl.diagnostics import SpecError

    network = line.first(*names)
    if network in {None, STDIN}:
        return None
    try:
        found = find(str(network))
        model = found.run.read_info().model if found.run is not None else found.model
        return found.module(), model
    except SpecError:
        return None


def _models(*names: str) -> Completer:
    """The models of the file that is the value of one of these parameters."""

    def complete(line: Line) -> Iterator[Candidate]:
        found = _module(line, *names)
        return map(Candidate, found[0].models if found is not None else ())

    return complete


def _settings(*names: str) -> Completer:
    """Keys of `--set` for the network that is the value of one of these parameters, and values of those keys."""

    def complete(line: Line) -> Iterator[Candidate]:
        key, sign, _ = line.text.partition("=")
        if sign:
            return (Candidate(f"{key}={value}") for value in _values_of(key))
        parameters = _parameters(line, names)
        recipe = _entries(line.text) if line.command in WITH_RECIPE else iter(())
        return (Candidate(f"{one}=", help) for one, help in [*parameters, *recipe])

    return complete


def _parameters(line: Line, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The parameters of the model with their defaults."""
    from archdsl.elaborate import default_model
    from archdsl.elaborate.variants import all_params

    found = _module(line, *names)
    if found is None:
        return
    module, named = found
    model = line.first("model", "old_model", "new_model") or named or default_model(module)
    for param in (model and all_params(module, model)) or ():
        default = None if param.default is None else param.default.span.text
        yield param.name, "parameter" if default is None else f"parameter, {' '.join(default.split())} by default"


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """The entries of a recipe, and after a dot the arguments of what may be one."""
    from archdsl.recipe.recipe import FAMILIES, Recipe

    entry, dot, _ = text.partition(".")
    if not dot:
        yield from ((name, "recipe entry") for name in Recipe.model_fields)
        return
    arguments: dict[str, list[str]] = {}
    for kind, part in FAMILIES.get(entry, {}).items():
        for name in part.arguments():
            arguments.setdefault(name, []).append(kind)
    yield from ((f"{entry}.{name}", f"argument of {', '.join(kinds)}") for name, kinds in arguments.items())


def _values_of(key: str) -> Iterable[str]:
    """The values that an entry of the recipe may have, where they have names."""
    from archdsl.layers import choices_in
    from archdsl.recipe.recipe import FAMILIES, Recipe

    if key in FAMILIES:
        return FAMILIES[key]
    field = Recipe.model_fields.get(key)
    return () if field is None else choices_in(field.annotation)


def _names(section: str) -> Completer:
    """The items of a section of `archdsl layers`."""

    def complete(line: Line) -> Iterator[Candidate]:
        from archdsl.view.catalog import items

        return (Candidate(item.name, item.summary) for item in items(section))  # type: ignore[arg-type]

    return complete


def _all_names(line: Line) -> Iterator[Candidate]:
    from archdsl.view.catalog import all_items, items

    kind = line.first("kind")
    found = all_items() if kind is None else items(kind)  # type: ignore[arg-type]
    return (Candidate(item.name, item.summary) for item in found)


def _codes(line: Line) -> Iterator[Candidate]:
    from inspect import getdoc

    from archdsl.diagnostics import CODES, load_all

    load_all()
    return (Candidate(code, str(getdoc(CODES[code])).partition("\n")[0]) for code in sorted(CODES))


def _commands(line: Line) -> Iterator[Candidate]:
    from archdsl.cli.app import command_names

    return map(Candidate, command_names())


def _columns(line: Line) -> Iterator[Candidate]:
    from archdsl.view.rows import COLUMNS

    before = line.text[: line.text.rfind(",") + 1]
    return (Candidate(before + name) for name in COLUMNS if name not in before.split(","))


def _tasks(line: Line) -> Iterator[Candidate]:
    from typing import get_args

    from archdsl.cards.cards import Task

    return map(Candidate, get_args(Task))


def _layers(line: Line) -> dict[str, str]:
    """The layer types of the network by the names of the layers in the table."""
    from archdsl.cli.network import Asked
    from archdsl.diagnostics import SpecError

    network, model = line.first("network"), line.first("model")
    if network is None:
        return {}
    try:
        found = Asked(network, model, line.given.get("settings"), line.given.get("input")).network()
    except SpecError:
        return {}
    return {layer.name: layer.kind for layer in found.layers}


def _layer_names(line: Line) -> Iterator[Candidate]:
    return (Candidate(name, kind) for name, kind in _layers(line).items())


def _scopes(line: Line) -> Iterator[Candidate]:
    """The scopes of the network: what the names of layers begin with."""
    parts = (name.split(".") for name in _layers(line))
    names = (".".join(one[:end]) for one in parts for end in range(1, len(one)))
    return map(Candidate, dict.fromkeys(names))


#: By the name of the parameter of the command's function, or by the command and that.
COMPLETERS: Mapping[str | tuple[str, str], Completer] = {
    **dict.fromkeys(("network", "old", "new", "base"), _network),
    "paths": _specs,
    "stdin_filename": _specs,
    **dict.fromkeys(("run", "runs", "resume", "folders"), _runs),
    **dict.fromkeys(("out", "root"), _folders),
    "weights": _weights,
    "file": _files(".onnx"),
    **dict.fromkeys(("image", "images"), _files(*IMAGES)),
    "output": _files(),
    "classes": _files(),
    "model": _models("network", "old", "new"),
    "old_model": _models("old"),
    "new_model": _models("new"),
    "settings": _settings("network", "resume", "old", "new"),
    "old_settings": _settings("old"),
    "new_settings": _settings("new"),
    "dataset": _names("datasets"),
    "layer": _layer_names,
    **dict.fromkeys(("fold", "unfold"), _scopes),
    "columns": _columns,
    "code": _codes,
    "command": _commands,
    "text": _zoo,
    "task": _tasks,
    ("layers", "name"): _all_names,
}
