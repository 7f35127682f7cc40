"""The state of the walk that expands a model, and how it reports problems and counts what it expands."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from archdsl.diagnostics import Diagnostic, Frame, Located
from archdsl.diagnostics.codes.limits import TensorTooLarge, TooDeep, TooManyLayers
from archdsl.elaborate.environment import Environment
from archdsl.elaborate.errors import Stop, Unknown
from archdsl.elaborate.expansions import Expansion
from archdsl.elaborate.expressions import Evaluator
from archdsl.elaborate.names import Scope
from archdsl.elaborate.settings import Settings
from archdsl.graph import AnyNode, LayerNode, Tap
from archdsl.shapes import Shape
from archdsl.syntax import tree
from archdsl.text.limits import MAX_ERRORS, MAX_LAYERS, MAX_NESTING, MAX_NUMEL
from archdsl.text.source import Span

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


class Walk:
    """The state of one walk over a model: what was found, counted and kept. Problems are collected in `diagnostics`."""

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

    def _count(self, layers: int, steps: int, span: Span) -> None:
        """Count an expansion against the bounds."""
        self.layers += layers
        if self.layers > MAX_LAYERS:
            raise Stop(TooManyLayers(MAX_LAYERS), span)
        self.evaluator.steps += steps
        self.evaluator.step(span)

    def _check_size(self, what: str, shape: Shape, span: Span) -> None:
        if shape.numel > MAX_NUMEL:
            raise Located(TensorTooLarge(what, str(shape), shape.numel, MAX_NUMEL), span)
