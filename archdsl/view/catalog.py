"""What specs are written with, from the code: layer types, combinators, functions, and the parts of recipes.

Each is an `Item` with its arguments, types and defaults. `ITEMS` tells how the items of each section are found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from archdsl.layers import Argument

Section = Literal[
    "layers",
    "combinators",
    "functions",
    "initializers",
    "parametrizations",
    "optimizers",
    "schedules",
    "losses",
    "augmentations",
    "datasets",
]
SECTIONS: tuple[Section, ...] = get_args(Section)


class Item(NamedTuple):
    """One thing that a spec can name.

    form  how a spec writes it, with `{}` for the call: `optimizer = {}`
    """

    section: Section
    name: str
    text: str
    arguments: list[Argument]
    form: str = "{}"
    takes_taps: bool = False

    @property
    def summary(self) -> str:
        """The first sentence of the description."""
        paragraph = " ".join(self.text.partition("\n\n")[0].split())
        return re.split(r"\.(?: |$)", paragraph)[0]

    @property
    def call(self) -> str:
        """The arguments: required ones bare, the others with their defaults."""
        listed = ", ".join(a.name if not a.default else f"{a.name}={a.default}" for a in self.arguments)
        return ", ".join(filter(None, ["taps..." if self.takes_taps else "", listed]))

    @property
    def written(self) -> str:
        """The item as a spec writes it, with all arguments."""
        return self.form.format(f"{self.name}({self.call})" if self.call else self.name)


def items(section: Section) -> list[Item]:
    """All items of a section, layer types in alphabetical order."""
    return list(ITEMS[section]())


def all_items() -> list[Item]:
    """All items, section by section."""
    return [item for section in SECTIONS for item in items(section)]


def _layers() -> Iterator[Item]:
    from archdsl.layers import all_kinds, arguments

    for name, kind in all_kinds().items():
        yield Item("layers", name, cleandoc(kind.__doc__ or ""), arguments(kind), takes_taps=kind.takes_taps)


def _combinators() -> Iterator[Item]:
    from archdsl.combinators import COMBINATORS

    for one in COMBINATORS.values():
        form = "{} [when CONDITION] {{ ... }} [shortcut {{ ... }}]" if one.shortcut else "{} {{ ... }}"
        yield Item("combinators", one.keyword, f"{one.summary[0].upper()}{one.summary[1:]}.", [], form)


def _functions() -> Iterator[Item]:
    from archdsl.arguments.values import spec_text
    from archdsl.elaborate.functions import FUNCTIONS
    from archdsl.layers import Argument

    for name, function in FUNCTIONS.items():
        listed = [
            Argument(one.name, one.takes.words.replace("`", ""), "" if one.default is ... else spec_text(one.default))
            for one in function.params
        ]
        listed += [Argument("...", f"up to {function.most}", "")] if function.most else []
        yield Item("functions", name, function.summary, listed)


def _initializers() -> Iterable[Item]:
    from archdsl.layers.initializers import INITIALIZERS

    return _models("initializers", INITIALIZERS, "init = {}")


def _parametrizations() -> Iterable[Item]:
    from archdsl.layers.parametrizations import PARAMETRIZATIONS

    return _models("parametrizations", PARAMETRIZATIONS, "parametrization = {}")


def _family(section: Section, family: str, form: str) -> Callable[[], Iterable[Item]]:
    """The constructs of an entry of the recipe."""

    def found() -> Iterable[Item]:
        from archdsl.recipe.recipe import FAMILIES

        return _models(section, FAMILIES[family], form)

    return found


def _models(section: Section, models: Mapping[str, Any], form: str) -> Iterator[Item]:
    from archdsl.layers import described

    for name, model in models.items():
        ordered = model.arguments() if callable(getattr(model, "arguments", None)) else list(model.model_fields)
        yield Item(section, name, cleandoc(model.__doc__ or ""), described(model.model_fields, ordered), form)


ITEMS: Mapping[Section, Callable[[], Iterable[Item]]] = {
    "layers": _layers,
    "combinators": _combinators,
    "functions": _functions,
    "initializers": _initializers,
    "parametrizations": _parametrizations,
    "optimizers": _family("optimizers", "optimizer", "optimizer = {}"),
    "schedules": _family("schedules", "schedule", "schedule = {}"),
    "losses": _family("losses", "loss", "loss = {}"),
    "augmentations": _family("augmentations", "augment", "augment = [{}]"),
    "datasets": _family("datasets", "dataset", "dataset = {}"),
}
