"""From characters to tokens, and from tokens to calls of the builder: the grammar's automaton at work.

Everything that changes belongs to one run, so that many threads may parse at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from archdsl.diagnostics import Problem, Rejected
from archdsl.diagnostics.codes.limits import TooDeep
from archdsl.diagnostics.codes.syntax import UnexpectedText
from archdsl.syntax import tree
from archdsl.syntax.builder import Builder
from archdsl.syntax.table import END, Rule, Table, table
from archdsl.syntax.tokens import CLOSING, OPENING, Token
from archdsl.text.limits import MAX_BRACKETS
from archdsl.text.source import Span

IGNORED = frozenset({"IGNORED", "COMMENT", "BLANK"})
OPERATORS = frozenset({"PLUS", "MINUS", "STAR", "SLASH", "DOUBLESLASH", "PERCENT", "POWER", "COMPARE", "AND", "OR"})
#: A line end or semicolon after one of these separates nothing.
EXPECTS_MORE = OPERATORS | {"LBRACE", "COMMA", "EQUAL", "ELSE", "IN", "NOT", "IF", "COLON", "DOTDOT", "WHEN"}
#: What a label with expressions may begin with.
MAY_BE_BRACED = frozenset({"NAME", "INT", "LBRACE"})
BRACED_PARTS = ("{", "-")
#: The rules of what stands in a body, in a file, in `train { }` and in `require { }`.
STATEMENTS = ("_statement", "_toplevel", "entry", "requirement")


class NoToken(Exception):
    """No token begins at the place."""

    def __init__(self, place: int) -> None:
        self.place = place


class WrongToken(Exception):
    """A token that cannot stand where it does; `accepted` are the types of those that could."""

    def __init__(self, token: Token, accepted: set[str]) -> None:
        self.token = token
        self.accepted = accepted


class TokenError(Rejected):
    """A problem with a token, from `start` to `end`; `help` is what could stand there."""

    def __init__(self, problem: Problem, start: int, end: int, help: str | None = None) -> None:
        super().__init__(problem, help=help)
        self.start, self.end = start, end


class Run:
    """A run of the automaton over a stretch of a source, by one of the grammar's start rules."""

    def __init__(self, builder: Builder, start: int, end: int, rule: str) -> None:
        self.builder = builder
        self.text = builder.source.text
        self.start = start
        self.end = end
        self.rule = rule
        self.table: Table = table()
        self.states = [self.table.starts[rule]]
        self.values: list[Any] = []
        self.tokens: list[Token] = []
        self.skipped: list[Span] = []
        #: Where the next token is read, and the type of the last one.
        self._place = start
        self._before = "LBRACE"

    def result(self) -> Any:
        """Parse, and return what the builder makes of it.

        Raises:
            NoToken, WrongToken, TokenError: it cannot be parsed.
        """
        for token in self._lexed():
            self.tokens.append(token)
            self._feed(token)
        last = self.table.ends[self.rule]
        while self.states[-1] != last:
            action = self.table.actions[self.states[-1]].get(END)
            if action is None:
                raise WrongToken(Token(END, "", self.end, self.end), self.accepted())
            self._reduce(self.table.rules[-1 - action])
        return self.values[-1]

    def _feed(self, token: Token) -> None:
        """Reduce what ends before the token, and take it."""
        states, actions, rules, passes = self.states, self.table.actions, self.table.rules, self.table.passes
        kind = token.type
        while (action := actions[states[-1]].get(kind)) is None or action < 0:
            if action is None:
                raise WrongToken(token, self.accepted())
            rule = rules[-1 - action]
            if rule.passes:
                key = states[-2], states[-1], kind
                states[-1] = passes[key] if key in passes else self._passed(key)
            else:
                self._reduce(rule)
        states.append(action)
        self.values.append(token)

    def _passed(self, key: tuple[int, int, str]) -> int:
        """The state after all rules that only pass their part on, such as those of an expression without operators."""
        actions, rules, gotos = self.table.actions, self.table.rules, self.table.gotos
        below, state, kind = key
        while (action := actions[state].get(kind, 0)) < 0 and rules[-1 - action].passes:
            state = gotos[below][rules[-1 - action].origin]
        self.table.passes[key] = state
        return state

    def _reduce(self, rule: Rule) -> None:
        """Replace the parts of a rule by what is made of them."""
        states, values, size = self.states, self.values, rule.size
        if size == 1:
            states.pop()
            parts = [values.pop()]
        elif size:
            parts = values[-size:]
            del values[-size:]
            del states[-size:]
        else:
            parts = []
        if not rule.whole:
            parts = _kept(rule, parts)
        if rule.passes:
            values.append(parts[0])
        else:
            values.append(rule.make(self.builder, parts) if rule.make else parts)
        states.append(self.table.gotos[states[-1]][rule.origin])

    def accepted(self) -> set[str]:
        """The types of the tokens that could follow."""
        if self.states[-1] in self.table.ends.values():
            return {END}
        return {kind for kind in self.table.actions[self.states[-1]] if self._takes(kind)}

    def _takes(self, kind: str) -> bool:
        """Whether a token of this type would be taken: some reductions lead nowhere."""
        states, last = self.states.copy(), self.table.ends.values()
        while (action := self.table.actions[states[-1]].get(kind)) is not None:
            if action >= 0:
                return True
            rule = self.table.rules[-1 - action]
            del states[len(states) - rule.size :]
            states.append(self.table.gotos[states[-1]][rule.origin])
            if kind == END and states[-1] in last:
                return True
        return False

    # Tokens

    def _lexed(self) -> Iterator[Token]:
        """The tokens, one by one: which words are keywords, and what is a label, depends on the state.

        Line ends and semicolons are tokens where they separate statements.
        """
        text, place, end, before = self.text, self._place, self.end, self._before
        keywords, actions, states = self.table.keywords, self.table.actions, self.states
        match_token, match_label = self.table.tokens.match, self.table.label.match
        match_braced = self.table.braced.match
        nesting = ["LBRACE"] * self.open_bodies()
        while place < end:
            row = actions[states[-1]]
            found = match_label(text, place, end) if "LABEL" in row else None
            kind: str | None = "LABEL"
            if found is None:
                found = match_token(text, place, end)
                if found is None:
                    raise NoToken(place)
                kind = found.lastgroup
                if kind in MAY_BE_BRACED and (kind == "LBRACE" or text[found.end() : found.end() + 1] in BRACED_PARTS):
                    braced = match_braced(text, place, end) if "BRACED" in row else None
                    kind, found = (kind, found) if braced is None else ("BRACED", braced)
            assert kind is not None
            word = found[kind]
            place = found.end()
            if kind == "NAME":
                if word in keywords and (keywords[word] in row or "NAME" not in row):
                    kind = keywords[word]
                elif "NAME" not in row:
                    self._require_whole_word(word, place, row)
            elif kind in IGNORED:
                continue
            elif kind == "_SEP":
                folded = nesting and nesting[-1] != "LBRACE" and ";" not in re.sub("#[^\n]*", "", word)
                if folded or before in EXPECTS_MORE:
                    continue
            elif kind in OPENING:
                nesting.append(kind)
                if len(nesting) > MAX_BRACKETS:
                    raise TokenError(TooDeep("brackets", MAX_BRACKETS), place - 1, place)
            elif kind in CLOSING and nesting:
                nesting.pop()
            before = kind
            yield Token(kind, word, place - len(word), place)

    def _require_whole_word(self, word: str, end: int, row: Any) -> None:
        """Reject `models` where only keywords can stand."""
        keywords = self.table.keywords
        begun = next((one for one, kind in keywords.items() if kind in row and word.startswith(one)), None)
        if begun is not None:
            rest = word[len(begun) :]
            help = f"{begun} {rest}" if rest in keywords else begun
            raise TokenError(UnexpectedText(f"`{begun}`", f"`{word}`"), end - len(word), end, help)

    # Recovery

    def open_bodies(self) -> int:
        """The number of bodies around the statement that begins now."""
        return sum(isinstance(value, Token) and value.type == "LBRACE" for value in self.values)

    def unwind(self) -> int:
        """Take back the statement that could not be parsed; returns the end of what stands before it."""
        closed = 0
        while closed or not any(rule in self.table.gotos[self.states[-1]] for rule in STATEMENTS):
            self.states.pop()
            last = self.values.pop()
            if isinstance(last, Token):
                closed += (last.type == "RBRACE") - (last.type == "LBRACE" and closed > 0)
        return self.values[-1].end if self.values else self.start

    def skip(self, start: int, end: int) -> None:
        """Replace the source from `start` to `end` by a `Missing` node, and continue after it."""
        self.skipped.append(Span(self.builder.source, start, end))
        missing = tree.Missing(self.skipped[-1])
        gotos = self.table.gotos[self.states[-1]]
        rule = next(rule for rule in STATEMENTS if rule in gotos)
        self.states.append(gotos[rule])
        self.values.append(missing if rule == "entry" else [missing])
        self._place, self._before = end, "RBRACE"

    def ends_definition(self) -> bool:
        """Whether what was read is whole, and ends with a body."""
        return bool(self.tokens) and self.tokens[-1].type == "RBRACE" and self._takes("_SEP")

    def close(self, place: int) -> None:
        """End every open body at a place."""
        if isinstance(self.values[-1], Token) and self.values[-1].type == "_SEP":
            self.values.pop()
            self.states.pop()
        for _ in range(self.open_bodies()):
            self._feed(Token("RBRACE", "", place, place))
        self._place = place

    def separate(self, place: int) -> None:
        """Begin with the next statement at a place where nothing separates it from the last."""
        self._feed(Token("_SEP", "", place, place))
        self._place, self._before = place, "LBRACE"


def _kept(rule: Rule, parts: list[Any]) -> list[Any]:
    """The parts that the builder gets: those inside others too, and None for each that is absent.

    A repetition that grows by one part stays the same list.
    """
    found: list[Any] = []
    for place, inner, absent in rule.kept:
        if absent:
            found += [None] * absent
        if not inner:
            found.append(parts[place])
        elif found or rule.make:
            found += parts[place]
        else:
            found = parts[place]
    return found + [None] * rule.absent if rule.absent else found
