"""Values outside the elaborator: those of a recipe, with their places, and those of a model's parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archdsl.text.source import Span

#: What strings write with a backslash.
ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\t": r"\t"})
#: What the key of a dictionary can be without quotes.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Construct:
    """`sgd(lr=0.1)`, or a bare name such as `hflip`: a name with arguments that only its reader understands.

    As a setting of a model, a bare name is that of a layer or block.
    `places` holds the spans of single arguments, by position or name, where they are known.
    Places do not count when two values are compared.
    """

    name: str
    args: tuple[object, ...] = ()
    kwargs: dict[str, object] = field(default_factory=dict)
    span: Span | None = field(default=None, compare=False)
    places: Mapping[int | str, Span] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return spec_text(self)


@dataclass(frozen=True, slots=True)
class Typed:
    """A value from a command line: where a string belongs, its bare words are strings without their quotes."""

    value: object


@dataclass(frozen=True, slots=True)
class Entry:
    """One `key = value` of a block, without its key.

    `value` is an int, float, bool, None, str, list, tuple, dict by strings, or Construct.
    """

    value: object
    span: Span | None = field(default=None, compare=False)


RecipeEntries = dict[str, Entry]


def spec_text(value: object) -> str:
    """A value as a spec writes it."""
    match value:
        case None | True | False:
            return {None: "none", True: "true", False: "false"}[value]
        case str():
            return f'"{value.translate(ESCAPES)}"'
        case list():
            return f"[{', '.join(map(spec_text, value))}]"
        case tuple():
            inside = ", ".join(map(spec_text, value))
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        case dict():
            return "{" + ", ".join(f"{_key_text(key)}: {spec_text(item)}" for key, item in value.items()) + "}"
        case Construct():
            arguments = [*map(spec_text, value.args), *(f"{k}={spec_text(v)}" for k, v in value.kwargs.items())]
            return f"{value.name}({', '.join(arguments)})" if arguments else value.name
        case _:
            return str(value)


def _key_text(key: object) -> str:
    return key if isinstance(key, str) and NAME.fullmatch(key) else spec_text(key)


def stored(value: object) -> Any:
    """A parameter's value for a file in JSON, from which `restored` makes the same value again.

    Numbers, strings and lists stand for themselves; all others are objects whose key says what they are:
    `{"name": "relu"}`, `{"tuple": [3, 3]}`, `{"range": [0, 4, 1]}`, `{"dict": {...}}`.
    """
    match value:
        case list():
            return [stored(item) for item in value]
        case tuple():
            return {"tuple": [stored(item) for item in value]}
        case range():
            return {"range": [value.start, value.stop, value.step]}
        case dict():
            return {"dict": {key: stored(item) for key, item in value.items()}}
        case Construct():
            args = [stored(item) for item in value.args]
            kwargs = {key: stored(item) for key, item in value.kwargs.items()}
            return {"name": value.name} | ({"args": args} if args else {}) | ({"kwargs": kwargs} if kwargs else {})
        case _:
            return value


def stored_settings(settings: Mapping[str, object]) -> dict[str, Any]:
    """The parameters of a model for a file in JSON."""
    return {name: stored(value) for name, value in settings.items()}


def restored(value: Any) -> object:
    """The value that `stored` was given.

    Raises:
        ValueError: it was not given any.
    """
    match value:
        case list():
            return [restored(item) for item in value]
        case {"tuple": list(items)}:
            return tuple([restored(item) for item in items])
        case {"range": [int(start), int(stop), int(step)]} if step:
            return range(start, stop, step)
        case {"dict": dict(items)}:
            return {key: restored(item) for key, item in items.items()}
        case {"name": str(name)}:
            args = tuple([restored(item) for item in value.get("args", ())])
            return Construct(name, args, {key: restored(item) for key, item in value.get("kwargs", {}).items()})
        case dict():
            raise ValueError(f"{value} is the value of no parameter")
        case _:
            return value
