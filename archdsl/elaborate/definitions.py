"""What can be said of a file's definitions without values: names, calls and settings, used or not.

The walk that expands a model sees what the model needs, with the branches its values take. This one goes through every
block and model once, through both branches of each condition, and through every loop's body as often as it is written.
What depends on a value (a parameter that holds a block, a label with an index) is left to the expansion.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from archdsl.arguments.bind import Given, assign, assign_fields, check_argument
from archdsl.diagnostics import Diagnostic, Located
from archdsl.diagnostics.codes.limits import TooDeep
from archdsl.diagnostics.codes.names import DuplicateName, NoModelToTrain, UnknownName
from archdsl.elaborate.environment import UNKNOWN, BlockValue, Environment
from archdsl.elaborate.errors import Stop, Unknown
from archdsl.elaborate.expressions import FIGURES, require_distinct, unknown_function, unknown_name
from archdsl.elaborate.forms import (
    STATEMENTS,
    callee,
    misplaced_input,
    no_input,
    no_such_part,
    no_tensor,
    recursive,
    reject_channels_as_eps,
    require_combinator,
    require_place,
    reused_label,
)
from archdsl.elaborate.functions import FUNCTIONS
from archdsl.elaborate.initialisation import initializer_named, require_key, require_parameter
from archdsl.elaborate.modules import Module, keyword_of
from archdsl.elaborate.names import Scope, check_label
from archdsl.elaborate.settings import layer_of_defaults, pairs_of, require_argument, require_setting
from archdsl.elaborate.walk import ANY_LABEL
from archdsl.layers import kind_named
from archdsl.layers.base import Layer
from archdsl.syntax import tree
from archdsl.text.limits import MAX_ERRORS, MAX_EXPRESSION_DEPTH
from archdsl.text.source import Span
from archdsl.text.stack import deep


@dataclass(slots=True)
class Place:
    """Where a statement stands. `top` is the outermost body of its definition."""

    env: Environment
    block: bool
    aux: bool = False
    top: bool = False
    in_loop: bool = False
    scope: Scope = field(default_factory=Scope)
    made: set[str] = field(default_factory=set)

    def inside(self) -> Place:
        """The same place in a scope of its own."""
        return replace(self, scope=Scope(), made=set(), in_loop=False, top=False)

    def maybe(self, *, in_loop: bool = False) -> Place:
        """A body that runs once, often or not at all: its names end with it, its labels may be there afterwards."""
        scope = Scope(self.scope.path, dict(self.scope.taken))
        return replace(self, env=self.env.child(), scope=scope, top=False, in_loop=self.in_loop or in_loop)


def problems_of(modules: Sequence[Module]) -> list[Diagnostic]:
    """What is wrong with the definitions of files that belong together, whatever the values are."""
    checker = _Checker()
    try:
        for module in modules:
            checker.module(module)
        checker.report_missing()
        checker.report_circles()
    except Stop:
        pass  # there are enough errors
    return [Diagnostic(one.problem, one.span, one.label, one.notes, one.helps) for one in checker.found]


class _Checker:
    """One walk over the trees of all definitions. Problems are collected in `found`.

    missing   arguments that a layer type needs and a call leaves out, which a `defaults` may give
    defaults  the layer types that a `defaults` somewhere gives arguments for
    calls     the blocks that each block calls, and where; those that models call under None
    """

    def __init__(self) -> None:
        self.found: list[Located] = []
        self.missing: list[tuple[str, Located]] = []
        self.defaults: set[str] = set()
        self.all_defaults = False
        self.has_tensor = False
        self.block: tree.BlockDef | None = None
        self.calls: dict[tree.BlockDef | None, list[tuple[tree.BlockDef, Span]]] = {None: []}

    # Reporting

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Keep what is wrong inside, and go on after it."""
        try:
            yield
        except Stop:
            raise
        except Located as error:
            self.report(error)
        except Unknown:
            pass

    def report(self, error: Located) -> None:
        self.found.append(error)
        if len(self.found) >= MAX_ERRORS:
            raise Stop(error.problem, error.span)

    def report_missing(self) -> None:
        """The arguments that are missing, now that the defaults of all files are known."""
        for kind, error in self.missing:
            if not self.all_defaults and kind not in self.defaults:
                self.report(error)

    def report_circles(self) -> None:
        """Blocks that reach themselves: each circle once, at the call that closes it."""
        done: set[tree.BlockDef] = set()
        for start in self.calls:
            way: list[tree.BlockDef] = []
            # What is left to follow: the calls of the models or a block, and of each block on the way from there.
            waiting = [iter(self.calls[start] if start is None else [(start, start.name.span)])]
            while waiting:
                block, span = next(waiting[-1], (None, None))
                if block is None or span is None:
                    waiting.pop()
                    done.update(way[-1:])
                    way = way[:-1]
                elif block in way:
                    self.report(Located(recursive(block, way), span))
                elif block not in done:
                    way.append(block)
                    waiting.append(iter(self.calls.get(block, ())))

    # Definitions

    def module(self, module: Module) -> None:
        for item in module.file.items:
            match item:
                case tree.BlockDef():
                    self.has_tensor, self.block = True, item
                    self.calls[item] = []
                    env = self.params(item.params, module.globals)
                    self.body(item.body, Place(env, block=True))
                case tree.ModelDef():
                    self.has_tensor, self.block, before = False, None, len(self.found)
                    env = self.params(item.params, module.globals)
                    self.body(item.body, Place(env, block=False, top=True))
                    if not self.has_tensor and len(self.found) == before:
                        self.report(no_input(item.body.span))
                case tree.VariantDef():
                    self.has_tensor = False
                    env = self.params(item.params, module.globals)
                    self.arguments(item.base.arguments, env)
                case tree.TrainDef():
                    self.train(item, module)
                case tree.Import() | tree.Let():
                    pass  # worked out when the file was loaded
                case _:
                    assert_never(item)

    def params(self, params: Sequence[tree.Param], home: Environment) -> Environment:
        """The names of a definition's parameters, whose values are not known."""
        env = Environment(home)
        for param in params:
            if param.default is not None:
                self.expression(param.default, env, constructs=param.name == "init")
            if param.name in env.values:
                self.report(Located(DuplicateName("a parameter", param.name), param.span))
            env.values[param.name] = UNKNOWN
        return env

    def train(self, item: tree.TrainDef, module: Module) -> None:
        if not item.models and not module.models:
            self.report(Located(NoModelToTrain(), keyword_of(item)))
        for name in item.models:
            if name.name not in module.models and name.name not in module.imported_models:
                self.report(Located(UnknownName(name.name), name.span, label="no model of that name"))
        seen = set()
        for entry in item.entries:
            if entry.name in seen:
                self.report(Located(DuplicateName("the entry", entry.name), entry.name_span))
            seen.add(entry.name)
            self.expression(entry.value, module.globals, constructs=True)

    # Statements

    def body(self, body: tree.Body, place: Place) -> None:
        """The statements of a body, whose names end with it."""
        self.statements(body, replace(place, env=place.env.child()))

    @deep
    def statements(self, body: tree.Body, place: Place) -> None:
        for statement in body.statements:
            match statement:
                case tree.Item():
                    self.item(statement, place)
                case tree.Let():
                    self.expression(statement.value, place.env)
                    self.bind(statement.targets, place.env)
                case tree.Setting():
                    self.setting(statement, place)
                case tree.For():
                    self.loop(statement, place)
                case tree.If():
                    self.condition(statement, place)
                case _:
                    assert_never(statement)

    def bind(self, targets: Sequence[tree.Target], env: Environment) -> None:
        for name in tree.names_of(targets):
            env.values[name.name] = UNKNOWN

    def loop(self, statement: tree.For, place: Place) -> None:
        """A loop's body. What is made late in one round can be used early in the next."""
        self.expression(statement.values, place.env)
        if not place.in_loop:
            place.made |= set(_labels_in(statement.body))
            for tap in _taps_in(statement.body):
                place.env.function.values.setdefault(tap, UNKNOWN)
        inner = place.maybe(in_loop=True)
        self.bind(statement.targets, inner.env)
        self.body(statement.body, inner)

    def condition(self, statement: tree.If, place: Place) -> None:
        """All branches; one after the other, since there may be very many."""
        rest: tree.Body | tree.If | None = statement
        while isinstance(rest, tree.If):
            self.expression(rest.test, place.env)
            self.statements(rest.body, place.maybe())
            rest = rest.otherwise
        if rest is not None:
            self.statements(rest, place.maybe())

    def setting(self, statement: tree.Setting, place: Place) -> None:
        is_init = statement.name == "init"
        try:
            require_setting(statement)
        except Located as error:
            place.env.values.setdefault(statement.name, UNKNOWN)
            self.report(error)
            return
        self.expression(statement.value, place.env, constructs=is_init)
        if is_init:
            self.initializers_by_key(statement.value)
            self.initializers(statement.value, place.env)
        elif statement.name == "defaults":
            self.arguments_by_kind(statement.value)

    def initializers_by_key(self, value: tree.Expr) -> None:
        """The keys of `init = {conv: {weight: ...}}`."""
        for pair in pairs_of(value):
            with self.reporting():
                require_key(pair.key, value.span)
                for inner in pairs_of(pair.value):
                    require_parameter(pair.key, inner.key, value.span)

    def arguments_by_kind(self, value: tree.Expr) -> None:
        """The entries of `defaults = {kind: {argument: value}}`."""
        self.all_defaults |= not isinstance(value, tree.DictDisplay)
        for kind in pairs_of(value):
            self.defaults.add(kind.key)
            with self.reporting():
                cls = layer_of_defaults(kind.key, kind.key_span)
                for pair in pairs_of(kind.value):
                    with self.reporting():
                        require_argument(cls, pair.key, pair.key_span)
                        self.literal(cls, Given(pair.key, _literal(pair.value), pair.value.span))

    # Items

    def item(self, item: tree.Item, place: Place) -> None:
        form = item.form
        label = self.label(item, place)
        if isinstance(form, tree.LayerCall):
            with self.reporting():
                if form.name in STATEMENTS:
                    self.statement(form, item, place)
                else:
                    self.call(form, place)
        else:
            before = self.has_tensor
            if not before:
                self.report(no_tensor(form.span))
            self.has_tensor = True
            self.combinator(form, place if label is None else place.inside())
            self.has_tensor = before
        if label is not None:
            place.made.add(label)
        if item.tap is not None:
            if item.tap.index is not None:
                self.expression(item.tap.index, place.env)
            place.env.function.values[item.tap.name] = UNKNOWN

    def label(self, item: tree.Item, place: Place) -> str | None:
        """An item's label, `ANY_LABEL` where it depends on a value."""
        label = item.label
        if label is None:
            return None
        expressions = [part for part in label.parts if not isinstance(part, str)]
        for part in expressions:
            self.expression(part, place.env)
        if expressions:
            return ANY_LABEL
        name = "".join(part for part in label.parts if isinstance(part, str))
        with self.reporting():
            check_label(name, label.span)
            place.scope.take(name, item.span)
        return name

    def combinator(self, form: tree.GroupForm | tree.ResidualForm | tree.CombinatorForm, place: Place) -> None:
        place = replace(place, top=False)
        if isinstance(form, tree.CombinatorForm):
            with self.reporting():
                require_combinator(form, aux=place.aux)
                given = self.arguments(form.arguments, place.env)
                if form.kind == "split":
                    assign("`split`", ["parts"], ["parts"], given, form.kind_span)
            place = replace(place, aux=place.aux or form.kind == "aux")
        if isinstance(form, tree.ResidualForm) and form.when is not None:
            self.expression(form.when, place.env)
        self.body(form.body, place)
        if isinstance(form, tree.ResidualForm) and form.shortcut is not None:
            self.body(form.shortcut, place)

    def statement(self, form: tree.LayerCall, item: tree.Item, place: Place) -> None:
        """`input`, `use`, `output` or `reuse`."""
        require_place(form, item, block=place.block, aux=place.aux)
        if form.name == "reuse":
            if not place.made & {reused_label(form), ANY_LABEL}:
                raise no_such_part(form, place.made)
            return
        given = self.arguments(form.arguments, place.env)
        if form.name == "use":
            assign("`use`", ["tap"], ["tap"], given, form.span)
        elif form.name == "input":
            is_first, self.has_tensor = place.top and not self.has_tensor, True
            if not is_first:
                raise misplaced_input(form)

    # Calls

    def arguments(self, arguments: Sequence[tree.Argument], env: Environment) -> list[Given]:
        """The arguments of a call; those that are written out have their value."""
        given = []
        for one in arguments:
            self.expression(one.value, env, constructs=one.name == "init")
            span = one.value.span if one.name is None else one.span
            given.append(Given(one.name, _literal(one.value), span))
        return given

    def call(self, form: tree.LayerCall, place: Place) -> None:
        """A layer or block; one that a parameter holds is left to the expansion."""
        given = self.arguments(form.arguments, place.env)
        found = callee(form, place.env)
        if not self.has_tensor:
            raise no_tensor(form.span)
        if isinstance(found, BlockValue):
            self.calls[self.block].append((found.definition, form.span))
            params = found.definition.params
            required = [param.name for param in params if param.default is None]
            assign(f"`{found.name}`", [param.name for param in params], required, given, form.span)
            return
        for one in form.arguments:
            if one.name == "init":
                self.initializers(one.value, place.env)
        self.layer(found, given, form.span)

    def layer(self, cls: type[Layer], given: Sequence[Given], span: Span) -> None:
        what = f"`{cls.kind}`"
        rest = [one for one in given if one.name not in {"init", "trainable"}]
        if cls.takes_taps:
            rest = [one for one in rest if one.name is not None]
        reject_channels_as_eps(cls, rest)
        for name, one in assign_fields(what, cls, rest, span, complete=False).items():
            with self.reporting():
                self.literal(cls, Given(name, one.value, one.span))
        try:
            assign_fields(what, cls, rest, span)
        except Located as error:  # of what it could be, the rest has just been looked at
            self.missing.append((cls.kind, error))

    def literal(self, cls: type[Layer], given: Given) -> None:
        """Reject a value that the argument does not take whatever the others are, where it is written out."""
        written = given.value is not UNKNOWN and not (isinstance(given.value, tuple) and UNKNOWN in given.value)
        if written and given.name in cls.model_fields:
            check_argument(f"`{cls.kind}`", cls, given)

    def initializers(self, expression: tree.Expr, env: Environment) -> None:
        """The names and arguments of the initializers that an `init` gives, in dictionaries and conditions too."""
        match expression:
            case tree.DictDisplay():
                for pair in expression.pairs:
                    self.initializers(pair.value, env)
            case tree.Conditional():
                self.initializers(expression.then, env)
                self.initializers(expression.otherwise, env)
            case tree.Name() if not self.is_known(expression.name, env):
                with self.reporting():
                    initializer_named(expression.name, expression.span)
            case tree.Call() if expression.name not in FUNCTIONS:
                with self.reporting():
                    cls = initializer_named(expression.name, expression.span)
                    given = [Given(one.name, UNKNOWN, one.span) for one in expression.arguments]
                    assign_fields(f"`{expression.name}`", cls, given, expression.span)

    # Expressions

    def is_known(self, name: str, env: Environment) -> bool:
        """Whether a name stands for a value of the spec, or for a figure of the current tensor."""
        try:
            env.find(name)
        except KeyError:
            return self.has_tensor and (name in FIGURES or name == "shape")
        return True

    def expression(self, expression: tree.Expr, env: Environment, *, constructs: bool = False) -> None:
        """The names and functions in an expression, whichever of its parts will be evaluated."""
        with self.reporting():
            self._names_in(expression, env, constructs, 1)

    def _names_in(self, expression: tree.Expr, env: Environment, constructs: bool, depth: int) -> None:
        if depth > MAX_EXPRESSION_DEPTH:
            raise Located(TooDeep("expressions", MAX_EXPRESSION_DEPTH), expression.span)
        match expression:
            case tree.DictDisplay():
                require_distinct(expression)
            case tree.Name():
                known = constructs or self.is_known(expression.name, env) or kind_named(expression.name) is not None
                if not known:
                    self.report(unknown_name(expression, env, has_tensor=self.has_tensor))
            case tree.Call() if expression.name in FUNCTIONS:
                constructs = False
                with self.reporting():
                    given = [
                        Given(one.name, UNKNOWN, one.value.span if one.name is None else one.span)
                        for one in expression.arguments
                    ]
                    FUNCTIONS[expression.name].assign(given, expression.span)
            case tree.Call() if not constructs:
                self.report(unknown_function(expression, env))
            case tree.Comprehension():
                self._names_in(expression.values, env, False, depth + 1)
                env = env.child()
                self.bind(expression.targets, env)
        for part, may_construct in _parts(expression):
            self._names_in(part, env, constructs and may_construct, depth + 1)


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
            yield from ((one.value, True) for one in expression.arguments)


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


def _bodies_of(statement: tree.Statement, *, scopes: bool) -> Iterator[tree.Body]:
    """The bodies directly in a statement; those of labelled parts, which are `scopes` of their own, only if asked."""
    match statement:
        case tree.For():
            yield statement.body
        case tree.If():
            rest: tree.Body | tree.If | None = statement
            while isinstance(rest, tree.If):
                yield rest.body
                rest = rest.otherwise
            if rest is not None:
                yield rest
        case tree.Item(form=tree.GroupForm() | tree.CombinatorForm() as form, label=label) if scopes or label is None:
            yield form.body
        case tree.Item(form=tree.ResidualForm() as form, label=label) if scopes or label is None:
            yield form.body
            if form.shortcut is not None:
                yield form.shortcut


def _items_in(body: tree.Body, *, scopes: bool) -> Iterator[tree.Item]:
    """All items of a body, at any depth."""
    for statement in body.statements:
        if isinstance(statement, tree.Item):
            yield statement
        for inner in _bodies_of(statement, scopes=scopes):
            yield from _items_in(inner, scopes=scopes)


def _taps_in(body: tree.Body) -> Iterator[str]:
    return (item.tap.name for item in _items_in(body, scopes=True) if item.tap is not None)


def _labels_in(body: tree.Body) -> Iterator[str]:
    """The labels of the scope that a body belongs to, `ANY_LABEL` for those that depend on a value."""
    for item in _items_in(body, scopes=False):
        if item.label is not None:
            parts = item.label.parts
            yield "".join(map(str, parts)) if all(isinstance(part, str) for part in parts) else ANY_LABEL
