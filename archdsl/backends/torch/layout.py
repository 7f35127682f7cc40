"""Long lines of printed Python, split as Black and Ruff split them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

WIDTH = 120


def wrapped(text: str) -> str:
    """The code with its long lines split. Statements only: comments and strings may not hold brackets."""
    return "\n".join(part for line in text.split("\n") for part in _lines(line))


def _lines(line: str) -> Iterator[str]:
    if len(line) <= WIDTH or line.lstrip().startswith("#"):
        yield line
        return
    line, pad = _parenthesised(line), " " * (len(line) - len(line.lstrip()) + 4)
    start, end = _brackets(line)
    yield line[: start + 1]
    body = line[start + 1 : end]
    if len(pad + body) <= WIDTH:
        yield pad + body
    else:
        for item in _items(body):
            yield from _lines(f"{pad}{item}")
    yield pad[:-4] + line[end:]


def _parenthesised(line: str) -> str:
    """The line with parentheses around its value, if it has no brackets at its end."""
    if line.rstrip(":,")[-1:] in ")]}" or line.lstrip().startswith("def "):
        return line
    head, sign, value = line.partition(" = ")
    if not sign:
        head, _, value = line.partition("return ")
        sign = "return "
    return f"{head}{sign}({value})"


def _brackets(line: str) -> tuple[int, int]:
    """The outer brackets to split at: the parameters of a function, else the last pair."""
    pairs = list(_pairs(line))
    return pairs[0] if line.lstrip().startswith("def ") else pairs[-1]


def _pairs(line: str) -> Iterator[tuple[int, int]]:
    """The outermost pairs of brackets."""
    depth = start = 0
    for place, letter in enumerate(line):
        if letter in "([{":
            start = start if depth else place
            depth += 1
        elif letter in ")]}":
            depth -= 1
            if depth == 0:
                yield start, place


def _items(body: str) -> Iterator[str]:
    """The items between commas, each with its comma; the terms of a sum if there are no commas."""
    commas = list(_outside(body, ", "))
    if not commas and (signs := list(_outside(body, " + "))):
        places = [0, *(place + 1 for place in signs), len(body)]
        yield from (body[a:b].rstrip() for a, b in pairwise(places))
        return
    places = [-2, *commas, len(body)]
    yield from (f"{body[a + 2 : b]}," for a, b in pairwise(places))


def _outside(body: str, separator: str) -> Iterator[int]:
    """The places of a separator outside all brackets."""
    pairs = list(_pairs(body))
    place = body.find(separator)
    while place >= 0:
        if not any(start < place < end for start, end in pairs):
            yield place
        place = body.find(separator, place + 1)
