"""The layer types by name: one class each.

A layer type is a subclass of `Layer` in one of the modules here. Another project adds its own through the
entry-point group `archdsl.layers`: each entry is a subclass of `Layer`, or a module that defines some.
"""

import sys
import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from archdsl.arguments.values import spec_text
from archdsl.layers.base import KINDS, Layer, Operand

#: The modules with layer types, the most used first: most of the time of a lookup is to create their classes.
MODULES = (
    "conv",
    "activation",
    "linear",
    "pool",
    "reshape",
    "norm",
    "dropout",
    "join",
    "arithmetic",
    "reduce",
    "resample",
    "pad",
    "parameter",
    "attention",
    "window_attention",
    "embedding",
    "recurrent",
    "levit_attention",
)

GROUP = "archdsl.layers"


class Argument(NamedTuple):
    """An argument of a layer type as a reader sees it; `default` is empty where the argument is required."""

    name: str
    type: str
    default: str


def kind_named(name: str) -> type[Layer] | None:
    """The layer type called `name`, or None. Imports as few modules as possible, other projects' last."""
    if not is_built_in(name):
        _load_entry_points()
    return KINDS.get(name)


def is_built_in(name: str) -> bool:
    """Whether a layer type of that name is defined here, or in a module of another project that is already imported."""
    if name in KINDS:
        return True
    modules = (f"{__name__}.{module}" for module in MODULES)
    missing = (module for module in modules if module not in sys.modules)
    return any(import_module(module) and name in KINDS for module in missing)


def all_kinds() -> Mapping[str, type[Layer]]:
    """All layer types by name, in alphabetical order, with those of other projects."""
    for module in MODULES:
        import_module(f"{__name__}.{module}")
    _load_entry_points()
    return MappingProxyType(dict(sorted(KINDS.items())))


@cache
def _load_entry_points() -> None:
    """Import the layer types of other projects, with a warning for each that cannot be imported."""
    from importlib.metadata import entry_points  # 25 ms, only for a name that is not here

    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except Exception as error:
            what = f"the layers of the entry point {entry.name} = {entry.value!r} ({GROUP}) cannot be used"
            warnings.warn(f"{what}: {type(error).__name__}: {error}", RuntimeWarning, stacklevel=3)


def arguments(kind: type[Layer]) -> list[Argument]:
    """The arguments of a layer type in order, with types and defaults as a spec writes them."""
    return described(kind.model_fields, kind.model_fields)


def described(fields: Mapping[str, Any], names: Iterable[str]) -> list[Argument]:
    """Pydantic's fields as arguments, those of `names` in this order."""
    return [
        Argument(
            name,
            fields[name].description or _type_text(fields[name].annotation, fields[name].metadata),
            "" if fields[name].is_required() else spec_text(fields[name].default),
        )
        for name in names
    ]


def choices_in(annotation: Any) -> list[str]:
    """The strings, and true and false, that a type allows by name."""
    if annotation is bool:
        return ["true", "false"]
    if get_origin(annotation) is Literal:
        return [one for one in get_args(annotation) if isinstance(one, str)]
    inner = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    return [choice for part in inner for choice in choices_in(part)]


_PLAIN = {int: "int", float: "float", bool: "bool", str: "string", Operand: "tap", type(None): "none"}
#: About the largest number of float32.
FLOAT32 = 3e38
_BOUNDS = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))


def _type_text(annotation: Any, metadata: list[Any] | None = None) -> str:
    """A type in words: `int > 0 or (int > 0, ...)`."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return _type_text(inner, more)
    if annotation in _PLAIN:
        return f"{_PLAIN[annotation]} {' and '.join(_bounds(metadata or []))}".strip()
    if get_origin(annotation) is Literal:
        return " or ".join(map(spec_text, get_args(annotation)))
    if get_origin(annotation) is tuple:
        parts = ("..." if part is Ellipsis else _type_text(part) for part in get_args(annotation))
        return f"({', '.join(parts)})"
    if (kind := getattr(annotation, "model_fields", {}).get("kind")) is not None:
        return str(kind.default)
    return " or ".join(_type_text(part) for part in get_args(annotation)) or str(annotation)


def _bounds(metadata: list[Any]) -> list[str]:
    """The range of a number, unless it is that of float32. Nested limits are still wrapped in pydantic's FieldInfo."""
    limits = [inner for entry in metadata for inner in getattr(entry, "metadata", [entry])]
    pairs = [(sign, getattr(entry, name)) for entry in limits for name, sign in _BOUNDS if hasattr(entry, name)]
    return [f"{sign} {limit}" for sign, limit in pairs if abs(limit) < FLOAT32]
