"""E5xx: bounds, so that every run ends."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem
from archdsl.text.limits import MAX_ELEMENTS, MAX_LENGTH


class TooDeep(Problem):
    """Brackets, bodies or expressions nest too deeply."""

    code = "E501"
    text = "{what} nest more than {limit} deep"
    explanation = """
Nobody reads that many levels, and every level costs stack. Name the inner parts: a block for layers, a
`let` for a part of an expression.
"""
    wrong = "model m { input(3x8x8); linear(" + "(" * 101 + "8" + ")" * 101 + ") }"
    right = "model m { input(3x8x8); linear(8) }"

    what: str
    limit: int


class Recursive(Problem):
    """A block reaches itself."""

    code = "E502"
    text = "`{name}` calls itself{through}, so that its expansion would never end"
    explanation = """
A spec always ends: blocks cannot reach themselves, directly or through others. Repetition is written
with `for`.
"""
    wrong = "block b { relu; b }\nmodel m { input(3x8x8); b }"
    right = "block b { for i in 1..3 { relu } }\nmodel m { input(3x8x8); b }"

    name: str
    through: str


class TooManyLayers(Problem):
    """The expansion has too many layers."""

    code = "E503"
    text = "the model expands to more than {limit:,} layers"
    explanation = """
The expansion of a spec is bounded, so that a slip in a loop is an error and not a dead machine.
"""
    wrong = "model m { input(3); for i in 1..200 { for j in 1..200 { relu } } }"
    right = "model m { input(3); for i in 1..20 { relu } }"

    limit: int


class TooLong(Problem):
    """A loop, range, list or text is too long."""

    code = "E504"
    text = "{what} has {length:,} {units}; the limit is {limit:,}"
    explanation = f"""
Loops, ranges, lists and texts have at most {MAX_LENGTH:,} elements.
"""
    wrong = "model m { input(3); for i in 1..1000000000 { relu } }"
    right = "model m { input(3); for i in 1..10 { relu } }"

    what: str
    length: int
    units: str
    limit: int


class TooManyElements(Problem):
    """A value with too many values inside."""

    code = "E508"
    text = "the value would hold more than {limit:,} values, those of lists inside lists counted"
    explanation = f"""
A list has at most {MAX_LENGTH:,} elements, and a list of lists at most {MAX_ELEMENTS:,} in all; one that occurs
several times counts each time. Eight characters of a string count as one element.
"""
    wrong = "let a = [0] * 10000\nlet b = [a] * 10000\nmodel m { input(3); relu }"
    right = "let a = [0] * 100\nlet b = [a] * 100\nmodel m { input(3); relu }"

    limit: int


class TooLarge(Problem):
    """An integer outside 64 bits."""

    code = "E505"
    text = "{what} does not fit into 64 bits"
    explanation = """
Sizes are 64-bit integers in PyTorch and ONNX.
"""
    wrong = "model m { input(3); linear(2 ** 100) }"
    right = "model m { input(3); linear(2 ** 10) }"

    what: str


class TensorTooLarge(Problem):
    """A tensor that no machine holds."""

    code = "E506"
    text = "{what} would be {shape}, {numel:,} elements; the limit is {limit:,}"
    explanation = """
A tensor may have up to 2^40 elements (4 TiB in float32). More is a slip: a `flatten` of a large image
before a `linear`, or an input size with a digit too many.
"""
    wrong = "model m { input(1000000x1000000x10); relu }"
    right = "model m { input(3x1000x1000); relu }"

    what: str
    shape: str
    numel: int
    limit: int


class TooManySteps(Problem):
    """The expansion takes too long, with or without layers."""

    code = "E507"
    text = "expanding the model takes more than {limit:,} steps"
    explanation = """
Every statement and expression that is evaluated counts as a step. Loops inside loops multiply.
"""
    wrong = "model m { input(3); for i in 1..10000 { for j in 1..10000 { let a = i } } }"
    right = "model m { input(3); for i in 1..100 { let a = i } }"

    limit: int


class TooManyModels(Problem):
    """A file whose models take too long together."""

    code = "E509"
    text = "checking the models before `{name}` took more than {limit:,} steps: it and those after it are not looked at"
    explanation = """
`check` expands every model of a file. One that takes very long is an error by itself (E507); this is for many that
take long. Put them into several files.
"""
    wrong = "".join(f"model m{i} {{ input(3); for i in 1..9000 {{ relu }} }}\n" for i in range(9))
    right = "model m0 { input(3); for i in 1..9000 { relu } }"

    limit: int
    name: str
