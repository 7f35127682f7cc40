"""The check of a file's definitions as they are written: names, calls and settings, used or not.

The walk that expands a model sees what the model needs, with the branches its values take. This one goes through every
block and model once, through both branches of each condition, and through every loop's body as often as it is written.
What depends on a value (a parameter that holds a block, a label with an index) is left to the expansion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import assert_never

from archdsl.arguments.bind import Given, assign, assign_fields
from archdsl.diagnostics import Diagnostic, Located
from archdsl.diagnostics.codes.names import DuplicateName, NoModelToTrain, UnknownName
from archdsl.elaborate.cut import only_argument
from archdsl.elaborate.environment import UNKNOWN, BlockValue, Environment
from archdsl.elaborate.errors import Stop, Unknown
from archdsl.elaborate.forms import (
    STATEMENTS,
    callee,
    misplaced_input,
    no_input,
    no_tensor,
    recursive,
    reject_taps,
    require_combinator,
    require_place,
)
from archdsl.elaborate.inputs import INTEGERS, check_names, name_span
from archdsl.elaborate.modules import Module, keyword_of
from archdsl.elaborate.names import Scope, check_label
from archdsl.elaborate.parts import ANY_LABEL, reused_labels, written_label
from archdsl.elaborate.references import Definition
from archdsl.elaborate.requirements import require_figure, require_model
from archdsl.elaborate.settings import require_setting
from archdsl.elaborate.variants import all_params, lookup
from archdsl.elaborate.written import Written
from archdsl.layers.base import Layer
from archdsl.syntax import tree
from archdsl.text.record import Record, replace
from archdsl.text.source import Span
from archdsl.text.stack import deep

#: The blocks that each block calls, and where; those that models call under None.
Calls = Mapping[tree.BlockDef | None, Sequence[tuple[tree.BlockDef, Span]]]


class Place(Record):
    """Where a statement stands. `top` is the outermost body of its definition, ."""

    env: Environment
    scope: Scope
    block: bool = False
    aux: bool = False
    top: bool = False
    in_loop: bool = False

    def inside(self) -> Place:
        """The same place in a scope of its own."""
        return replace(self, scope=Scope(), env=self.env.scoped(), in_loop=False, top=False)

    def maybe(self, *, in_loop: bool = False) -> Place:
        """A body that may run any number of times: its names end with it, its labels may exist afterwards."""
        scope = Scope(self.scope.path, dict(self.scope.taken))
        return replace(self, env=self.env.child(), scope=scope, top=False, in_loop=self.in_loop or in_loop)


def check_definitions(modules: Sequence[Module]) -> tuple[list[Diagnostic], list[Definition]]:
    """Check the definitions of files that belong together: what is wrong, and the names that are defined."""
    checker = _Checker()
    for each in modules:
        own = [one for one in each.definitions.values() if one.span.source is each.source]
        checker.names.definitions += own
        for one in own:
            one.forget()
    for module in modules:
        checker.names.add_file(module.globals, module.definitions, module.file.items)
    try:
        for module in modules:
            checker.module(module)
        checker.report_missing()
        checker.members.resolve(checker.names.definitions)
        for error in _circles(checker.calls):
            checker.report(error)
    except Stop:
        pass  # there are too many errors
    return [one.diagnostic() for one in checker.found], checker.names.definitions


def _circles(calls: Calls) -> Iterator[Located]:
    """Blocks that call themselves: each cycle once, at the call that closes it."""
    done: set[tree.BlockDef] = set()
    for start in calls:
        way: list[tree.BlockDef] = []
        # The calls still to follow: those of the models or a block, and of each block on the way from there.
        waiting = [iter(calls[start] if start is None else [(start, start.name.span)])]
        while waiting:
            block, span = next(waiting[-1], (None, None))
            if block is None or span is None:
                waiting.pop()
                done.update(way[-1:])
                way = way[:-1]
            elif block in way:
                yield Located(recursive(block, way), span)
            elif block not in done:
                way.append(block)
                waiting.append(iter(calls.get(block, ())))


class _Checker(Written):
    """One walk over the trees of all definitions.

    missing  arguments that a layer type needs and a call leaves out, which a `defaults` may give
    """

    def __init__(self) -> None:
        super().__init__()
        self.missing: list[tuple[str, Located]] = []
        self.block: tree.BlockDef | None = None
        self.calls: dict[tree.BlockDef | None, list[tuple[tree.BlockDef, Span]]] = {None: []}

    def report_missing(self) -> None:
        """Report the arguments that are missing, now that the defaults of all files are known."""
        for kind, error in self.missing:
            if not self.all_defaults and kind not in self.defaults:
                self.report(error)

    # Definitions

    def module(self, module: Module) -> None:
        """Check the definitions of a file."""
        for item in module.file.items:
            self.has_tensor = isinstance(item, tree.BlockDef)
            match item:
                case tree.BlockDef():
                    self.block, self.calls[item] = item, []
                    env = self.params(item.params, module.globals)
                    self.members.blocks[item] = env.labels
                    self.body(item.body, Place(env, Scope(), block=True))
                case tree.ModelDef():
                    self.block, before = None, len(self.found)
                    env = self.params(item.params, module.globals)
                    self.body(item.body, Place(env, Scope(), top=True))
                    if not self.has_tensor and len(self.found) == before:
                        self.report(no_input(item.body.span))
                case tree.VariantDef():
                    self.variant(item, module)
                case tree.TrainDef():
                    self.train(item, module)
                case tree.Let():
                    self.expression(item.value, module.globals)
                case tree.Import() | tree.Missing():
                    pass  # done when the file was loaded
                case _:
                    assert_never(item)

    def params(self, params: Sequence[tree.Param], home: Environment) -> Environment:
        """The names of a definition's parameters, whose values are not known."""
        env = Environment(home)
        for param in params:
            if param.default is not None:
                self.expression(param.default, env, constructs=param.name == "init")
            if param.name in env.values:
                self.report(Located(DuplicateName("the parameter", param.name), param.span))
            env.values[param.name] = UNKNOWN
            self.names.define_param(env, param)
        return env

    def variant(self, item: tree.VariantDef, module: Module) -> None:
        env = self.params(item.params, module.globals)
        self.arguments(item.base.arguments, env)
        self.names.use(module.globals, item.base.name, item.base.name_span)
        for one in item.base.arguments:
            if one.name is not None:
                self.names.use_param(all_params(module, item.base.name) or (), one.name, one.span)

    def train(self, item: tree.TrainDef, module: Module) -> None:
        if not item.models and not module.models:
            self.report(Located(NoModelToTrain(), keyword_of(item)))
        for name in item.models:
            self.names.use(module.globals, name.name, name.span)
            if lookup(module, name.name) is None:
                self.report(Located(UnknownName(name.name), name.span, label="no model of that name"))
        env = Environment(module.globals)
        for model in [name.name for name in item.models] or module.models:
            for param in all_params(module, model) or ():
                self.names.define_param(env, param)
        seen = set()
        for entry in item.entries:
            if entry.name in seen:
                self.report(Located(DuplicateName("the entry", entry.name), entry.name_span))
            seen.add(entry.name)
            self.expression(entry.value, env, constructs=True)

    # Statements

    def body(self, body: tree.Body, place: Place) -> None:
        """The statements of a body, whose names end with it."""
        self.statements(body, replace(place, env=place.env.child()))

    @deep
    def statements(self, body: tree.Body, place: Place) -> None:
        """Check the statements of a body."""
        for statement in body.statements:
            match statement:
                case tree.Item():
                    self.item(statement, place)
                case tree.Let():
                    self.expression(statement.value, place.env)
                    for name in tree.names_of(statement.targets):
                        self.bind(place.env.holder(name.name) or place.env, name.name, "value", name.span)
                case tree.Setting():
                    self.setting(statement, place)
                case tree.For():
                    self.loop(statement, place)
                case tree.If():
                    self.condition(statement, place)
                case tree.Require():
                    self.requirements(statement, place)
                case tree.Missing():
                    pass
                case _:
                    assert_never(statement)

    def requirements(self, statement: tree.Require, place: Place) -> None:
        """Check the figures, comparisons and bounds of requirements."""
        with self.reporting:
            require_model(statement, block=place.block)
        for one in statement.requirements:
            with self.reporting:
                require_figure(one)
            if not isinstance(one.bound, tree.Quantity):
                self.expression(one.bound, place.env)

    def loop(self, statement: tree.For, place: Place) -> None:
        """Check a loop's body. Labels and taps that come late in one iteration can be used early in the next."""
        self.expression(statement.values, place.env)
        if not place.in_loop:
            for label in _labels_in(statement.body):
                self.make(label, place)
            for inner in tree.nodes(statement.body):
                if isinstance(inner, tree.TapTarget):
                    self.tap(inner, place.env)
        inner_place = place.maybe(in_loop=True)
        self.bind_variables(statement.targets, inner_place.env)
        self.body(statement.body, inner_place)

    def condition(self, statement: tree.If, place: Place) -> None:
        """Check all branches; not by recursion, since there may be very many."""
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
        else:
            self.arguments_by_kind(statement.value)

    # Items

    def item(self, item: tree.Item, place: Place) -> None:
        """Check an item, its label and its tap."""
        form = item.form
        if item.label is not None:
            self.label(item.label, item.span, place)
        if isinstance(form, tree.LayerCall):
            with self.reporting:
                if form.name in STATEMENTS:
                    self.statement(form, item, place)
                else:
                    reject_taps(item)
                    self.call(form, place)
        else:
            before = self.has_tensor
            if not before:
                self.report(no_tensor(form.span))
            self.has_tensor = True
            inside = place if item.label is None else place.inside()
            self.combinator(form, inside)
            self.has_tensor = before
        if item.label is not None:
            part = self.make(item.label, place)
            if not isinstance(form, tree.LayerCall):
                self.members.enter(part, inside.env.labels)
            elif form.name not in STATEMENTS and isinstance(block := _block_of(form, place.env), tree.BlockDef):
                self.members.enter(part, block)
        for tap in item.taps:
            if tap.index is not None:
                self.expression(tap.index, place.env)
            self.tap(tap, place.env)

    def label(self, label: tree.Label, span: Span, place: Place) -> None:
        """Check a label; one that depends on a value is left to the expansion."""
        for part in label.parts:
            if not isinstance(part, str):
                self.expression(part, place.env)
        name = written_label(label)
        if name != ANY_LABEL:
            with self.reporting:
                check_label(name, label.span)
                place.scope.take(name, span)

    def make(self, label: tree.Label, place: Place) -> Definition:
        """Record that the scope has a part of that label."""
        name = written_label(label)
        parts = place.env.labels.parts
        if name not in parts or parts[name].span != label.span:
            parts[name] = self.names.add(name or label.span.text, "label", label.span)
        found: Definition = parts[name]
        return found

    def tap(self, target: tree.TapTarget, env: Environment) -> None:
        """Bind the name of a tap, which lasts as long as its block or model."""
        arrow = len("->") if target.span.text.startswith("->") else 0
        start = target.span.start + target.span.text.index(target.name, arrow)
        holder = env.holder(target.name) or env.function
        self.bind(holder, target.name, "tap", Span(target.span.source, start, start + len(target.name)))
        env.labels.taps[target.name] = self.names.of(holder, target.name)

    def combinator(self, form: tree.GroupForm | tree.ResidualForm | tree.CombinatorForm, place: Place) -> None:
        place = replace(place, top=False)
        if isinstance(form, tree.CombinatorForm):
            with self.reporting:
                require_combinator(form, aux=place.aux)
                given = self.arguments(form.arguments, place.env)
                if form.kind == "scale" and form.arguments:
                    assign("`scale`", ["factor"], ["factor"], given, form.kind_span)
                elif form.kind == "split":
                    only_argument(form.kind, given, form.kind_span)
            place = replace(place, aux=place.aux or form.kind == "aux")
        if isinstance(form, tree.ResidualForm) and form.when is not None:
            self.expression(form.when, place.env)
        self.body(form.body, place)
        if isinstance(form, tree.ResidualForm) and form.shortcut is not None:
            self.body(form.shortcut, place)

    def statement(self, form: tree.LayerCall, item: tree.Item, place: Place) -> None:
        """One of the statements that look like a layer."""
        require_place(form, item, block=place.block, aux=place.aux)
        if form.name == "reuse":
            self.labels_in(reused_labels(form), place.env, tap=False)
            return
        if form.name == "input":
            self.input(form, place)
            return
        given = self.arguments(form.arguments, place.env)
        if form.name in ("chunk", "split"):
            only_argument(form.name, given, form.span)
        if form.name == "use":
            assign("`use`", ["tap"], ["tap"], given, form.span)

    def input(self, form: tree.LayerCall, place: Place) -> None:
        """Check an `input` and bind the names of its tensors."""
        is_first, self.has_tensor = place.top and not self.has_tensor, True
        if not is_first:
            raise misplaced_input(form)
        named = [one for one in form.arguments if one.declares]
        for one in named:
            self.bind(place.env.function, str(one.name), "input", name_span(one))
        check_names(named)
        for one in form.arguments:
            sizes = [one.value]
            if isinstance(one.value, tree.Name | tree.Call) and one.value.name == INTEGERS:
                sizes = [each.value for each in one.value.arguments] if isinstance(one.value, tree.Call) else []
            for size in sizes:
                self.expression(size, place.env)

    # Calls

    def call(self, form: tree.LayerCall, place: Place) -> None:
        """A layer or block; one that a parameter holds is left to the expansion."""
        given = self.arguments(form.arguments, place.env)
        self.names.use(place.env, form.name, form.name_span, call=True)
        try:
            found = callee(form, place.env)
        except Unknown:
            found = None
        if found is None or (isinstance(found.target, BlockValue) and found.target.definition.inline):
            # The labels of an inline block are the caller's.
            place.env.labels.parts.setdefault(ANY_LABEL, Definition("", "label", form.span))
        if found is None:
            return
        if not self.has_tensor:
            raise no_tensor(form.span)
        target, every = found.target, [*found.given, *given]
        if isinstance(target, BlockValue):
            self.calls[self.block].append((target.definition, form.span))
            params = target.definition.params
            self.use_params(params, given)
            required = [param.name for param in params if param.default is None]
            assign(f"`{target.name}`", [param.name for param in params], required, every, form.span)
            return
        for argument in form.arguments:
            if argument.name == "init":
                self.initializers(argument.value, place.env)
        self.layer(target, every, form.span)

    def layer(self, cls: type[Layer], given: Sequence[Given], span: Span) -> None:
        """Check the arguments of a layer."""
        rest = self.arguments_of_layer(cls, given, span)
        try:
            assign_fields(f"`{cls.kind}`", cls, rest, span)
        except Located as error:  # arguments are missing: all others have just been checked
            self.missing.append((cls.kind, error))


def _block_of(form: tree.LayerCall, env: Environment) -> tree.BlockDef | None:
    """The block that a call means, where it is known."""
    try:
        target = callee(form, env).target
    except (Located, Unknown):
        return None
    return target.definition if isinstance(target, BlockValue) else None


def _labels_in(node: object) -> Iterator[tree.Label]:
    """The labels of the scope around a part of a body; the body of a labelled part is a scope of its own."""
    waiting = [node]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, tree.Item) and inner.label is not None:
            yield inner.label
        elif isinstance(inner, list):
            waiting += reversed(inner)
        elif isinstance(inner, Record):
            waiting += reversed(vars(inner).values())
