"""One walk over a model's statements that expands it, names its parts and infers every shape.

Conditions may read the current tensor (`if channels != planes`), so expansion and shape inference cannot be
two passes. After a mistake the walk goes on with an unknown shape, which silences what would only follow
from it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, assert_never

from archdsl.arguments.values import Construct
from archdsl.diagnostics import Diagnostic, Frame, Help, Note, Problem, Rejected
from archdsl.diagnostics.codes.limits import TensorTooLarge, TooDeep, TooManyLayers, TooManySteps
from archdsl.diagnostics.codes.names import (
    BadArgument,
    DuplicateName,
    Misplaced,
    UnknownArgument,
    WrongReuse,
)
from archdsl.diagnostics.codes.shapes import NotDivisible, ShapesDiffer
from archdsl.diagnostics.codes.values import WrongType
from archdsl.elaborate.binding import Given, assign, make
from archdsl.elaborate.calls import (
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
from archdsl.elaborate.environment import UNKNOWN, BlockValue, Environment, TapValue
from archdsl.elaborate.errors import Located, Stop, Unknown
from archdsl.elaborate.expansions import Expansion, key_of, key_of_layer, key_of_setting, renamed
from archdsl.elaborate.expressions import Evaluator, describe, unpack
from archdsl.elaborate.initialisation import for_layer, frozen_weights
from archdsl.elaborate.names import Scope, check_label
from archdsl.elaborate.outside import Outside, fitting
from archdsl.elaborate.settings import SETTINGS, Settings, require_setting
from archdsl.graph import (
    AnyNode,
    Aux,
    Dense,
    Group,
    Inception,
    LayerNode,
    Residual,
    Scale,
    Split,
    Sum,
    Tap,
    Use,
    layer_nodes,
    rebuilt,
    walk,
)
from archdsl.layers.base import Layer
from archdsl.shapes import Shape, broadcast
from archdsl.syntax import tree
from archdsl.text.limits import MAX_ERRORS, MAX_LAYERS, MAX_LENGTH, MAX_NESTING, MAX_NUMEL
from archdsl.text.record import replace
from archdsl.text.source import Span
from archdsl.text.stack import deep

#: Levels of expansion that cost nothing by themselves.
SHALLOW = 40
#: Among the labels of a scope: one that is not known, after a mistake or without values.
ANY_LABEL = ""


@dataclass(slots=True)
class Place:
    """Where a part is being made: its scope, the calls that led there, and whether it runs in training only."""

    scope: Scope
    env: Environment
    chain: tuple[Frame, ...] = ()
    aux: bool = False
    blocks: tuple[tree.BlockDef, ...] = ()
    made: dict[str, Reusable | None] = field(default_factory=dict)

    def inside(self, scope: Scope) -> Place:
        """The same place in an inner scope."""
        return dataclasses.replace(self, scope=scope, made={})

    def with_env(self, env: Environment) -> Place:
        """The same place with other names in sight; labels and reuse are those of the scope."""
        return Place(self.scope, env, self.chain, self.aux, self.blocks, self.made)


@dataclass(slots=True)
class Reusable:
    """A labelled item that `reuse` can run again, with the names and settings as they were before it."""

    item: tree.Item
    env: Environment
    node: AnyNode
    settings: Settings


class Elaborator:
    """Expands one model. Problems are collected in `diagnostics`."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.evaluator = Evaluator()
        self.layers = 0
        self.taps = 0
        self.depth = 0
        self.deepest = 0
        self.outputs: list[Tap] = []
        self.aux_names: dict[str, Span] = {}
        self.reusing: tuple[str, Span] | None = None
        self.settings = Settings()
        self.known_settings: dict[Hashable, Settings] = {}
        self.input: Shape | None = None
        self.given_input: tuple[int, ...] | None = None
        self.expansions: dict[Hashable, Expansion] = {}
        self.layer_nodes: dict[Hashable, LayerNode] = {}

    # The current tensor. It lives in the evaluator, which reads it for `channels` and the like.

    @property
    def x(self) -> Shape | None:
        """The current tensor's shape, None after a mistake."""
        return self.evaluator.current

    @x.setter
    def x(self, shape: Shape | None) -> None:
        self.evaluator.current = shape

    # Reporting

    def report(self, error: Located, place: Place) -> None:
        """Keep a problem with the chain of calls that led there; the same one at the same place only once."""
        chain = tuple(frame for frame in place.chain if frame.span != error.span)
        same = (one.span == error.span and one.problem == error.problem for one in self.diagnostics)
        if not any(same):
            found = Diagnostic(error.problem, error.span, error.label, error.notes, error.helps, chain)
            self.diagnostics.append(found)
            self.evaluator.after_error()
        if len(self.diagnostics) >= MAX_ERRORS:
            raise Stop(error.problem, error.span)

    @contextmanager
    def reporting(self, place: Place) -> Iterator[None]:
        """Report what goes wrong inside and go on behind it with an unknown shape."""
        try:
            yield
        except (Located, Unknown) as error:
            self.failed(error, place)

    def failed(self, error: Located | Unknown, place: Place) -> None:
        """Go on with an unknown shape behind a mistake; a passed bound ends everything."""
        if isinstance(error, Stop):
            raise error
        self.x = None
        if isinstance(error, Located):
            self.report(error, place)

    @contextmanager
    def nested(self, span: Span) -> Iterator[None]:
        """One level of expansion deeper."""
        self.depth += 1
        self.reach(self.depth, span)
        try:
            yield
        finally:
            self.depth -= 1

    def reach(self, depth: int, span: Span) -> None:
        """Note how deep the expansion goes; kept expansions count as if they were worked out again."""
        self.deepest = max(self.deepest, depth)
        if depth > MAX_NESTING:
            raise Stop(TooDeep("bodies and block calls", MAX_NESTING), span)
        self.evaluator.count(self.depth - SHALLOW, span)  # deep stacks cost time, above all in loops

    # Bodies

    def model(self, body: tree.Body, env: Environment, name: str) -> Group:
        """The graph of a model, whose body begins with its input."""
        place = Place(Scope(), env)
        start = Shape()
        nodes: tuple[AnyNode, ...] = ()
        try:
            nodes = self.sequence(body, place)
        except Stop as stop:
            enough = isinstance(stop.problem, TooManySteps) and self.diagnostics
            if not enough and len(self.diagnostics) < MAX_ERRORS:
                self.diagnostics.append(Diagnostic(stop.problem, stop.span, stop.label))
        if self.input is None and not self.diagnostics:
            self.report(no_input(body.span), place)
        return Group(
            name="", label="", input=self.input or start, output=self.x or start, span=body.span, body=nodes, block=name
        )

    @deep
    def sequence(self, body: tree.Body, place: Place) -> tuple[AnyNode, ...]:
        """The nodes of a body, one after the other."""
        with self.nested(body.span), self.own_settings():
            return tuple(node for item, where in self.items(body, place) if (node := self.item(item, where)))

    @deep
    def branches(self, body: tree.Body, place: Place) -> tuple[list[AnyNode], list[Shape | None]]:
        """The items of a body, each on the same input; with their outputs."""
        start = self.x
        nodes, ends = [], []
        with self.nested(body.span), self.own_settings():
            for item, where in self.items(body, place):
                node = self.item(item, where)
                if node is not None or self.x is None:
                    ends.append(self.x)
                if node is not None:
                    nodes.append(node)
                self.x = start
        return nodes, ends

    @contextmanager
    def own_settings(self) -> Iterator[None]:
        """Settings hold to the end of their body, for the blocks called there too."""
        before = self.settings
        try:
            yield
        finally:
            self.settings = before

    def items(self, body: tree.Body, place: Place) -> Iterator[tuple[tree.Item, Place]]:
        """The items of a body with loops and conditions carried out, lazily: they may read the current tensor."""
        place = place.with_env(place.env.child())
        for statement in body.statements:
            match statement:
                case tree.Item():
                    yield statement, place
                case tree.Let():
                    self.let(statement, place)
                case tree.Setting():
                    self.setting(statement, place)
                case tree.For():
                    yield from self.loop(statement, place)
                case tree.If():
                    yield from self.condition(statement, place)
                case _:
                    assert_never(statement)

    def let(self, statement: tree.Let, place: Place) -> None:
        """Bind names, again where the block has them; those whose value is wrong are silent afterwards."""
        before = self.x
        bound: Mapping[str, Any] = {one.name: UNKNOWN for one in tree.names_of(statement.targets)}
        with self.reporting(place):
            value = self.evaluator.evaluate(statement.value, place.env)
            bound = unpack(statement.targets, value, statement.value.span)
        place.env.bind(bound)
        self.x = before

    def setting(self, statement: tree.Setting, place: Place) -> None:
        """`init = ...` or `defaults = ...`."""
        before = self.x
        with self.reporting(place):
            if statement.name not in SETTINGS:
                place.env.values.setdefault(statement.name, UNKNOWN)
            require_setting(statement)
            value = self.evaluator.evaluate(statement.value, place.env, constructs=statement.name == "init")
            self.evaluator.weigh(value, statement.value.span)
            key = key_of_setting(statement, value, self.settings)
            if key not in self.known_settings:
                self.known_settings[key] = self.settings.changed(statement, value)
            self.settings = self.known_settings[key]
        self.x = before

    def loop(self, statement: tree.For, place: Place) -> Iterator[tuple[tree.Item, Place]]:
        """The items of a loop's body, once for each value."""
        values: Any = None
        with self.reporting(place):
            values = self.evaluator.values(statement.values, place.env)
        if values is None:
            self.skipped(statement.body, place)
            return
        with self.nested(statement.span):
            for value in values:
                self.evaluator.step(statement.span)
                inner = place.with_env(place.env.child())
                try:
                    inner.env.values |= unpack(statement.targets, value, statement.values.span)
                except Located as error:
                    self.failed(error, place)
                    self.skipped(statement.body, place)
                    return
                yield from self.body_items(statement.body, inner)

    def condition(self, statement: tree.If, place: Place) -> Iterator[tuple[tree.Item, Place]]:
        """The items of the branch that is taken."""
        test: Any = None
        with self.reporting(place):
            test = self.evaluator.boolean(statement.test, place.env, "the condition")
        if test is None:
            self.skipped([statement.body, statement.otherwise], place)
            return
        chosen = statement.body if test else statement.otherwise
        with self.nested(statement.span):
            if isinstance(chosen, tree.If):
                yield from self.condition(chosen, place)
            elif chosen is not None:
                yield from self.body_items(chosen, place)

    def body_items(self, body: tree.Body, place: Place) -> Iterator[tuple[tree.Item, Place]]:
        """The items of the body of a loop or condition, whose settings end with it."""
        before = self.settings
        yield from self.items(body, place)
        self.settings = before

    # Items

    def item(self, item: tree.Item, place: Place) -> AnyNode | None:
        """The node of an item; None for one that makes none, and after a mistake."""
        self.evaluator.step(item.span)
        node: AnyNode | None = None
        try:
            node = self._form(item, place)
        except (Located, Unknown) as error:
            self.failed(error, place)
            self.skipped(item, place)
        if item.tap is not None:
            node = self._keep(item.tap, node, place)
        return node

    def _form(self, item: tree.Item, place: Place) -> AnyNode | None:
        form = item.form
        label = None if item.label is None else self.label(item.label, place)
        before = place.env if label is None else place.env.snapshot()
        if isinstance(form, tree.LayerCall):
            if form.name in STATEMENTS:
                return self._statement(form, item, place)
            node = self._call(form, label, item, place)
        else:
            self._require_tensor(form.span)
            inner = place
            if label is not None:
                inner = place.inside(Scope(place.scope.full(place.scope.take(label, item.span))))
            node = self._combinator(form, label, inner)
        if label is not None:
            place.made[label] = None if node is None else Reusable(item, before, node, self.settings)
        return node

    def skipped(self, node: object, place: Place) -> None:
        """Make unknown what a part that a mistake kept from running would have bound, so that it is not missed."""
        for inner in tree.nodes(node):
            match inner:
                case tree.Let():
                    known = (one.name for one in tree.names_of(inner.targets) if place.env.holder(one.name))
                    place.env.bind(dict.fromkeys(known, UNKNOWN))
                case tree.TapTarget():
                    (place.env.holder(inner.name) or place.env.function).values[inner.name] = UNKNOWN
                case tree.Label():
                    fixed = all(isinstance(part, str) for part in inner.parts)
                    place.made.setdefault("".join(map(str, inner.parts)) if fixed else ANY_LABEL, None)

    def label(self, label: tree.Label, place: Place) -> str:
        """A label's text, its expressions evaluated."""
        texts = []
        for part in label.parts:
            value = part if isinstance(part, str) else self.evaluator.evaluate(part, place.env)
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise Located(WrongType("a label", "is made of texts and whole numbers", describe(value)), label.span)
            texts.append(str(value))
        name = "".join(texts)
        check_label(name, label.span)
        return name

    def _keep(self, target: tree.TapTarget, node: AnyNode | None, place: Place) -> AnyNode | None:
        """Keep the current tensor under a name (`-> d1`, `-> skip[i]`), as long as its block or model lasts."""
        values = (place.env.holder(target.name) or place.env.function).values
        index: Any = None
        shape = self.x
        with self.reporting(place):
            index = None if target.index is None else self.evaluator.evaluate(target.index, place.env)
            if target.index is not None and not _is_index(index):
                wrong, index = index, UNKNOWN
                raise Located(WrongType("the index of a tap", "is a number or a text", describe(wrong)), target.span)
        self.x = shape
        kept: object = UNKNOWN
        if shape is not None and node is not None:
            self.taps += 1
            name = target.name if index is None else f"{target.name}{index}"
            tap = Tap(self.taps, name, shape)
            node = replace(node, taps=(*node.taps, tap))
            kept = TapValue(tap, place.aux)
        if target.index is None:
            values[target.name] = kept
        else:
            family = values.get(target.name)
            self.evaluator.count(len(family) if isinstance(family, dict) else 0, target.span)
            values[target.name] = {**(family if isinstance(family, dict) else {}), index: kept}
        return node

    def _require_tensor(self, span: Span) -> None:
        if not self.evaluator.has_tensor:
            raise no_tensor(span)

    # Statements that look like layers

    def _statement(self, form: tree.LayerCall, item: tree.Item, place: Place) -> AnyNode | None:
        require_place(form, item, block=bool(place.blocks), aux=place.aux)
        if form.name == "reuse":
            return self._reuse(form, place)
        given = self.arguments(form.arguments, place)
        match form.name:
            case "input":
                return self._input(form, given, place, tapped=item.tap is not None)
            case "use":
                bound = assign("`use`", ["tap"], ["tap"], given, form.span)
                tap = self._tap(bound["tap"], place)
                before = self._known()
                self.x = tap.shape
                return Use(name=place.scope.path, label=None, input=before, output=tap.shape, span=form.span, tap=tap)
            case _:
                self._output(given, place)
                return None

    def _input(self, form: tree.LayerCall, given: list[Given], place: Place, *, tapped: bool) -> AnyNode | None:
        """The model's input; where it is kept under a name, that of an empty group."""
        if place.chain or self.depth > 1 or self.evaluator.has_tensor:
            raise misplaced_input(form)
        self.evaluator.has_tensor = True
        named = next((one for one in given if one.name is not None), None)
        if named is not None:
            helps = (Help("it takes the sizes alone: `input(3x224x224)`, or `input(784)` for a vector"),)
            place_of_name = Span(named.span.source, named.span.start, named.span.start + len(str(named.name)))
            raise Located(UnknownArgument("`input`", str(named.name)), place_of_name, helps=helps)
        sizes: Any = [one.value for one in given]
        if len(sizes) == 1 and isinstance(sizes[0], tuple | list):
            sizes = list(sizes[0])
        wrong = [size for size in sizes if isinstance(size, bool) or not isinstance(size, int) or size < 1]
        if wrong or not sizes:
            found = describe(wrong[0]) if wrong else "nothing"
            helps = (Help("channels first: `input(3x224x224)`, or `input(784)` for a vector"),)
            problem = BadArgument("`input`", "size", "must be whole numbers of at least 1", found)
            raise Located(problem, form.span, helps=helps)
        shape = Shape(self.given_input or sizes)
        if len(shape) > 4:
            raise Located(Misplaced(f"an input has at most three spatial axes, {shape} has {shape.rank}"), form.span)
        self.x = self.input = shape
        self._check_size("the input", shape, form.span)
        if not tapped:
            return None
        return Group(name="", label=None, input=shape, output=shape, span=form.span, body=())

    def _known(self) -> Shape:
        if self.x is None:
            raise Unknown
        return self.x

    def _tap(self, given: Given, place: Place) -> Tap:
        value = given.value
        if value is UNKNOWN:
            raise Unknown
        if not isinstance(value, TapValue):
            helps = (Help("keep a tensor under a name with `-> name` behind the item that makes it"),)
            raise Located(WrongType("a tap", "is expected here", describe(value)), given.span, helps=helps)
        if value.aux and not place.aux:
            problem = Misplaced(f"`{value.tap.name}` is made in an `aux` body, which runs in training only")
            raise Located(problem, given.span)
        return value.tap

    def _output(self, given: list[Given], place: Place) -> None:
        for one in given:
            tap = self._tap(one, place)
            name = one.name or tap.name
            self._new_output(name, one.span)
            self.outputs.append(dataclasses.replace(tap, name=name))

    def _new_output(self, name: str, span: Span) -> None:
        if self.reusing is not None:
            label, place = self.reusing
            notes = (Note("this is an output", span),)
            raise Located(WrongReuse(label, "it has an output of the model inside"), place, notes=notes)
        if name == "out":
            raise Located(DuplicateName("an output", name), span, label="the model's last tensor is called `out`")
        if name in self.aux_names:
            note = Note("the first is here", self.aux_names[name])
            raise Located(DuplicateName("an output", name), span, notes=(note,))
        self.aux_names[name] = span

    def _reuse(self, form: tree.LayerCall, place: Place) -> AnyNode | None:
        name = reused_label(form)
        found = place.made.get(name)
        if found is None:
            if name in place.made or ANY_LABEL in place.made:
                raise Unknown
            raise no_such_part(form, place.made)
        x = self._known()
        again = self._again(name, found, place, form)
        if again is None or self.x is None:
            raise Unknown
        reason = _other_weights(found.node, again)
        if reason is not None:
            what = f"its input was {found.node.input} and is now {x}; {reason}"
            raise Located(WrongReuse(name, what), form.span, notes=(Note("first used here", found.node.span),))
        return _shared(again)

    def _again(self, name: str, found: Reusable, place: Place, form: tree.LayerCall) -> AnyNode | None:
        """The node of a part expanded once more, on the current tensor."""
        item = replace(found.item, tap=None)
        chain = (*place.chain, Frame(f"`reuse({name})`", form.span))
        # A copy again, since the item may bind names anew each time. Taps are tensors: the newest ones count.
        env = found.env.snapshot()
        env.take_taps(place.env)
        fresh = Place(Scope(place.scope.path), env, chain, place.aux, place.blocks)
        before = self.settings, self.reusing
        self.settings, self.reusing = found.settings, self.reusing or (name, form.span)
        try:
            with self.nested(form.span):
                return self._form(item, fresh)
        finally:
            self.settings, self.reusing = before
            place.env.take_taps(env)

    # Layers and block calls

    def arguments(self, arguments: Sequence[tree.Argument], place: Place) -> list[Given]:
        """The values of a call's arguments; only `init` takes initializers."""
        given = []
        for one in arguments:
            value = self.evaluator.evaluate(one.value, place.env, constructs=one.name == "init")
            self.evaluator.weigh(value, one.span)
            given.append(Given(one.name, value, one.value.span if one.name is None else one.span))
        return given

    def _call(self, form: tree.LayerCall, label: str | None, item: tree.Item, place: Place) -> AnyNode | None:
        """A layer or a block, by its name or by that of a parameter that holds one."""
        found = callee(form, place.env)
        if isinstance(found, BlockValue):
            return self._block(found, form, label, item, place)
        self._require_tensor(form.span)
        return self._layer(found, form, label, item, place)

    def _layer(
        self, cls: type[Layer], form: tree.LayerCall, label: str | None, item: tree.Item, place: Place
    ) -> LayerNode | None:
        name = place.scope.full(place.scope.take(label, item.span))
        self._count(1, 0, form.span)
        given = self.arguments(form.arguments, place) if form.arguments else []
        key = key_of_layer(cls, form, given, self.x, self.settings)
        node = self.layer_nodes.get(key)
        if node is None:
            node = self._new_layer(cls, form, given, item, place)
            if key is not None:
                self.layer_nodes[key] = node
        self.x = node.output
        return renamed(node, name, place.chain)

    def _new_layer(
        self, cls: type[Layer], form: tree.LayerCall, given: list[Given], item: tree.Item, place: Place
    ) -> LayerNode:
        """A layer that was not met before, still without its name."""
        what = f"`{cls.kind}`"
        given = self.settings.given(cls, given)
        init = next((one for one in given if one.name == "init"), None)
        trainable = next((one for one in given if one.name == "trainable"), None)
        rest = [one for one in given if one.name not in {"init", "trainable"}]
        operands: tuple[Tap, ...] = ()
        if cls.takes_taps:
            operands = tuple(self._tap(one, place) for one in rest if one.name is None)
            rest = [one for one in rest if one.name is not None]
        x = self.x
        reject_channels_as_eps(cls, rest)
        try:
            layer = make(what, cls, rest, form.span)
            x = self._known()
            y = self._shape(layer, x, operands, form, rest)
            weights = layer.weights(x)
            frozen = frozen_weights(cls.kind, weights, trainable)
        except Located as error:
            error.helps = (*_helps_for_habits(cls.kind, rest, x, self.input), *error.helps)
            if not error.span.is_inside(form.span):
                error.notes = (*error.notes, Note("for this layer", form.span))
            raise
        self._check_size(f"the output of {what}", y, form.span)
        for key, tensor in weights.items():
            self._check_size(f"the {key} of {what}", tensor.shape, form.span)
        return LayerNode(
            name="",
            label=None,
            input=x,
            output=y,
            span=item.span,
            layer=layer,
            operands=operands,
            init=for_layer(cls.kind, weights, self.settings.init, init, form.span) if weights else {},
            frozen=frozen,
        )

    def _shape(
        self, layer: Layer, x: Shape, operands: tuple[Tap, ...], form: tree.LayerCall, given: list[Given]
    ) -> Shape:
        try:
            return layer.shape(x, *(tap.shape for tap in operands))
        except Rejected as rejected:
            span = form.span
            positional = iter(type(layer).model_fields)
            for one in given:
                name = one.name or next(positional, "")
                if name == rejected.argument:
                    span = one.span
            helps = (Help(rejected.help),) if rejected.help else ()
            raise Located(rejected.problem, span, label=f"the input is {x}", helps=helps) from None

    def _check_size(self, what: str, shape: Shape, span: Span) -> None:
        if shape.numel > MAX_NUMEL:
            raise Located(TensorTooLarge(what, str(shape), shape.numel, MAX_NUMEL), span)

    def _block(
        self, block: BlockValue, form: tree.LayerCall, label: str | None, item: tree.Item, place: Place
    ) -> AnyNode | None:
        definition = block.definition
        self._require_tensor(form.span)
        if definition in place.blocks:
            raise Stop(recursive(definition, place.blocks), form.span)
        inline = definition.inline and label is None
        name = place.scope.path if inline else place.scope.full(place.scope.take(label, item.span))
        given = self.arguments(form.arguments, place)
        env = self.bind(f"`{block.name}`", definition.params, given, block.home, form.span)
        frame = Frame(f"block `{block.name}`", form.span)
        scope = place.scope if inline else Scope(name)
        inner = Place(scope, env, (*place.chain, frame), place.aux, (*place.blocks, definition))
        before = self.x
        body = self._expand(block, inner, inline)
        if body is None or self.x is None or before is None:
            self.x = None
            return None
        return Group(
            name=name,
            label=None if inline else name.rpartition(".")[2],
            input=before,
            output=self.x,
            span=item.span,
            chain=place.chain,
            body=body,
            block=block.name,
        )

    def _expand(self, block: BlockValue, place: Place, inline: bool) -> tuple[AnyNode, ...] | None:
        """The nodes of a block's body: a copy of an earlier expansion where there is one. None after a mistake."""
        # The names of an inline block's parts depend on what is around them.
        keep = self.x is not None and not inline
        key = key_of(block, place.env, self.x, self.settings, place.aux) if keep else None
        kept = None if key is None else self.expansions.get(key)
        if kept is not None:
            self.reach(self.depth + kept.depth, block.definition.span)
            self._count(kept.layers, kept.steps, block.definition.span)
            self.x = kept.output
            return kept.at(place.scope.path, place.chain)
        errors, taps, outputs = len(self.diagnostics), self.taps, len(self.aux_names)
        layers, steps = self.layers, self.evaluator.steps
        before, self.deepest = self.deepest, self.depth
        body = self.sequence(block.definition.body, place)
        depth, self.deepest = self.deepest - self.depth, max(before, self.deepest)
        if self.x is None or len(self.diagnostics) > errors:
            return None
        if key is not None and self.taps == taps and len(self.aux_names) == outputs:
            used = (depth, self.layers - layers, self.evaluator.steps - steps)
            self.expansions[key] = Expansion(body, self.x, place.scope.path, place.chain, *used)
        return body

    def _count(self, layers: int, steps: int, span: Span) -> None:
        """Count an expansion against the bounds."""
        self.layers += layers
        if self.layers > MAX_LAYERS:
            raise Stop(TooManyLayers(MAX_LAYERS), span)
        self.evaluator.steps += steps
        self.evaluator.step(span)

    def bind(
        self, what: str, params: Sequence[tree.Param], given: Sequence[Given], home: Environment, span: Span
    ) -> Environment:
        """The environment of a call: the arguments by the names of the parameters, then the defaults."""
        names = [param.name for param in params]
        required = [param.name for param in params if param.default is None]
        bound = assign(what, names, required, given, span)
        env = Environment(home)
        for param in params:
            if param.name in env.values:
                raise Located(DuplicateName("a parameter", param.name), param.span)
            if param.name in bound:
                env.values[param.name] = self._argument(what, param, bound[param.name], env)
            elif param.default is not None:
                value = self._default(param, env)
                self.evaluator.weigh(value, param.span)
                env.values[param.name] = value
        return env

    def _default(self, param: tree.Param, env: Environment) -> Any:
        assert param.default is not None
        return self.evaluator.evaluate(param.default, env, constructs=param.name == "init")

    def _argument(self, what: str, param: tree.Param, given: Given, env: Environment) -> Any:
        """An argument as its parameter takes it, which its default tells. `env` has the parameters before it."""
        value = given.value
        if not isinstance(value, str | Outside):
            return value
        default = None
        if param.default is not None:
            try:
                default = self._default(param, env)
            except Stop:
                raise
            except (Located, Unknown):  # a default that is not used may be wrong
                pass
        home = env.parent or env
        if not isinstance(value, Outside):
            return fitting(value, default, [home])
        self.evaluator.weigh(value.value, given.span)
        if param.name == "init":
            return value.value
        try:
            return value.meant(default, home)
        except TypeError as error:
            wrong = error.args[0]
            found = f"`{wrong}`" if isinstance(wrong, Construct) else f"{wrong!r} ({type(wrong).__name__})"
            expected = "must be a number, string, list or dictionary, or the name of a layer or block"
            raise Located(BadArgument(what, str(given.name), expected, found), given.span) from None

    # Combinators

    def _combinator(
        self, form: tree.GroupForm | tree.ResidualForm | tree.CombinatorForm, label: str | None, place: Place
    ) -> AnyNode | None:
        if self.x is None:
            self._look_inside(form, place)
            raise Unknown
        x = self.x
        errors = len(self.diagnostics)
        head: Mapping[str, Any] = {
            "name": place.scope.path,
            "label": label,
            "input": x,
            "span": form.span,
            "chain": place.chain,
        }
        match form:
            case tree.GroupForm():
                node: AnyNode | None = self._group(form.body, head, place)
            case tree.ResidualForm():
                node = self._residual(form, head, place)
            case tree.CombinatorForm():
                node = self._branching(form, head, place)
            case _:
                assert_never(form)
        if len(self.diagnostics) > errors or node is None:
            self.x = None
            return None
        self.x = node.output
        return node

    def _look_inside(self, form: tree.GroupForm | tree.ResidualForm | tree.CombinatorForm, place: Place) -> None:
        """Look for mistakes that do not depend on the shape, which is unknown here."""
        self.sequence(form.body, place)
        if isinstance(form, tree.ResidualForm) and form.shortcut is not None:
            self.x = None
            self.sequence(form.shortcut, place)

    def _group(self, body: tree.Body, head: Mapping[str, Any], place: Place) -> Group | None:
        nodes = self.sequence(body, place)
        return None if self.x is None else Group(**head, output=self.x, body=nodes)

    def _inner(self, body: tree.Body, place: Place, x: Shape) -> Group | None:
        """The body of a combinator: a transparent group that starts at `x`."""
        self.x = x
        head = {"name": place.scope.path, "label": None, "input": x, "span": body.span, "chain": place.chain}
        return self._group(body, head, place)

    def _residual(self, form: tree.ResidualForm, head: Mapping[str, Any], place: Place) -> AnyNode | None:
        x: Shape = head["input"]
        if form.when is not None and not self.evaluator.boolean(form.when, place.env, "the condition"):
            return self._group(form.body, head, place)
        body = self._inner(form.body, place, x)
        shortcut = None if form.shortcut is None else self._inner(form.shortcut, place, x)
        if body is None or (form.shortcut is not None and shortcut is None):
            return None
        first = x if shortcut is None else shortcut.output
        output = broadcast(first, body.output)
        if output is None:
            what = "the input" if shortcut is None else "the shortcut"
            place_of_first = Note(f"{what} is {first}", form.shortcut.span if form.shortcut else None)
            helps: tuple[Help, ...] = ()
            if shortcut is None and len(first) == len(body.output):
                helps = (_help_with_shortcut(form, first, body.output),)
            problem = ShapesDiffer("residual", f"{what} is {first}", f"the body is {body.output}")
            note = Note(f"the body gives {body.output}", _last_span(body) or form.body.span)
            raise Located(problem, form.span, label="these cannot be added", notes=(place_of_first, note), helps=helps)
        if shortcut is not None and all(isinstance(one, Group) and not one.taps for one in walk(shortcut)):
            # Nothing in it: the identity.
            shortcut = None
        return Residual(**head, output=output, body=body, shortcut=shortcut)

    def _branching(self, form: tree.CombinatorForm, head: Mapping[str, Any], place: Place) -> AnyNode | None:
        require_combinator(form, aux=place.aux)
        match form.kind:
            case "inception":
                return self._inception(form, head, place)
            case "sum":
                return self._sum(form, head, place)
            case "dense":
                return self._dense(form, head, place)
            case "scale":
                return self._scale(form, head, place)
            case "split":
                return self._split(form, head, place)
            case _:
                return self._aux(form, head, place)

    def _branches_of(self, form: tree.CombinatorForm, place: Place) -> list[AnyNode] | None:
        errors = len(self.diagnostics)
        nodes, ends = self.branches(form.body, place)
        if len(self.diagnostics) > errors or None in ends:
            return None
        if not nodes:
            raise Located(Misplaced(f"`{form.kind}` needs at least one item"), form.kind_span)
        return nodes

    def _inception(self, form: tree.CombinatorForm, head: Mapping[str, Any], place: Place) -> AnyNode | None:
        nodes = self._branches_of(form, place)
        if nodes is None:
            return None
        output = self._concatenate(form, nodes)
        return Inception(**head, output=output, branches=tuple(nodes))

    def _concatenate(self, form: tree.CombinatorForm, nodes: Sequence[AnyNode]) -> Shape:
        first = nodes[0].output
        for node in nodes[1:]:
            if node.output[1:] != first[1:]:
                self._differ(form, nodes[0], node, "concatenated on channels")
        return first.with_channels(sum(node.output.channels for node in nodes))

    def _differ(self, form: tree.CombinatorForm, one: AnyNode, other: AnyNode, verb: str) -> None:
        problem = ShapesDiffer(form.kind, f"one item gives {one.output}", f"another {other.output}")
        notes = (Note(f"{one.output}", one.span), Note(f"{other.output}", other.span))
        raise Located(problem, form.kind_span, label=f"these cannot be {verb}", notes=notes)

    def _sum(self, form: tree.CombinatorForm, head: Mapping[str, Any], place: Place) -> AnyNode | None:
        nodes = self._branches_of(form, place)
        if nodes is None:
            return None
        output = nodes[0].output
        for node in nodes[1:]:
            joined = broadcast(output, node.output)
            if joined is None:
                self._differ(form, nodes[0], node, "added")
            output = joined or output
        return Sum(**head, output=output, branches=tuple(nodes))

    @deep
    def _dense(self, form: tree.CombinatorForm, head: Mapping[str, Any], place: Place) -> AnyNode | None:
        nodes: list[AnyNode] = []
        with self.nested(form.body.span), self.own_settings():
            for item, where in self.items(form.body, place):
                before = self.x
                node = self.item(item, where)
                if node is None:
                    if self.x is None:
                        return None
                    continue
                if before is None:
                    return None
                if node.output[1:] != before[1:]:
                    problem = ShapesDiffer("dense", f"what came before is {before}", f"this item gives {node.output}")
                    raise Located(problem, node.span, label="these cannot be concatenated on channels")
                nodes.append(node)
                self.x = before.with_channels(before.channels + node.output.channels)
                self._check_size("the output of `dense`", self.x, node.span)
        if not nodes:
            raise Located(Misplaced("`dense` needs at least one item"), form.kind_span)
        return None if self.x is None else Dense(**head, output=self.x, items=tuple(nodes))

    def _scale(self, form: tree.CombinatorForm, head: Mapping[str, Any], place: Place) -> AnyNode | None:
        x: Shape = head["input"]
        body = self._inner(form.body, place, x)
        if body is None:
            return None
        output = broadcast(x, body.output)
        if output is None:
            problem = ShapesDiffer("scale", f"the input is {x}", f"the body gives {body.output}")
            last = _last_span(body) or form.body.span
            raise Located(
                problem,
                form.kind_span,
                label="these cannot be multiplied",
                notes=(Note(f"{body.output}", last),),
                helps=_help_with_axes(body.output, x, last),
            )
        return Scale(**head, output=output, body=body)

    def _split(self, form: tree.CombinatorForm, head: Mapping[str, Any], place: Place) -> AnyNode | None:
        x: Shape = head["input"]
        given = self.arguments(form.arguments, place)
        bound = assign("`split`", ["parts"], ["parts"], given, form.kind_span)
        parts = bound["parts"].value
        if isinstance(parts, bool) or not isinstance(parts, int) or not 1 <= parts <= MAX_LENGTH:
            problem: Problem = BadArgument("`split`", "parts", "must be a whole number of at least 1", describe(parts))
            raise Located(problem, bound["parts"].span)
        if x.channels % parts:
            raise Located(NotDivisible("channels", x.channels, "parts", parts), bound["parts"].span)
        self.x = x.with_channels(x.channels // parts)
        nodes = self._branches_of(form, place)
        if nodes is None:
            return None
        if len(nodes) != parts:
            items = "item" if len(nodes) == 1 else "items"
            problem = Misplaced(
                f"`split({parts})` needs {parts} items, one for each part, and has {len(nodes)} {items}"
            )
            helps = (Help("an empty `{ }` passes its part on"),)
            raise Located(problem, form.kind_span, helps=helps)
        return Split(**head, output=self._concatenate(form, nodes), branches=tuple(nodes))

    def _aux(self, form: tree.CombinatorForm, head: Mapping[str, Any], place: Place) -> AnyNode | None:
        x: Shape = head["input"]
        name = head["label"] or f"aux{sum(isinstance(key, str) for key in self.aux_names) + 1}"
        self._new_output(name, form.kind_span)
        body = self._inner(form.body, dataclasses.replace(place, aux=True), x)
        return None if body is None else Aux(**head, output=x, body=body, output_name=name)


def _help_with_axes(y: Shape, x: Shape, last: Span) -> tuple[Help, ...]:
    """For a vector that scales each channel of an input with more axes: what gives it axes of size 1."""
    if y.rank or y.channels != x.channels:
        return ()
    sizes = ", ".join(map(str, (y.channels, *[1] * x.rank)))
    end = Span(last.source, last.end, last.end)
    return (Help("give the vector the other axes of the input", end, f"; unflatten(1, ({sizes}))"),)


def _help_with_shortcut(form: tree.ResidualForm, x: Shape, y: Shape) -> Help:
    """A path from `x` to `y`: a 1x1 convolution where its stride can do it."""
    strides = [s for s in range(1, 9) if tuple((n - 1) // s + 1 for n in x.spatial) == tuple(y.spatial)]
    if not strides or not x.rank:
        return Help("give it a path that changes the shape too: `} shortcut { ... }`")
    stride = f", stride={strides[0]}" if strides[0] > 1 else ""
    end = Span(form.span.source, form.span.end, form.span.end)
    mend = f" shortcut {{ conv({y.channels}, 1{stride}) }}"
    return Help("give the input a path to the same shape", end, mend)


def _helps_for_habits(kind: str, given: Sequence[Given], x: Shape | None, start: Shape | None) -> tuple[Help, ...]:
    """What is behind a wrong call of a layer where it is written as in another library."""
    positional = [one for one in given if one.name is None]
    needed = {"conv": 3, "conv_transpose": 3, "linear": 2}.get(kind, MAX_LENGTH)
    if x and len(positional) >= needed and (kind == "linear" or positional[0].value == x.channels):
        first = Span(positional[0].span.source, positional[0].span.start, positional[1].span.start)
        return (Help("what goes in is inferred and not written", first, ""),)
    if start is not None and start.rank == 2 and start[2] in (1, 3) and start[0] > start[2]:
        return (Help(f"channels come first: `input({start[2]}x{start[0]}x{start[1]})`"),)
    return ()


def _is_index(value: object) -> bool:
    """Whether a tap of a family can have the index."""
    return isinstance(value, int | float | str) and not isinstance(value, bool)


def _last_span(group: Group) -> Span | None:
    return group.body[-1].span if group.body else None


def _stateful(node: AnyNode) -> dict[str, LayerNode]:
    """The layers of a node that have weights or buffers, by their names."""
    return {inner.name: inner for inner in layer_nodes(node) if inner.weights or inner.buffers}


def _other_weights(first: AnyNode, again: AnyNode) -> str | None:
    """Why a part cannot run on the weights of its first run; None where it can.

    Layers without weights are made anew where the input asks for it; those with weights have to stay the same module.
    """
    before = _stateful(first)
    for name, node in _stateful(again).items():
        same = before.get(name)
        if same is None:
            return f"`{name}` ({node.kind}) was not there"
        found, wanted = (one.weights | one.buffers for one in (same, node))
        for key in [*found, *wanted]:
            if found.get(key) != wanted.get(key):
                sizes = [f"{one[key].shape}" if key in one else "nothing" for one in (found, wanted)]
                return f"`{node.key(key)}` was {sizes[0]} and would be {sizes[1]}"
        forms = [one.layer.torch(one.input) for one in (same, node)]
        if forms[0] != forms[1]:
            return f"`{name}` was {forms[0]} and would be {forms[1]}"
    return None


def _shared(node: AnyNode) -> AnyNode:
    """The same node, marked as running on the weights of an earlier one."""
    return rebuilt(node, _shared, shared=True)
