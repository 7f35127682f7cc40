"""The automaton compared with Lark: with the same grammar, both accept the same specs and build the same trees."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import lark
import pytest
from hypothesis import given, settings
from lark.exceptions import UnexpectedInput

from archdsl.diagnostics import Rejected, SpecError
from archdsl.syntax import parse, table, tree
from archdsl.syntax.automaton import EXPECTS_MORE
from archdsl.syntax.builder import Builder
from archdsl.syntax.tokens import CLOSING, OPENING, Token
from archdsl.text.limits import MAX_BRACKETS
from archdsl.text.source import Source
from tests import fuzz
from tests.syntax.plain import plain
from tests.syntax.texts import spec_texts


class LarkToken(Token):
    """A token of ours that Lark's parser takes; the attributes are what it asks of the last one."""

    start_pos = end_pos = line = column = end_line = end_column = 0


class Separators:
    """Our separators as Lark's post-lexer."""

    always_accept = ("_SEP",)

    def process(self, stream: Iterator[lark.Token]) -> Iterator[Token]:
        opened: list[str] = []
        before = LarkToken("LBRACE", "", -1, -1)
        for one in stream:
            token = LarkToken(one.type, str(one), one.start_pos or 0, one.end_pos or 0)
            # Where only keywords can stand, Lark cuts words after them.
            if before.end == token.start and before.type.lower() == before.text and re.match(r"\w", token.text):
                raise SpecError([])
            if token.type == "_SEP":
                semicolon = ";" in re.sub("#[^\n]*", "", token.text)
                if before.type in EXPECTS_MORE or (opened and opened[-1] != "LBRACE" and not semicolon):
                    continue
            elif token.type in OPENING:
                opened.append(token.type)
                if len(opened) > MAX_BRACKETS:
                    raise SpecError([])
            elif token.type in CLOSING and opened:
                opened.pop()
            before = token
            yield token


class Building(lark.Transformer[Any, Any]):
    """Calls the builder's method of each rule, as the automaton does."""

    def __init__(self, source: Source) -> None:
        super().__init__(visit_tokens=False)
        self.builder = Builder(source, self._expression)

    def _expression(self, source: Source, start: int, end: int) -> tree.Expr:
        # Blanks before it leave its places as they are.
        expression: tree.Expr = _parsed(source, " " * start + source.text[start:end], "expr")
        return expression

    def _call_userfunc(self, node: Any, new_children: Any = None) -> Any:
        return getattr(self.builder, node.data)(node.children if new_children is None else new_children)


@cache
def parser() -> lark.Lark:
    grammar = table.whole_grammar(table.GRAMMAR.read_text("utf-8"))
    return lark.Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        start=list(table.STARTS),
        maybe_placeholders=True,
        postlex=Separators(),
    )


def _parsed(source: Source, text: str, rule: str) -> Any:
    found = parser().parse(text, start=rule)
    return Building(source).transform(found) if isinstance(found, lark.Tree) else found


def by_lark(text: str) -> Any:
    """What Lark makes of a spec; None where it rejects it."""
    source = Source("<test>", text)
    try:
        return plain(_parsed(source, text, "start"))
    except (UnexpectedInput, Rejected, SpecError):
        return None
    except lark.exceptions.VisitError as error:
        if isinstance(error.orig_exc, UnexpectedInput | Rejected | SpecError):
            return None
        raise


def by_us(text: str) -> Any:
    try:
        return plain(parse(Source("<test>", text)).items)
    except SpecError:
        return None


SPECS = sorted({text for _, text in fuzz.texts()}, key=lambda text: (len(text), text))


def test_all_specs() -> None:
    accepted = 0
    for text in SPECS:
        found = by_us(text)
        assert found == by_lark(text)
        accepted += found is not None
    assert accepted > 200


@settings(max_examples=150, deadline=None)
@given(spec_texts())
def test_random_specs(text: str) -> None:
    found = by_us(text)
    assert found is not None
    assert found == by_lark(text)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 30))])
def test_mutated_specs(seed: int) -> None:
    """What one rejects, the other rejects."""
    choose = random.Random(seed)
    rejected = 0
    for _ in range(400):
        words = fuzz.TOKEN.findall(choose.choice(SPECS[:300]))
        for _ in range(choose.choice([1, 1, 2])):
            place = choose.randrange(len(words) + 1)
            words[place : place + choose.choice([0, 1, 1, 2])] = choose.choices(
                [*fuzz.SIGNS, *words], k=choose.choice([0, 1, 1, 2])
            )
        text = "".join(words)
        found = by_us(text)
        assert found == by_lark(text), text
        rejected += found is None
    assert 40 < rejected < 360
