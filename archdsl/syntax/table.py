"""The parser's table: made from the grammar by Lark, kept as data in the package, and loaded without Lark.

`python -m archdsl.syntax.table` writes it again after a change of the grammar. A table that belongs to another grammar
is never used: another one is then made in memory, which takes a second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from archdsl import combinators
from archdsl.syntax.builder import Builder

GRAMMAR = Path(__file__).with_name("grammar.lark")
SAVED = Path(__file__).with_name("table.json")
#: What the grammar can begin with: a file, one expression, or one requirement.
STARTS = ("start", "expr", "requirement")
#: The keywords of combinators that have no token of their own in the grammar. Without a
#: body, `sum(dim=1)` is a layer and `split(2) -> a, b` makes taps.
COMBINATORS = tuple(word for word in combinators.KEYWORDS if word not in ("residual", "sum", "split"))
END = "$END"
#: What may stand before a token.
BLANKS = r"[ \t\r\f]*"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the grammar.

    make     the builder's method for its parts; None for a part of another rule, whose parts go into that one's
    kept     the parts that the method gets: position, whether it has parts of its own, absent parts before it
    absent   absent parts after the last
    passes   it has a single part, which is its own result
    whole    the method gets all parts as they are
    """

    origin: str
    make: Callable[[Builder, list[Any]], Any] | None
    size: int
    kept: Sequence[tuple[int, bool, int]]
    absent: int
    passes: bool
    whole: bool


@dataclass(frozen=True, slots=True)
class Table:
    """An LALR(1) automaton and its tokens.

    actions   by state and token: the next state, or -1 - the rule to be reduced
    gotos     by state and rule: the next state
    starts, ends   the first and the last state for each of STARTS
    keywords  words that are tokens of their own where the automaton takes them, else names
    passes    by two states and a token: the last state after rules that only pass their part on, as far as known
    """

    actions: Sequence[Mapping[str, int]]
    gotos: Sequence[Mapping[str, int]]
    rules: Sequence[Rule]
    starts: Mapping[str, int]
    ends: Mapping[str, int]
    keywords: Mapping[str, str]
    tokens: re.Pattern[str]
    label: re.Pattern[str]
    braced: re.Pattern[str]
    passes: dict[tuple[int, int, str], int]


def _hash(grammar: bytes) -> str:
    return sha256(grammar).hexdigest()


@cache
def table() -> Table:
    """The table of the grammar."""
    grammar = GRAMMAR.read_bytes()
    saved: dict[str, Any] | None = None
    if SAVED.exists():
        saved = json.loads(SAVED.read_bytes())
    if saved is None or saved["grammar"] != _hash(grammar):
        saved = make(grammar)
    return _loaded(saved)


def _loaded(data: Mapping[str, Any]) -> Table:
    rules = []
    for origin, method, size, kept, absent, passed in data["rules"]:
        whole = not absent and [(i, False, 0) for i in range(size)] == [tuple(one) for one in kept]
        passes = passed and size == 1
        make = getattr(Builder, method) if method and not passes else None
        rules.append(Rule(origin, make, size, kept, absent, passes, whole))
    tokens = "|".join(f"(?P<{name}>{pattern})" for name, pattern in data["tokens"].items())
    return Table(
        actions=data["actions"],
        gotos=data["gotos"],
        rules=rules,
        starts=data["starts"],
        ends=data["ends"],
        keywords=data["keywords"] | dict.fromkeys(COMBINATORS, "COMBINATOR"),
        tokens=re.compile(f"{BLANKS}(?:{tokens})"),
        label=re.compile(BLANKS + f"(?P<LABEL>{data['label']})"),
        braced=re.compile(BLANKS + f"(?P<BRACED>{data['braced']})"),
        passes={},
    )


def whole_grammar(text: str) -> str:
    """The grammar with the keywords of the combinators."""
    return f"{text}\nCOMBINATOR.1: /(?:{'|'.join(COMBINATORS)})\\b/\n"


def make(grammar: bytes) -> dict[str, Any]:
    """The table of a grammar as plain data."""
    from lark import Lark

    lark = Lark(whole_grammar(grammar.decode()), parser="lalr", start=list(STARTS), maybe_placeholders=True)
    found: Any = lark.parser.parser._parse_table
    rules = sorted(lark.rules, key=lambda rule: (rule.origin.name, rule.order, str(rule)))
    numbers: dict[Any, int] = {rule: -1 - number for number, rule in enumerate(rules)}
    states = _in_order(found.states, found.start_states.values())
    numbers |= {state: number for number, state in enumerate(states)}
    actions, gotos = [], []
    for state in states:
        row = {name: numbers[to] for name, (_, to) in sorted(found.states[state].items(), key=_name)}
        actions.append({name: to for name, to in row.items() if _is_token(name)})
        gotos.append({name: to for name, to in row.items() if not _is_token(name)})
    terminals = sorted(lark.terminals, key=_order)
    keywords = {one.pattern.value: one.name for one in terminals if _is_keyword(one)}
    others = {one.name: one.pattern.to_regexp() for one in terminals if not _is_keyword(one)}
    del others["COMBINATOR"]
    return {
        "grammar": _hash(grammar),
        "starts": {name: numbers[found.start_states[name]] for name in STARTS},
        "ends": {name: numbers[found.end_states[name]] for name in STARTS},
        "keywords": keywords,
        "label": others.pop("LABEL"),
        "braced": others.pop("BRACED"),
        "tokens": others,
        "rules": [_rule(rule) for rule in rules],
        "actions": actions,
        "gotos": gotos,
    }


def _in_order(states: Mapping[int, Mapping[str, Any]], starts: Iterable[int]) -> list[int]:
    """The states in the order in which they are reached: Lark numbers them in another order each time."""
    found = list(starts)
    for state in found:
        reached = [to for _, (_, to) in sorted(states[state].items(), key=_name) if isinstance(to, int)]
        found += [to for to in dict.fromkeys(reached) if to not in found]
    return found


def _name(entry: tuple[str, Any]) -> str:
    return entry[0]


def _is_token(name: str) -> bool:
    return name == name.upper()


def _order(terminal: Any) -> tuple[int, int, int, str]:
    """Which of two tokens that begin alike is tried first, as Lark has it: the longer one."""
    return -terminal.priority, -terminal.pattern.max_width, -len(terminal.pattern.value), terminal.name


def _is_keyword(terminal: Any) -> bool:
    return bool(terminal.pattern.type == "str" and re.fullmatch(r"[a-z]+", terminal.pattern.value))


def _rule(rule: Any) -> tuple[str, str, int, list[tuple[int, bool, int]], int, bool]:
    """A rule as `Rule` has it. A part that is written as a sign, or has a name with `_`, is not kept."""
    name = rule.origin.name
    before = [0] * (len(rule.expansion) + 1)
    if rule.options.empty_indices:
        marks = "".join(str(int(absent)) for absent in rule.options.empty_indices)
        before = [len(absent) for absent in marks.split("0")]
    kept: list[tuple[int, bool, int]] = []
    absent = 0
    for i, part in enumerate(rule.expansion):
        absent += before[i]
        if not (part.is_term and part.filter_out):
            kept.append((i, not part.is_term and part.name.startswith("_"), absent))
            absent = 0
    method = "" if name.startswith("_") else rule.alias or name
    return name, method, len(rule.expansion), kept, absent + before[-1], rule.options.expand1 and not rule.alias


def main() -> None:
    """Write the table of the grammar."""
    SAVED.write_text(json.dumps(make(GRAMMAR.read_bytes()), separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
