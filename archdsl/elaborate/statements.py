"""The statements of a body: loops, conditions, `let`, settings, labels and taps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, assert_never

from archdsl.arguments.describe import describe
from archdsl.diagnostics import Located
from archdsl.diagnostics.codes.values import WrongType
from archdsl.elaborate.environment import UNKNOWN, TapValue
from archdsl.elaborate.errors import Unknown
from archdsl.elaborate.expansions import key_of_setting
from archdsl.elaborate.expressions import unpack
from archdsl.elaborate.names import check_label
from archdsl.elaborate.settings import SETTINGS, require_setting
from archdsl.elaborate.walk import ANY_LABEL, Place, Walk
from archdsl.graph import AnyNode, Tap
from archdsl.shapes import Shape
from archdsl.syntax import tree
from archdsl.text.record import replace
from archdsl.text.stack import deep


class Statements(Walk):
    """The part of the walk that runs bodies. What an item means is told by `form`."""

    def form(self, item: tree.Item, place: Place) -> AnyNode | None:
        """The node of an item's form."""
        raise NotImplementedError

    @deep
    def sequence(self, body: tree.Body, place: Place) -> tuple[AnyNode, ...]:
        """The nodes of a body, one after the other."""
        with self.nested(body.span), self.own_settings():
            return tuple(node for item, where in self.items(body, place) if (node := self.item(item, where)))

    @deep
    def branches(self, body: tree.Body, place: Place) -> tuple[list[AnyNode], list[Shape | None]]:
        """The items of a body, each on the same input; with their outputs."""
        start = self.x
        nodes, ends = [], []
        with self.nested(body.span), self.own_settings():
            for item, where in self.items(body, place):
                node = self.item(item, where)
                if node is not None or self.x is None:
                    ends.append(self.x)
                if node is not None:
                    nodes.append(node)
                self.x = start
        return nodes, ends

    @contextmanager
    def own_settings(self) -> Iterator[None]:
        """Settings hold to the end of their body, for the blocks called there too."""
        before = self.settings
        try:
            yield
        finally:
            self.settings = before

    def items(self, body: tree.Body, place: Place) -> Iterator[tuple[tree.Item, Place]]:
        """The items of a body with loops and conditions carried out, lazily: they may read the current tensor."""
        place = place.with_env(place.env.child())
        for statement in body.statements:
            match statement:
                case tree.Item():
                    yield statement, place
                case tree.Let():
                    self.let(statement, place)
                case tree.Setting():
                    self.setting(statement, place)
                case tree.For():
                    yield from self.loop(statement, place)
                case tree.If():
                    yield from self.condition(statement, place)
                case _:
                    assert_never(statement)

    def let(self, statement: tree.Let, place: Place) -> None:
        """Bind names, again where the block has them; those whose value is wrong are silent afterwards."""
        before = self.x
        bound: Mapping[str, Any] = {one.name: UNKNOWN for one in tree.names_of(statement.targets)}
        with self.reporting(place):
            value = self.evaluator.evaluate(statement.value, place.env)
            bound = unpack(statement.targets, value, statement.value.span)
        place.env.bind(bound)
        self.x = before

    def setting(self, statement: tree.Setting, place: Place) -> None:
        """`init = ...` or `defaults = ...`."""
        before = self.x
        with self.reporting(place):
            if statement.name not in SETTINGS:
                place.env.values.setdefault(statement.name, UNKNOWN)
            require_setting(statement)
            value = self.evaluator.evaluate(statement.value, place.env, constructs=statement.name == "init")
            self.evaluator.weigh(value, statement.value.span)
            key = key_of_setting(statement, value, self.settings)
            if key not in self.known_settings:
                self.known_settings[key] = self.settings.changed(statement, value)
            self.settings = self.known_settings[key]
        self.x = before

    def loop(self, statement: tree.For, place: Place) -> Iterator[tuple[tree.Item, Place]]:
        """The items of a loop's body, once for each value."""
        values: Any = None
        with self.reporting(place):
            values = self.evaluator.values(statement.values, place.env)
        if values is None:
            self.skipped(statement.body, place)
            return
        with self.nested(statement.span):
            for value in values:
                self.evaluator.step(statement.span)
                inner = place.with_env(place.env.child())
                try:
                    inner.env.values |= unpack(statement.targets, value, statement.values.span)
                except Located as error:
                    self.failed(error, place)
                    self.skipped(statement.body, place)
                    return
                yield from self.body_items(statement.body, inner)

    def condition(self, statement: tree.If, place: Place) -> Iterator[tuple[tree.Item, Place]]:
        """The items of the branch that is taken."""
        test: Any = None
        with self.reporting(place):
            test = self.evaluator.boolean(statement.test, place.env, "the condition")
        if test is None:
            self.skipped([statement.body, statement.otherwise], place)
            return
        chosen = statement.body if test else statement.otherwise
        with self.nested(statement.span):
            if isinstance(chosen, tree.If):
                yield from self.condition(chosen, place)
            elif chosen is not None:
                yield from self.body_items(chosen, place)

    def body_items(self, body: tree.Body, place: Place) -> Iterator[tuple[tree.Item, Place]]:
        """The items of the body of a loop or condition, whose settings end with it."""
        before = self.settings
        yield from self.items(body, place)
        self.settings = before

    def item(self, item: tree.Item, place: Place) -> AnyNode | None:
        """The node of an item; None for one that makes none, and after a mistake."""
        self.evaluator.step(item.span)
        node: AnyNode | None = None
        try:
            node = self.form(item, place)
        except (Located, Unknown) as error:
            self.failed(error, place)
            self.skipped(item, place)
        if item.tap is not None:
            node = self._keep(item.tap, node, place)
        return node

    def skipped(self, node: object, place: Place) -> None:
        """Make unknown what a part that a mistake kept from running would have bound, so that it is not missed."""
        for inner in tree.nodes(node):
            match inner:
                case tree.Let():
                    known = (one.name for one in tree.names_of(inner.targets) if place.env.holder(one.name))
                    place.env.bind(dict.fromkeys(known, UNKNOWN))
                case tree.TapTarget():
                    (place.env.holder(inner.name) or place.env.function).values[inner.name] = UNKNOWN
                case tree.Label():
                    fixed = all(isinstance(part, str) for part in inner.parts)
                    place.made.setdefault("".join(map(str, inner.parts)) if fixed else ANY_LABEL, None)

    def label(self, label: tree.Label, place: Place) -> str:
        """A label's text, its expressions evaluated."""
        texts = []
        for part in label.parts:
            value = part if isinstance(part, str) else self.evaluator.evaluate(part, place.env)
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise Located(WrongType("a label", "is made of strings and integers", describe(value)), label.span)
            texts.append(str(value))
        name = "".join(texts)
        check_label(name, label.span)
        return name

    def _keep(self, target: tree.TapTarget, node: AnyNode | None, place: Place) -> AnyNode | None:
        """Keep the current tensor under a name (`-> d1`, `-> skip[i]`), as long as its block or model lasts."""
        values = (place.env.holder(target.name) or place.env.function).values
        index: Any = None
        shape = self.x
        with self.reporting(place):
            index = None if target.index is None else self.evaluator.evaluate(target.index, place.env)
            if target.index is not None and not _is_index(index):
                wrong, index = index, UNKNOWN
                raise Located(WrongType("the index of a tap", "is a number or a text", describe(wrong)), target.span)
        self.x = shape
        kept: object = UNKNOWN
        if shape is not None and node is not None:
            self.taps += 1
            name = target.name if index is None else f"{target.name}{index}"
            tap = Tap(self.taps, name, shape)
            node = replace(node, taps=(*node.taps, tap))
            kept = TapValue(tap, place.aux)
        if target.index is None:
            values[target.name] = kept
        else:
            family = values.get(target.name)
            self.evaluator.count(len(family) if isinstance(family, dict) else 0, target.span)
            values[target.name] = {**(family if isinstance(family, dict) else {}), index: kept}
        return node


def _is_index(value: object) -> bool:
    """Whether a tap of a family can have the index."""
    return isinstance(value, int | float | str) and not isinstance(value, bool)
