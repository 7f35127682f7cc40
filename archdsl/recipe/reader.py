"""Reads the entries of a `train` block, with those that `--set` overrides, into a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from archdsl.arguments.bind import Given, bind, given_of, wrong_values
from archdsl.arguments.describe import describe
from archdsl.arguments.values import Construct, Entry, RecipeEntries, spec_text
from archdsl.diagnostics import Diagnostic, Help, Located, SpecError, did_you_mean
from archdsl.diagnostics.codes.names import BadArgument, MissingArgument
from archdsl.diagnostics.codes.recipe import UnknownChoice, UnknownEntry
from archdsl.recipe.datasets import Arrays, ImageFolder, Pairs
from archdsl.recipe.parts import Part, plain
from archdsl.recipe.recipe import FAMILIES, FAMILY_NAMES, LISTS, Recipe
from archdsl.text.source import Source, Span
from archdsl.text.suggest import ALIASES, plain_name

BLOCK = "`train`"
#: The place of a value that is in no file.
NOWHERE = Span(Source("", ""), 0, 0)


def read_recipe(entries: Mapping[str, Entry] | None) -> Recipe:
    """The recipe that a `train` block's entries describe (None: all defaults).

    Raises:
        SpecError: with every error, each at its place in the file.
    """
    reader = _Reader()
    recipe = reader.recipe(entries or {})
    if reader.errors:
        raise SpecError([_diagnostic(error) for error in reader.errors])
    return recipe


def _diagnostic(error: Located) -> Diagnostic:
    return Diagnostic(error.problem, None if error.span is NOWHERE else error.span, helps=error.helps)


class _Reader:
    """Reads the entries of one recipe and collects all errors."""

    def __init__(self) -> None:
        self.errors: list[Located] = []

    def recipe(self, entries: Mapping[str, Entry]) -> Recipe:
        """The recipe; its defaults where there are errors."""
        given = {name: Given(name, one.value, one.span or NOWHERE) for name, one in entries.items()}
        values = {name: value for name, one in given.items() if (value := self.entry(name, one)) is not ...}
        recipe = Recipe()
        try:
            recipe = Recipe.model_validate(values)
        except ValidationError as error:
            self.errors += wrong_values(BLOCK, Recipe, error, given, NOWHERE)
        dataset = recipe.dataset.of if isinstance(recipe.dataset, Pairs) else recipe.dataset
        if isinstance(dataset, ImageFolder | Arrays) and recipe.folder is None:
            problem = MissingArgument(f"`{dataset.kind}`", "`root`")
            help = f'give the folder of its files: `{dataset.kind}("DIR")`, or `--root DIR`'
            self.errors.append(Located(problem, given["dataset"].span, helps=(Help(help),)))
        recipe.set_places({name: one.span for name, one in entries.items() if one.span is not None})
        return recipe

    def entry(self, name: str, given: Given) -> object:
        """The value of an entry; `...` where it is wrong."""
        if name not in Recipe.model_fields:
            self.errors.append(Located(UnknownEntry(name), given.span, helps=_entry_helps(name, given.span)))
            return ...
        if name not in FAMILIES:
            return given.value
        if name not in LISTS:
            return self.part(name, given)
        if not isinstance(given.value, list | tuple):
            help = Help(f"write it in brackets: {name} = [{spec_text(given.value)}]")
            self.errors.append(_wrong_type(given, "a list", help))
            return ...
        parts = [self.part(name, Given(f"{name}[{i}]", one, given.span)) for i, one in enumerate(given.value)]
        return tuple(part for part in parts if part is not ...)

    def part(self, family: str, given: Given) -> object:
        """A construct with its arguments bound and checked; `...` where one is wrong."""
        construct = Construct(given.value) if isinstance(given.value, str) else given.value
        name = FAMILY_NAMES.get(family, family)
        if not isinstance(construct, Construct):
            self.errors.append(_wrong_type(given, f"the name of {'an' if name[0] in 'aeiou' else 'a'} {name}"))
            return ...
        place, known = construct.span or given.span, FAMILIES[family]
        if construct.name not in known:
            problem = UnknownChoice(name, construct.name, ", ".join(known))
            self.errors.append(Located(problem, place, helps=did_you_mean(construct.name, known, place)))
            return ...
        return self.bound(known[construct.name], construct, place)

    def bound(self, cls: type[Part], construct: Construct, place: Span) -> object:
        """A part of a recipe from the arguments of a construct; `...` where one is wrong."""
        what, names = f"`{construct.name}`", cls.arguments()
        required = [name for name in names if cls.model_fields[name].is_required()]
        arguments, errors = bind(what, names, required, given_of(construct, place), place)
        for name, family in cls.parts.items():
            if name in arguments:
                inner = self.part(family, arguments[name])
                if inner is ...:
                    return ...
                arguments[name] = Given(name, inner, arguments[name].span)
        part: object = ...
        try:
            part = cls.model_validate({name: one.value for name, one in arguments.items()})
        except ValidationError as error:
            errors += wrong_values(what, cls, error, arguments, place)
        self.errors += errors
        return ... if errors else part


def _wrong_type(given: Given, expected: str, *helps: Help) -> Located:
    problem = BadArgument(BLOCK, str(given.name), f"must be {expected}", describe(given.value))
    return Located(problem, given.span, helps=helps)


def _entry_helps(name: str, span: Span) -> tuple[Help, ...]:
    """For an argument that stands alone (`lr = 0.1`, `learning_rate = 0.1`) the entry it belongs to, else a name."""
    if (found := argument_of(name)) is None:
        return did_you_mean(name, Recipe.model_fields, span)
    family, kind, argument = found
    call = f"{family} = {kind}({argument}=...), or --set {family}.{argument}=..."
    return (Help(f"`{argument}` is an argument: {call}"),)


def argument_of(name: str) -> tuple[str, str, str] | None:
    """The entry, construct and argument that a name is meant for: `learning_rate` is `optimizer`, `sgd` and `lr`."""
    argument = ALIASES.get(plain_name(name), name)
    for family, parts in FAMILIES.items():
        for kind, cls in parts.items():
            if argument in cls.arguments() and argument not in Recipe.model_fields:
                return family, kind, argument
    return None


def entry_for(name: str) -> str | None:
    """The key that sets an entry of the recipe: `device` is one, `lr` and `learning_rate` are `optimizer.lr`."""
    if name in Recipe.model_fields:
        return name
    found = argument_of(name)
    return f"{found[0]}.{found[2]}" if found is not None and found[0] in {"optimizer", "schedule"} else None


def with_overrides(entries: Mapping[str, Entry] | None, overrides: Mapping[str, Entry]) -> RecipeEntries:
    """The entries with others in their place, as `--set key=value` gives them.

    A key with a dot reaches into a construct or a list of constructs: `optimizer.lr`,
    `augment.random_crop.padding`, or names a label: `rates.layer4.1`. A key that reaches nothing is kept;
    `read_recipe` rejects it. Of epochs and steps, the one that is given replaces the other.
    """
    merged = dict(entries or {})
    for name, other in (("epochs", "steps"), ("steps", "epochs")):
        if name in overrides and other not in overrides:
            merged[other] = Entry(None)
    for key, entry in overrides.items():
        name, *path = key.split(".")
        reached = _reach(name, _base(merged, name), path, entry) if path else entry.value
        if reached is None and path:
            merged[key] = entry
        else:
            merged[name] = Entry(reached, merged[name].span if path and name in merged else entry.span)
    return merged


def _base(entries: Mapping[str, Entry], name: str) -> object:
    """The value that an override reaches into: the entry's, or its default."""
    if name in entries:
        return entries[name].value
    return plain(Recipe.model_fields[name].default) if name in {*FAMILIES, "rates"} else None


def _reach(family: str, base: object, path: list[str], entry: Entry) -> object:
    """`base` with the value at `path` changed; None where there is no such path."""
    match base, path:
        case Construct(), [argument]:
            return _with_argument(family, base, argument, entry)
        case str(), [argument] if family in FAMILIES:
            return _with_argument(family, Construct(base), argument, entry)
        case list(), [name, *rest]:
            return _reach_item(family, base, name, rest, entry)
        case dict(), _:
            return base | {".".join(path): entry.value}
    return None


def _reach_item(family: str, items: list[object], name: str, path: list[str], entry: Entry) -> object:
    """The list with its first construct called `name` changed; None where there is none."""
    for i, item in enumerate(items):
        if isinstance(item, Construct) and item.name == name:
            reached = _reach(family, item, path, entry)
            return None if reached is None else [*items[:i], reached, *items[i + 1 :]]
    return None


def _with_argument(family: str, base: Construct, argument: str, entry: Entry) -> Construct:
    """The construct with one argument changed; the others are given by name as far as their names are known."""
    cls = FAMILIES.get(family, {}).get(base.name)
    names: Iterable[str] = cls.arguments() if cls else ()
    by_position = dict(enumerate(names))
    named = dict(zip(names, base.args, strict=False))
    places = {by_position.get(key, key) if isinstance(key, int) else key: span for key, span in base.places.items()}
    places |= {argument: entry.span} if entry.span is not None else {}
    kwargs = named | base.kwargs | {argument: entry.value}
    return Construct(base.name, base.args[len(named) :], kwargs, base.span, places)
