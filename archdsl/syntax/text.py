"""The syntax tree as indented lines, which `archdsl show --stage tree` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import assert_never

from archdsl.arguments.values import spec_text
from archdsl.syntax import tree
from archdsl.text.source import Span
from archdsl.text.stack import deep

#: A line of the dump: nesting, place, text.
Row = tuple[int, Span, str]


def tree_text(file: tree.File) -> str:
    """One line for each node with the line it begins on; expressions are fully parenthesised."""
    rows = [row for item in file.items for row in _top_level(item)]
    digits = max((len(str(span.line)) for _, span, _ in rows), default=1)
    return "\n".join(f"{span.line:>{digits}}  {'  ' * depth}{text}" for depth, span, text in rows)


def _top_level(item: tree.TopLevel) -> Iterator[Row]:
    match item:
        case tree.Import():
            names = "" if item.names is None else f" {_names(item.names)}"
            yield 0, item.span, f"import {spec_text(item.path)}{names}"
        case tree.BlockDef():
            yield 0, item.span, f"{'inline ' if item.inline else ''}block {item.name.name}{_params(item.params)}"
            yield from _body(item.body, 1)
        case tree.ModelDef():
            yield 0, item.span, f"model {item.name.name}{_params(item.params)}"
            yield from _body(item.body, 1)
        case tree.VariantDef():
            base = expression_text(item.base)
            yield 0, item.span, f"variant {item.name.name}{_params(item.params)} of {base}"
        case tree.TrainDef():
            yield 0, item.span, f"train {_names(item.models)}".rstrip()
            for entry in item.entries:
                yield from _statement(entry, 1)
        case tree.Let():
            yield from _statement(item, 0)
        case tree.Missing():
            yield 0, item.span, "missing"
        case _:
            assert_never(item)


def _body(body: tree.Body, depth: int) -> Iterator[Row]:
    for statement in body.statements:
        yield from _statement(statement, depth)


def _statement(statement: tree.Statement, depth: int) -> Iterator[Row]:
    match statement:
        case tree.Item():
            yield from _item(statement, depth)
        case tree.Let():
            yield depth, statement.span, f"let {_targets(statement.targets)} = {expression_text(statement.value)}"
        case tree.Setting():
            yield depth, statement.span, f"set {statement.name} = {expression_text(statement.value)}"
        case tree.Require():
            yield depth, statement.span, "require"
            for one in statement.requirements:
                bound = one.bound.span.text if isinstance(one.bound, tree.Quantity) else expression_text(one.bound)
                yield depth + 1, one.span, f"{one.figure.name} {one.op} {bound}"
        case tree.For():
            yield depth, statement.span, f"for {_targets(statement.targets)} in {expression_text(statement.values)}"
            yield from _body(statement.body, depth + 1)
        case tree.If():
            yield from _if(statement, depth)
        case tree.Missing():
            yield depth, statement.span, "missing"
        case _:
            assert_never(statement)


def _if(statement: tree.If, depth: int) -> Iterator[Row]:
    yield depth, statement.span, f"if {expression_text(statement.test)}"
    yield from _body(statement.body, depth + 1)
    if isinstance(statement.otherwise, tree.If):
        yield depth, statement.otherwise.span, "else"
        yield from _if(statement.otherwise, depth + 1)
    elif statement.otherwise is not None:
        yield depth, statement.otherwise.span, "else"
        yield from _body(statement.otherwise, depth + 1)


def _item(item: tree.Item, depth: int) -> Iterator[Row]:
    label = "" if item.label is None else f"{_label(item.label)}: "
    tap = f" -> {', '.join(map(_tap, item.taps))}" if item.taps else ""
    form = item.form
    match form:
        case tree.LayerCall():
            yield depth, item.span, f"{label}{form.name}{_arguments(form.arguments)}{tap}"
        case tree.GroupForm():
            yield depth, item.span, f"{label}group{tap}"
            yield from _body(form.body, depth + 1)
        case tree.ResidualForm():
            when = "" if form.when is None else f" when {expression_text(form.when)}"
            yield depth, item.span, f"{label}residual{when}{tap}"
            yield from _body(form.body, depth + 1)
            if form.shortcut is not None:
                yield depth, form.shortcut.span, "shortcut"
                yield from _body(form.shortcut, depth + 1)
        case tree.CombinatorForm():
            yield depth, item.span, f"{label}{form.kind}{_arguments(form.arguments)}{tap}"
            yield from _body(form.body, depth + 1)
        case _:
            assert_never(form)


def _label(label: tree.Label) -> str:
    return "".join(part if isinstance(part, str) else f"{{{expression_text(part)}}}" for part in label.parts)


def _tap(tap: tree.TapTarget) -> str:
    return tap.name if tap.index is None else f"{tap.name}[{expression_text(tap.index)}]"


def _names(names: Sequence[tree.Name]) -> str:
    return ", ".join(name.name for name in names)


def _targets(targets: Sequence[tree.Target]) -> str:
    return ", ".join(map(_target, targets))


def _target(target: tree.Target) -> str:
    if isinstance(target, tree.Name):
        return target.name
    comma = "," if len(target.targets) == 1 else ""
    return f"({_targets(target.targets)}{comma})"


def _params(params: Sequence[tree.Param]) -> str:
    texts = [p.name if p.default is None else f"{p.name} = {expression_text(p.default)}" for p in params]
    return f"({', '.join(texts)})" if texts else ""


def _arguments(arguments: Sequence[tree.Argument]) -> str:
    return f"({_listed(arguments)})" if arguments else ""


def _listed(arguments: Iterable[tree.Argument]) -> str:
    return ", ".join(map(_argument, arguments))


def _argument(one: tree.Argument) -> str:
    name = one.name if one.label is None else _label(one.label)
    return f"{name}={expression_text(one.value)}" if name else expression_text(one.value)


@deep
def expression_text(expression: tree.Expr) -> str:
    """An expression with a parenthesis around every operation inside another, so that its structure shows."""
    match expression:
        case tree.Literal():
            size = isinstance(expression.value, tuple)
            return expression.span.text if size else spec_text(expression.value)
        case tree.Name():
            return expression.name
        case tree.TupleDisplay():
            inside = ", ".join(map(expression_text, expression.items))
            return f"({inside},)" if len(expression.items) == 1 else f"({inside})"
        case tree.ListDisplay():
            return f"[{', '.join(map(expression_text, expression.items))}]"
        case tree.Comprehension():
            test = "" if expression.test is None else f" if {_operand(expression.test)}"
            clause = f"for {_targets(expression.targets)} in {_operand(expression.values)}{test}"
            return f"[{_operand(expression.element)} {clause}]"
        case tree.DictDisplay():
            return (
                "{" + ", ".join(f"{spec_text(one.key)}: {expression_text(one.value)}" for one in expression.pairs) + "}"
            )
        case tree.Unary():
            return f"{expression.op}{' ' * (expression.op == 'not')}{_operand(expression.operand)}"
        case tree.Binary():
            return f"{_operand(expression.left)} {expression.op} {_operand(expression.right)}"
        case tree.Conditional():
            then, test, otherwise = map(_operand, (expression.then, expression.test, expression.otherwise))
            return f"{then} if {test} else {otherwise}"
        case tree.RangeDisplay():
            return f"{_operand(expression.first)}..{_operand(expression.last)}"
        case tree.Index():
            return f"{_operand(expression.value)}[{expression_text(expression.index)}]"
        case tree.Slice():
            bounds = [expression.start, expression.stop, *([expression.step] if expression.step else [])]
            inside = ":".join("" if bound is None else _operand(bound) for bound in bounds)
            return f"{_operand(expression.value)}[{inside}]"
        case tree.Member():
            return ".".join(map(_label, expression.labels))
        case tree.Call():
            return f"{expression.name}({_listed(expression.arguments)})"
        case _:
            assert_never(expression)


def _operand(expression: tree.Expr) -> str:
    text = expression_text(expression)
    compound = isinstance(expression, tree.Unary | tree.Binary | tree.Conditional | tree.RangeDisplay)
    return f"({text})" if compound else text
