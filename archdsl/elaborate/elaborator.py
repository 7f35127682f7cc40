"""One walk over a model's statements that expands it, names its parts and infers every shape.

Conditions may read the current tensor (`if channels != planes`), so expansion and shape inference cannot be
two passes. After a mistake the walk goes on with an unknown shape, which silences what would only follow
from it.
"""

from __future__ import annotations

from archdsl.diagnostics import Diagnostic
from archdsl.diagnostics.codes.limits import TooManySteps
from archdsl.elaborate.combinators import Combinators
from archdsl.elaborate.environment import Environment
from archdsl.elaborate.errors import Stop
from archdsl.elaborate.forms import STATEMENTS, no_input
from archdsl.elaborate.names import Scope
from archdsl.elaborate.walk import Place, Reusable
from archdsl.graph import AnyNode, Group
from archdsl.shapes import Shape
from archdsl.syntax import tree
from archdsl.text.limits import MAX_ERRORS


class Elaborator(Combinators):
    """Expands one model."""

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

    def form(self, item: tree.Item, place: Place) -> AnyNode | None:
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
