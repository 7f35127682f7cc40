"""The settings of a body: `init = ...` and `defaults = ...`.

They hold from their line to the end of the body, for the blocks called there too; the innermost wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from archdsl.arguments.bind import Given, check_argument
from archdsl.arguments.describe import describe
from archdsl.diagnostics import Help, Located, did_you_mean
from archdsl.diagnostics.codes.names import Misplaced, UnknownArgument, UnknownName, UnknownSetting
from archdsl.diagnostics.codes.values import WrongType
from archdsl.elaborate import parametrization
from archdsl.elaborate.forms import OF_EVERY_LAYER, is_tap
from archdsl.elaborate.initialisation import Initialisation, is_dictionary, rules, trainable_by_name
from archdsl.layers import all_kinds, kind_named
from archdsl.layers.base import Layer
from archdsl.syntax import tree
from archdsl.text.record import Record, replace
from archdsl.text.source import Span

#: The names that can be set in a body.
SETTINGS = ("init", "defaults")

#: Arguments by layer type and name, each with its place in the file.
Defaults = Mapping[str, Mapping[str, Given]]
NO_DEFAULTS: Defaults = {}


class Settings(Record):
    """What is in force at a place. Compared by identity, which keys of expansions rely on."""

    init: Initialisation = ()
    defaults: Defaults = NO_DEFAULTS

    def changed(self, statement: tree.Setting, value: Any) -> Settings:
        """These settings with one more, whose value is known.

        Raises:
            Located: an unknown layer type, argument, parameter or initializer, or a value it does not take.
        """
        if statement.name == "init":
            return replace(self, init=(*self.init, rules(value, statement.value.span)))
        new = _defaults(value, statement.value)
        merged = {kind: {**self.defaults.get(kind, {}), **arguments} for kind, arguments in new.items()}
        return replace(self, defaults={**self.defaults, **merged})

    def given(self, cls: type[Layer], given: Sequence[Given]) -> list[Given]:
        """The arguments of a layer's call with the defaults for those that it leaves out."""
        defaults = self.defaults.get(cls.kind)
        if defaults is None:
            return list(given)
        positions = sum(one.name is None and not is_tap(cls, one) for one in given)
        taken = {*list(cls.model_fields)[:positions], *(one.name for one in given)}
        return [*given, *(one for name, one in defaults.items() if name not in taken)]


def require_setting(statement: tree.Setting) -> None:
    """Reject an unknown setting, and `init` among the defaults, before any value is known.

    Raises:
        Located: at the name.
    """
    if statement.name not in SETTINGS:
        helps = did_you_mean(
            statement.name, SETTINGS, statement.name_span, f"to define a variable: `let {statement.span.text}`"
        )
        raise Located(UnknownSetting(statement.name), statement.name_span, helps=helps)
    for kind in pairs_of(statement.value) if statement.name == "defaults" else ():
        for argument in pairs_of(kind.value):
            if argument.key == "init":
                problem = Misplaced("`init` is a separate setting, not part of `defaults`")
                help = Help(f"`init = {{{kind.key}: ...}}` on a line of its own")
                raise Located(problem, argument.key_span, helps=(help,))


def pairs_of(expression: tree.Expr) -> Sequence[tree.Pair]:
    """The entries of a dictionary display; none for any other expression."""
    return expression.pairs if isinstance(expression, tree.DictDisplay) else ()


def _defaults(value: Any, expression: tree.Expr) -> Defaults:
    if not is_dictionary(value):
        example = Help("for example `defaults = {batchnorm: {eps: 0.001}}`")
        problem = WrongType("`defaults`", "must be a dictionary by layer type", describe(value))
        raise Located(problem, expression.span, helps=(example,))
    found = {}
    for kind, arguments in value.items():
        place, inner = _entry(expression, kind)
        cls = layer_of_defaults(kind, place)
        if not is_dictionary(arguments):
            problem = WrongType(f"`{kind}` of `defaults`", "must be a dictionary of arguments", describe(arguments))
            raise Located(problem, inner.span)
        found[kind] = {one.name or "": one for one in _arguments(cls, arguments, inner)}
    return found


def layer_of_defaults(name: str, place: Span) -> type[Layer]:
    """The layer type that an entry of `defaults` is for.

    Raises:
        Located: there is none of that name.
    """
    cls = kind_named(name)
    if cls is None:
        helps = did_you_mean(name, all_kinds(), place)
        raise Located(UnknownName(name), place, label="not a layer type", helps=helps)
    return cls


def require_argument(cls: type[Layer], name: str, place: Span) -> None:
    """Reject an argument that the layer type does not have.

    Raises:
        Located: at the name's place.
    """
    known = [*cls.model_fields, *(name for name in OF_EVERY_LAYER if name != "init")]
    if name not in known:
        helps = did_you_mean(name, known, place, "known: " + ", ".join(known))
        raise Located(UnknownArgument(f"`{cls.kind}`", name), place, helps=helps)


def _arguments(cls: type[Layer], arguments: Mapping[str, Any], expression: tree.Expr) -> Iterator[Given]:
    """The arguments for one layer type, each checked by itself."""
    what = f"`{cls.kind}`"
    for name, value in arguments.items():
        place, inner = _entry(expression, name)
        given = Given(name, value, inner.span)
        if name == "trainable":
            trainable_by_name(cls.kind, given)
        elif name == "parametrization":
            parametrization.made(cls.kind, given)
        else:
            require_argument(cls, name, place)
            check_argument(what, cls, given)
        yield given


def _entry(expression: tree.Expr, key: str) -> tuple[Span, tree.Expr]:
    """The place of a key of a dictionary display, and its value; of any other expression, all of it."""
    for pair in reversed(pairs_of(expression)):
        if pair.key == key:
            return pair.key_span, pair.value
    return expression.span, expression
