"""Requirements as they are written: their figures, comparisons and units."""

from __future__ import annotations

from archdsl.arguments.describe import describe
from archdsl.diagnostics import Help, Located, did_you_mean
from archdsl.diagnostics.codes.names import Misplaced
from archdsl.diagnostics.codes.requirements import BadRequirement
from archdsl.diagnostics.codes.values import WrongType
from archdsl.elaborate.environment import Environment
from archdsl.elaborate.expressions import Evaluator
from archdsl.graph.requirement import Requirement
from archdsl.graph.requirements import COMPARISONS, FIGURES
from archdsl.syntax import tree
from archdsl.text.source import Span


def require_model(statement: tree.Require, *, block: bool) -> None:
    """Reject requirements in a block.

    Raises:
        Located: at the word `require`.
    """
    if block:
        word = Span(statement.span.source, statement.span.start, statement.span.start + len("require"))
        raise Located(Misplaced("`require` bounds a whole network: it stands in a model, not in a block"), word)


def require_figure(written: tree.Requirement) -> None:
    """Reject an unknown figure, a comparison that bounds nothing, and a unit of something else.

    Raises:
        Located: at what is wrong.
    """
    name, bound = written.figure.name, written.bound
    if name not in FIGURES:
        helps = did_you_mean(name, FIGURES, written.figure.span, f"the figures are {', '.join(FIGURES)}")
        raise Located(BadRequirement(f"there is no figure `{name}`"), written.figure.span, helps=helps)
    if written.op not in COMPARISONS:
        helps = (Help(f"use {', '.join(f'`{op}`' for op in COMPARISONS)}"),)
        raise Located(BadRequirement(f"`{written.op}` bounds nothing"), written.span, helps=helps)
    if isinstance(bound, tree.Quantity) and bound.is_bytes and not FIGURES[name].unit:
        raise Located(BadRequirement(f"`{name}` is not a number of bytes"), bound.span)


def evaluated(written: tree.Requirement, evaluator: Evaluator, env: Environment) -> Requirement:
    """A requirement with the value of its bound.

    Raises:
        Located, Unknown: it means nothing.
    """
    require_figure(written)
    bound = written.bound
    value = bound.value if isinstance(bound, tree.Quantity) else evaluator.evaluate(bound, env)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Located(WrongType("the bound of a requirement", "must be a number", describe(value)), bound.span)
    return Requirement(written.figure.name, written.op, value, written.span)
