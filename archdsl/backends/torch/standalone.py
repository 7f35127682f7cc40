"""The source of this project's own modules, for files that run without it."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from archdsl.backends.torch import arithmetic, attention, modules, padding, recurrent


@dataclass(slots=True)
class Imports:
    """The names that a file imports: whole modules, and single names by the module they come from."""

    whole: set[str] = field(default_factory=set)
    parts: dict[str, set[str]] = field(default_factory=dict)

    def add(self, module: str, name: str = "") -> None:
        if name:
            self.parts.setdefault(module, set()).add(name)
        else:
            self.whole.add(module)

    @property
    def names(self) -> set[str]:
        """The names that the imports define."""
        return {module.partition(".")[0] for module in self.whole}.union(*self.parts.values())

    @property
    def text(self) -> str:
        """The standard library, then the others, each as isort sorts them."""
        modules = self.whole | set(self.parts)
        standard = self._section(module for module in modules if module.partition(".")[0] in _STANDARD)
        others = self._section(module for module in modules if module.partition(".")[0] not in _STANDARD)
        return "\n\n".join(filter(None, [standard, others]))

    def _section(self, modules: Iterable[str]) -> str:
        found = sorted(modules)
        lines = [f"import {module}" for module in found if module in self.whole]
        lines += [
            f"from {module} import {', '.join(sorted(self.parts[module]))}" for module in found if module in self.parts
        ]
        return "\n".join(lines)


#: The modules with the definitions; the last imports from the others.
_MODULES = (arithmetic, attention, recurrent, padding, modules)
_OWN = frozenset(module.__name__ for module in _MODULES)
#: The modules of the standard library that the definitions and the printed networks use.
_STANDARD = frozenset({"collections", "math", "typing"})


@dataclass(frozen=True, slots=True)
class _Definition:
    """One class, function or constant of a module: its source and the names in it."""

    text: str
    names: frozenset[str]


def definitions(names: Iterable[str], imports: Imports) -> dict[str, str]:
    """The source of these names and all that they need, in the order of the file; adds to the imports."""
    known, imported = _known()
    needed: set[str] = set()
    found = set(names)
    while found:
        needed |= found
        used = {name for wanted in found for name in known[wanted].names}
        for name in used & imported.keys():
            imports.add(*imported[name])
        found = (used & known.keys()) - needed
    return {name: definition.text for name, definition in known.items() if name in needed}


@cache
def _known() -> tuple[dict[str, _Definition], dict[str, tuple[str, str]]]:
    """The definitions in the modules, and the origins of the names that they import."""
    known: dict[str, _Definition] = {}
    imported: dict[str, tuple[str, str]] = {}
    for module in _MODULES:
        text = inspect.getsource(module)
        for statement in ast.parse(text).body:
            imported |= _imported(statement)
            for name in _defined(statement):
                known[name] = _Definition(_text(text.splitlines(), statement), frozenset(_names(statement)))
    return known, imported


def _imported(statement: ast.stmt) -> dict[str, tuple[str, str]]:
    if isinstance(statement, ast.Import):
        return {alias.name: (alias.name, "") for alias in statement.names}
    if isinstance(statement, ast.ImportFrom) and statement.module not in ("__future__", *_OWN):
        return {alias.name: (statement.module or "", alias.name) for alias in statement.names}
    return {}


def _defined(statement: ast.stmt) -> Collection[str]:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return []


def _names(statement: ast.stmt) -> Iterator[str]:
    return (node.id for node in ast.walk(statement) if isinstance(node, ast.Name))


def _text(lines: list[str], statement: ast.stmt) -> str:
    """The statement with the comment above it, without notes for type checkers."""
    decorators = getattr(statement, "decorator_list", [])
    start = min(one.lineno for one in [*decorators, statement]) - 1
    while lines[start - 1].startswith("#"):
        start -= 1
    return "\n".join(re.sub(r"  # (type: ignore|noqa).*", "", line) for line in lines[start : statement.end_lineno])
