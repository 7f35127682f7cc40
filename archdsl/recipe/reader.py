"""From the plain values of a `train` block to a recipe's, with every mistake at its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from archdsl.arguments.values import Construct, Entry, spec_text
from archdsl.diagnostics import Diagnostic, Help, Problem
from archdsl.diagnostics.codes.recipe import (
    ArgumentTwice,
    MissingArgument,
    OutOfRange,
    TooManyArguments,
    UnknownArgument,
    UnknownChoice,
    UnknownEntry,
    WrongType,
)
from archdsl.recipe.datasets import Arrays, ImageFolder
from archdsl.recipe.families import FAMILIES, FAMILY_NAMES, LISTS
from archdsl.recipe.parts import Part
from archdsl.text.source import Span

if TYPE_CHECKING:
    from archdsl.recipe.recipe import Recipe


class Reader:
    """Turns entries into a recipe's values and collects what is wrong on the way."""

    def __init__(self, recipe: type[Recipe]) -> None:
        self.recipe = recipe
        self.found: list[Diagnostic] = []

    def report(self, problem: Problem, span: Span | None, help: Help | None = None) -> None:
        self.found.append(Diagnostic(problem, span, helps=(help,) if help else ()))

    def entry(self, name: str, entry: Entry) -> object:
        """The entry's value; None, with a report, where it is wrong."""
        if name not in self.recipe.model_fields:
            self.report(UnknownEntry(name), entry.span, _entry_help(name, self.recipe.model_fields, entry.span))
            return None
        if name not in FAMILIES:
            return entry.value
        if name not in LISTS:
            return self.part(name, name, entry.value, entry.span)
        if not isinstance(entry.value, list | tuple):
            help = Help(f"write it in brackets: {name} = [{spec_text(entry.value)}]")
            self.report(WrongType(name, "a list", spec_text(entry.value)), entry.span, help)
            return None
        parts = [self.part(name, f"{name}[{i}]", item, entry.span) for i, item in enumerate(entry.value)]
        return tuple(part for part in parts if part is not None)

    def part(self, family: str, name: str, value: object, span: Span | None) -> Part | None:
        """A construct with its arguments bound and checked."""
        construct = Construct(value, span=span) if isinstance(value, str) else value
        kinds = FAMILIES[family]
        family_name = FAMILY_NAMES.get(family, family)
        if not isinstance(construct, Construct):
            expected = f"the name of {'an' if family_name[0] in 'aeiou' else 'a'} {family_name}"
            self.report(WrongType(name, expected, spec_text(value)), span)
            return None
        place = construct.span or span
        cls = kinds.get(construct.name)
        if cls is None:
            problem = UnknownChoice(family_name, construct.name, ", ".join(kinds))
            self.report(problem, place, _rename(construct.name, kinds, place))
            return None
        return self.bind(cls, construct, place)

    def bind(self, cls: type[Part], construct: Construct, place: Span | None) -> Part | None:
        """The class with the construct's arguments, in PyTorch's way: positions first, then names."""
        names = cls.arguments()
        before = len(self.found)
        if len(construct.args) > len(names):
            most = f"{len(names)} argument{'s' * (len(names) != 1)}"
            self.report(TooManyArguments(construct.name, most, len(construct.args)), place)
        values = dict(zip(names, construct.args, strict=False))
        places = {name: construct.places.get(i) for i, name in enumerate(names)} | dict(construct.places)
        for name, value in construct.kwargs.items():
            at = places.get(name) or place
            if name in values:
                self.report(ArgumentTwice(construct.name, name), at)
            elif name not in names:
                problem = UnknownArgument(construct.name, name, ", ".join(names) or "none")
                self.report(problem, at, _rename(name, names, at))
            else:
                values[name] = value
        try:
            part = cls.model_validate(values)
        except ValidationError as error:
            for details in error.errors():
                self.reject(cls, details, {name: places.get(name) or place for name in names}, place)
            return None
        return part if len(self.found) == before else None

    def build(self, values: Mapping[str, object], entries: Mapping[str, Entry]) -> Recipe:
        """The recipe, or its defaults where something is wrong and reported."""
        places = {name: entry.span for name, entry in entries.items()}
        given = {n: v for n, v in values.items() if n in self.recipe.model_fields and not (v is None and n in FAMILIES)}
        recipe = self.recipe()
        try:
            recipe = self.recipe.model_validate(given)
        except ValidationError as error:
            for details in error.errors():
                if details["type"] != "default_factory_not_called":  # it follows from another mistake
                    self.reject(self.recipe, details, places, None)
        if isinstance(recipe.dataset, ImageFolder | Arrays) and recipe.folder is None:
            self.report(MissingArgument(recipe.dataset.kind, "root"), places.get("dataset"))
        recipe._places = {name: span for name, span in places.items() if span is not None}
        return recipe

    def reject(
        self, cls: type[BaseModel], details: ErrorDetails, places: Mapping[str, Span | None], place: Span | None
    ) -> None:
        """Say one of pydantic's errors in our words, at the place of the entry or argument."""
        context = details.get("ctx", {})
        name = str(details["loc"][0]) if details["loc"] else str(context.get("name", ""))
        span = places.get(name) or place
        found = spec_text(details["input"])
        if details["type"] == "missing" and len(details["loc"]) == 1:
            construct = cls.model_fields["kind"].default
            self.report(MissingArgument(construct, name), span)
        elif details["type"] == "broken_rule":
            self.report(OutOfRange(name, str(context["rule"]), str(context["found"])), span)
        elif (rule := _range_rule(context)) is not None:
            self.report(OutOfRange(name, rule, found), span)
        else:
            expected = cls.model_fields[name].description or EXPECTED.get(details["type"], details["msg"])
            self.report(WrongType(name, expected, found), span)


EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "string_type": "a text in quotes",
    "bool_type": "true or false",
    "dict_type": "a dictionary",
    "finite_number": "a finite number",
}
RULES = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}


def _range_rule(context: Mapping[str, Any]) -> str | None:
    return next((f"{words} {context[key]:g}" for key, words in RULES.items() if key in context), None)


def _entry_help(name: str, entries: Iterable[str], span: Span | None) -> Help | None:
    """A near name, or for an argument that stands alone (`lr = 0.1`) where it belongs."""
    if (help := _rename(name, entries, span)) is not None:
        return help
    for family, kinds in FAMILIES.items():
        for kind, cls in kinds.items():
            if name in cls.arguments():
                return Help(f"`{name}` is an argument: {family} = {kind}({name}=...), or --set {family}.{name}=...")
    return None


def _rename(name: str, names: Iterable[str], span: Span | None) -> Help | None:
    """`did you mean`, as an edit where the span starts with the name."""
    from difflib import get_close_matches

    near = get_close_matches(name, list(names), 1)
    if not near:
        return None
    message = f"did you mean `{near[0]}`?"
    if span is None or not span.text.startswith(name):
        return Help(message)
    return Help(message, Span(span.source, span.start, span.start + len(name)), near[0])
