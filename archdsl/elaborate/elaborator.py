"""One walk over a model's statements that expands it, names its parts and infers every shape.

Conditions may read the current tensor (`if channels != planes`), so expansion and shape inference cannot be
two passes. After a mistake the walk continues with an unknown shape.
"""

from __future__ import annotations

from archdsl.diagnostics import Diagnostic, Located
from archdsl.diagnostics.codes.limits import TooManySteps
from archdsl.elaborate.calls import arguments, call
from archdsl.elaborate.combinators import combine
from archdsl.elaborate.cut import cut
from archdsl.elaborate.environment import Environment
from archdsl.elaborate.errors import Stop, Unknown
from archdsl.elaborate.forms import STATEMENTS, no_input, reject_taps, require_place
from archdsl.elaborate.inputs import declare
from archdsl.elaborate.names import Scope
from archdsl.elaborate.reuse import reuse
from archdsl.elaborate.settings import Settings
from archdsl.elaborate.statements import forget, label_of, sequence
from archdsl.elaborate.taps import keep, output, use
from archdsl.elaborate.walk import Outcome, Part, Place, Walk, known
from archdsl.graph import AnyNode, Cut, Group
from archdsl.shapes import Shape
from archdsl.syntax import tree


class Elaborator(Walk):
    """Expands one model."""

    def model(self, body: tree.Body, env: Environment, name: str) -> Group:
        """The graph of a model, whose body begins with its input. After an error, as far as it is known."""
        nodes: list[AnyNode] = []
        end: Shape | None = None
        try:
            end = sequence(self, body, Place(Scope(), env, Settings()), None, nodes)
        except Stop as stop:
            enough = isinstance(stop.problem, TooManySteps) and self.diagnostics
            if not enough and len(self.diagnostics) < self.most_errors:
                self.diagnostics.append(Diagnostic(stop.problem, stop.span, stop.label))
        if self.input is None and not self.diagnostics:
            self.report(no_input(body.span))
        return Group(
            name="",
            label="",
            input=known(self.input),
            output=known(end),
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
        if item.tap is None or isinstance(outcome.node, Cut):
            return outcome
        return keep(self, item.tap, outcome, place)

    def _form(self, item: tree.Item, place: Place, x: Shape | None) -> Outcome:
        form = item.form
        if isinstance(form, tree.LayerCall) and form.name in STATEMENTS:
            return self._statement(form, item, place, x)
        reject_taps(item)
        label = None if item.label is None else label_of(self, item.label, place, x)
        before = place.env if label is None else place.env.snapshot()
        if isinstance(form, tree.LayerCall):
            outcome = call(self, form, label, item.span, place, x)
        else:
            outcome = combine(self, form, label, item.span, place, x)
        if label is not None:
            parts = place.env.labels.parts
            parts[label] = None
            if outcome.node is not None and outcome.shape is not None:
                parts[label] = Part(item, before, outcome.node, place.settings, outcome.labels)
        return outcome

    def _statement(self, form: tree.LayerCall, item: tree.Item, place: Place, x: Shape | None) -> Outcome:
        require_place(form, item, block=bool(place.blocks), aux=place.aux)
        if form.name == "reuse":
            return reuse(self, form, place, x)
        if form.name == "input":
            shape = declare(self, form, place)
            node = Group(name="", label=None, input=shape, output=shape, span=form.span, nodes=())
            return Outcome(None if item.tap is None else node, shape)
        given = arguments(self, form.arguments, place.env, x)
        if form.name in ("chunk", "split"):
            return cut(self, item, form, given, place, x)
        if form.name == "use":
            return use(form, given, place, x)
        output(self, form, given, place)
        return Outcome(None, x)
