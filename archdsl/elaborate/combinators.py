"""Combinators: what each makes of the items in its body, and how their shapes have to agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from archdsl.arguments.bind import assign
from archdsl.arguments.describe import describe
from archdsl.diagnostics import Help, Located, Note, Problem
from archdsl.diagnostics.codes.names import BadArgument, Misplaced
from archdsl.diagnostics.codes.shapes import NotDivisible, ShapesDiffer
from archdsl.elaborate.calls import Calls
from archdsl.elaborate.errors import Unknown
from archdsl.elaborate.forms import require_combinator
from archdsl.elaborate.walk import Place
from archdsl.graph import AnyNode, Aux, Dense, Group, Inception, Residual, Scale, Split, Sum, walk
from archdsl.shapes import Shape, broadcast
from archdsl.syntax import tree
from archdsl.text.limits import MAX_LENGTH
from archdsl.text.source import Span
from archdsl.text.stack import deep


class Combinators(Calls):
    """The part of the walk that expands combinators."""

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
            problem: Problem = BadArgument("`split`", "parts", "must be an integer of at least 1", describe(parts))
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


def _last_span(group: Group) -> Span | None:
    return group.body[-1].span if group.body else None
