"""Frozen records that cost nothing to define.

`dataclass(frozen=True)` writes and compiles its methods for every class: half a millisecond each, which for the
hundred kinds of syntax nodes, graph nodes and problems was more than a tenth of a cold start. Type checkers treat the
two alike.
"""

from __future__ import annotations

from inspect import get_annotations
from typing import Any, ClassVar, TypeVar, dataclass_transform

R = TypeVar("R", bound="Record")


@dataclass_transform(frozen_default=True)
class Record:
    """A record: its annotated fields in order, class attributes as their defaults. Compared by identity."""

    _fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, *, kw_only: bool = False) -> None:
        own = (name for name, kind in get_annotations(cls).items() if not str(kind).startswith("ClassVar"))
        cls._fields = (*cls._fields, *own)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.__dict__.update(zip(self._fields, args))  # noqa: B905 - `strict` costs a third of the time
        if kwargs:
            self.__dict__.update(kwargs)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


def replace(record: R, **changes: Any) -> R:
    """The same record with other values in some of its fields."""
    new = object.__new__(type(record))
    vars(new).update(vars(record), **changes)
    return new
