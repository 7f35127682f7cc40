"""Where the names of a spec are defined and where they are used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from archdsl.elaborate.environment import Environment
from archdsl.syntax import tree
from archdsl.text.source import Span

Kind = Literal["block", "model", "parameter", "value", "loop variable", "tap", "label", "input"]


@dataclass(eq=False, slots=True)
class Definition:
    """A name of a spec: what it names, where it is defined, and the other places where it stands.

    `references` include imports, and places that bind a value or tap again. `is_called` and `is_passed` tell whether
    it is used as a layer or block, and as a value; `is_read` whether it is used at all.
    """

    name: str
    kind: Kind
    span: Span
    references: list[Span] = field(default_factory=list)
    is_called: bool = False
    is_passed: bool = False

    @property
    def is_read(self) -> bool:
        return self.is_called or self.is_passed

    def forget(self) -> None:
        """Forget the uses, before they are collected again."""
        self.references.clear()
        self.is_called = self.is_passed = False


class Names:
    """The names of definitions' bodies, recorded while they are resolved."""

    def __init__(self) -> None:
        self.definitions: list[Definition] = []
        self._by_env: dict[Environment, dict[str, Definition]] = {}
        self._params: dict[tree.Param, Definition] = {}

    def add(self, name: str, kind: Kind, span: Span) -> Definition:
        """Record a new name."""
        found = Definition(name, kind, span)
        self.definitions.append(found)
        return found

    def add_file(self, env: Environment, definitions: dict[str, Definition], items: Iterable[tree.TopLevel]) -> None:
        """Record the names of a whole file: its own and imported ones, and the parameters of its definitions."""
        self._by_env[env] = definitions
        for item in items:
            if isinstance(item, tree.BlockDef | tree.ModelDef | tree.VariantDef):
                for param in item.params:
                    self._params[param] = self.add(param.name, "parameter", first_word(param.span, param.name))
            for name in (isinstance(item, tree.Import) and item.names) or ():
                self.bind(env, name.name, "value", name.span)

    def define(self, env: Environment, name: str, kind: Kind, span: Span) -> None:
        """Record a new name of a body."""
        self._by_env.setdefault(env, {})[name] = self.add(name, kind, span)

    def define_param(self, env: Environment, param: tree.Param) -> None:
        """Record a parameter as a name of its definition's body."""
        self._by_env.setdefault(env, {})[param.name] = self._params[param]

    def bind(self, env: Environment, name: str, kind: Kind, span: Span) -> None:
        """Record a name that a body binds, for the first time or again."""
        found = self._by_env.get(env, {}).get(name)
        if found is None:
            self.define(env, name, kind, span)
        elif found.span != span:
            found.references.append(span)

    def of(self, env: Environment, name: str) -> Definition:
        """The definition of a name that a body has bound."""
        return self._by_env[env][name]

    def use(self, env: Environment, name: str, span: Span, *, call: bool = False) -> None:
        """Record a use of a name, as a value or in a call, if anything of that name can be seen."""
        scope: Environment | None = env
        while scope is not None:
            found = self._by_env.get(scope, {}).get(name)
            if found is not None:
                found.references.append(span)
                found.is_called |= call
                found.is_passed |= not call
                return
            scope = scope.parent

    def use_param(self, params: Iterable[tree.Param], name: str, span: Span) -> None:
        """Record an argument by name as a use of the parameter."""
        for param in params:
            if param.name == name:
                self._params[param].references.append(first_word(span, name))


def first_word(span: Span, word: str) -> Span:
    """The place of a word with which a span begins."""
    return Span(span.source, span.start, span.start + len(word))
