"""One walk over a model's statements that expands it, names its parts and infers every shape.

Conditions may read the current tensor (`if channels != planes`), so expansion and shape inference cannot be
two passes. After a mistake the walk continues with an unknown shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archdsl.arguments.bind import Given
from archdsl.arguments.describe import describe
from archdsl.diagnostics import Diagnostic, Help, Located
from archdsl.diagnostics.codes.limits import TooManySteps
from archdsl.diagnostics.codes.names import BadArgument, Misplaced, UnknownArgument
from archdsl.elaborate.calls import arguments, call
from archdsl.elaborate.combinators import combine
from archdsl.elaborate.environment import Environment
from archdsl.elaborate.errors import Stop, Unknown
from archdsl.elaborate.forms import STATEMENTS, misplaced_input, no_input, require_place
from archdsl.elaborate.names import Scope
from archdsl.elaborate.reuse import reuse
from archdsl.elaborate.settings import Settings
from archdsl.elaborate.statements import forget, label_of, sequence
from archdsl.elaborate.taps import keep, output, use
from archdsl.elaborate.walk import UNKNOWN_SHAPE, Outcome, Place, Reusable, Walk, check_size
from archdsl.graph import AnyNode, Group
from archdsl.shapes import Shape
from archdsl.syntax import tree
from archdsl.text.limits import MAX_ERRORS
from archdsl.text.source import Span


class Elaborator(Walk):
    """Expands one model."""

    def model(self, body: tree.Body, env: Environment, name: str) -> Group:
        """The graph of a model, whose body begins with its input. After an error, as far as it is known."""
        nodes: list[AnyNode] = []
        end: Shape | None = None
        try:
            end = sequence(self, body, Place(Scope(), env, {}, Settings()), None, nodes)
        except Stop as stop:
            enough = isinstance(stop.problem, TooManySteps) and self.diagnostics
            if not enough and len(self.diagnostics) < MAX_ERRORS:
                self.diagnostics.append(Diagnostic(stop.problem, stop.span, stop.label))
        if self.input is None and not self.diagnostics:
            self.report(no_input(body.span))
        return Group(
            name="",
            label="",
            input=self.input or UNKNOWN_SHAPE,
            output=end or UNKNOWN_SHAPE,
            span=body.span,
            nodes=tuple(nodes),
            block=name,
        )

    def item(self, item: tree.Item, place: Place, x: Shape | None) -> Outcome:
        """Expand an item on the current tensor `x`; the shape after it is unknown if anything is wrong with it."""
        self.evaluator.step(item.span)
        try:
            outcome = self._form(item, place, x)
        except Stop:
            raise
        except (Located, Unknown) as error:
            if isinstance(error, Located):
                self.report(error, place.chain)
            forget(item, place)
            outcome = Outcome(None, None)
        return outcome if item.tap is None else keep(self, item.tap, outcome, place)

    def _form(self, item: tree.Item, place: Place, x: Shape | None) -> Outcome:
        form = item.form
        if isinstance(form, tree.LayerCall) and form.name in STATEMENTS:
            return self._statement(form, item, place, x)
        label = None if item.label is None else label_of(self, item.label, place, x)
        before = place.env if label is None else place.env.snapshot()
        if isinstance(form, tree.LayerCall):
            outcome = call(self, form, label, item.span, place, x)
        else:
            outcome = combine(self, form, label, item.span, place, x)
        if label is not None:
            place.made[label] = None
            if outcome.node is not None and outcome.shape is not None:
                place.made[label] = Reusable(item, before, outcome.node, place.settings)
        return outcome

    def _statement(self, form: tree.LayerCall, item: tree.Item, place: Place, x: Shape | None) -> Outcome:
        require_place(form, item, block=bool(place.blocks), aux=place.aux)
        if form.name == "reuse":
            return reuse(self, form, place, x)
        given = arguments(self, form.arguments, place.env, x)
        match form.name:
            case "input":
                shape = self._input(form, given, place)
                if item.tap is None:
                    return Outcome(None, shape)
                return Outcome(Group(name="", label=None, input=shape, output=shape, span=form.span, nodes=()), shape)
            case "use":
                return use(form, given, place, x)
            case _:
                output(self, given, place)
                return Outcome(None, x)

    def _input(self, form: tree.LayerCall, given: Sequence[Given], place: Place) -> Shape:
        """The shape of the model's input."""
        if place.chain or place.depth > 1 or self.evaluator.has_tensor:
            raise misplaced_input(form)
        self.evaluator.has_tensor = True
        sizes = _sizes(form, given)
        self.input = shape = Shape(self.given_input or sizes)
        if len(shape) > 4:
            raise Located(
                Misplaced(f"an input has at most three spatial axes, but {shape} has {shape.rank}"), form.span
            )
        check_size("the input", shape, form.span)
        return shape


def _sizes(form: tree.LayerCall, given: Sequence[Given]) -> Sequence[int]:
    """The sizes of `input(3x224x224)`.

    Raises:
        Located: an argument by name, or no sizes.
    """
    named = next((one for one in given if one.name is not None), None)
    if named is not None:
        helps = (Help("`input` only takes sizes: `input(3x224x224)`, or `input(784)` for a vector"),)
        name = Span(named.span.source, named.span.start, named.span.start + len(str(named.name)))
        raise Located(UnknownArgument("`input`", str(named.name)), name, helps=helps)
    sizes: list[Any] = [one.value for one in given]
    if len(sizes) == 1 and isinstance(sizes[0], tuple | list):
        sizes = list(sizes[0])
    wrong = [size for size in sizes if isinstance(size, bool) or not isinstance(size, int) or size < 1]
    if wrong or not sizes:
        found = describe(wrong[0]) if wrong else "nothing"
        helps = (Help("channels first: `input(3x224x224)`, or `input(784)` for a vector"),)
        raise Located(BadArgument("`input`", "size", "must be integers of at least 1", found), form.span, helps=helps)
    return sizes
