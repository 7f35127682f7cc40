"""Calls in a body: layers, blocks and the binding of their parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archdsl.arguments.bind import Given, assign, make
from archdsl.arguments.values import Construct, Typed
from archdsl.diagnostics import Frame, Help, Located, Note, Rejected
from archdsl.diagnostics.codes.names import BadArgument, DuplicateName
from archdsl.diagnostics.codes.sizes import OtherWeights
from archdsl.elaborate import parametrization
from archdsl.elaborate.environment import BlockValue, Environment, Labels, PartialValue
from archdsl.elaborate.errors import Stop, Unknown
from archdsl.elaborate.expansions import Expansion, key_of, key_of_layer, renamed
from archdsl.elaborate.forms import OF_EVERY_LAYER, callee, no_tensor, recursive, reject_channels_as_eps
from archdsl.elaborate.initialisation import for_layer, frozen_weights
from archdsl.elaborate.names import Scope
from archdsl.elaborate.outside import Outside, fitting, is_layer
from archdsl.elaborate.statements import sequence
from archdsl.elaborate.taps import taken
from archdsl.elaborate.walk import Outcome, Place, Walk, check_size, known
from archdsl.graph import AnyNode, Group, LayerNode, Tap
from archdsl.layers.base import Layer
from archdsl.shapes import Shape, Tensor
from archdsl.syntax import parse_expression, tree
from archdsl.text.limits import MAX_LENGTH
from archdsl.text.record import replace
from archdsl.text.source import Source, Span


def call(walk: Walk, form: tree.LayerCall, label: str | None, span: Span, place: Place, x: Shape | None) -> Outcome:
    """A layer or a block, by its name or by that of a value that holds one. `span` is that of the whole item.

    Arguments that the value has come before those of the call.
    """
    found = callee(form, place.env)
    if not walk.evaluator.has_tensor:
        raise no_tensor(form.span)
    try:
        if isinstance(found.target, BlockValue):
            return _block(walk, found.target, found.given, form, label, span, place, x)
        return layer_call(walk, found.target, found.given, form, label, span, place, x)
    except Located as error:
        if found.value is not None and not isinstance(error, Stop):
            add_places(error, found.value, form)
        raise


def add_places(error: Located, value: PartialValue, form: tree.LayerCall) -> None:
    """Add to an error in the call of a layer or block with arguments where it got these, or where it is called."""
    if error.span.is_inside(form.span):
        note = Note("some of its arguments are given here", value.span)
    else:
        note = Note("called here", form.span)
    if all(note.span != one.span for one in error.notes):
        error.notes = (*error.notes, note)


def arguments(walk: Walk, arguments: Sequence[tree.Argument], env: Environment, x: Shape | None = None) -> list[Given]:
    """The values of a call's arguments; only `init` takes initializers."""
    given = []
    for one in arguments:
        value = walk.on(x).evaluate(one.value, env, constructs=one.name == "init")
        walk.evaluator.weigh(value, one.span)
        given.append(Given(one.name, value, one.span))
    return given


# Layers


def layer_call(
    walk: Walk,
    cls: type[Layer],
    before: list[Given],
    form: tree.LayerCall,
    label: str | None,
    span: Span,
    place: Place,
    x: Shape | None,
) -> Outcome:
    """A layer of a known type, with arguments `before` those of the call."""
    name = place.scope.full(place.scope.take(label, span))
    walk.count(1, 0, form.span)
    given = before + arguments(walk, form.arguments, place.env, x) if form.arguments else before
    key = key_of_layer(cls, given, x, place.settings)
    node = walk.layer_nodes.get(key)
    if node is None:
        node = _new_layer(walk, cls, form, given, span, place, x)
        if key is not None:
            walk.layer_nodes[key] = node
    node = renamed(node, name, span, place.chain)
    if walk.state is not None:
        _require_state(node, walk.state)
    return Outcome(node, node.output)


def _require_state(node: LayerNode, state: Mapping[str, Tensor]) -> None:
    """Reject a layer whose weights are not among those that the model must have.

    Raises:
        Located: one has another shape, or is another one.
    """
    for name, tensor in (node.weights | node.buffers).items():
        key = node.key(name)
        if state.get(key) != tensor:
            expected = str(state[key].shape) if key in state else "nothing"
            raise Located(OtherWeights(key, str(tensor.shape), expected), node.span)


def _new_layer(
    walk: Walk, cls: type[Layer], form: tree.LayerCall, given: list[Given], span: Span, place: Place, x: Shape | None
) -> LayerNode:
    """A layer that was not made before, still without its name."""
    what = f"`{cls.kind}`"
    given = place.settings.given(cls, given)
    by_name = {one.name: one for one in given}
    rest = [one for one in given if one.name not in OF_EVERY_LAYER]
    operands, rest = taken(cls, rest, aux=place.aux)
    reject_channels_as_eps(cls, rest)
    try:
        layer = make(what, cls, rest, form.span)
        if x is None:
            raise Unknown
        y = _shape(layer, x, operands, form, rest)
        weights = layer.weights(x)
        parametrized = parametrization.for_layer(cls.kind, weights, by_name.get("parametrization"))
        replaced = weights if parametrized is None else parametrized.replaced(weights, cls.output_axis)
        frozen = frozen_weights(cls.kind, weights, replaced, by_name.get("trainable"))
    except Located as error:
        error.helps = (*_helps_for_habits(cls.kind, rest, x, walk.input), *error.helps)
        if not error.span.is_inside(form.span):
            error.notes = (*error.notes, Note("for this layer", form.span))
        raise
    check_size(f"the output of {what}", y, form.span)
    for key, tensor in weights.items():
        check_size(f"the {key} of {what}", tensor.shape, form.span)
    init = for_layer(cls.kind, weights, place.settings.init, by_name.get("init"), form.span) if weights else {}
    if parametrized is not None:
        parametrization.require_norm(parametrized, init, by_name["parametrization"])
    return LayerNode(
        name="",
        label=None,
        input=x,
        output=y,
        span=span,
        layer=layer,
        operands=operands,
        init=init,
        frozen=frozen,
        parametrization=parametrized,
    )


def _shape(layer: Layer, x: Shape, operands: tuple[Tap, ...], form: tree.LayerCall, given: list[Given]) -> Shape:
    try:
        shapes = [tap.shape for tap in operands]
        for each in (x, *shapes):
            layer.require_type(each)
        return layer.shape(x, *shapes)
    except Rejected as rejected:
        span = form.span
        positional = iter(type(layer).model_fields)
        for one in given:
            name = one.name or next(positional, "")
            if name == rejected.argument:
                span = one.span
        helps = (Help(rejected.help),) if rejected.help else ()
        raise Located(rejected.problem, span, label=f"the input is {x}", helps=helps) from None


def _helps_for_habits(kind: str, given: Sequence[Given], x: Shape | None, start: Shape | None) -> tuple[Help, ...]:
    """Suggestions for calls that are written as in another library."""
    positional = [one for one in given if one.name is None]
    needed = {"conv": 3, "conv_transpose": 3, "linear": 2}.get(kind, MAX_LENGTH)
    if x and len(positional) >= needed and (kind == "linear" or positional[0].value == x.channels):
        first = Span(positional[0].span.source, positional[0].span.start, positional[1].span.start)
        return (Help("the input size is inferred: leave this argument out", first, ""),)
    if start is not None and start.rank == 2 and start[2] in (1, 3) and start[0] > start[2]:
        return (Help(f"channels come first: `input({start[2]}x{start[0]}x{start[1]})`"),)
    return ()


# Blocks


def _block(
    walk: Walk,
    block: BlockValue,
    before: list[Given],
    form: tree.LayerCall,
    label: str | None,
    span: Span,
    place: Place,
    x: Shape | None,
) -> Outcome:
    definition = block.definition
    if definition in place.blocks:
        raise Stop(recursive(definition, place.blocks), form.span)
    inline = definition.inline and label is None
    name = place.scope.path if inline else place.scope.full(place.scope.take(label, span))
    given = before + arguments(walk, form.arguments, place.env, x)
    env = bind(walk, f"`{block.name}`", definition.params, given, block.home, form.span, x)
    inner = replace(
        place,
        scope=place.scope if inline else Scope(name),
        env=env,
        anew=False,
        chain=(*place.chain, Frame(f"block `{block.name}`", form.span)),
        blocks=(*place.blocks, definition),
    )
    body, output, labels = _expand(walk, block, inner, x, keep=not (inline or place.anew))
    if inline and labels is not None:
        place.env.labels.take(labels)
    if output is None and not body:
        return Outcome(None, None)
    node = Group(
        name=name,
        label=None if inline else name.rpartition(".")[2],
        input=known(x),
        output=known(output),
        span=span,
        chain=place.chain,
        nodes=body,
        block=block.name,
    )
    return Outcome(node, output, labels)


def _expand(
    walk: Walk, block: BlockValue, place: Place, x: Shape | None, *, keep: bool
) -> tuple[tuple[AnyNode, ...], Shape | None, Labels | None]:
    """The nodes of a block's body, the shape after them, and the labels in it.

    With `keep`, the nodes are copied from an earlier expansion where there is one, which leaves the labels unknown.
    The names of an inline block's parts depend on what is around them, so it is not kept.
    """
    definition = block.definition
    key = None if x is None or not keep else key_of(block, place.env, x, place.settings, place.aux)
    kept = None if key is None else walk.expansions.get(key)
    if kept is not None:
        walk.reach(place, kept.depth, definition.span)
        walk.count(kept.layers, kept.steps, definition.span)
        return kept.at(place.scope.path, place.chain), kept.output, None
    before, walk.deepest = walk.deepest, place.depth
    taps, outputs, layers, steps = walk.taps, len(walk.output_names), walk.layers, walk.evaluator.steps
    nodes: list[AnyNode] = []
    output = sequence(walk, definition.body, place, x, nodes)
    depth, walk.deepest = walk.deepest - place.depth, max(before, walk.deepest)
    body = tuple(nodes)
    if key is not None and output is not None and walk.taps == taps and len(walk.output_names) == outputs:
        used = (depth, walk.layers - layers, walk.evaluator.steps - steps)
        walk.expansions[key] = Expansion(body, output, place.scope.path, place.chain, *used)
    return body, output, place.env.labels


def bind(
    walk: Walk,
    what: str,
    params: Sequence[tree.Param],
    given: Sequence[Given],
    home: Environment,
    span: Span,
    x: Shape | None = None,
) -> Environment:
    """The environment of a call: the arguments by the names of the parameters, then the defaults."""
    names = [param.name for param in params]
    required = [param.name for param in params if param.default is None]
    bound = assign(what, names, required, given, span)
    env = Environment(home)
    for param in params:
        if param.name in env.values:
            raise Located(DuplicateName("the parameter", param.name), param.span)
        if param.name in bound:
            value = bound[param.name].value
            if isinstance(value, str | Outside):
                value = _meant(walk, what, param, bound[param.name], env, x)
            env.values[param.name] = value
        elif param.default is not None:
            value = _default(walk, param, param.default, env, x)
            walk.evaluator.weigh(value, param.span)
            env.values[param.name] = value
    return env


def _default(walk: Walk, param: tree.Param, default: tree.Expr, env: Environment, x: Shape | None) -> Any:
    return walk.on(x).evaluate(default, env, constructs=param.name == "init")


def _meant(walk: Walk, what: str, param: tree.Param, given: Given, env: Environment, x: Shape | None) -> Any:
    """A string or value from outside as its parameter takes it, which its default tells.

    `env` has the parameters before it.
    """
    value = given.value
    default = None
    if param.default is not None:
        try:
            default = _default(walk, param, param.default, env, x)
        except Stop:
            raise
        except (Located, Unknown):  # a default that is not used may be wrong
            pass
    home = env.parent or env
    if not isinstance(value, Outside):
        return fitting(value, default, [home])
    if isinstance(value.value, str) and "(" in value.value and is_layer(default):
        expression = parse_expression(Source(f"<{param.name}>", value.value))
        value = Outside(Typed(walk.evaluator.evaluate(expression, value.scope, constructs=True)), value.scope)
    walk.evaluator.weigh(value.value, given.span)
    if param.name == "init":
        return value.value
    try:
        return value.meant(default, home, given.span)
    except TypeError as error:
        wrong = error.args[0]
        found = f"`{wrong}`" if isinstance(wrong, Construct) else f"{wrong!r} ({type(wrong).__name__})"
        expected = "must be a number, string, list or dictionary, or a layer or block"
        raise Located(BadArgument(what, str(given.name), expected, found), given.span) from None
