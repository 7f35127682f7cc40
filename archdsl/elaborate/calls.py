"""Calls in a body: layers, blocks, `reuse`, and the statements that are written like layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from archdsl.arguments.bind import Given, assign, make
from archdsl.arguments.describe import describe
from archdsl.arguments.values import Construct
from archdsl.diagnostics import Frame, Help, Located, Note, Rejected
from archdsl.diagnostics.codes.names import BadArgument, DuplicateName, Misplaced, UnknownArgument, WrongReuse
from archdsl.diagnostics.codes.values import WrongType
from archdsl.elaborate.environment import UNKNOWN, BlockValue, Environment, TapValue
from archdsl.elaborate.errors import Stop, Unknown
from archdsl.elaborate.expansions import Expansion, key_of, key_of_layer, renamed
from archdsl.elaborate.forms import (
    callee,
    misplaced_input,
    no_such_part,
    no_tensor,
    recursive,
    reject_channels_as_eps,
    require_place,
    reused_label,
)
from archdsl.elaborate.initialisation import for_layer, frozen_weights
from archdsl.elaborate.names import Scope
from archdsl.elaborate.outside import Outside, fitting
from archdsl.elaborate.statements import Statements
from archdsl.elaborate.walk import ANY_LABEL, Place, Reusable
from archdsl.graph import AnyNode, Group, LayerNode, Tap, Use, layer_nodes, rebuilt
from archdsl.layers.base import Layer
from archdsl.shapes import Shape
from archdsl.syntax import tree
from archdsl.text.limits import MAX_LENGTH
from archdsl.text.record import replace
from archdsl.text.source import Span


class Calls(Statements):
    """The part of the walk that expands calls."""

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
            problem = BadArgument("`input`", "size", "must be integers of at least 1", found)
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
                return self.form(item, fresh)
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
