"""Evaluates expressions within bounds: every evaluation ends, and its steps bound the memory too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, assert_never

from archdsl.arguments.bind import Given
from archdsl.arguments.describe import describe, is_number
from archdsl.arguments.values import Construct
from archdsl.diagnostics import Help, Located, Note, did_you_mean
from archdsl.diagnostics.codes.limits import TooDeep, TooManySteps
from archdsl.diagnostics.codes.names import DuplicateName, RepeatedArgument, UnknownName
from archdsl.diagnostics.codes.values import NoSuchAxis, NotAFunction, WrongType, WrongUnpacking
from archdsl.elaborate import parametrization
from archdsl.elaborate.environment import UNKNOWN, BlockValue, Environment, KindValue, PartialValue, with_arguments
from archdsl.elaborate.errors import Stop, Unknown
from archdsl.elaborate.forms import require_known
from archdsl.elaborate.functions import CONSTANTS, FUNCTIONS
from archdsl.elaborate.operators import binary, bounded, index, integer, sliced, unary, wrong_type
from archdsl.elaborate.outside import is_layer, named
from archdsl.elaborate.parts import require_tap, tap_inside
from archdsl.elaborate.sizes import elements, iterated
from archdsl.graph.network import Read
from archdsl.layers import all_kinds, kind_named
from archdsl.shapes import Shape
from archdsl.syntax import tree
from archdsl.text.limits import MAX_EXPRESSION_DEPTH, MAX_STEPS, MAX_STEPS_AFTER_ERROR
from archdsl.text.source import Span
from archdsl.text.stack import deep

#: The figures of the current tensor: the axis they read, the numbers of spatial axes that
#: have it (none for any), what they need.
FIGURES: Mapping[str, tuple[int, tuple[int, ...], str]] = {
    "channels": (0, (), ""),
    "features": (0, (), ""),
    "length": (1, (1,), "needs a sequence (CxL)"),
    "depth": (1, (3,), "needs a volume (CxDxHxW)"),
    "height": (-2, (2, 3), "needs an image (CxHxW)"),
    "width": (-1, (2, 3), "needs an image (CxHxW)"),
}
#: Operators that compare all elements of both operands.
COMPARISONS = frozenset({"==", "!=", "in", "not in"})
#: Elements of a list that count as one step where they are not evaluated one by one.
ELEMENTS_A_STEP = 8
#: Levels of an expression between two checks of the stack's depth.
LEVELS = 50
#: Words for values.
WORDS = ("true", "false", "none")
#: Strings that arguments take, often written without their quotes.
STRINGS = frozenset({"same", "valid", "zeros", "reflect", "replicate", "circular", "constant", "nearest", "bilinear"})


def unknown_name(expression: tree.Name, env: Environment, *, has_tensor: bool) -> Located:
    """The error of a name that is not defined here, with what it may have been meant for."""
    name = expression.name

    def helps() -> tuple[Help, ...]:
        figures = (*FIGURES, "shape") if has_tensor else ("shape",)
        known = [*WORDS, *CONSTANTS, *sorted(env.names()), *figures, *parametrization.NAMES]
        if found := did_you_mean(name, known, expression.span):
            return found
        if name in STRINGS:
            return (Help("write strings in quotes", expression.span, f'"{name}"'),)
        return (Help(f"define a value with `let {name} = ...` or as a parameter, a tensor with `-> {name}`"),)

    return Located(UnknownName(name), expression.span, helps=helps)


def require_distinct(expression: tree.DictDisplay) -> None:
    """Reject a dictionary that has a key twice.

    Raises:
        Located: at the second one.
    """
    places: dict[str, Span] = {}
    for pair in expression.pairs:
        if pair.key in places:
            note = Note("first defined here", places[pair.key])
            raise Located(DuplicateName("the key", pair.key), pair.key_span, notes=(note,))
        places[pair.key] = pair.key_span


def layer_or_block(expression: tree.Call, env: Environment) -> BlockValue | KindValue | PartialValue:
    """The layer type or block that a call in an expression gives arguments to.

    Raises:
        Located: the name stands for something else, or for nothing.
        Unknown: it is not known what the name stands for.
    """
    name, span = expression.name, expression.name_span
    try:
        found = env.find(name)
    except KeyError:
        found = None if kind_named(name) is None else KindValue(name)
    if found is UNKNOWN:
        raise Unknown
    if isinstance(found, str):
        found = named(found, [env]) or found
    if isinstance(found, KindValue | BlockValue | PartialValue):
        return found
    if found is not None:
        raise Located(NotAFunction(name, describe(found)), span)
    layers = sorted(one for one in env.names() if is_layer(env.find(one)))
    known = [*FUNCTIONS, *layers, *all_kinds(), *parametrization.NAMES]
    raise Located(UnknownName(name), span, helps=did_you_mean(name, known, span))


def is_parametrization_name(name: str, env: Environment) -> bool:
    """Whether a name stands for a parametrization, and not for something of the spec."""
    return name in parametrization.NAMES and name not in env.names()


class Evaluator:
    """Evaluates expressions.

    current  the current tensor's shape, None while it is unknown
    reads    the axes whose sizes were read (None for all), each with the shape of the tensor
    """

    def __init__(self) -> None:
        self.current: Shape | None = None
        self.reads: set[Read] = set()
        self.has_tensor = False
        self.steps = 0
        self.most = MAX_STEPS
        self.depth = 0

    def step(self, span: Span) -> None:
        """Count one step of the expansion against the bound."""
        self.steps += 1
        if self.steps > self.most:
            raise Stop(TooManySteps(MAX_STEPS), span)

    def after_error(self) -> None:
        """Leave few steps to find further errors."""
        self.most = min(self.most, self.steps + MAX_STEPS_AFTER_ERROR)

    def count(self, elements: int, span: Span) -> None:
        """Count an operation on many values as steps too: one for 8 elements."""
        if elements >= ELEMENTS_A_STEP:
            self.steps += elements // ELEMENTS_A_STEP
            self.step(span)

    def weigh(self, value: Any, span: Span) -> Any:
        """A value that is created, compared or passed, with the values inside it counted: steps bound the memory too.

        Raises:
            Located: there are too many.
        """
        if isinstance(value, list | tuple | dict | str | Construct | PartialValue):
            self.count(elements(value, span), span)
        return value

    def evaluate(self, expression: tree.Expr, env: Environment, *, constructs: bool = False) -> Any:
        """The value of an expression.

        With `constructs`, names and calls that are not defined here become Constructs (`sgd(lr=0.1)`).

        Raises:
            Located: a problem at its place.
            Unknown: it depends on something that was already reported.
        """
        self.step(expression.span)
        match expression:
            case tree.Literal():
                value = expression.value
            case tree.Name():
                value = self._name(expression, env, constructs)
            case _:
                value = self._one_deeper(expression, env, constructs)
        return bounded(value, expression.span)

    def _one_deeper(self, expression: tree.Compound, env: Environment, constructs: bool) -> Any:
        self.depth += 1
        if self.depth > MAX_EXPRESSION_DEPTH:
            self.depth = 0
            raise Located(TooDeep("expressions", MAX_EXPRESSION_DEPTH), expression.span)
        try:
            evaluate = self._evaluate if self.depth % LEVELS else self._evaluate_deep
            return evaluate(expression, env, constructs)
        finally:
            self.depth = max(self.depth - 1, 0)

    def boolean(self, expression: tree.Expr, env: Environment, what: str) -> bool:
        """The value of a condition, which must be `true` or `false`."""
        value = self.evaluate(expression, env)
        if not isinstance(value, bool):
            raise wrong_type(expression.span, what, "must be `true` or `false`", value)
        return value

    def values(self, expression: tree.Expr, env: Environment) -> list[Any] | tuple[Any, ...] | range:
        """The values of a loop."""
        found = self.evaluate(expression, env)
        if not isinstance(found, list | tuple | range):
            meant = f"1..{expression.span.text}"
            helps = (Help("count from 1", expression.span, meant),) if is_number(found) else ()
            problem = WrongType("the values of a loop", "must be a list or a range", describe(found))
            raise Located(problem, expression.span, helps=helps)
        return found

    def _evaluate(self, expression: tree.Compound, env: Environment, constructs: bool) -> Any:
        def value_of(inner: tree.Expr) -> Any:
            return self.evaluate(inner, env, constructs=constructs)

        match expression:
            case tree.TupleDisplay():
                return self.weigh(tuple([value_of(item) for item in expression.items]), expression.span)
            case tree.ListDisplay():
                return self.weigh([value_of(item) for item in expression.items], expression.span)
            case tree.DictDisplay():
                require_distinct(expression)
                return self.weigh({pair.key: value_of(pair.value) for pair in expression.pairs}, expression.span)
            case tree.Comprehension():
                return self._comprehension(expression, env, constructs)
            case tree.Unary():
                return unary(expression, value_of(expression.operand))
            case tree.Binary(op="and" | "or"):
                return self._logic(expression, env)
            case tree.Binary():
                return self._binary(expression, value_of(expression.left), value_of(expression.right))
            case tree.Conditional():
                test = self.boolean(expression.test, env, "the condition")
                return value_of(expression.then if test else expression.otherwise)
            case tree.RangeDisplay():
                return self._inclusive(expression, env)
            case tree.Index():
                return self._index(expression, env, value_of)
            case tree.Slice():
                return self._slice(expression, env)
            case tree.Member():
                return self._member(expression, env)
            case tree.Call():
                return self._call(expression, env, constructs)
            case _:
                assert_never(expression)

    _evaluate_deep = deep(_evaluate)

    def _comprehension(self, expression: tree.Comprehension, env: Environment, constructs: bool) -> list[Any]:
        found = []
        for value in self.values(expression.values, env):
            self.step(expression.span)
            inner = env.child()
            inner.values |= unpack(expression.targets, value, expression.values.span)
            if expression.test is None or self.boolean(expression.test, inner, "the condition"):
                found.append(self.evaluate(expression.element, inner, constructs=constructs))
        self.weigh(found, expression.span)
        return found

    def _name(self, expression: tree.Name, env: Environment, constructs: bool) -> Any:
        try:
            value = env.find(expression.name)
        except KeyError:
            pass
        else:
            if value is UNKNOWN:
                raise Unknown
            return value
        if self.has_tensor and (expression.name in FIGURES or expression.name == "shape"):
            return self._figure(expression)
        if constructs:
            return Construct(expression.name, span=expression.span)
        if expression.name in CONSTANTS:
            return CONSTANTS[expression.name]
        if expression.name in parametrization.NAMES:
            return Construct(expression.name, span=expression.span)
        if kind_named(expression.name) is not None:
            return KindValue(expression.name)
        raise unknown_name(expression, env, has_tensor=self.has_tensor)

    def _figure(self, expression: tree.Name) -> Any:
        if self.current is None:
            raise Unknown
        if expression.name == "shape":
            self.reads.add((None, self.current))
            return tuple(self.current)
        axis, ranks, needs = FIGURES[expression.name]
        if not self.current:
            raise Located(NoSuchAxis(expression.name, "needs an axis", str(self.current)), expression.span)
        self.reads.add((axis, self.current))
        if ranks and self.current.rank not in ranks:
            raise Located(NoSuchAxis(expression.name, needs, str(self.current)), expression.span)
        return self.current[axis]

    def _index(self, expression: tree.Index, env: Environment, value_of: Callable[[tree.Expr], Any]) -> Any:
        known = (None, self.current) in self.reads
        value, position = value_of(expression.value), value_of(expression.index)
        found = index(expression, value, position)
        if isinstance(expression.value, tree.Name) and self.current is not None and not known:
            read: Read = (None, self.current)
            if read in self.reads:  # `shape[1]` reads one size only.
                self.reads.remove(read)
                self.reads.add((position, self.current))
        return found

    def _logic(self, expression: tree.Binary, env: Environment) -> bool:
        left = self.boolean(expression.left, env, f"the left side of `{expression.op}`")
        if left == (expression.op == "or"):
            return left
        return self.boolean(expression.right, env, f"the right side of `{expression.op}`")

    def _binary(self, expression: tree.Binary, left: Any, right: Any) -> Any:
        if expression.op in COMPARISONS:
            self.weigh(left, expression.span)
            self.weigh(right, expression.span)
            if expression.op.endswith("in") and isinstance(right, range) and not isinstance(left, int):
                self.count(len(right), expression.span)
        return self.weigh(binary(expression, left, right), expression.span)

    def _inclusive(self, expression: tree.RangeDisplay, env: Environment) -> range:
        ends = [
            integer(self.evaluate(end, env), end.span, "a bound of a range")
            for end in (expression.first, expression.last)
        ]
        return range(ends[0], ends[1] + 1)

    def _slice(self, expression: tree.Slice, env: Environment) -> Any:
        value = self.evaluate(expression.value, env)
        if not isinstance(value, list | tuple | range | str):
            raise wrong_type(expression.value.span, "`[:]`", "takes a part of a list", value)
        bounds = [
            None if bound is None else integer(self.evaluate(bound, env), bound.span, "a bound of a slice")
            for bound in (expression.start, expression.stop, expression.step)
        ]
        return self.weigh(sliced(expression, value, bounds), expression.span)

    def label(self, label: tree.Label, env: Environment) -> str:
        """The text of a label, with its expressions evaluated."""
        parts = []
        for part in label.parts:
            value = part if isinstance(part, str) else self.evaluate(part, env)
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise Located(WrongType("a label", "must consist of strings and integers", describe(value)), label.span)
            parts.append(value if isinstance(value, str) else str(value.__index__()))
        return "".join(parts)

    def _member(self, expression: tree.Member, env: Environment) -> Any:
        """The tap that labels lead to, or the family of taps."""
        require_tap(expression)
        *path, name = [self.label(one, env) for one in expression.labels]
        found = tap_inside(env.labels, path, name, expression)
        if found is UNKNOWN:
            raise Unknown
        return found

    def _call(self, expression: tree.Call, env: Environment, constructs: bool) -> Any:
        function = FUNCTIONS.get(expression.name)
        if function is None:
            if constructs or is_parametrization_name(expression.name, env):
                return self._construct(expression, env)
            return self._with_arguments(expression, env)
        given = [Given(one.name, self.evaluate(one.value, env), one.span) for one in expression.arguments]
        if function.name != "len":
            self.count(iterated([one.value for one in given], expression.span), expression.span)
        return self.weigh(function(given, expression.span), expression.span)

    def _with_arguments(self, expression: tree.Call, env: Environment) -> PartialValue:
        """A layer type or block with arguments, as a value."""
        callee = layer_or_block(expression, env)
        given = []
        for one in expression.arguments:
            given.append(Given(one.name, self.evaluate(one.value, env, constructs=one.name == "init"), one.span))
        found = with_arguments(callee, given, expression.span)
        require_known(found)
        self.weigh(found, expression.span)
        return found

    def _construct(self, expression: tree.Call, env: Environment) -> Construct:
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        places: dict[int | str, Span] = {}
        for argument in expression.arguments:
            value = self.evaluate(argument.value, env, constructs=True)
            if argument.name is None:
                places[len(args)] = argument.span
                args.append(value)
            elif argument.name in kwargs:
                raise Located(RepeatedArgument(f"`{expression.name}`", argument.name), argument.span)
            else:
                places[argument.name] = argument.span
                kwargs[argument.name] = value
        return Construct(expression.name, tuple(args), kwargs, expression.span, places)


def unpack(targets: Sequence[tree.Target], value: Any, span: Span) -> dict[str, Any]:
    """The names of a `let` or loop with their parts of a value, which is at `span`."""
    only = targets[0] if len(targets) == 1 else None
    if isinstance(only, tree.Name):
        return {only.name: value}
    return _unpacked(targets if only is None else only.targets, value, span)


def _unpacked(
    targets: Sequence[tree.Target], value: Any, span: Span, inside: tree.TupleTarget | None = None
) -> dict[str, Any]:
    """The same for targets that may be nested `inside` others."""
    if not isinstance(value, list | tuple | range) or len(value) != len(targets):
        is_list = isinstance(value, list | tuple | range)
        problem = WrongUnpacking(len(targets), f"{len(value)} values" if is_list else describe(value))
        if inside is None:
            raise Located(problem, span)
        raise Located(problem, inside.span, notes=(Note("the values come from here", span),))
    found: dict[str, Any] = {}
    for target, part in zip(targets, value, strict=True):
        if isinstance(target, tree.Name):
            found[target.name] = part
        else:
            found |= _unpacked(target.targets, part, span, target)
    return found
