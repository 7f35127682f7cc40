"""From the parser's reductions to the syntax tree: one method for each rule of the grammar.

A method is called as soon as its rule is recognised, so that no second pass and no recursion is needed.
A method gets the rule's parts in order: tokens, tree nodes, and None for an optional part that is absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from archdsl.syntax import tree
from archdsl.syntax.tokens import Token
from archdsl.text.source import Source, Span

ESCAPES = {'\\"': '"', "\\\\": "\\", "\\n": "\n", "\\t": "\t"}


class Builder:
    """Makes tree nodes for one source. `parse_expression` parses what stands between the braces of a label."""

    def __init__(self, source: Source, parse_expression: Callable[[Source, int, int], tree.Expr]) -> None:
        self.source = source
        self.parse_expression = parse_expression

    def span(self, first: Any, last: Any = None) -> Span:
        """From the start of one token or node to the end of another."""
        last = first if last is None else last
        start = first.start if isinstance(first, Token) else first.span.start
        end = last.end if isinstance(last, Token) else last.span.end
        return Span(self.source, start, end)

    def name_of(self, token: Token) -> tree.Name:
        return tree.Name(token.text, Span(self.source, token.start, token.end))

    def text_of(self, token: Token) -> str:
        return re.sub(r'\\["\\nt]', lambda match: ESCAPES[match[0]], str(token)[1:-1])

    # Top level

    def start(self, parts: list[Any]) -> list[tree.TopLevel]:
        return [part for part in parts if part is not None and not isinstance(part, Token)]

    def import_all(self, parts: list[Any]) -> tree.Import:
        return tree.Import(self.text_of(parts[1]), None, self.span(parts[1]), self.span(parts[0], parts[1]))

    def import_names(self, parts: list[Any]) -> tree.Import:
        names = [self.name_of(token) for token in parts[3:]]
        return tree.Import(self.text_of(parts[1]), names, self.span(parts[1]), self.span(parts[0], parts[-1]))

    def block(self, parts: list[Any]) -> tree.BlockDef:
        inline, keyword, name, params, body = parts
        span = self.span(inline or keyword, body)
        return tree.BlockDef(self.name_of(name), params or [], body, inline is not None, span)

    def model(self, parts: list[Any]) -> tree.ModelDef:
        keyword, name, params, body = parts
        return tree.ModelDef(self.name_of(name), params or [], body, self.span(keyword, body))

    def variant(self, parts: list[Any]) -> tree.VariantDef:
        keyword, name, params, _, base = parts
        return tree.VariantDef(self.name_of(name), params or [], base, self.span(keyword, base))

    def train(self, parts: list[Any]) -> tree.TrainDef:
        keyword, models, _, *entries, end = parts
        settings = [entry for entry in entries if isinstance(entry, tree.Setting)]
        return tree.TrainDef(models or [], settings, self.span(keyword, end))

    def names(self, parts: list[Any]) -> list[tree.Name]:
        return [self.name_of(token) for token in parts]

    def params(self, parts: list[Any]) -> list[tree.Param]:
        return [part for part in parts if isinstance(part, tree.Param)]

    def param(self, parts: list[Any]) -> tree.Param:
        name, _, default = parts
        return tree.Param(str(name), default, self.span(name, default or name))

    # Statements

    def body(self, parts: list[Any]) -> tree.Body:
        statements = [part for part in parts[1:-1] if part is not None and not isinstance(part, Token)]
        return tree.Body(statements, self.span(parts[0], parts[-1]))

    def let(self, parts: list[Any]) -> tree.Let:
        keyword, targets, _, value = parts
        return tree.Let(targets, value, self.span(keyword, value))

    def setting(self, parts: list[Any]) -> tree.Setting:
        name, _, value = parts
        return tree.Setting(str(name), value, self.span(name), self.span(name, value))

    entry = setting

    def require(self, parts: list[Any]) -> tree.Require:
        keyword, _, *entries, end = parts
        requirements = [entry for entry in entries if isinstance(entry, tree.Requirement)]
        return tree.Require(requirements, self.span(keyword, end))

    def requirement(self, parts: list[Any]) -> tree.Requirement:
        figure, op, bound = parts
        return tree.Requirement(self.name_of(figure), str(op), bound, self.span(figure, bound))

    def quantity(self, parts: list[Any]) -> tree.Quantity:
        token = parts[0]
        match = re.fullmatch(r"([0-9_]+)\.?([0-9_]*)([kKMGT]?)(i?)(B?)", token.text)
        assert match is not None
        whole, fraction, prefix, binary, is_bytes = match.groups()
        digits = fraction.replace("_", "")[:40]
        number = int((whole.replace("_", "") + digits)[:80]) * (1024 if binary else 1000) ** " KMGT".index(
            prefix.upper() or " "
        )
        value, rest = divmod(number, 10 ** len(digits))
        return tree.Quantity(number / 10 ** len(digits) if rest else value, bool(is_bytes), self.span(token))

    def for_(self, parts: list[Any]) -> tree.For:
        keyword, targets, _, values, body = parts
        return tree.For(targets, values, body, self.span(keyword, body))

    def if_(self, parts: list[Any]) -> tree.If:
        keyword, test, body, otherwise = parts
        return tree.If(test, body, otherwise, self.span(keyword, otherwise or body))

    def targets(self, parts: list[Any]) -> list[tree.Target]:
        return parts

    def tuple_target(self, parts: list[Any]) -> tree.TupleTarget:
        return tree.TupleTarget(self._items(parts), self.span(parts[0], parts[-1]))

    def item(self, parts: list[Any]) -> tree.Item:
        label, form, taps = parts
        if taps is None:
            return tree.Item(label, form, None, form.span if label is None else self.span(label, form))
        return tree.Item(label, form, taps[0], self.span(label or form, taps[-1]), taps[1:])

    def label(self, parts: list[Any]) -> tree.Label:
        return self._label(parts[0])

    def _label(self, token: Token) -> tree.Label:
        found: list[str | tree.Expr] = []
        for match in re.finditer(r"\{([^{}]*)\}|[^{}]+", str(token)):
            if match[1] is None:
                found.append(match[0])
            else:
                start = token.start + match.start(1)
                found.append(self.parse_expression(self.source, start, start + len(match[1])))
        return tree.Label(found, self.span(token))

    def tap(self, parts: list[Any]) -> list[tree.TapTarget]:
        arrow, first, *others = parts
        return [tree.TapTarget(first.name, first.index, self.span(arrow, first)), *others]

    def kept(self, parts: list[Any]) -> tree.TapTarget:
        name, _, index, end = parts
        return tree.TapTarget(str(name), index, self.span(name, end or name))

    def layer(self, parts: list[Any]) -> tree.LayerCall:
        name, args = parts
        name_span = span = Span(self.source, name.start, name.end)
        arguments: list[tree.Argument] = []
        if args is not None:
            arguments, end = args
            span = Span(self.source, name.start, end)
        return tree.LayerCall(name.text, arguments, name_span, span)

    def group(self, parts: list[Any]) -> tree.GroupForm:
        return tree.GroupForm(parts[0], parts[0].span)

    def residual(self, parts: list[Any]) -> tree.ResidualForm:
        keyword, when, body, shortcut = parts
        return tree.ResidualForm(when, body, shortcut, self.span(keyword, shortcut or body))

    def combinator(self, parts: list[Any]) -> tree.CombinatorForm:
        keyword, args, body = parts
        return tree.CombinatorForm(
            str(keyword), args[0] if args else [], body, self.span(keyword), self.span(keyword, body)
        )

    # Calls

    def args(self, parts: list[Any]) -> tuple[list[tree.Argument], int]:
        """The arguments and the end of their parenthesis."""
        return [part for part in parts if type(part) is tree.Argument], parts[-1].end

    def argument(self, parts: list[Any]) -> tree.Argument:
        return tree.Argument(None, parts[0], parts[0].span)

    def named_argument(self, parts: list[Any]) -> tree.Argument:
        name, _, value = parts
        label = self._label(name) if name.type == "BRACED" else None
        return tree.Argument(name.text, value, Span(self.source, name.start, value.span.end), label=label)

    inputs = args

    def input(self, parts: list[Any]) -> tree.Argument:
        """An input with its name, `image: 3x64x64`."""
        name, _, value = parts
        return tree.Argument(str(name), value, Span(self.source, name.start, value.span.end), declares=True)

    def call(self, parts: list[Any]) -> tree.Call:
        name, (arguments, end) = parts
        return tree.Call(name.text, arguments, self.span(name), Span(self.source, name.start, end))

    # Expressions

    def conditional(self, parts: list[Any]) -> tree.Conditional:
        then, _, test, _, otherwise = parts
        return tree.Conditional(then, test, otherwise, self.span(then, otherwise))

    def binary(self, parts: list[Any]) -> tree.Binary:
        left, op, right = parts
        return tree.Binary(str(op), left, right, self.span(left, right))

    def not_in(self, parts: list[Any]) -> tree.Binary:
        left, _, _, right = parts
        return tree.Binary("not in", left, right, self.span(left, right))

    def unary(self, parts: list[Any]) -> tree.Unary:
        op, operand = parts
        return tree.Unary(str(op), operand, self.span(op, operand))

    def range_(self, parts: list[Any]) -> tree.RangeDisplay:
        first, _, last = parts
        return tree.RangeDisplay(first, last, self.span(first, last))

    def index(self, parts: list[Any]) -> tree.Index:
        value, _, index, end = parts
        return tree.Index(value, index, self.span(value, end))

    def slice_(self, parts: list[Any]) -> tree.Slice:
        value, _, start, _, stop, _, step, end = parts
        return tree.Slice(value, start, stop, step, self.span(value, end))

    def name(self, parts: list[Any]) -> tree.Name:
        return self.name_of(parts[0])

    def member(self, parts: list[Any]) -> tree.Member:
        return tree.Member(
            [self._label(token) for token in parts if token.type != "DOT"], self.span(parts[0], parts[-1])
        )

    def _literal(self, token: Token, value: int | float | bool | str | tuple[int, ...] | None) -> tree.Literal:
        return tree.Literal(value, Span(self.source, token.start, token.end))

    def int_(self, parts: list[Any]) -> tree.Literal:
        # Python does not convert more than 4,300 digits; the evaluator reports 40 as too large, too.
        return self._literal(parts[0], int(parts[0].text[:40]))

    def float_(self, parts: list[Any]) -> tree.Literal:
        return self._literal(parts[0], float(parts[0].text))

    def string(self, parts: list[Any]) -> tree.Literal:
        return self._literal(parts[0], self.text_of(parts[0]))

    def size(self, parts: list[Any]) -> tree.Literal:
        return self._literal(parts[0], tuple(int(number[:40]) for number in str(parts[0]).split("x")))

    def constant(self, parts: list[Any]) -> tree.Literal:
        return self._literal(parts[0], {"true": True, "false": False, "none": None}[parts[0].text])

    true = false = none = constant

    def second(self, parts: list[Any]) -> Any:
        """What stands after a word or in parentheses."""
        return parts[1]

    parenthesis = else_ = when = shortcut = second

    def _items(self, parts: list[Any]) -> list[Any]:
        return [part for part in parts[1:-1] if part is not None]

    def tuple_(self, parts: list[Any]) -> tree.TupleDisplay:
        return tree.TupleDisplay(self._items(parts), self.span(parts[0], parts[-1]))

    def list_(self, parts: list[Any]) -> tree.ListDisplay:
        return tree.ListDisplay(self._items(parts), self.span(parts[0], parts[-1]))

    def comprehension(self, parts: list[Any]) -> tree.Comprehension:
        start, element, _, targets, _, values, _, test, end = parts
        return tree.Comprehension(element, targets, values, test, self.span(start, end))

    def dict_(self, parts: list[Any]) -> tree.DictDisplay:
        pairs = [part for part in parts[1:-1] if part is not None]
        return tree.DictDisplay(pairs, self.span(parts[0], parts[-1]))

    def pair(self, parts: list[Any]) -> tree.Pair:
        key, _, value = parts
        text = self.text_of(key) if key.type == "STRING" else str(key)
        return tree.Pair(text, value, self.span(key))


# Rules whose names are keywords or types of Python.
for _word in ("for", "if", "else", "int", "float", "tuple", "list", "dict", "range", "slice"):
    setattr(Builder, _word, getattr(Builder, f"{_word}_"))
