"""The value of an expression: arithmetic with types, ranges and bounds, and nothing that could not end."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeGuard, assert_never

from archdsl.arguments.values import Construct
from archdsl.diagnostics import Help, Note
from archdsl.diagnostics.codes.limits import TooDeep, TooLarge, TooLong, TooManySteps
from archdsl.diagnostics.codes.names import DuplicateName, RepeatedArgument, UnknownName
from archdsl.diagnostics.codes.values import (
    ArithmeticFault,
    NoSuchAxis,
    NotAFunction,
    OutOfRange,
    WrongType,
    WrongUnpacking,
)
from archdsl.elaborate.environment import UNKNOWN, BlockValue, Environment, KindValue, TapValue
from archdsl.elaborate.errors import Located, Stop, Unknown
from archdsl.elaborate.sizes import elements, iterated
from archdsl.layers import kind_named
from archdsl.shapes import Shape
from archdsl.syntax import tree
from archdsl.text.limits import MAX_EXPRESSION_DEPTH, MAX_INTEGER, MAX_LENGTH, MAX_STEPS, MAX_STEPS_AFTER_ERROR
from archdsl.text.source import Span
from archdsl.text.stack import deep
from archdsl.text.suggest import suggestion

Number = (int, float)

ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": lambda a, b: math.floor(a // b),
    "%": operator.mod,
    "**": operator.pow,
}
ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
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


def describe(value: object) -> str:
    """A value as an error message shows it: its type in the language's words, and itself where it is short."""
    from archdsl.arguments.values import spec_text

    match value:
        case str():
            text = spec_text(value[:60])
        case None | bool() | int() | float():
            text = spec_text(value)
        case range():
            return f"the range {value.start}..{value.stop - 1}"
        case list() | tuple() | dict():
            text = spec_text(value) if _is_short(value) else ""
            name = {list: "the list", tuple: "the tuple", dict: "the dictionary"}[type(value)]
            return f"{name} {text}" if text and len(text) <= 40 else f"{name} of {len(value)}"
        case Construct():
            return f"`{value.name}`"
        case _:
            return f"the {value}"
    return text if len(text) <= 60 else text[:57] + "..."


def _is_short(value: object) -> bool:
    """Whether a value is worth writing out: few values inside, and short ones."""
    left, waiting = 40, [value]
    while waiting and left > 0:
        one = waiting.pop()
        left -= len(one) if isinstance(one, list | tuple | dict | str) else 1
        if left > 0 and isinstance(one, list | tuple | dict):
            waiting += one.values() if isinstance(one, dict) else one
    return left > 0


def is_number(value: object) -> bool:
    """Whether arithmetic takes the value; `true` is no number here."""
    return isinstance(value, Number) and not isinstance(value, bool)


def is_dictionary(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether the value is a dictionary with texts as keys, and no family of taps."""
    return isinstance(value, dict) and not any(
        isinstance(item, TapValue) or not isinstance(key, str) for key, item in value.items()
    )


#: What goes through both of its operands.
COMPARISONS = frozenset({"==", "!=", "in", "not in"})
#: Elements of a list that count as one step where they are not evaluated one by one.
ELEMENTS_A_STEP = 8
#: Levels of an expression between two looks at how deep the stack is.
LEVELS = 50
#: Words for values.
WORDS = ("true", "false", "none")
#: Texts that arguments take, often written without their quotes.
TEXTS = frozenset({"same", "valid", "zeros", "reflect", "replicate", "circular", "constant", "nearest", "bilinear"})


def unknown_name(expression: tree.Name, env: Environment, *, has_tensor: bool) -> Located:
    """The error of a name that stands for nothing here, with what it may have been meant for."""
    name = expression.name

    def helps() -> tuple[Help, ...]:
        meant = suggestion(name, [*WORDS, *sorted(env.names()), *(FIGURES if has_tensor else ()), "shape"])
        if meant:
            return (Help(f"did you mean `{meant}`?", expression.span, meant),)
        if name in TEXTS:
            return (Help("a text stands in quotes", expression.span, f'"{name}"'),)
        return (Help(f"a value gets its name with `let {name} = ...` or as a parameter, a tensor with `-> {name}`"),)

    return Located(UnknownName(name), expression.span, helps=helps)


def require_distinct(expression: tree.DictDisplay) -> None:
    """Reject a dictionary that has a key twice.

    Raises:
        Located: at the second one.
    """
    places: dict[str, Span] = {}
    for pair in expression.pairs:
        if pair.key in places:
            note = Note("the first is here", places[pair.key])
            raise Located(DuplicateName("the key", pair.key), pair.key_span, notes=(note,))
        places[pair.key] = pair.key_span


def unknown_function(expression: tree.Call, env: Environment) -> Located:
    """The error of a call in an expression that names no function."""
    from archdsl.elaborate.functions import FUNCTIONS

    name, span = expression.name, expression.name_span
    try:
        found = env.find(name)
    except KeyError:
        found = None if kind_named(name) is None else KindValue(name)
    if found is UNKNOWN:
        raise Unknown
    if isinstance(found, KindValue | BlockValue):
        what = "a block" if isinstance(found, BlockValue) else "a layer"
        helps: tuple[Help, ...] = (Help(f"write a block that runs `{name}(...)`, and pass that by its name"),)
        return Located(NotAFunction(name, what), span, helps=helps)
    if found is not None:
        return Located(NotAFunction(name, describe(found)), span)
    meant = suggestion(name, FUNCTIONS)
    helps = (Help(f"did you mean `{meant}`?", span, meant),) if meant else ()
    return Located(UnknownName(name), span, helps=helps)


class Evaluator:
    """Evaluates expressions. `current` is the current tensor's shape, None while it is unknown."""

    def __init__(self) -> None:
        self.current: Shape | None = None
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
        """Leave few steps to find further mistakes."""
        self.most = min(self.most, self.steps + MAX_STEPS_AFTER_ERROR)

    def count(self, elements: int, span: Span) -> None:
        """Count what is done to many values at once as steps too: 8 elements for one."""
        if elements >= ELEMENTS_A_STEP:
            self.steps += elements // ELEMENTS_A_STEP
            self.step(span)

    def weigh(self, value: Any, span: Span) -> None:
        """Count the values inside a value that is made, compared or passed; an error if there are too many."""
        if isinstance(value, list | tuple | dict | str | Construct):
            self.count(elements(value, span), span)

    def made(self, value: Any, span: Span) -> Any:
        """A value that was made, with all that is in it counted: steps bound the memory too."""
        self.weigh(value, span)
        return value

    def evaluate(self, expression: tree.Expr, env: Environment, *, constructs: bool = False) -> Any:
        """The value of an expression.

        With `constructs`, names and calls that stand for nothing here become Constructs (`sgd(lr=0.1)`).

        Raises:
            Located: a problem at its place.
            Unknown: it depends on something that was already reported.
        """
        self.step(expression.span)
        self.depth += 1
        if self.depth > MAX_EXPRESSION_DEPTH:
            self.depth = 0
            raise Located(TooDeep("expressions", MAX_EXPRESSION_DEPTH), expression.span)
        try:
            evaluate = self._evaluate if self.depth % LEVELS else self._evaluate_deep
            value = evaluate(expression, env, constructs)
        finally:
            self.depth = max(self.depth - 1, 0)
        return self._bounded(value, expression.span)

    def boolean(self, expression: tree.Expr, env: Environment, what: str) -> bool:
        """The value of a condition, which is `true` or `false` and nothing else."""
        value = self.evaluate(expression, env)
        if not isinstance(value, bool):
            raise _wrong_type(expression.span, what, "must be `true` or `false`", value)
        return value

    def values(self, expression: tree.Expr, env: Environment) -> list[Any] | tuple[Any, ...] | range:
        """What a loop runs over."""
        found = self.evaluate(expression, env)
        if not isinstance(found, list | tuple | range):
            meant = f"1..{expression.span.text}"
            helps = (Help("count from 1", expression.span, meant),) if is_number(found) else ()
            problem = WrongType("a loop", "runs over a list or a range", describe(found))
            raise Located(problem, expression.span, helps=helps)
        return found

    def _evaluate(self, expression: tree.Expr, env: Environment, constructs: bool) -> Any:
        def value_of(inner: tree.Expr) -> Any:
            return self.evaluate(inner, env, constructs=constructs)

        match expression:
            case tree.Literal():
                return expression.value
            case tree.Name():
                return self._name(expression, env, constructs)
            case tree.TupleDisplay():
                return self.made(tuple([value_of(item) for item in expression.items]), expression.span)
            case tree.ListDisplay():
                return self.made([value_of(item) for item in expression.items], expression.span)
            case tree.DictDisplay():
                require_distinct(expression)
                return self.made({pair.key: value_of(pair.value) for pair in expression.pairs}, expression.span)
            case tree.Comprehension():
                return self._comprehension(expression, env, constructs)
            case tree.Unary():
                return self._unary(expression, value_of(expression.operand))
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
                return self._index(expression, value_of(expression.value), value_of(expression.index))
            case tree.Slice():
                return self._slice(expression, env)
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
        if kind_named(expression.name) is not None:
            return KindValue(expression.name)
        raise unknown_name(expression, env, has_tensor=self.has_tensor)

    def _figure(self, expression: tree.Name) -> Any:
        if self.current is None:
            raise Unknown
        if expression.name == "shape":
            return tuple(self.current)
        axis, ranks, needs = FIGURES[expression.name]
        if ranks and self.current.rank not in ranks:
            raise Located(NoSuchAxis(expression.name, needs, str(self.current)), expression.span)
        return self.current[axis]

    def _unary(self, expression: tree.Unary, value: Any) -> Any:
        if expression.op == "not":
            if not isinstance(value, bool):
                raise _wrong_type(expression.operand.span, "`not`", "takes `true` or `false`", value)
            return not value
        if not is_number(value):
            raise _wrong_type(expression.operand.span, f"`{expression.op}`", "takes a number", value)
        return -value if expression.op == "-" else value

    def _logic(self, expression: tree.Binary, env: Environment) -> bool:
        left = self.boolean(expression.left, env, f"the left side of `{expression.op}`")
        if left == (expression.op == "or"):
            return left
        return self.boolean(expression.right, env, f"the right side of `{expression.op}`")

    def _binary(self, expression: tree.Binary, left: Any, right: Any) -> Any:
        op = expression.op
        if op in COMPARISONS:
            self.weigh(left, expression.span)
            self.weigh(right, expression.span)
        if op == "==":
            return bool(left == right)
        if op == "!=":
            return bool(left != right)
        if op in {"in", "not in"}:
            if not isinstance(right, list | tuple | range | dict | str) or (
                isinstance(right, str) and not isinstance(left, str)
            ):
                raise _wrong_type(expression.right.span, "the right side of `in`", "must be a list", right)
            if isinstance(right, dict):
                return _is_key(left, right) == (op == "in")
            if isinstance(right, range) and not isinstance(left, int):
                self.count(len(right), expression.span)
            return (left in right) == (op == "in")
        if op in ORDER:
            if (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str)):
                return ORDER[op](left, right)
            wrong = expression.left if not is_number(left) else expression.right
            raise _wrong_type(wrong.span, f"`{op}`", "compares numbers", left if wrong is expression.left else right)
        return self._arithmetic(expression, left, right)

    def _arithmetic(self, expression: tree.Binary, left: Any, right: Any) -> Any:
        op = expression.op
        if is_number(left) and is_number(right):
            if op == "**" and isinstance(left, int) and isinstance(right, int) and abs(left) > 1 and right > 63:
                raise Located(TooLarge("the power"), expression.span)
            try:
                return ARITHMETIC[op](left, right)
            except ZeroDivisionError:
                raise Located(ArithmeticFault("division by zero"), expression.right.span, label="this is 0") from None
            except OverflowError:
                raise Located(TooLarge("the result"), expression.span) from None
        if op == "+" and type(left) is type(right) and isinstance(left, list | tuple | str):
            self._require_length(len(left) + len(right), left, expression.span)
            return self.made(left + right, expression.span)
        if op == "*" and isinstance(left, list | tuple) and isinstance(right, int) and not isinstance(right, bool):
            self._require_length(len(left) * max(right, 0), left, expression.span)
            return self.made(left * right, expression.span)
        wrong, value = (expression.right, right) if is_number(left) else (expression.left, left)
        raise _wrong_type(wrong.span, f"`{op}`", "takes numbers", value)

    def _inclusive(self, expression: tree.RangeDisplay, env: Environment) -> range:
        ends = []
        for end in (expression.first, expression.last):
            value = self.evaluate(end, env)
            if not isinstance(value, int) or isinstance(value, bool):
                raise _wrong_type(end.span, "an end of a range", "must be a whole number", value)
            ends.append(value)
        return range(ends[0], ends[1] + 1)

    def _index(self, expression: tree.Index, value: Any, index: Any) -> Any:
        if isinstance(value, dict):
            if not _is_key(index, value):
                raise Located(UnknownName(expression.span.text), expression.span, label=f"there are {_some_of(value)}")
            return value[index]
        if not isinstance(value, list | tuple | range | str):
            raise _wrong_type(expression.value.span, "`[...]`", "takes an element of a list", value)
        if not isinstance(index, int) or isinstance(index, bool):
            raise _wrong_type(expression.index.span, "an index", "must be a whole number", index)
        try:
            return value[index]
        except IndexError:
            problem = OutOfRange(str(index), describe(value), len(value), "elements")
            raise Located(problem, expression.index.span) from None

    def _slice(self, expression: tree.Slice, env: Environment) -> Any:
        value = self.evaluate(expression.value, env)
        if not isinstance(value, list | tuple | range | str):
            raise _wrong_type(expression.value.span, "`[:]`", "takes a part of a list", value)
        bounds = []
        for part in (expression.start, expression.stop, expression.step):
            bound = None if part is None else self.evaluate(part, env)
            if part is not None and (not isinstance(bound, int) or isinstance(bound, bool)):
                raise _wrong_type(part.span, "a bound of a slice", "must be a whole number", bound)
            bounds.append(bound)
        if bounds[2] == 0:
            raise Located(ArithmeticFault("the step of a slice is 0"), expression.span)
        return self.made(value[slice(*bounds)], expression.span)

    def _call(self, expression: tree.Call, env: Environment, constructs: bool) -> Any:
        # They take their arguments as blocks and layers do, whose errors describe values.
        from archdsl.elaborate.binding import Given
        from archdsl.elaborate.functions import FUNCTIONS

        function = FUNCTIONS.get(expression.name)
        if function is None:
            if constructs:
                return self._construct(expression, env)
            raise unknown_function(expression, env)
        given = [
            Given(one.name, self.evaluate(one.value, env), one.value.span if one.name is None else one.span)
            for one in expression.arguments
        ]
        if function.name != "len":
            self.count(iterated([one.value for one in given], expression.span), expression.span)
        return self.made(function(given, expression.span), expression.span)

    def _construct(self, expression: tree.Call, env: Environment) -> Construct:
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        places: dict[int | str, Span] = {}
        for argument in expression.arguments:
            value = self.evaluate(argument.value, env, constructs=True)
            if argument.name is None:
                places[len(args)] = argument.value.span
                args.append(value)
            elif argument.name in kwargs:
                raise Located(RepeatedArgument(f"`{expression.name}`", argument.name), argument.span)
            else:
                places[argument.name] = argument.span
                kwargs[argument.name] = value
        return Construct(expression.name, tuple(args), kwargs, expression.span, places)

    def _bounded(self, value: Any, span: Span) -> Any:
        if isinstance(value, int):
            if abs(value) > MAX_INTEGER:
                raise Located(TooLarge("the number"), span)
        elif isinstance(value, tuple) and any(isinstance(item, int) and abs(item) > MAX_INTEGER for item in value):
            raise Located(TooLarge("the size"), span)
        elif isinstance(value, range | list | str):
            self._require_length(len(value) if not isinstance(value, range) else _length(value), value, span)
        elif isinstance(value, float) and not math.isfinite(value):
            raise Located(TooLarge("the number"), span)
        elif isinstance(value, complex):
            raise Located(ArithmeticFault("the root of a negative number"), span)
        return value

    def _require_length(self, length: int, value: Any, span: Span) -> None:
        if length > MAX_LENGTH:
            units = "characters" if isinstance(value, str) else "elements"
            name = "range" if isinstance(value, range) else "text" if isinstance(value, str) else "list"
            raise Located(TooLong(f"the {name}", length, units, MAX_LENGTH), span)


def _is_key(value: Any, dictionary: Mapping[Any, Any]) -> bool:
    """Whether the dictionary has the key. Lists are no keys."""
    try:
        return value in dictionary
    except TypeError:
        return False


def _some_of(dictionary: Mapping[Any, Any]) -> str:
    """The first keys of a dictionary."""
    shown = [str(key) for key in islice(dictionary, 20)]
    return ", ".join(shown + ["..."] * (len(dictionary) > len(shown))) or "none"


def _length(value: range) -> int:
    """The length of a range of any size (len() fails past 2^63)."""
    return max(0, (value.stop - value.start + value.step - (1 if value.step > 0 else -1)) // value.step)


def _wrong_type(span: Span, what: str, expected: str, value: object) -> Located:
    helps: tuple[Help, ...] = ()
    if isinstance(value, float) and "whole number" in expected and "/" in span.text:
        helps = (Help("`//` divides to a whole number"),)
    elif is_number(value) and "`true` or `false`" in expected:
        helps = (Help("compare it", span, f"{span.text} != 0"),)
    return Located(WrongType(what, expected, describe(value)), span, helps=helps)


def unpack(targets: Sequence[tree.Target], value: Any, span: Span) -> dict[str, Any]:
    """The names of a `let` or loop with their parts of a value, which stands at `span`."""
    only = targets[0] if len(targets) == 1 else None
    if isinstance(only, tree.Name):
        return {only.name: value}
    return _taken_apart(targets if only is None else only.targets, value, span)


def _taken_apart(
    targets: Sequence[tree.Target], value: Any, span: Span, inside: tree.TupleTarget | None = None
) -> dict[str, Any]:
    """The same for targets that stand `inside` others, where one does."""
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
            found |= _taken_apart(target.targets, part, span, target)
    return found
