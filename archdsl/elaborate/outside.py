"""Values of a model's parameters that come from outside the spec, and the same values as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from archdsl.arguments.bind import Given, given_of
from archdsl.arguments.values import Construct, Typed
from archdsl.elaborate.environment import BlockValue, Environment, KindValue, PartialValue, with_arguments
from archdsl.elaborate.parametrization import NAMES, is_parametrization
from archdsl.layers import kind_named
from archdsl.text.source import Span


@dataclass(frozen=True, slots=True)
class Outside:
    """A value from outside, not yet converted to what its parameter takes. `scope` has the names that it may use."""

    given: Any
    scope: Environment

    @property
    def value(self) -> Any:
        """The value as it was given."""
        return self.given.value if isinstance(self.given, Typed) else self.given

    def meant(self, default: Any, home: Environment, span: Span) -> Any:
        """The value that the spec itself would give to a parameter of a model of `home`.

        `span` is the place of what has none of its own.

        Raises:
            TypeError: it is, or contains, something that is not a value of the language.
            Located: a layer or block names an argument twice.
        """
        scopes = [self.scope, home]
        found = _Reader(scopes, isinstance(self.given, Typed), span).meant(self.value, default)
        return fitting(found, default, scopes)


def named(name: str, scopes: Sequence[Environment]) -> BlockValue | KindValue | PartialValue | None:
    """The layer or block that one of the scopes has under a name, or else the layer type."""
    for scope in scopes:
        try:
            found = scope.find(name)
        except KeyError:
            continue
        if isinstance(found, BlockValue | KindValue | PartialValue):
            return found
    return None if kind_named(name) is None else KindValue(name)


def is_layer(value: object) -> bool:
    """Whether a value can be called as a layer or block."""
    return isinstance(value, BlockValue | KindValue | PartialValue)


def fitting(value: Any, default: Any, scopes: Sequence[Environment]) -> Any:
    """A value as its parameter takes it: a string means the layer or block of that name if the default is one."""
    if isinstance(value, str) and is_parametrization(default) and value in NAMES:
        return Construct(value)
    return named(value, scopes) or value if isinstance(value, str) and is_layer(default) else value


class _Reader(NamedTuple):
    """Reads values from outside. Typed words that name nothing are strings, or all if the default is a string."""

    scopes: Sequence[Environment]
    typed: bool
    span: Span

    def meant(self, value: Any, default: Any = None) -> Any:
        match value:
            case Construct() if not value.args and not value.kwargs:
                found = None if self.typed and isinstance(default, str) else named(value.name, self.scopes)
                if found is None and is_parametrization(value) and not isinstance(default, str):
                    return value
                if found is not None or self.typed:
                    return found or value.name
            case Construct():
                if is_parametrization(value):
                    return value
                callee = named(value.name, self.scopes)
                if callee is not None:
                    span = value.span or self.span
                    given = [Given(one.name, self.meant(one.value), one.span) for one in given_of(value, span)]
                    return with_arguments(callee, given, span)
            case list():
                return [self.meant(item, _first(default)) for item in value]
            case tuple():
                return tuple([self.meant(item, _first(default)) for item in value])
            case dict() if all(isinstance(key, str) for key in value):
                return {key: self.meant(item) for key, item in value.items()}
            case float() if not math.isfinite(value):
                raise TypeError(value)
            case None | bool() | int() | float() | str() | range() | KindValue() | BlockValue() | PartialValue():
                return value
        raise TypeError(value)


def _first(default: object) -> object:
    """The first item of a default that is a list: the items of a value are converted as it is."""
    return default[0] if isinstance(default, list | tuple) and default else None


def plain(value: Any, names: Mapping[BlockValue, str]) -> Any:
    """A parameter's value as data that can be given from outside again; blocks by their `names` in the spec."""
    match value:
        case list():
            return [plain(item, names) for item in value]
        case tuple():
            return tuple([plain(item, names) for item in value])
        case dict():
            return {key: plain(item, names) for key, item in value.items()}
        case KindValue():
            return Construct(value.kind)
        case BlockValue():
            return Construct(names.get(value, value.name))
        case PartialValue():
            args = tuple([plain(one, names) for name, one in value.arguments if name is None])
            kwargs = {name: plain(one, names) for name, one in value.arguments if name is not None}
            return Construct(plain(value.callee, names).name, args, kwargs)
        case _:
            return value


def blocks_in(value: Any) -> list[BlockValue]:
    """All blocks in a value."""
    match value:
        case list() | tuple():
            return [block for item in value for block in blocks_in(item)]
        case dict():
            return blocks_in(list(value.values()))
        case PartialValue():
            return blocks_in([value.callee, *value.values])
        case _:
            return [value] if isinstance(value, BlockValue) else []
