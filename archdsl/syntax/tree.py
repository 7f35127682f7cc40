"""The syntax tree: what was written, with its places, before anything is known about it.

Nodes are compared by identity; `archdsl show --stage tree` prints them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from archdsl.text.record import Record
from archdsl.text.source import Source, Span

# Expressions


class Literal(Record):
    """A number, string, `true`, `false`, `none` or a size such as `3x224x224` (a tuple of integers)."""

    value: int | float | bool | str | tuple[int, ...] | None
    span: Span


class Name(Record):
    """A name that stands for a value."""

    name: str
    span: Span


class TupleTarget(Record):
    """`(a, b)` among the targets of a `let` or loop: names that take the parts of one value."""

    targets: list[Target]
    span: Span


#: What a value is bound to. Several beside each other take its parts, one alone takes it whole.
Target = Name | TupleTarget


def names_of(targets: Sequence[Target]) -> list[Name]:
    """All names that targets bind, in the order of the source."""
    found: list[Name] = []
    for target in targets:
        found += [target] if isinstance(target, Name) else names_of(target.targets)
    return found


class TupleDisplay(Record):
    """`(a, b)`."""

    items: list[Expr]
    span: Span


class ListDisplay(Record):
    """`[a, b]`."""

    items: list[Expr]
    span: Span


class Comprehension(Record):
    """`[element for a, b in values if test]`; without a `test` every element is taken."""

    element: Expr
    targets: list[Target]
    values: Expr
    test: Expr | None
    span: Span


class Pair(Record):
    """`key: value` of a dictionary; the key is a string."""

    key: str
    value: Expr
    key_span: Span


class DictDisplay(Record):
    """`{a: 1, "b": 2}`."""

    pairs: list[Pair]
    span: Span


class Unary(Record):
    """`-a`, `+a`, `not a`."""

    op: str
    operand: Expr
    span: Span


class Binary(Record):
    """Arithmetic, comparison, membership, `and` and `or`."""

    op: str
    left: Expr
    right: Expr
    span: Span


class Conditional(Record):
    """`then if test else otherwise`."""

    then: Expr
    test: Expr
    otherwise: Expr
    span: Span


class RangeDisplay(Record):
    """`first..last`, both included."""

    first: Expr
    last: Expr
    span: Span


class Index(Record):
    """`value[index]`."""

    value: Expr
    index: Expr
    span: Span


class Slice(Record):
    """`value[start:stop:step]`."""

    value: Expr
    start: Expr | None
    stop: Expr | None
    step: Expr | None
    span: Span


class Argument(Record):
    """One argument of a call; `name` is None for one by position. `name: sizes` declares an input.

    A name with expressions (`p{i}=x`) has them in `label`.
    """

    name: str | None
    value: Expr
    span: Span
    declares: bool = False
    label: Label | None = None


class Member(Record):
    """A part by its label, or what is inside it: `layer{i}`, `a.b`, `stem.skip`."""

    labels: list[Label]
    span: Span


class Call(Record):
    """`name(arguments)`: a function, an initializer, an optimizer, ..."""

    name: str
    arguments: list[Argument]
    name_span: Span
    span: Span


#: Expressions with others inside.
Compound = (
    TupleDisplay
    | ListDisplay
    | Comprehension
    | DictDisplay
    | Unary
    | Binary
    | Conditional
    | RangeDisplay
    | Index
    | Slice
    | Member
    | Call
)
Expr = Literal | Name | Compound

# Statements


class Label(Record):
    """`name:` before an item: strings and expressions in turn (`denselayer{i}`)."""

    parts: list[str | Expr]
    span: Span


class TapTarget(Record):
    """`-> name` or `-> name[index]` after an item; of several, the first has the arrow."""

    name: str
    index: Expr | None
    span: Span


class Body(Record):
    """`{ statements }`."""

    statements: list[Statement]
    span: Span


class LayerCall(Record):
    """A layer, a block call, or a statement like `input`, `use`, `output`, `reuse`, `chunk` and `split`."""

    name: str
    arguments: list[Argument]
    name_span: Span
    span: Span


class GroupForm(Record):
    """A plain `{ }`."""

    body: Body
    span: Span


class ResidualForm(Record):
    """`residual when condition { } shortcut { }`."""

    when: Expr | None
    body: Body
    shortcut: Body | None
    span: Span


class CombinatorForm(Record):
    """A combinator with its body, such as `inception { }` or `split(k) { }`, or `aux { }`; `kind` is its keyword."""

    kind: str
    arguments: list[Argument]
    body: Body
    kind_span: Span
    span: Span


Form = LayerCall | GroupForm | ResidualForm | CombinatorForm


class Item(Record):
    """Something that takes the current tensor and leaves the next, with its label and tap.

    `more` are the other taps of `chunk(2) -> a, b`.
    """

    label: Label | None
    form: Form
    tap: TapTarget | None
    span: Span
    more: Sequence[TapTarget] = ()

    @property
    def taps(self) -> list[TapTarget]:
        """All its taps."""
        return [] if self.tap is None else [self.tap, *self.more]


class Let(Record):
    """`let a, b = value`."""

    targets: list[Target]
    value: Expr
    span: Span


class Setting(Record):
    """`name = value` in a body or in `train { }`."""

    name: str
    value: Expr
    name_span: Span
    span: Span


class Quantity(Record):
    """A number with a unit, `5M` or `256KB`."""

    value: int | float
    is_bytes: bool
    span: Span


class Requirement(Record):
    """`figure <= bound`."""

    figure: Name
    op: str
    bound: Expr | Quantity
    span: Span


class Require(Record):
    """`require { requirements }`."""

    requirements: list[Requirement]
    span: Span


class For(Record):
    """`for a, b in values { }`."""

    targets: list[Target]
    values: Expr
    body: Body
    span: Span


class If(Record):
    """`if test { } else ...`; `otherwise` is a body, another `if`, or None."""

    test: Expr
    body: Body
    otherwise: Body | If | None
    span: Span


class Missing(Record):
    """What could not be parsed, in the place of a statement or definition. Only `parse_partial` makes it."""

    span: Span


Statement = Item | Let | Setting | For | If | Require | Missing

# Top level


class Param(Record):
    """A parameter of a block or model; without a default it must be given."""

    name: str
    default: Expr | None
    span: Span


class Import(Record):
    """`import "file"` (`names` is None) or `from "file" import names`."""

    path: str
    names: list[Name] | None
    path_span: Span
    span: Span


class BlockDef(Record):
    """`block name(params) { }`; an `inline` one opens no scope when it is called without a label."""

    name: Name
    params: list[Param]
    body: Body
    inline: bool
    span: Span


class ModelDef(Record):
    """`model name(params) { }`."""

    name: Name
    params: list[Param]
    body: Body
    span: Span


class VariantDef(Record):
    """`model name(params) = base(arguments)`: what `base` takes and is not given here stays open."""

    name: Name
    params: list[Param]
    base: Call
    span: Span


class TrainDef(Record):
    """`train a, b { }`, or `train { }` for every model that no other names."""

    models: list[Name]
    entries: list[Setting]
    span: Span


TopLevel = Import | BlockDef | ModelDef | VariantDef | TrainDef | Let | Missing


class File(Record):
    """A whole `.arch` file. `comments` are the spans of its comments in order."""

    source: Source
    items: list[TopLevel]
    comments: list[Span]


_WITH_NODES = (Record, list, tuple)


def nodes(node: object) -> Iterator[Record]:
    """The nodes of a tree or of a list of trees in the order of the fields, itself first, however deep they are."""
    waiting = [node] if isinstance(node, _WITH_NODES) else []
    while waiting:
        inner = waiting.pop()
        values: Iterable[object] = inner if isinstance(inner, list | tuple) else vars(inner).values()
        if isinstance(inner, Record):
            yield inner
        found = [value for value in values if isinstance(value, _WITH_NODES)]
        waiting += reversed(found)
