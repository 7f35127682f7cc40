"""E4xx: shapes that do not fit. Raised by the layers (without a place) and by the combinators."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class WrongRank(Problem):
    """The input has too few or too many axes for the layer."""

    code = "E401"
    text = "{kind} takes {expected}, but its input is {found}"
    explanation = """
Most layers follow the rank of their input: a vector has one axis (features), a sequence two (channels,
length), an image three (channels, height, width), a volume four. A layer that slides a window needs at
least one spatial axis; after `flatten` there is none left.
"""
    wrong = "model m { input(3x8x8)  ; flatten; conv(8, 3) }"
    right = "model m { input(3x8x8)  ; conv(8, 3); flatten }"

    kind: str
    expected: str
    found: str


class NoOutput(Problem):
    """A window is larger than the padded input, so that the output size is under 1."""

    code = "E402"
    text = "the output of {kind} would be {output} on the {axis} axis: {rule}"
    explanation = """
The output-size formula, for each spatial axis with input n, kernel k, dilation d, padding p on both sides
and stride s:

    out = floor((n + 2p - d*(k - 1) - 1) / s) + 1

The result has to be at least 1: the window, with its dilation, must fit into the padded input.
"""
    wrong = "model m { input(3x4x4); conv(8, 5) }"
    right = "model m { input(3x4x4); conv(8, 5, padding=2) }"

    kind: str
    axis: str
    output: int
    rule: str


class NotDivisible(Problem):
    """A count that must divide another does not."""

    code = "E403"
    text = "{what} ({number}) must be divisible by {divisor_name} ({divisor})"
    explanation = """
Grouped convolutions, group norm, channel shuffle, pixel shuffle, the heads of attention and `split` cut an
axis into equal parts.
"""
    wrong = "model m { input(6x8x8); conv(8, 3, groups=4) }"
    right = "model m { input(6x8x8); conv(8, 3, groups=2) }"

    what: str
    number: int
    divisor_name: str
    divisor: int


class WrongArgumentForShape(Problem):
    """An argument is well typed, but does not suit this input."""

    code = "E404"
    text = "{kind}: {reason}"
    explanation = """
The argument has the right type, but its value does not fit the tensor that arrives here: a tuple with
another number of axes than the input, an axis that does not exist, a padding larger than PyTorch allows.
"""
    wrong = "model m { input(3x8x8); maxpool(3, padding=2) }"
    right = "model m { input(3x8x8); maxpool(3, padding=1) }"

    kind: str
    reason: str


class ArgumentConflict(Problem):
    """Arguments that exclude each other, or of which one is missing."""

    code = "E405"
    text = "{kind}: {reason}"
    explanation = """
Each argument is right by itself, but they cannot stand together: one says what the other says already, has no
effect beside it, or needs one that is not there.
"""
    wrong = "model m { input(3x8x8); upsample(size=16, scale_factor=2) }"
    right = "model m { input(3x8x8); upsample(scale_factor=2) }"

    kind: str
    reason: str


class ShapesDiffer(Problem):
    """Tensors that meet in a combinator do not fit each other."""

    code = "E406"
    text = "`{kind}`: {one}, but {other}"
    explanation = """
`residual` and `sum` add tensors: they need equal shapes (or a size of 1 that is repeated). `inception`,
`dense` and `split` put tensors side by side on channels: all other sizes must be equal. `scale` multiplies
the input by its body, whose sizes are the input's or 1.
"""
    wrong = "model m { input(3x8x8); residual { conv(8, 3, padding=1) } }"
    right = "model m { input(3x8x8); residual { conv(8, 3, padding=1) } shortcut { conv(8, 1) } }"

    kind: str
    one: str
    other: str
