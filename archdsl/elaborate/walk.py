"""The state of the walk that expands a model: what it reports, counts and caches.

The walk passes the current tensor's shape along and returns an `Outcome`. A mistake is reported by the
innermost item that contains it and leaves the shape unknown (None), which silences errors that only follow from it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import NamedTuple

from archdsl.diagnostics import Diagnostic, Frame, Located
from archdsl.diagnostics.codes.limits import TensorTooLarge, TooDeep, TooManyLayers
from archdsl.elaborate.environment import Environment, Labels
from archdsl.elaborate.errors import Reporting, Stop
from archdsl.elaborate.expansions import Expansion
from archdsl.elaborate.expressions import Evaluator
from archdsl.elaborate.names import Scope
from archdsl.elaborate.settings import Settings
from archdsl.graph import AnyNode, LayerNode, Tap
from archdsl.graph.requirement import Requirement
from archdsl.shapes import InputSizes, Shape, Tensor
from archdsl.syntax import tree
from archdsl.text.limits import MAX_ERRORS, MAX_LAYERS, MAX_NESTING, MAX_NUMEL
from archdsl.text.record import Record
from archdsl.text.source import Span

#: Levels of expansion that cost no steps.
SHALLOW = 40


class _UnknownShape(Shape):
    """A shape that depends on a mistake. It has no axes, and prints as `?`."""

    __slots__ = ()

    def __str__(self) -> str:
        return "?"


#: The input or output of a node that a mistake left without one; only networks that are known in part have such nodes.
UNKNOWN_SHAPE = _UnknownShape()


def known(shape: Shape | None) -> Shape:
    """A shape for a node: `UNKNOWN_SHAPE` where it is not known."""
    return UNKNOWN_SHAPE if shape is None else shape


class Outcome(NamedTuple):
    """The result of expanding an item: its node, None if it makes none, and the shape after it, None if unknown.

    `labels` are those inside an item that is a scope of names, as far as they are known.
    """

    node: AnyNode | None
    shape: Shape | None
    labels: Labels | None = None


class Place(Record):
    """Where a part is made.

    chain     the calls that led here
    aux       whether it runs in training only
    blocks    the blocks around it, each called by the one before
    reusing   the label and place of the outermost `reuse` around it
    depth     levels of expansion around it
    anew      the block called here is expanded also where the result is known from an earlier call
    """

    scope: Scope
    env: Environment
    settings: Settings
    chain: tuple[Frame, ...] = ()
    aux: bool = False
    blocks: tuple[tree.BlockDef, ...] = ()
    reusing: tuple[str, Span] | None = None
    depth: int = 0
    anew: bool = False


class Part(NamedTuple):
    """A labelled item that `reuse` can run again, with the names and settings as they were before it.

    `labels` are those inside: None for a layer, and for a block that was copied from an earlier call, without taps.
    """

    item: tree.Item
    env: Environment
    node: AnyNode
    settings: Settings
    labels: Labels | None


class Walk:
    """One walk over a model.

    diagnostics  the problems found
    most_errors  how many of them end the walk
    state        the weights and buffers that the model must have; None for any
    input        the shape of the model's first input, None until it is known
    inputs       the named inputs
    given_input  the sizes to take instead of the spec's
    outputs      the taps that the model returns
    requirements  the bounds of its figures
    layers       layers made so far
    taps         taps made so far
    deepest      the deepest level of expansion reached
    missing      statements with syntax errors met so far
    """

    def __init__(self, given_input: InputSizes | None = None) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.most_errors = MAX_ERRORS
        self.state: Mapping[str, Tensor] | None = None
        self.given_input = given_input
        self.input: Shape | None = None
        self.inputs: list[Tap] = []
        self.outputs: list[Tap] = []
        self.requirements: list[Requirement] = []
        self.output_names: dict[str, Span] = {}
        self.layers = 0
        self.taps = 0
        self.deepest = 0
        self.missing = 0
        self.evaluator = Evaluator()
        self.known_settings: dict[Hashable, Settings] = {}
        self.expansions: dict[Hashable, Expansion] = {}
        self.layer_nodes: dict[Hashable, LayerNode] = {}

    def item(self, item: tree.Item, place: Place, x: Shape | None) -> Outcome:
        """Expand an item on the current tensor `x`."""
        raise NotImplementedError

    def on(self, x: Shape | None) -> Evaluator:
        """The evaluator of expressions that read the current tensor `x`."""
        self.evaluator.current = x
        return self.evaluator

    # Reporting

    def report(self, error: Located, chain: tuple[Frame, ...] = ()) -> None:
        """Keep a problem with the chain of calls that led there; the same one at the same place only once."""
        same = (one.span == error.span and one.problem == error.problem for one in self.diagnostics)
        if not any(same):
            outer = tuple(frame for frame in chain if frame.span != error.span)
            self.diagnostics.append(error.diagnostic(outer))
            self.evaluator.after_error()
        if len(self.diagnostics) >= self.most_errors:
            raise Stop(error.problem, error.span)

    def reporting(self, place: Place) -> Reporting:
        """A context that reports what goes wrong inside; the walk continues after it."""
        return Reporting(lambda error: self.report(error, place.chain))

    # Limits

    def reach(self, place: Place, levels: int, span: Span) -> int:
        """The depth of an expansion that is so many levels deeper than `place`."""
        depth = place.depth + levels
        self.deepest = max(self.deepest, depth)
        if depth > MAX_NESTING:
            raise Stop(TooDeep("bodies and block calls", MAX_NESTING), span)
        if depth > SHALLOW:
            self.evaluator.count(depth - SHALLOW, span)  # deep stacks cost time, above all in loops
        return depth

    def count(self, layers: int, steps: int, span: Span) -> None:
        """Count an expansion against the limits."""
        self.layers += layers
        if self.layers > MAX_LAYERS:
            raise Stop(TooManyLayers(MAX_LAYERS), span)
        self.evaluator.steps += steps
        self.evaluator.step(span)


def check_size(what: str, shape: Shape, span: Span) -> None:
    """Reject a tensor that no machine could hold.

    Raises:
        Located: at the place of what makes it.
    """
    if shape.numel > MAX_NUMEL:
        raise Located(TensorTooLarge(what, str(shape), shape.numel, MAX_NUMEL), span)
