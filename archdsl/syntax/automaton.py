"""From characters to tokens, and from tokens to calls of the builder: the grammar's automaton at work.

Everything that changes belongs to one run, so that many threads may parse at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archdsl.syntax.separators import separated
from archdsl.syntax.table import END, STARTS, Rule, Table, table
from archdsl.syntax.tokens import Token

IGNORED = frozenset({"IGNORED", "COMMENT", "BLANK"})


class NoToken(Exception):
    """No token begins at the place."""

    def __init__(self, place: int) -> None:
        self.place = place


class WrongToken(Exception):
    """A token that cannot stand where it does; `accepted` are the kinds that could."""

    def __init__(self, token: Token, accepted: set[str]) -> None:
        self.token = token
        self.accepted = accepted


class Run:
    """One run of the automaton over a stretch of a text. The `builder` has a method for each rule."""

    def __init__(self, text: str, start: int, end: int, builder: object) -> None:
        self.text = text
        self.start = start
        self.end = end
        self.builder = builder
        self.table: Table = table()
        self.rule = STARTS[0]
        self.states: list[int] = []
        self.values: list[Any] = []
        self.tokens: list[Token] = []

    def result(self, rule: str) -> Any:
        """What the builder makes of the text by one of the grammar's start rules.

        Raises:
            NoToken, WrongToken, TokenError: it cannot be parsed.
        """
        self.rule = rule
        self.states.append(self.table.starts[rule])
        for token in separated(self._lexed()):
            self.tokens.append(token)
            self._feed(token)
        return self._finished(Token(END, "", self.end, self.end), self.table.ends[rule])

    def _feed(self, token: Token) -> None:
        """Reduce what ends before the token, and take it."""
        states, actions = self.states, self.table.actions
        kind = token.type
        while (action := actions[states[-1]].get(kind)) is None or action < 0:
            if action is None:
                raise WrongToken(token, self.accepted())
            self._reduce(self.table.rules[-1 - action])
        states.append(action)
        self.values.append(token)

    def _finished(self, token: Token, last: int) -> Any:
        while self.states[-1] != last:
            action = self.table.actions[self.states[-1]].get(END)
            if action is None:
                raise WrongToken(token, self.accepted())
            self._reduce(self.table.rules[-1 - action])
        return self.values[-1]

    def _reduce(self, rule: Rule) -> None:
        """Replace the parts of a rule by what is made of them."""
        states, values, size = self.states, self.values, rule.size
        if rule.passed and size == 1:
            states[-1] = self.table.gotos[states[-2]][rule.origin]
            return
        parts: list[Any] = []
        if size:
            parts = values[-size:]
            del values[-size:]
            del states[-size:]
        if not rule.whole:
            parts = _kept(rule, parts)
        if rule.method and not (rule.passed and len(parts) == 1):
            values.append(getattr(self.builder, rule.method)(parts))
        else:
            values.append(parts[0] if rule.method else parts)
        states.append(self.table.gotos[states[-1]][rule.origin])

    def accepted(self) -> set[str]:
        """The kinds of tokens that could follow."""
        if self.states[-1] in self.table.ends.values():
            return {END}
        return {kind for kind in self.table.actions[self.states[-1]] if self._takes(kind)}

    def _takes(self, kind: str) -> bool:
        """Whether a token of this kind would be taken: some reductions are only found out to lead nowhere later."""
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

    def _lexed(self) -> Iterator[Token]:
        """The tokens, one by one: which words are keywords, and what is a label, depends on the state."""
        text, place, end = self.text, self.start, self.end
        keywords, actions, states = self.table.keywords, self.table.actions, self.states
        match_token, match_label = self.table.tokens.match, self.table.label.match
        while place < end:
            row = actions[states[-1]]
            found = match_label(text, place, end) if "LABEL" in row else None
            kind: str | None = "LABEL"
            if found is None:
                found = match_token(text, place, end)
                if found is None:
                    raise NoToken(place)
                kind = found.lastgroup
            assert kind is not None
            word = found[0]
            if kind == "NAME":
                if word in keywords and (keywords[word] in row or "NAME" not in row):
                    kind = keywords[word]
                elif "NAME" not in row and (begun := self._begun(word, row)):
                    word, kind = begun, keywords[begun]
            start, place = place, place + len(word)
            if kind not in IGNORED:
                yield Token(kind, word, start, place)

    def _begun(self, word: str, row: Any) -> str | None:
        """The keyword that a word begins with where only keywords can stand: `models` is `model` and more."""
        return next((one for one, kind in self.table.keywords.items() if kind in row and word.startswith(one)), None)


def _kept(rule: Rule, parts: list[Any]) -> list[Any]:
    """The parts that the builder gets: those inside others too, and None for each that is absent."""
    found: list[Any] = []
    for place, inner, absent in rule.kept:
        if absent:
            found += [None] * absent
        if inner:
            found += parts[place]
        else:
            found.append(parts[place])
    return found + [None] * rule.absent
