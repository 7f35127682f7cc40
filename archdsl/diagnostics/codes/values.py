"""E3xx: expressions whose values do not fit."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class WrongType(Problem):
    """A value of the wrong type."""

    code = "E301"
    text = "{what} {expected}, found {found}"
    explanation = """
Arithmetic is for numbers, conditions are `true` or `false` (compare: `n != 0`), `len` is for lists. `/`
gives a fraction, `//` a whole number.
"""
    wrong = "model m(n = 2) { input(3x8x8); if n { relu } }"
    right = "model m(n = 2) { input(3x8x8); if n != 0 { relu } }"

    what: str
    expected: str
    found: str


class ArithmeticFault(Problem):
    """An operation without a result."""

    code = "E302"
    text = "{what}"
    explanation = """
Division by zero, the root of a negative number, the smallest of nothing.
"""
    wrong = "model m(n = 0) { input(3x8x8); conv(8 // n, 3) }"
    right = "model m(n = 2) { input(3x8x8); conv(8 // n, 3) }"

    what: str


class OutOfRange(Problem):
    """An index outside a list."""

    code = "E303"
    text = "index {index} is outside {what} with {length} {units}"
    explanation = """
Indices count from 0; negative ones count from the end, -1 being the last.
"""
    wrong = "model m(c = [8, 16]) { input(3x8x8); conv(c[2], 3) }"
    right = "model m(c = [8, 16]) { input(3x8x8); conv(c[1], 3) }"

    index: str
    what: str
    length: int
    units: str


class WrongUnpacking(Problem):
    """Another number of values than names."""

    code = "E304"
    text = "{names} names cannot take {values}"
    explanation = """
`for (t, c) in [(1, 16), (6, 24)]` and `let a, b = (1, 2)` need as many values as names.
"""
    wrong = "model m { input(3x8x8); for (c, k) in [(8, 3), 16] { conv(c, k) } }"
    right = "model m { input(3x8x8); for (c, k) in [(8, 3), (16, 3)] { conv(c, k) } }"

    names: int
    values: str

    def __str__(self) -> str:
        text = super().__str__()
        return text.replace("1 names", "1 name", 1) if self.names == 1 else text


class NoSuchAxis(Problem):
    """A figure that the current tensor does not have."""

    code = "E305"
    text = "`{name}` {needs}, but the current tensor is {shape}"
    explanation = """
`channels` and `features` are the first size of the current tensor; `length` needs one spatial axis,
`height` and `width` two or three, `depth` three.
"""
    wrong = "model m { input(784); linear(height) }"
    right = "model m { input(784); linear(features) }"

    name: str
    needs: str
    shape: str


class NotAFunction(Problem):
    """A layer, block or other value that is called in an expression."""

    code = "E306"
    text = "`{name}` is {found} and no function: it cannot be called in an expression"
    explanation = """
Expressions call functions (`min`, `round`, `divisible`, ...). Layers and blocks run as statements; as values they are
passed by their names alone. For a layer with arguments, write a block and pass that.
"""
    wrong = "block twice(f) { f; f }; model m { input(3x8x8); twice(maxpool(2)) }"
    right = "block twice(f) { f; f }; block pool { maxpool(2) }; model m { input(3x8x8); twice(pool) }"

    name: str
    found: str
