"""Random specs as texts: drawn as tokens by the grammar, then spaced, broken into lines and commented at random.

Written by hand from docs/language.md. `{` and `}` of dictionaries are drawn as `{:` and `:}`, since line ends
mean nothing in more places between them than between those of bodies.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import strategies as st

from archdsl.combinators import KEYWORDS

Draw = Callable[[st.SearchStrategy[str]], str]
Tokens = list[str]

NAMES = st.sampled_from(["a", "n", "relu", "conv", "x1", "classes", "depth_2"])
LITERALS = st.sampled_from(
    [
        "0",
        "1",
        "64",
        "3x3",
        "3x224x224",
        "0.5",
        "5e-4",
        "1E+3",
        "10.25",
        "true",
        "false",
        "none",
        '"same"',
        '"# {"',
        '"\\""',
    ]
)
BINARY = st.sampled_from(
    ["+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "and", "or", "in", "not in"]
)
COMBINATORS = st.sampled_from([word for word in KEYWORDS if word not in {"residual", "split"}])

#: A line end may follow one of these without a meaning of its own.
BEFORE_BREAKS = re.compile(r"[-+*/%=,:{]|\*\*|//|==|!=|[<>]=?|\.\.|and|or|in|not|if|else|when")


class Spec:
    """Draws the tokens of a spec. `left` bounds its size."""

    def __init__(self, draw: Draw, size: int) -> None:
        self.draw = draw
        self.left = size

    def chance(self, one_in: int) -> bool:
        return self.draw(st.sampled_from(["y"] + ["n"] * (one_in - 1))) == "y"

    def pick(self, *choices: Callable[[], Tokens]) -> Tokens:
        """One of the choices; the first, which is the smallest, when the size is used up."""
        self.left -= 1
        names = [str(i) for i in range(len(choices))]
        return choices[int(self.draw(st.sampled_from(names))) if self.left > 0 else 0]()

    def several(self, make: Callable[[], Tokens], separator: str, least: int = 0, comma: bool = False) -> Tokens:
        count = least + int(self.draw(st.sampled_from("0012"))) if self.left > 0 else least
        tokens: Tokens = []
        for i in range(count):
            tokens += [*([separator] if i else []), *make()]
        return [*tokens, ","] if comma and count and self.chance(4) else tokens

    # Expressions

    def atom(self) -> Tokens:
        return self.pick(
            lambda: [self.draw(LITERALS)],
            lambda: [self.draw(NAMES)],
            lambda: ["(", *self.expression(), ")"],
            lambda: ["(", *self.expression(), ",", *self.several(self.expression, ",", comma=True), ")"],
            lambda: ["(", ")"],
            lambda: ["[", *self.several(self.expression, ",", comma=True), "]"],
            lambda: ["{:", *self.several(self.pair, ",", comma=True), ":}"],
            lambda: [self.draw(NAMES), *self.arguments()],
            self.comprehension,
        )

    def comprehension(self) -> Tokens:
        test = ["if", *self.condition_of_a_list()] if self.chance(2) else []
        source = self.pick(self.postfix, lambda: [*self.sum(), "..", *self.sum()])
        return ["[", *self.expression(), "for", *self.targets(), "in", *source, *test, "]"]

    def condition_of_a_list(self) -> Tokens:
        return self.pick(
            self.postfix,
            lambda: ["not", *self.postfix()],
            lambda: ["-", *self.postfix(), "<", *self.sum(), "or", *self.postfix()],
        )

    def pair(self) -> Tokens:
        key = self.draw(st.sampled_from(["conv", "weight", "a-b", '"c d"']))
        return [key, ":", *self.expression()]

    def postfix(self) -> Tokens:
        return self.pick(
            self.atom,
            lambda: [self.draw(NAMES), "[", *self.expression(), "]"],
            lambda: [self.draw(NAMES), "[", *self.sum(), ":", *self.sum(), "]"],
            lambda: [self.draw(NAMES), "[", ":", ":", *self.sum(), "]"],
        )

    def sum(self) -> Tokens:
        operator = self.draw(st.sampled_from(["+", "-", "*", "//", "**"]))
        return self.pick(self.postfix, lambda: [*self.postfix(), operator, *self.postfix()])

    def expression(self) -> Tokens:
        return self.pick(
            self.postfix,
            lambda: ["(", *self.postfix(), *self.draw(BINARY).split(), *self.postfix(), ")"],
            lambda: [*self.sum(), "and", *self.postfix(), "==", *self.sum()],
            lambda: ["-", *self.postfix()],
            lambda: ["not", *self.postfix()],
            lambda: [*self.postfix(), "-", "-", *self.postfix()],
            lambda: [*self.sum(), "..", *self.sum()],
            lambda: [*self.postfix(), "if", *self.postfix(), "else", *self.postfix()],
        )

    def arguments(self) -> Tokens:
        return ["(", *self.several(self.argument, ",", comma=True), ")"]

    def argument(self) -> Tokens:
        return self.pick(self.expression, lambda: [self.draw(NAMES), "=", *self.expression()])

    # Statements

    def body(self) -> Tokens:
        return ["{", *self.several(self.statement, ";"), "}"]

    def statement(self) -> Tokens:
        return self.pick(
            lambda: [self.draw(NAMES)],
            self.item,
            self.item,
            lambda: ["let", *self.targets(), "=", *self.expression()],
            lambda: [self.draw(st.sampled_from(["init", "defaults"])), "=", *self.expression()],
            lambda: ["for", *self.targets(), "in", *self.postfix(), *self.body()],
            self.condition,
        )

    def targets(self) -> Tokens:
        return self.several(self.target, ",", 1)

    def target(self) -> Tokens:
        return self.pick(
            lambda: [self.draw(NAMES)],
            lambda: ["(", *self.target(), ",", ")"],
            lambda: ["(", *self.several(self.target, ",", 1, comma=True), ")"],
        )

    def condition(self) -> Tokens:
        otherwise = self.pick(lambda: [], lambda: ["else", *self.body()], lambda: ["else", *self.condition()])
        return ["if", *self.postfix(), *self.body(), *otherwise]

    def item(self) -> Tokens:
        label = self.draw(st.sampled_from(["", "", "stem", "a-1", "layer{i}", "x{i + 1}_{n}", "0"]))
        form = self.pick(
            lambda: [self.draw(NAMES)],
            lambda: [self.draw(NAMES), *self.arguments()],
            self.body,
            lambda: [self.draw(COMBINATORS), *self.body()],
            lambda: ["split", *self.arguments(), *self.body()],
            self.residual,
        )
        tap = self.pick(lambda: [], lambda: ["->", "t"], lambda: ["->", "t", "[", *self.expression(), "]"])
        return [*([label, ":"] if label else []), *form, *tap]

    def residual(self) -> Tokens:
        when = ["when", *self.postfix()] if self.chance(3) else []
        shortcut = ["shortcut", *self.body()] if self.chance(3) else []
        return ["residual", *when, *self.body(), *shortcut]

    # Top level

    def file(self) -> Tokens:
        return self.several(self.top_level, ";", 1)

    def top_level(self) -> Tokens:
        return self.pick(
            lambda: ["let", *self.targets(), "=", *self.expression()],
            lambda: ["model", "m", *self.params(), *self.body()],
            lambda: ["model", "m", *self.params(), *self.body()],
            lambda: [*(["inline"] if self.chance(3) else []), "block", "b", *self.params(), *self.body()],
            lambda: ["model", "v", *self.params(), "=", "m", *self.arguments()],
            lambda: ["import", '"x.arch"'],
            lambda: ["from", '"x.arch"', "import", "a", ",", "b"],
            lambda: ["train", *self.several(lambda: ["m"], ","), "{", *self.several(self.entry, ";"), "}"],
        )

    def params(self) -> Tokens:
        return [] if self.chance(3) else ["(", *self.several(self.param, ",", comma=True), ")"]

    def param(self) -> Tokens:
        return [self.draw(NAMES), *(["=", *self.expression()] if self.chance(2) else [])]

    def entry(self) -> Tokens:
        return [self.draw(NAMES), "=", *self.expression()]


def _blank(draw: Draw, *, breaks: bool, needed: bool) -> str:
    """Space between two tokens: none where none is needed, and line ends and comments where they mean nothing."""
    if not breaks:
        return draw(st.sampled_from([" ", " ", "   "] if needed else ["", " ", " ", "  "]))
    return draw(st.sampled_from([" "] * 12 + ["\n", "\n\n", "  # one\n", "\n  # two {\n\n # three \n"]))


def _glued(before: str, token: str) -> bool:
    """Whether the two would be read as something else without a blank between them."""
    both = before[-1:] + token[:1]
    return re.match(r"\w\w|[-*/<>=!.][-*/<>=!.]|\d\.|\.\d", both) is not None or (
        before[-1:].isalnum() and token == "{"
    )


@st.composite
def spec_texts(draw: st.DrawFn) -> str:
    """The text of a random file."""
    tokens = Spec(draw, draw(st.integers(5, 60))).file()
    text, before = "", ";"
    nesting: Tokens = []
    for token in tokens:
        inside = nesting[-1] if nesting else "{"
        if token == ";":
            text += draw(st.sampled_from(["\n", "\n\n\n", "; ", " ;\n", "  # end\n", "\n# own\n", ";   "]))
        else:
            free = inside in "([" or BEFORE_BREAKS.fullmatch(before.strip(":") or ":") is not None
            after = token in {"}", ":}", "->", "shortcut"} or (token == "else" and before == "}")
            # A label ends at a colon on its own line.
            breaks = (free or after) and token != ":" and before != ";"
            needed = _glued(before, token)
            text += "" if before == ";" else _blank(draw, breaks=breaks, needed=needed)
            text += token.strip(":") or ":"
        if token in {"(", "[", "{", "{:"}:
            nesting.append(token)
        elif token in {")", "]", "}", ":}"}:
            nesting.pop()
        before = token
    return text + draw(st.sampled_from(["", "\n", "\n\n# the end", "  # end\n"]))


@st.composite
def expression_texts(draw: st.DrawFn) -> str:
    """The text of a random expression on one line."""
    tokens = Spec(draw, draw(st.integers(1, 40))).expression()
    return " ".join(token.strip(":") or ":" for token in tokens)
