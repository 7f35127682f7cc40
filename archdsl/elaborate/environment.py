"""The values of names while a model is expanded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archdsl.arguments.bind import Given
from archdsl.diagnostics import Located, Note
from archdsl.diagnostics.codes.names import RepeatedArgument
from archdsl.graph import Tap
from archdsl.syntax import tree
from archdsl.text.source import Span

#: The value of a name whose definition was wrong; reading it is silent.
UNKNOWN = object()


@dataclass(eq=False, slots=True)
class Labels:
    """The labels of a scope of names: its parts so far, and the taps made in it.

    function  the outermost body of the block or model
    around    those of the scope around it in the same block or model
    parts     by label, what the walk keeps of a part; None for one that is not known
    taps      by name, as the values of an environment
    """

    function: Environment
    around: Labels | None = None
    parts: dict[str, Any] = field(default_factory=dict)
    taps: dict[str, Any] = field(default_factory=dict)

    def scopes(self) -> Iterator[Labels]:
        """The scope and those around it."""
        scope: Labels | None = self
        while scope is not None:
            yield scope
            scope = scope.around

    def holder(self, label: str) -> Labels | None:
        """The nearest of these scopes that has a part of that label."""
        return next((one for one in self.scopes() if label in one.parts), None)

    def take(self, other: Labels) -> None:
        """Take over the parts and taps of a scope that turned out to be a piece of this one."""
        self.parts |= other.parts
        self.taps |= other.taps


@dataclass(eq=False, slots=True)
class Environment:
    """Names of one body, inside those of the body around it. `function` is the block's or model's outermost body."""

    parent: Environment | None = None
    values: dict[str, Any] = field(default_factory=dict)
    function: Environment = field(init=False)
    labels: Labels = field(init=False)

    def __post_init__(self) -> None:
        self.function = self
        self.labels = Labels(self)

    def child(self) -> Environment:
        """The environment of a body inside this one; its taps and labels belong to the same block."""
        inner = object.__new__(Environment)
        inner.parent, inner.values, inner.function, inner.labels = self, {}, self.function, self.labels
        return inner

    def scoped(self, around: Labels | None = None) -> Environment:
        """The environment of a body that is a scope of names by itself, inside this one or another."""
        inner = self.child()
        outer = self.labels if around is None else around
        inner.labels = Labels(outer.function, outer)
        return inner

    def snapshot(self) -> Environment:
        """The same names with the values they have now, unaffected by later bindings; those of the file are shared."""
        copy = object.__new__(Environment)
        copy.values, copy.labels = dict(self.values), self.labels
        if self.parent is None or self.function is self:
            copy.parent, copy.function = self.parent, copy
        else:
            copy.parent = self.parent.snapshot()
            copy.function = copy.parent.function
        return copy

    def holder(self, name: str) -> Environment | None:
        """The innermost body of the same block that has a name; names of the file are not the block's."""
        environment: Environment | None = self
        while environment is not None:
            if name in environment.values:
                return environment
            environment = None if environment is self.function else environment.parent
        return None

    def bind(self, values: Mapping[str, Any]) -> None:
        """Bind names again in the body of this block that has them, new ones in this body."""
        for name, value in values.items():
            (self.holder(name) or self).values[name] = value

    def find(self, name: str) -> Any:
        """The value of a name; raises KeyError."""
        environment: Environment | None = self
        while environment is not None:
            if name in environment.values:
                return environment.values[name]
            environment = environment.parent
        raise KeyError(name)

    def take_taps(self, other: Environment) -> None:
        """Take over the taps of another environment of the same block."""
        own = self.function.values
        for name, value in other.function.values.items():
            if _is_tap(value) and _is_tap(own.get(name, value)):
                own[name] = value

    def names(self) -> set[str]:
        """All names that can be seen from here."""
        inherited = self.parent.names() if self.parent else set()
        return inherited | set(self.values)


def _is_tap(value: Any) -> bool:
    """Whether a value is a tap or a family of taps."""
    return any(isinstance(one, TapValue) for one in (value.values() if isinstance(value, dict) else (value,)))


@dataclass(eq=False, slots=True)
class BlockValue:
    """A block as a value: it can be passed as an argument and called."""

    definition: tree.BlockDef
    home: Environment

    @property
    def name(self) -> str:
        return self.definition.name.name

    def __str__(self) -> str:
        return f"block {self.name}"


@dataclass(frozen=True, slots=True)
class KindValue:
    """A layer type as a value (`norm = batchnorm`)."""

    kind: str

    def __str__(self) -> str:
        return f"layer {self.kind}"


@dataclass(frozen=True, slots=True)
class PartialValue:
    """A layer type or block with some of its arguments (`act = leaky_relu(0.1)`); a call gives the others.

    `arguments` are names (None for one by position) with values, in the order in which they were given; `places` are
    theirs, `span` is that of the whole. Places do not count when two values are compared.
    """

    callee: BlockValue | KindValue
    arguments: tuple[tuple[str | None, Any], ...]
    places: tuple[Span, ...] = field(compare=False)
    span: Span = field(compare=False)

    @property
    def given(self) -> list[Given]:
        return [Given(name, value, span) for (name, value), span in zip(self.arguments, self.places, strict=True)]

    @property
    def values(self) -> list[Any]:
        """The arguments without their names."""
        return [value for _, value in self.arguments]

    def __str__(self) -> str:
        return f"{self.callee}(...)"


def with_arguments(value: BlockValue | KindValue | PartialValue, given: Sequence[Given], span: Span) -> PartialValue:
    """A layer type or block with arguments, after those that it has already.

    Raises:
        Located: an argument is named twice.
    """
    callee, before = (value.callee, value.given) if isinstance(value, PartialValue) else (value, [])
    every, places = [*before, *given], dict[str, Span]()
    for one in every:
        if one.name in places:
            note = Note("first given here", places[one.name])
            raise Located(RepeatedArgument(f"`{name_of(callee)}`", one.name), one.span, notes=(note,))
        if one.name is not None:
            places[one.name] = one.span
    arguments = tuple([(one.name, one.value) for one in every])
    return PartialValue(callee, arguments, tuple([one.span for one in every]), span)


def name_of(callee: BlockValue | KindValue) -> str:
    """The name of a block or layer type."""
    return callee.name if isinstance(callee, BlockValue) else callee.kind


@dataclass(frozen=True, slots=True)
class TapValue:
    """A tensor kept under a name. `aux` is true inside a body that runs in training only."""

    tap: Tap
    aux: bool = False

    def __str__(self) -> str:
        return f"tap {self.tap.name} ({self.tap.shape})"


@dataclass(eq=False, slots=True)
class ModelValue:
    """A model of a file, or a variant of one."""

    definition: tree.ModelDef | tree.VariantDef
    home: Environment

    @property
    def name(self) -> str:
        return self.definition.name.name
