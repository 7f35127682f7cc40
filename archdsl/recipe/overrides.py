"""Entries laid over others, as `--set` does."""

from __future__ import annotations

from collections.abc import Mapping

from archdsl.arguments.values import Construct, Entry, RecipeEntries
from archdsl.recipe.families import FAMILIES
from archdsl.recipe.parts import plain
from archdsl.recipe.recipe import Recipe


def with_overrides(entries: Mapping[str, Entry] | None, overrides: Mapping[str, Entry]) -> RecipeEntries:
    """The entries with others laid over them, as `--set key=value` does.

    A key with a dot reaches into a construct or a list of constructs: `optimizer.lr`,
    `augment.random_crop.padding`, or names a label: `rates.layer4.1`. A key that reaches nothing is kept;
    `Recipe.from_entries` rejects it. Of epochs and steps the one laid over takes the place of the other.
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
    """What an override reaches into: the entry's value, or its default's."""
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
            matches = [i for i, item in enumerate(base) if isinstance(item, Construct) and item.name == name]
            reached = _reach(family, base[matches[0]], rest, entry) if matches else None
            return None if reached is None else [*base[: matches[0]], reached, *base[matches[0] + 1 :]]
        case dict(), _:
            return base | {".".join(path): entry.value}
    return None


def _with_argument(family: str, base: Construct, argument: str, entry: Entry) -> Construct:
    cls = FAMILIES.get(family, {}).get(base.name)
    names = cls.arguments() if cls else []
    named = dict(zip(names, base.args, strict=False))
    args = base.args[len(named) :]
    places = {names[key] if isinstance(key, int) and key < len(names) else key: s for key, s in base.places.items()}
    places |= {argument: entry.span} if entry.span is not None else {}
    return Construct(base.name, args, named | base.kwargs | {argument: entry.value}, base.span, places)
