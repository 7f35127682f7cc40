"""The plain values a `train` block evaluates to, with their places: what the elaborator hands to the recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archdsl.source import Span


@dataclass(frozen=True, slots=True)
class Construct:
    """`sgd(lr=0.1)`, or a bare name such as `hflip`: a name with arguments that only its reader understands.

    `places` holds the spans of single arguments, by position or name, where they are known.
    Places do not count when two values are compared.
    """

    name: str
    args: tuple[object, ...] = ()
    kwargs: dict[str, object] = field(default_factory=dict)
    span: Span | None = field(default=None, compare=False)
    places: Mapping[int | str, Span] = field(default_factory=dict, compare=False)


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
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case list():
            return f"[{', '.join(map(spec_text, value))}]"
        case tuple():
            inside = ", ".join(map(spec_text, value))
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        case dict():
            return "{" + ", ".join(f"{key}: {spec_text(item)}" for key, item in value.items()) + "}"
        case Construct():
            arguments = [*map(spec_text, value.args), *(f"{k}={spec_text(v)}" for k, v in value.kwargs.items())]
            return f"{value.name}({', '.join(arguments)})" if arguments else value.name
        case _:
            return str(value)
