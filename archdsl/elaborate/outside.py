"""Values of a model's parameters that come from outside the spec, and the same values as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archdsl.arguments.values import Construct, Typed
from archdsl.elaborate.environment import BlockValue, Environment, KindValue
from archdsl.layers import kind_named


@dataclass(frozen=True, slots=True)
class Outside:
    """A value from outside, not yet converted to what its parameter takes. `scope` has the names that it may use."""

    given: Any
    scope: Environment

    @property
    def value(self) -> Any:
        """The value as it was given."""
        return self.given.value if isinstance(self.given, Typed) else self.given

    def meant(self, default: Any, home: Environment) -> Any:
        """The value that the spec itself would give to a parameter of a model of `home`.

        Raises:
            TypeError: it is, or contains, something that is not a value of the language.
        """
        scopes = [self.scope, home]
        found = _meant(self.value, default, scopes, typed=isinstance(self.given, Typed))
        return fitting(found, default, scopes)


def named(name: str, scopes: Sequence[Environment]) -> BlockValue | KindValue | None:
    """The block of one of the scopes, or else the layer type, of a name."""
    for scope in scopes:
        try:
            found = scope.find(name)
        except KeyError:
            continue
        if isinstance(found, BlockValue):
            return found
    return None if kind_named(name) is None else KindValue(name)


def is_layer(value: object) -> bool:
    """Whether a value can be called as a layer or block."""
    return isinstance(value, BlockValue | KindValue)


def fitting(value: Any, default: Any, scopes: Sequence[Environment]) -> Any:
    """A value as its parameter takes it: a string means the layer or block of that name if the default is one."""
    return named(value, scopes) or value if isinstance(value, str) and is_layer(default) else value


def _meant(value: Any, default: Any, scopes: Sequence[Environment], *, typed: bool) -> Any:
    """Typed words that name nothing are strings, and so are all typed words if the default is a string."""
    match value:
        case Construct() if not value.args and not value.kwargs:
            found = None if typed and isinstance(default, str) else named(value.name, scopes)
            if found is not None or typed:
                return found or value.name
        case list():
            return [_meant(item, _first(default), scopes, typed=typed) for item in value]
        case tuple():
            return tuple([_meant(item, _first(default), scopes, typed=typed) for item in value])
        case dict() if all(isinstance(key, str) for key in value):
            return {key: _meant(item, None, scopes, typed=typed) for key, item in value.items()}
        case float() if not math.isfinite(value):
            raise TypeError(value)
        case None | bool() | int() | float() | str() | range() | KindValue() | BlockValue():
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
        case _:
            return value


def blocks_in(value: Any) -> list[BlockValue]:
    """All blocks in a value."""
    match value:
        case list() | tuple():
            return [block for item in value for block in blocks_in(item)]
        case dict():
            return blocks_in(list(value.values()))
        case _:
            return [value] if isinstance(value, BlockValue) else []
