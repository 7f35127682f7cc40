"""E3xx: expressions and their values."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class WrongType(Problem):
    """A value of the wrong type.

    Arithmetic takes numbers, conditions are `true` or `false` (write a comparison: `n != 0`), `len` takes lists. `/`
    returns a fraction, `//` an integer.
    """

    code = "E301"
    text = "{what} {expected}, found {found}"
    wrong = "model m(n = 2) { input(3x8x8); if n { relu } }"
    right = "model m(n = 2) { input(3x8x8); if n != 0 { relu } }"
    what: str
    expected: str
    found: str


class ArithmeticFault(Problem):
    """An operation without a result.

    Examples are division by zero, the square root of a negative number, and the minimum of an empty list.
    """

    code = "E302"
    text = "{what}"
    wrong = "model m(n = 0) { input(3x8x8); conv(8 // n, 3) }"
    right = "model m(n = 2) { input(3x8x8); conv(8 // n, 3) }"
    what: str


class OutOfRange(Problem):
    """An index out of range.

    Indices start at 0. Negative indices count from the end: -1 is the last element.
    """

    code = "E303"
    text = "index {index} is out of range for {what} with {length} {units}"
    wrong = "model m(c = [8, 16]) { input(3x8x8); conv(c[2], 3) }"
    right = "model m(c = [8, 16]) { input(3x8x8); conv(c[1], 3) }"
    index: str
    what: str
    length: int
    units: str


class WrongUnpacking(Problem):
    """The wrong number of values to unpack.

    `for (t, c) in [(1, 16), (6, 24)]` and `let a, b = (1, 2)` need one value for each name.
    """

    code = "E304"
    text = "cannot unpack {values} into {names} names"
    wrong = "model m { input(3x8x8); for (c, k) in [(8, 3), 16] { conv(c, k) } }"
    right = "model m { input(3x8x8); for (c, k) in [(8, 3), (16, 3)] { conv(c, k) } }"
    names: int
    values: str

    def __str__(self) -> str:
        text = super().__str__()
        return text.replace("1 names", "1 name", 1) if self.names == 1 else text


class NoSuchAxis(Problem):
    """A property that the current tensor does not have.

    `channels` and `features` are the first size of the current tensor. `length` needs one spatial axis, `height` and
    `width` two or three, `depth` three.
    """

    code = "E305"
    text = "`{name}` {needs}, but the current tensor is {shape}"
    wrong = "model m { input(784); linear(height) }"
    right = "model m { input(784); linear(features) }"
    name: str
    needs: str
    shape: str


class NotAFunction(Problem):
    """A call of something that is neither a function nor a layer.

    An expression can call functions (`min`, `round`, `divisible`, ...). Arguments after the name of a layer type, of a
    block, or of a value that holds one make a value: `act = leaky_relu(0.1)`.
    """

    code = "E306"
    text = "`{name}` is {found}, not a function"
    wrong = "block twice(f) { f; f }; model m(pool = 2) { input(3x8x8); twice(pool(2)) }"
    right = "block twice(f) { f; f }; model m(pool = maxpool) { input(3x8x8); twice(pool(2)) }"
    name: str
    found: str


class LengthsDiffer(Problem):
    """Arithmetic on tuples of different lengths.

    Sizes and other tuples compute element by element, with a number (`kernel // 2`) or with a tuple of the same length.
    """

    code = "E340"
    text = "`{op}` takes tuples of the same length, found {first} and {second}"
    wrong = "model m(kernel = 1x3) { input(3x8x8); conv(8, kernel, padding=(kernel - (1, 1, 1)) // 2) }"
    right = "model m(kernel = 1x3) { input(3x8x8); conv(8, kernel, padding=(kernel - (1, 1)) // 2) }"
    op: str
    first: str
    second: str


class PartsDoNotAddUp(Problem):
    """Sizes of parts that are not all channels of the tensor.

    `split([8, 24]) { }` and `split([8, 24]) -> a, b` cut a tensor of 32 channels; `split(2)` makes equal parts.
    """

    code = "E341"
    text = "the parts have {sizes} = {total} channels, but the input {shape} has {channels}"
    wrong = "model m { input(32x8x8); split([8, 16]) { relu; tanh } }"
    right = "model m { input(32x8x8); split([8, 24]) { relu; tanh } }"
    sizes: str
    total: int
    shape: str
    channels: int


class OtherNumberOfParts(Problem):
    """Another number of parts than names for them.

    `chunk(3)` is that of PyTorch: it makes parts of 3, 3 and 2 of 8 channels, and only two of 4.
    """

    code = "E342"
    text = "{what} makes {parts} {units}, not {names}"
    wrong = "model m { input(32x8x8); chunk(3) -> a, b; concat(a, b) }"
    right = "model m { input(32x8x8); chunk(2) -> a, b; concat(a, b) }"
    what: str
    parts: int
    names: int
    units: str
