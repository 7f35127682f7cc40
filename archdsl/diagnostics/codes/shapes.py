"""E4xx: shapes that do not fit. Layers raise these without a place."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class WrongRank(Problem):
    """An input with the wrong number of axes.

    Most layers accept inputs of several ranks: a vector has one axis (features), a sequence two (channels, length), an
    image three (channels, height, width), a volume four. A layer with a sliding window needs at least one spatial axis,
    and there is none after `flatten`.
    """

    code = "E401"
    text = "{kind} expects {expected}, but its input is {found}"
    wrong = "model m { input(3x8x8)  ; flatten; conv(8, 3) }"
    right = "model m { input(3x8x8)  ; conv(8, 3); flatten }"
    kind: str
    expected: str
    found: str


class NoOutput(Problem):
    """A window that is larger than its input.

    The output size, for each spatial axis with input n, kernel k, dilation d, padding p on both sides and stride s, is

        out = floor((n + 2p - d*(k - 1) - 1) / s) + 1

    It must be at least 1: the window, with its dilation, must fit into the padded input.
    """

    code = "E402"
    text = "the output of {kind} would be {output} on the {axis} axis: {rule}"
    wrong = "model m { input(3x4x4); conv(8, 5) }"
    right = "model m { input(3x4x4); conv(8, 5, padding=2) }"
    kind: str
    axis: str
    output: int
    rule: str


class NotDivisible(Problem):
    """A number that is not divisible.

    Grouped convolutions, group norm, channel shuffle, pixel shuffle, attention heads and `split` divide an axis into
    equal parts.
    """

    code = "E403"
    text = "{what} ({number}) must be divisible by {divisor_name} ({divisor})"
    wrong = "model m { input(6x8x8); conv(8, 3, groups=4) }"
    right = "model m { input(6x8x8); conv(8, 3, groups=2) }"
    what: str
    number: int
    divisor_name: str
    divisor: int


class WrongArgumentForShape(Problem):
    """An argument that does not fit the input.

    The argument has a valid type and value, but not for this input: a tuple for another number of axes, an axis that
    does not exist, or more padding than PyTorch allows.
    """

    code = "E404"
    text = "{kind}: {reason}"
    wrong = "model m { input(3x8x8); maxpool(3, padding=2) }"
    right = "model m { input(3x8x8); maxpool(3, padding=1) }"
    kind: str
    reason: str


class ArgumentConflict(Problem):
    """Arguments that conflict.

    Each argument is valid, but not in this combination: one repeats the other, has no effect together with it, or
    requires one that is missing.
    """

    code = "E405"
    text = "{kind}: {reason}"
    wrong = "model m { input(3x8x8); upsample(size=16, scale_factor=2) }"
    right = "model m { input(3x8x8); upsample(scale_factor=2) }"
    kind: str
    reason: str


class ShapesDiffer(Problem):
    """Tensors with incompatible shapes.

    `residual`, `sum` and `subtract` take equal shapes; a size of 1 is broadcast. `inception`, `dense` and `split`
    concatenate tensors on the channel axis, so all other sizes must be equal. `scale` multiplies the input by its body,
    whose sizes must equal the input's or be 1.
    """

    code = "E406"
    text = "`{kind}`: {one}, but {other}"
    wrong = "model m { input(3x8x8); residual { conv(8, 3, padding=1) } }"
    right = "model m { input(3x8x8); residual { conv(8, 3, padding=1) } shortcut { conv(8, 1) } }"
    kind: str
    one: str
    other: str


class WrongElements(Problem):
    """A layer on a tensor of the wrong type.

    Layers compute with floating-point numbers. An input declared as `int64` is a tensor of integers, such as class
    labels or the numbers of words: `embedding` turns each into a vector, `float` converts them.
    """

    code = "E407"
    text = "{kind} expects {expected}, but its input is {found}"
    wrong = "model m { input(tokens: int64(16)); linear(8) }"
    right = "model m { input(tokens: 16); linear(8) }"
    kind: str
    expected: str
    found: str


class WrongParametrization(Problem):
    """A parametrization that does not fit the layer.

    `weight_norm` and `spectral_norm` compute the parameter `weight` of a layer from others, as in
    torch.nn.utils.parametrizations. The layer must have that parameter, and the weight the axis `dim`. `weight_norm`
    divides by the norm of the weight, which must not be zero at first.
    """

    code = "E420"
    text = "`{parametrization}` cannot be applied: {reason}"
    wrong = "model m { input(3x8x8); relu(parametrization=weight_norm) }"
    right = "model m { input(3x8x8); conv(4, 3, parametrization=weight_norm) }"
    parametrization: str
    reason: str
