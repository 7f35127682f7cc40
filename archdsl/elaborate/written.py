"""Checks of expressions and arguments as they are written, whatever their values are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archdsl.arguments.bind import Given, assign_fields, check_argument
from archdsl.diagnostics import Located
from archdsl.diagnostics.codes.limits import TooDeep
from archdsl.elaborate import parametrization
from archdsl.elaborate.environment import UNKNOWN, BlockValue, Environment, with_arguments
from archdsl.elaborate.errors import Reporting, Stop
from archdsl.elaborate.expressions import (
    FIGURES,
    is_parametrization_name,
    layer_or_block,
    require_distinct,
    unknown_name,
)
from archdsl.elaborate.forms import own_arguments, reject_channels_as_eps, require_known
from archdsl.elaborate.functions import CONSTANTS, FUNCTIONS
from archdsl.elaborate.initialisation import initializer_named, require_key, require_parameter
from archdsl.elaborate.members import Members
from archdsl.elaborate.parts import ANY_LABEL, holder_of, require_tap, written_label
from archdsl.elaborate.references import Definition, Kind, Names
from archdsl.elaborate.settings import layer_of_defaults, pairs_of, require_argument
from archdsl.layers import kind_named
from archdsl.layers.base import Layer
from archdsl.syntax import tree
from archdsl.text.limits import MAX_ERRORS, MAX_EXPRESSION_DEPTH
from archdsl.text.source import Span


class Written:
    """Checks what is written in expressions. Problems are collected in `found`, names recorded in `names`.

    has_tensor    whether there is a current tensor, with `channels` and the like
    defaults      the layer types that a `defaults` somewhere gives arguments for
    all_defaults  whether a `defaults` has a value that is not written out
    """

    def __init__(self) -> None:
        self.found: list[Located] = []
        self.names = Names()
        self.members = Members()
        self.has_tensor = False
        self.defaults: set[str] = set()
        self.all_defaults = False
        self.reporting = Reporting(self.report)

    def report(self, error: Located) -> None:
        """Keep a problem; too many of them end the check."""
        self.found.append(error)
        if len(self.found) >= MAX_ERRORS:
            raise Stop(error.problem, error.span)

    # Expressions

    def is_known(self, name: str, env: Environment) -> bool:
        """Whether a name stands for a value of the spec, or for a figure of the current tensor."""
        try:
            env.find(name)
        except KeyError:
            return name in CONSTANTS or (self.has_tensor and (name in FIGURES or name == "shape"))
        return True

    def expression(self, expression: tree.Expr, env: Environment, *, constructs: bool = False) -> None:
        """Check the names and functions in an expression, whichever of its parts will be evaluated."""
        with self.reporting:
            self._names_in(expression, env, constructs, 1)

    def _names_in(self, expression: tree.Expr, env: Environment, constructs: bool, depth: int) -> None:
        if depth > MAX_EXPRESSION_DEPTH:
            raise Located(TooDeep("expressions", MAX_EXPRESSION_DEPTH), expression.span)
        match expression:
            case tree.DictDisplay():
                require_distinct(expression)
            case tree.Name():
                self.names.use(env, expression.name, expression.span)
                known = constructs or self.is_known(expression.name, env) or expression.name in parametrization.NAMES
                known = known or kind_named(expression.name) is not None
                if not known:
                    self.report(unknown_name(expression, env, has_tensor=self.has_tensor))
            case tree.Call() if expression.name in FUNCTIONS:
                constructs = False
                with self.reporting:
                    FUNCTIONS[expression.name].assign(unknown_values(expression.arguments), expression.span)
            case tree.Call() if is_parametrization_name(expression.name, env):
                with self.reporting:
                    parametrization.require_arguments(
                        expression.name, unknown_values(expression.arguments), expression.span
                    )
            case tree.Call() if not constructs:
                with self.reporting:
                    self.partial(expression, env)
            case tree.Member():
                with self.reporting:
                    require_tap(expression)
                    self.labels_in(expression.labels, env, depth, tap=True)
                return
            case tree.Comprehension():
                self._names_in(expression.values, env, False, depth + 1)
                env = env.child()
                self.bind_variables(expression.targets, env)
        for part, may_construct in _parts(expression):
            self._names_in(part, env, constructs and may_construct, depth + 1)
        for one in _initializers(expression):
            self._names_in(one, env, True, depth + 1)
            self.initializers(one, env)

    def partial(self, expression: tree.Call, env: Environment) -> None:
        """Check a layer type or block with arguments; those that are missing may be given where it is called."""
        self.names.use(env, expression.name, expression.name_span)
        found = layer_or_block(expression, env)
        given = unknown_values(expression.arguments)
        value = with_arguments(found, given, expression.span)
        require_known(value)
        if isinstance(value.callee, BlockValue):
            self.use_params(value.callee.definition.params, given)
        elif (cls := kind_named(value.callee.kind)) is not None:
            self.arguments_of_layer(cls, literal_values(expression.arguments), expression.span)

    def use_params(self, params: Sequence[tree.Param], given: Sequence[Given]) -> None:
        """Record arguments by name as uses of a block's parameters."""
        for one in given:
            if one.name is not None:
                self.names.use_param(params, one.name, one.span)

    def arguments_of_layer(self, cls: type[Layer], given: Sequence[Given], span: Span) -> list[Given]:
        """Check the arguments of a layer that are given; returns those that are its own and no taps."""
        rest = own_arguments(cls, given)
        reject_channels_as_eps(cls, rest)
        for name, one in assign_fields(f"`{cls.kind}`", cls, rest, span, complete=False).items():
            with self.reporting:
                self.literal(cls, Given(name, one.value, one.span))
        return rest

    def labels_in(self, labels: Sequence[tree.Label], env: Environment, depth: int = 0, *, tap: bool) -> None:
        """Check labels that lead to a part or `tap`; whether a part has what is inside is left to the expansion."""
        for label in labels:
            for part in label.parts:
                if not isinstance(part, str):
                    self._names_in(part, env, False, depth + 1)
        first = written_label(labels[0])
        holder = env.labels.holder(first)
        if holder is None and first == ANY_LABEL:
            found = Definition(ANY_LABEL, "label", labels[0].span)
        else:
            found = (holder or holder_of(env.labels, first, labels[0].span)).parts[first]
            found.references.append(labels[0].span)
        self.members.use(found, labels[1:], tap=tap)

    def bind_variables(self, targets: Sequence[tree.Target], env: Environment) -> None:
        """Bind the variables of a loop."""
        for name in tree.names_of(targets):
            env.values[name.name] = UNKNOWN
            self.names.define(env, name.name, "loop variable", name.span)

    def bind(self, env: Environment, name: str, kind: Kind, span: Span) -> None:
        """Bind a name to an unknown value, for the first time or again."""
        env.values[name] = UNKNOWN
        self.names.bind(env, name, kind, span)

    # Arguments

    def arguments(self, arguments: Sequence[tree.Argument], env: Environment) -> list[Given]:
        """The arguments of a call; those that are written out have their value."""
        for one in arguments:
            self.expression(one.value, env, constructs=one.name == "init")
            for part in one.label.parts if one.label is not None else ():
                if not isinstance(part, str):
                    self.expression(part, env)
        return literal_values(arguments)

    def literal(self, cls: type[Layer], given: Given) -> None:
        """Reject a value that the argument does not take whatever the others are, if it is written out."""
        written = given.value is not UNKNOWN and not (isinstance(given.value, tuple) and UNKNOWN in given.value)
        if written and given.name in cls.model_fields:
            check_argument(f"`{cls.kind}`", cls, given)

    def arguments_by_kind(self, value: tree.Expr) -> None:
        """Check the entries of `defaults = {kind: {argument: value}}`."""
        self.all_defaults |= not isinstance(value, tree.DictDisplay)
        for kind in pairs_of(value):
            self.defaults.add(kind.key)
            with self.reporting:
                cls = layer_of_defaults(kind.key, kind.key_span)
                for pair in pairs_of(kind.value):
                    with self.reporting:
                        require_argument(cls, pair.key, pair.key_span)
                        self.literal(cls, Given(pair.key, _literal(pair.value), pair.value.span))

    # Initializers

    def initializers_by_key(self, value: tree.Expr) -> None:
        """Check the keys of `init = {conv: {weight: ...}}`."""
        for pair in pairs_of(value):
            with self.reporting:
                require_key(pair.key, value.span)
                for inner in pairs_of(pair.value):
                    require_parameter(pair.key, inner.key, value.span)

    def initializers(self, expression: tree.Expr, env: Environment) -> None:
        """Check the names and arguments of the initializers of an `init`, in dictionaries and conditions too."""
        match expression:
            case tree.DictDisplay():
                for pair in expression.pairs:
                    self.initializers(pair.value, env)
            case tree.Conditional():
                self.initializers(expression.then, env)
                self.initializers(expression.otherwise, env)
            case tree.Name() if not self.is_known(expression.name, env):
                with self.reporting:
                    initializer_named(expression.name, expression.span)
            case tree.Call() if expression.name not in FUNCTIONS:
                with self.reporting:
                    cls = initializer_named(expression.name, expression.span)
                    given = unknown_values(expression.arguments)
                    assign_fields(f"`{expression.name}`", cls, given, expression.span)


def unknown_values(arguments: Sequence[tree.Argument]) -> list[Given]:
    """The arguments of a call without their values."""
    return [Given(one.name, UNKNOWN, one.span) for one in arguments]


def literal_values(arguments: Sequence[tree.Argument]) -> list[Given]:
    """The arguments of a call; those that are written out have their value."""
    return [Given(one.name, _literal(one.value), one.span) for one in arguments]


def _parts(expression: tree.Expr) -> Iterator[tuple[tree.Expr, bool]]:
    """The expressions directly inside one, and whether their names may be constructs where its own may.

    Of a list made by a loop those that see the loop's names.
    """
    match expression:
        case tree.TupleDisplay() | tree.ListDisplay():
            yield from ((item, True) for item in expression.items)
        case tree.DictDisplay():
            yield from ((pair.value, True) for pair in expression.pairs)
        case tree.Comprehension():
            yield expression.element, True
            if expression.test is not None:
                yield expression.test, False
        case tree.Unary():
            yield expression.operand, True
        case tree.Binary():
            yield from ((side, expression.op not in {"and", "or"}) for side in (expression.left, expression.right))
        case tree.Conditional():
            yield from ((expression.then, True), (expression.test, False), (expression.otherwise, True))
        case tree.RangeDisplay():
            yield from ((expression.first, False), (expression.last, False))
        case tree.Index():
            yield from ((expression.value, True), (expression.index, True))
        case tree.Slice():
            parts = (expression.value, expression.start, expression.stop, expression.step)
            yield from ((part, False) for part in parts if part is not None)
        case tree.Call():
            yield from ((one.value, True) for one in expression.arguments if one.name != "init")


def _initializers(expression: tree.Expr) -> Sequence[tree.Expr]:
    """The values of `init` of a layer with arguments; they have names and calls that only they know."""
    arguments = expression.arguments if isinstance(expression, tree.Call) else ()
    return [one.value for one in arguments if one.name == "init"]


def _literal(expression: tree.Expr) -> Any:
    """The value of an expression that is written out, else `UNKNOWN`."""
    match expression:
        case tree.Literal():
            return expression.value
        case tree.Unary(op="-", operand=tree.Literal(value=int() | float() as number)) if not isinstance(number, bool):
            return -number
        case tree.TupleDisplay() | tree.ListDisplay():
            values = tuple(_literal(item) for item in expression.items)
            return UNKNOWN if UNKNOWN in values else values
        case _:
            return UNKNOWN
