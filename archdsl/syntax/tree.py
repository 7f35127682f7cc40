"""The syntax tree: what was written, with its places, before anything is known about it.

Nodes are compared by identity and have no repr (`archdsl show --stage tree` prints them): the methods that
`dataclass` would write for thirty classes are a twentieth of a cold start.
"""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.source import Source, Span

# Expressions


@dataclass(slots=True, eq=False, repr=False)
class Literal:
    """A number, string, `true`, `false`, `none` or a size such as `3x224x224` (a tuple of integers)."""

    value: int | float | bool | str | tuple[int, ...] | None
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class Name:
    """A name that stands for a value."""

    name: str
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class TupleDisplay:
    """`(a, b)`."""

    items: list[Expr]
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class ListDisplay:
    """`[a, b]`."""

    items: list[Expr]
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class DictDisplay:
    """`{a: 1, "b": 2}`; the keys are texts."""

    pairs: list[tuple[str, Expr]]
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class Unary:
    """`-a`, `+a`, `not a`."""

    op: str
    operand: Expr
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class Binary:
    """Arithmetic, comparison, membership, `and` and `or`."""

    op: str
    left: Expr
    right: Expr
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class Conditional:
    """`then if test else otherwise`."""

    then: Expr
    test: Expr
    otherwise: Expr
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class RangeDisplay:
    """`first..last`, both included."""

    first: Expr
    last: Expr
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class Index:
    """`value[index]`."""

    value: Expr
    index: Expr
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class Slice:
    """`value[start:stop:step]`."""

    value: Expr
    start: Expr | None
    stop: Expr | None
    step: Expr | None
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class Argument:
    """One argument of a call; `name` is None for one by position."""

    name: str | None
    value: Expr
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class Call:
    """`name(arguments)`: a function, an initializer, an optimizer, ..."""

    name: str
    arguments: list[Argument]
    name_span: Span
    span: Span


Expr = (
    Literal
    | Name
    | TupleDisplay
    | ListDisplay
    | DictDisplay
    | Unary
    | Binary
    | Conditional
    | RangeDisplay
    | Index
    | Slice
    | Call
)

# Statements


@dataclass(slots=True, eq=False, repr=False)
class Label:
    """`name:` before an item: texts and expressions in turn (`denselayer{i}`)."""

    parts: list[str | Expr]
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class TapTarget:
    """`-> name` or `-> name[index]` behind an item."""

    name: str
    index: Expr | None
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class Body:
    """`{ statements }`."""

    statements: list[Statement]
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class LayerCall:
    """A layer, a block call, or one of the statements that look like one (`input`, `use`, `output`, `reuse`)."""

    name: str
    arguments: list[Argument]
    name_span: Span
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class GroupForm:
    """A plain `{ }`."""

    body: Body
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class ResidualForm:
    """`residual when condition { } shortcut { }`."""

    when: Expr | None
    body: Body
    shortcut: Body | None
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class CombinatorForm:
    """`inception`, `sum`, `dense`, `scale`, `split(k)` or `aux` with its body."""

    kind: str
    arguments: list[Argument]
    body: Body
    kind_span: Span
    span: Span


Form = LayerCall | GroupForm | ResidualForm | CombinatorForm


@dataclass(slots=True, eq=False, repr=False)
class Item:
    """Something that takes the current tensor and leaves the next, with its label and tap."""

    label: Label | None
    form: Form
    tap: TapTarget | None
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class Let:
    """`let a, b = value`."""

    targets: list[Name]
    value: Expr
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class Setting:
    """`name = value` in a body or in `train { }`."""

    name: str
    value: Expr
    name_span: Span
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class For:
    """`for a, b in values { }`."""

    targets: list[Name]
    values: Expr
    body: Body
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class If:
    """`if test { } else ...`; `otherwise` is a body, another `if`, or None."""

    test: Expr
    body: Body
    otherwise: Body | If | None
    span: Span


Statement = Item | Let | Setting | For | If

# Top level


@dataclass(slots=True, eq=False, repr=False)
class Param:
    """A parameter of a block or model; without a default it must be given."""

    name: str
    default: Expr | None
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class Import:
    """`import "file"` (`names` is None) or `from "file" import names`."""

    path: str
    names: list[Name] | None
    path_span: Span
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class BlockDef:
    """`block name(params) { }`; an `inline` one opens no scope when it is called without a label."""

    name: Name
    params: list[Param]
    body: Body
    inline: bool
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class ModelDef:
    """`model name(params) { }`."""

    name: Name
    params: list[Param]
    body: Body
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class VariantDef:
    """`model name(params) = base(arguments)`: what `base` takes and is not given here stays open."""

    name: Name
    params: list[Param]
    base: Call
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class TrainDef:
    """`train a, b { }`, or `train { }` for every model that no other names."""

    models: list[Name]
    entries: list[Setting]
    span: Span


TopLevel = Import | BlockDef | ModelDef | VariantDef | TrainDef | Let


@dataclass(slots=True, eq=False, repr=False)
class File:
    """A whole `.arch` file. `comments` are the spans of its comments in order."""

    source: Source
    items: list[TopLevel]
    comments: list[Span]
