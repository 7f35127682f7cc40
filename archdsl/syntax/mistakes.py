"""Suggestions at syntax errors: habits from other languages, slips, brackets that are not closed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set

from archdsl.diagnostics import Help, Note
from archdsl.syntax.tokens import STATEMENTS, VALUES
from archdsl.text.source import Source, Span
from archdsl.text.suggest import suggestion

PAIRS = {"(": ")", "[": "]", "{": "}"}
#: Words that begin a statement elsewhere, and what is written here.
WORDS = {
    "def": "define a block with `block name(n) { ... }`, outside of models",
    "class": "define a block with `block name(n) { ... }`, outside of models",
    "return": "a body has no `return`: its result is its last tensor",
    "while": "loops iterate over a range or list: `for i in 1..n { ... }`",
    "block": "define blocks outside of models",
    "model": "models cannot be nested",
    "train": "write `train { }` outside of models",
    "import": "imports must come first in the file",
    "var": "use `let` to define a variable",
    "const": "use `let` to define a variable",
}
#: Characters of other languages and of word processors, and what is written here.
CHARACTERS = {"&": "and", "&&": "and", "|": "or", "||": "or", "!": "not ", "×": "x", "−": "-", "–": "-"}
#: Characters before a mistake that are looked at.
FAR = 200
QUOTES = "'“”„‘’"


def after_token(source: Source, span: Span, kind: str, accepted: Set[str]) -> Iterator[Help]:
    """Suggest how to fix an unexpected token of this kind, where the parser accepts others."""
    before = source.text[max(span.start - FAR, 0) : span.start]
    end = span.start - len(before) + len(before.rstrip(" \t"))
    gap = Span(source, end, span.start)
    word = span.text
    previous = re.search(r"(?<!\w)([A-Za-z_]\w*)[ \t]*$", before)
    if word == "elif":
        yield Help("`else if`", span, "else if", certain=True)
    elif previous and previous[1] in WORDS and "_SEP" in accepted:
        yield Help(WORDS[previous[1]])
    elif re.search(r"\bdense[ \t]*\([^()]*\)[ \t]*$", before):
        yield Help("use `linear` for a fully connected layer; `dense { }` is a combinator")
    elif word == "." and re.search(r"\w$", before):
        yield _without_dots(span, before)
    elif word == "=" and "LBRACE" in accepted:
        yield Help("use `==` to compare", span, "==", certain=True)
    elif word == ":" and "LBRACE" in accepted:
        yield Help("write the body between `{` and `}`")
    elif word == ":" and "EQUAL" in accepted:
        in_call = "RPAR" in accepted
        rest = re.match(r":=?[ \t]*", source.text[span.start :])
        whole = Span(source, end, span.start + (rest.end() if rest else 1))
        yield Help("use `=` to set a value", whole, "=" if in_call else " = ", certain=True)
    elif "MODEL" in accepted and kind in STATEMENTS:
        yield Help("write layers inside a model or block: `model name { ... }`")
    elif word == "for" and "RSQB" in accepted:
        yield Help("a list is either written out or a comprehension: `[... for x in values]`")
    elif word == "for" and "RPAR" in accepted:
        yield Help("write a comprehension in brackets: `[... for x in values]`")
    elif '"' not in word and accepted == {"STRING"}:
        yield Help("write the file name in quotes, with its extension", span, f'"{word}.arch"')
    elif word in PAIRS.values():
        yield from _closing(source, span)
    elif kind == "_SEP" and "LBRACE" in accepted and source.text[span.end :].lstrip().startswith("{"):
        yield Help("write `{` on the same line")
    elif "_SEP" in accepted:
        yield from _in_body(span, gap, kind, bool(previous))
    elif "COMMA" in accepted and kind in VALUES | {"MINUS"}:
        yield from _in_call(span, gap, bool(previous) and "EQUAL" in accepted)


def _without_dots(dot: Span, before: str) -> Help:
    """Suggest the layer type that `nn.Conv2d` or `torch.nn.Conv2d` is meant for."""
    from archdsl.layers import all_kinds

    first = re.search(r"\w+$", before)
    rest = re.match(r"(?:\.\w+)+", dot.source.text[dot.start : dot.start + FAR])
    meant = suggestion(rest[0].rpartition(".")[2], all_kinds()) if rest else None
    if first is None or rest is None or meant is None:
        return Help("layers have no dots: write `conv`, not `nn.Conv2d`; `archdsl layers` lists the layer types")
    whole = Span(dot.source, dot.start - len(first[0]), dot.start + len(rest[0]))
    return Help(f"layers have no dots: did you mean `{meant}`?", whole, meant)


def _in_body(span: Span, gap: Span, kind: str, after_name: bool) -> Iterator[Help]:
    word = span.text
    following = span.source.text[span.end :].lstrip(" \t")
    if word.startswith("/"):
        yield Help("comments start with `#`", span, "#", certain=True)
    elif word == "+":
        yield Help("use `residual { ... }` to add the input, or `sum { ... }` to add branches")
    elif after_name and kind in {"INT", "FLOAT", "SIZE", "STRING"}:
        yield Help("write arguments in parentheses", Span(span.source, gap.start, span.end), f"({word})", certain=True)
    elif after_name and kind in {"NAME", "LABEL"} and following.startswith(":"):
        yield Help("a label is one word: letters, digits, `_` and `-`", gap, "_")
    elif kind in STATEMENTS:
        yield Help("separate statements with line breaks or `;`", gap, "; ", certain=True)


def _in_call(span: Span, gap: Span, after_name: bool) -> Iterator[Help]:
    glued = gap.start == span.start
    if after_name and not glued:
        yield Help("use `=` for named arguments", gap, "=", certain=True)
    elif glued and re.match(r"[xX]\d*$", span.text):
        yield Help("write sizes with a lower-case `x`: `3x3`")
    elif not glued and (size := _spaced_size(span)):
        yield Help("write sizes without spaces", size, size.text.replace(" ", ""), certain=True)
    elif not glued:
        yield Help("arguments and elements are separated by commas", gap, ", ", certain=True)


def _spaced_size(span: Span) -> Span | None:
    """The size that `3 x 8 x 8` is meant for, around its first `x`."""
    before = re.search(r"(?<![0-9])[0-9]+ +$", span.source.text[max(span.start - FAR, 0) : span.start])
    after = re.match(r"x( *[0-9]+ +x)* *[0-9]+", span.source.text[span.start :])
    if before is None or after is None:
        return None
    return Span(span.source, span.start - len(before[0]), span.start + after.end())


def _closing(source: Source, span: Span) -> Iterator[Help]:
    opened = open_brackets(source, 0, span.start)
    if not opened or (opened[-1].text == "{" and span.text != "}"):
        yield Help(f"there is no open bracket that `{span.text}` closes")
    elif PAIRS[opened[-1].text] != span.text:
        needed = PAIRS[opened[-1].text]
        yield Help(f"the `{opened[-1].text}` in line {opened[-1].line} must be closed with `{needed}` first")


def at_character(source: Source, place: int) -> Iterator[Help]:
    """Suggest how to fix a character that starts no token."""
    line_end = source.text.find("\n", place)
    line = source.text[place : line_end if line_end >= 0 else len(source.text)]
    doubled = line[:2] if line[:2] in CHARACTERS else line[0]
    if doubled in CHARACTERS:
        span = Span(source, place, place + len(doubled))
        yield Help(f"use `{CHARACTERS[doubled].strip()}`", span, CHARACTERS[doubled], certain=True)
    elif line[0] in QUOTES and (match := re.match(rf'[{QUOTES}]([^{QUOTES}"]*)[{QUOTES}]', line)):
        span = Span(source, place, place + match.end())
        yield Help("strings are written in double quotes", span, f'"{match[1]}"', certain=True)
    elif re.match(r'"(?:[^"\\]|\\.)*"', line):
        yield Help('the escapes are `\\"`, `\\\\`, `\\n` and `\\t`')
    elif line[0] in QUOTES + '"':
        yield Help('strings start and end with `"` on the same line')
    elif line[0] == "\\":
        yield Help("no backslash is needed: lines continue inside brackets and after operators")
    elif line[0].isalpha():
        yield Help("names consist of the letters a-z and A-Z, digits and `_`")


#: Strings, comments and brackets.
BRACKETS = re.compile(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*|([(\[{])|([)\]}])')


def _brackets(source: Source, start: int, end: int) -> tuple[list[int], list[tuple[int, int]]]:
    """The places of the brackets that are open at `end`, and those of each closed pair."""
    opened: list[int] = []
    pairs: list[tuple[int, int]] = []
    for match in BRACKETS.finditer(source.text, start, end):
        if match[1]:
            opened.append(match.start())
        elif match[2] and opened:
            pairs.append((opened.pop(), match.start()))
    return opened, pairs


def open_brackets(source: Source, start: int, end: int) -> list[Span]:
    """The brackets that are open at `end`, the innermost last."""
    return [Span(source, place, place + 1) for place in _brackets(source, start, end)[0]]


def unclosed(source: Source, start: int, end: int) -> tuple[Note, ...]:
    """Notes on the bracket that is probably not closed, for source code that ends too early.

    A `}` that begins its line is indented as the line with its `{`, so that one indented otherwise shows it.
    """
    opened, pairs = _brackets(source, start, end)
    for place, close in pairs:
        if _indent(source, place, place) != _indent(source, close, place):
            note = "this may be unclosed: the `}` that matches it has a different indentation"
            return (Note(note, Span(source, place, place + 1)),)
    if not opened:
        return ()
    return (Note("this is never closed", Span(source, opened[-1], opened[-1] + 1)),)


def _indent(source: Source, offset: int, otherwise: int) -> str:
    """The blanks that begin the line of a bracket; those of `otherwise` for one that does not begin its line."""
    start = source.text.rfind("\n", 0, offset) + 1
    blanks = re.match(r"[ \t]*", source.text[start:])
    assert blanks is not None
    if offset != otherwise and start + blanks.end() != offset:
        return _indent(source, otherwise, otherwise)
    return blanks[0]
