"""E5xx: limits."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class TooDeep(Problem):
    """Nesting that is too deep.

    The depth of nesting is limited. Move inner parts out: layers into a block, a part of an expression into a `let`.
    """

    code = "E501"
    text = "{what} are nested more than {limit} deep"
    wrong = "model m { input(3x8x8); linear(" + "(" * 101 + "8" + ")" * 101 + ") }"
    right = "model m { input(3x8x8); linear(8) }"
    what: str
    limit: int


class Recursive(Problem):
    """A block that calls itself.

    A block must not call itself, directly or through other blocks, because its expansion would not end. Use `for` to
    repeat layers.
    """

    code = "E502"
    text = "`{name}` calls itself{through}"
    wrong = "block b { relu; b }\nmodel m { input(3x8x8); b }"
    right = "block b { for i in 1..3 { relu } }\nmodel m { input(3x8x8); b }"
    name: str
    through: str


class TooManyLayers(Problem):
    """Too many layers.

    The number of layers is limited, so that a mistake in a loop is reported and does not fill the memory.
    """

    code = "E503"
    text = "the model expands to more than {limit:,} layers"
    wrong = "model m { input(3); for i in 1..200 { for j in 1..200 { relu } } }"
    right = "model m { input(3); for i in 1..20 { relu } }"
    limit: int


class TooLong(Problem):
    """A list or string that is too long.

    The number of elements of loops, ranges, lists and strings is limited.
    """

    code = "E504"
    text = "{what} has {length:,} {units}; the limit is {limit:,}"
    wrong = "model m { input(3); for i in 1..1000000000 { relu } }"
    right = "model m { input(3); for i in 1..10 { relu } }"
    what: str
    length: int
    units: str
    limit: int


class TooManyElements(Problem):
    """A value with too many elements.

    The number of elements of a list is limited, and so is the number including those of nested lists, where a list that
    occurs several times counts each time. Eight characters of a string count as one element.
    """

    code = "E508"
    text = "the value would hold more than {limit:,} elements, including those of nested lists"
    wrong = "let a = [0] * 10000\nlet b = [a] * 10000\nmodel m { input(3); relu }"
    right = "let a = [0] * 100\nlet b = [a] * 100\nmodel m { input(3); relu }"
    limit: int


class TooLarge(Problem):
    """A number that is too large.

    Sizes are 64-bit integers in PyTorch and ONNX.
    """

    code = "E505"
    text = "{what} does not fit in 64 bits"
    wrong = "model m { input(3); linear(2 ** 100) }"
    right = "model m { input(3); linear(2 ** 10) }"
    what: str


class TensorTooLarge(Problem):
    """A tensor that is too large.

    A tensor has at most 2^40 elements (4 TiB in float32). Common mistakes are `flatten` of a large image before
    `linear`, and an input size with a digit too many.
    """

    code = "E506"
    text = "{what} would be {shape} with {numel:,} elements; the limit is {limit:,}"
    wrong = "model m { input(1000000x1000000x10); relu }"
    right = "model m { input(3x1000x1000); relu }"
    what: str
    shape: str
    numel: int
    limit: int


class TooManySteps(Problem):
    """An expansion that takes too long.

    Each evaluated statement and expression counts as a step. Nested loops multiply the number of steps.
    """

    code = "E507"
    text = "expanding the model takes more than {limit:,} steps"
    wrong = "model m { input(3); for i in 1..10000 { for j in 1..10000 { let a = i } } }"
    right = "model m { input(3); for i in 1..100 { let a = i } }"
    limit: int


class TooManyModels(Problem):
    """Models that take too long together.

    `archdsl check` expands every model of a file, with a limit for all of them together (E507 is the limit for one).
    Move some of the models to another file.
    """

    code = "E509"
    text = (
        "checking the models before `{name}` took more than {limit:,} steps, so `{name}` and later models were not "
        "checked"
    )
    wrong = "".join(f"model m{i} {{ input(3); for i in 1..9000 {{ relu }} }}\n" for i in range(9))
    right = "model m0 { input(3); for i in 1..9000 { relu } }"
    limit: int
    name: str
