"""Combinators: how each combines the items in its body, and how their shapes have to agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from archdsl.arguments.bind import Given, assign
from archdsl.arguments.describe import describe, is_number
from archdsl.combinators import COMBINATORS, Combinator, Scheme
from archdsl.combinators.join import CONCAT
from archdsl.diagnostics import Help, Located, Note
from archdsl.diagnostics.codes.names import BadArgument, Misplaced
from archdsl.diagnostics.codes.shapes import ShapesDiffer, WrongElements
from archdsl.elaborate.calls import arguments, layer_call
from archdsl.elaborate.cut import sizes
from archdsl.elaborate.forms import no_tensor, require_combinator
from archdsl.elaborate.names import Scope
from archdsl.elaborate.statements import branches, run, sequence
from archdsl.elaborate.taps import claim_output
from archdsl.elaborate.walk import Outcome, Place, Walk, check_size, known
from archdsl.graph import AnyNode, Aux, Combined, Group, layer_nodes
from archdsl.graph import walk as nodes_of
from archdsl.layers import kind_named
from archdsl.shapes import Shape
from archdsl.syntax import tree
from archdsl.text.record import replace
from archdsl.text.source import Span

#: The fields that all nodes have.
Head = Mapping[str, Any]


def combine(
    walk: Walk,
    form: tree.GroupForm | tree.ResidualForm | tree.CombinatorForm,
    label: str | None,
    span: Span,
    place: Place,
    x: Shape | None,
) -> Outcome:
    """The node of a combinator or plain group; after a mistake, one of unknown shape with the layers that are known.

    `span` is that of the whole item.
    """
    if not walk.evaluator.has_tensor:
        raise no_tensor(form.span)
    if label is not None:
        scope = Scope(place.scope.full(place.scope.take(label, span)))
        place = replace(place, scope=scope, env=place.env.scoped())
    head = _head(place, form.span, x, label)
    node: AnyNode
    match form:
        case tree.GroupForm():
            node, output = _group(walk, form.body, head, place, x)
        case tree.ResidualForm():
            node, output = _with_input(walk, COMBINATORS["residual"], form, head, place, x)
        case tree.CombinatorForm(kind="aux"):
            node, output = _aux(walk, form, head, place, x)
        case tree.CombinatorForm(kind="scale") if form.arguments:
            node, output = _times(walk, form, head, place, x)
        case tree.CombinatorForm():
            require_combinator(form)
            combinator = COMBINATORS[form.kind]
            node, output = _SCHEMES[combinator.scheme](walk, combinator, form, head, place, x)
        case _:
            assert_never(form)
    if output is None and next(layer_nodes(node), None) is None:
        return Outcome(None, None)
    return Outcome(node, output, None if label is None else place.env.labels)


def _head(place: Place, span: Span, x: Shape | None, label: str | None = None) -> Head:
    return {"name": place.scope.path, "label": label, "input": known(x), "span": span, "chain": place.chain}


def _group(walk: Walk, body: tree.Body, head: Head, place: Place, x: Shape | None) -> tuple[Group, Shape | None]:
    nodes: list[AnyNode] = []
    output = sequence(walk, body, place, x, nodes)
    return Group(**head, output=known(output), nodes=tuple(nodes)), output


def _times(
    walk: Walk, form: tree.CombinatorForm, head: Head, place: Place, x: Shape | None
) -> tuple[Group, Shape | None]:
    """`scale(0.2) { }`: the body, then `mul(0.2)`."""
    factor = None
    with walk.reporting(place):
        given = arguments(walk, form.arguments, place.env, x)
        one = assign("`scale`", ["factor"], ["factor"], given, form.kind_span)["factor"]
        if not is_number(one.value):
            raise Located(BadArgument("`scale`", "factor", "must be a number", describe(one.value)), one.span)
        factor = one
    nodes: list[AnyNode] = []
    body, output = sequence(walk, form.body, place, x, nodes), None
    with walk.reporting(place):
        mul = kind_named("mul")
        if factor is not None and mul is not None:
            call = tree.LayerCall(mul.kind, [], form.kind_span, form.kind_span.to(factor.span))
            node, output, _ = layer_call(
                walk, mul, [Given(None, factor.value, factor.span)], call, None, call.span, place, body
            )
            nodes += [node] if node is not None else []
    return Group(**head, output=known(output), nodes=tuple(nodes)), output


def _inner(walk: Walk, body: tree.Body, place: Place, x: Shape | None) -> tuple[Group, Shape | None]:
    """The body of a combinator: a transparent group that starts at `x`."""
    return _group(walk, body, _head(place, body.span, x), place, x)


def _aux(
    walk: Walk, form: tree.CombinatorForm, head: Head, place: Place, x: Shape | None
) -> tuple[AnyNode, Shape | None]:
    require_combinator(form, aux=place.aux)
    name = head["label"] or f"aux{sum(isinstance(key, str) for key in walk.output_names) + 1}"
    with walk.reporting(place):
        claim_output(walk, name, form.kind_span, place)
    body, _ = _inner(walk, form.body, replace(place, aux=True), x)
    return Aux(**head, output=head["input"], nodes=(body,), output_name=name), x


# Joins of the input with a body


def _with_input(
    walk: Walk,
    combinator: Combinator,
    form: tree.ResidualForm | tree.CombinatorForm,
    head: Head,
    place: Place,
    x: Shape | None,
) -> tuple[AnyNode, Shape | None]:
    """The input, or what a shortcut makes of it, joined with the body."""
    decided, shortcut, skip = True, None, x
    if isinstance(form, tree.ResidualForm) and form.when is not None:
        decided = False
        with walk.reporting(place):
            if not walk.on(x).boolean(form.when, place.env, "the condition"):
                return _group(walk, form.body, head, place, x)
            decided = True
    body, end = _inner(walk, form.body, place, x)
    if isinstance(form, tree.ResidualForm) and form.shortcut is not None:
        shortcut, skip = _inner(walk, form.shortcut, place, x)
    output = None
    if decided and skip is not None and end is not None:
        with walk.reporting(place):
            output = _join_shape(combinator, skip, end, form.span)
            if output is None:
                raise _unequal(combinator, form, skip, body)
    nodes: tuple[Group, ...] = (body,)
    # A shortcut with nothing in it is the identity.
    if shortcut is not None and any(not isinstance(one, Group) or one.taps for one in nodes_of(shortcut)):
        nodes = (body, shortcut)
    return _combined(combinator, head, nodes, output), output


def _join_shape(combinator: Combinator, one: Shape, other: Shape, span: Span) -> Shape | None:
    """The shape of two joined tensors; None where the shapes do not fit.

    Raises:
        Located: one has integers, which are concatenated with integers and not added or multiplied.
    """
    wanted = one.dtype if combinator.join is CONCAT else Shape.dtype
    for shape in (one, other):
        if shape.dtype != wanted:
            raise Located(WrongElements(f"`{combinator.keyword}`", wanted, shape.dtype), span)
    return combinator.join.shape(one, other)


def _combined(combinator: Combinator, head: Head, nodes: Sequence[AnyNode], output: Shape | None) -> Combined:
    return Combined(**head, combinator=combinator, nodes=tuple(nodes), output=known(output))


def _unequal(
    combinator: Combinator, form: tree.ResidualForm | tree.CombinatorForm, skip: Shape, body: Group
) -> Located:
    """The error of a body whose output does not fit the input, or the output of the shortcut."""
    keyword = Span(form.span.source, form.span.start, form.span.start + len(combinator.keyword))
    last = body.nodes[-1].span if body.nodes else body.span
    notes = [Note(f"the body gives {body.output}", last)]
    helps: tuple[Help, ...] = ()
    what = "the input is"
    if isinstance(form, tree.CombinatorForm):
        helps = _help_with_axes(body.output, skip, last)
    elif form.shortcut is not None:
        what = "the shortcut gives"
        notes.insert(0, Note(f"{what} {skip}", form.shortcut.span))
    elif len(skip) == len(body.output):
        helps = (_help_with_shortcut(form, skip, body.output),)
    problem = ShapesDiffer(combinator.keyword, f"{what} {skip}", f"the body gives {body.output}")
    label = f"these cannot be {combinator.join.done}"
    return Located(problem, keyword, label=label, notes=tuple(notes), helps=helps)


def _help_with_axes(y: Shape, x: Shape, last: Span) -> tuple[Help, ...]:
    """For a vector that scales each channel of an input with more axes: what gives it axes of size 1."""
    if y.rank or y.channels != x.channels:
        return ()
    sizes = ", ".join(map(str, (y.channels, *[1] * x.rank)))
    end = Span(last.source, last.end, last.end)
    return (Help("reshape the vector to the axes of the input", end, f"; unflatten(1, ({sizes}))"),)


def _help_with_shortcut(form: tree.ResidualForm, x: Shape, y: Shape) -> Help:
    """A path from `x` to `y`: a 1x1 convolution where its stride can do it."""
    strides = [s for s in range(1, 9) if tuple((n - 1) // s + 1 for n in x.spatial) == tuple(y.spatial)]
    if not strides or not x.rank:
        return Help("change the shape of the input too: `} shortcut { ... }`")
    stride = f", stride={strides[0]}" if strides[0] > 1 else ""
    end = Span(form.span.source, form.span.end, form.span.end)
    return Help("change the shape of the input too", end, f" shortcut {{ conv({y.channels}, 1{stride}) }}")


# Joins of several items


def _on_input(
    walk: Walk, combinator: Combinator, form: tree.CombinatorForm, head: Head, place: Place, x: Shape | None
) -> tuple[AnyNode, Shape | None]:
    """Every item on the input, or on its part of it, joined."""
    starts: Sequence[Shape | None] = [x]
    parts: tuple[int, ...] | None = None
    if combinator.scheme is Scheme.PARTS:
        starts = [None]
        with walk.reporting(place):
            found = sizes(form.kind, arguments(walk, form.arguments, place.env, x), form.kind_span, x)
            if x is not None and not isinstance(found, int):
                parts, starts = found, [x.with_channels(size) for size in found]
    nodes, known = branches(walk, form.body, place, starts)
    output = None
    if known:
        with walk.reporting(place):
            output = _joined(combinator, form, nodes, None if parts is None else len(parts))
    own = () if parts is None or len(set(parts)) == 1 else parts
    return replace(_combined(combinator, head, nodes, output), sizes=own), output


def _joined(combinator: Combinator, form: tree.CombinatorForm, nodes: Sequence[AnyNode], parts: int | None) -> Shape:
    """The shape of the joined outputs.

    Raises:
        Located: too few items, or shapes that do not fit.
    """
    if not nodes:
        raise Located(Misplaced(f"`{form.kind}` needs at least one item"), form.kind_span)
    output = nodes[0].output
    for node in nodes[1:]:
        joined = _join_shape(combinator, output, node.output, node.span)
        if joined is None:
            problem = ShapesDiffer(form.kind, f"one item gives {nodes[0].output}", f"another {node.output}")
            notes = (Note(f"{nodes[0].output}", nodes[0].span), Note(f"{node.output}", node.span))
            label = f"these cannot be {combinator.join.done}"
            raise Located(problem, form.kind_span, label=label, notes=notes)
        output = joined
    if parts not in {None, len(nodes)}:
        items = "item" if len(nodes) == 1 else "items"
        written = ", ".join(one.span.text for one in form.arguments)
        what = f"`split({written})` requires {parts} items, one for each part, but has {len(nodes)} {items}"
        raise Located(Misplaced(what), form.kind_span, helps=(Help("an empty `{ }` returns its part unchanged"),))
    return output


def _chain(
    walk: Walk, combinator: Combinator, form: tree.CombinatorForm, head: Head, place: Place, x: Shape | None
) -> tuple[AnyNode, Shape | None]:
    """The input and the first item's result, then that and the next item's result on it, and so on."""
    nodes: list[AnyNode] = []

    def step(item: tree.Item, where: Place, before: Shape | None) -> Shape | None:
        node, shape, _ = walk.item(item, where, before)
        if node is None:
            return shape
        nodes.append(node)
        if before is None or shape is None:
            return None
        with walk.reporting(where):
            return _appended(combinator, before, node)
        return None

    output = run(walk, form.body, place, x, step)
    if not nodes and output is not None:
        walk.report(Located(Misplaced(f"`{form.kind}` needs at least one item"), form.kind_span), place.chain)
        output = None
    return _combined(combinator, head, nodes, output), output


def _appended(combinator: Combinator, before: Shape, node: AnyNode) -> Shape:
    output = _join_shape(combinator, before, node.output, node.span)
    if output is None:
        problem = ShapesDiffer(combinator.keyword, f"the tensor so far is {before}", f"this item gives {node.output}")
        raise Located(problem, node.span, label=f"these cannot be {combinator.join.done}")
    check_size(f"the output of `{combinator.keyword}`", output, node.span)
    return output


_SCHEMES = {Scheme.BODY: _with_input, Scheme.BRANCHES: _on_input, Scheme.PARTS: _on_input, Scheme.CHAIN: _chain}
