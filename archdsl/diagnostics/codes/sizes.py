"""E78x: other input sizes."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class OtherWeights(Problem):
    """An input size with which the weights would have other shapes.

    A linear layer after `flatten` has as many inputs as there are pixels, and `parameter(shape)` has a value for each.
    A network with other weights is another network: trained weights do not load into it. An adaptive pool before
    `flatten` makes the weights independent of the input size.
    """

    code = "E780"
    text = "{key} would be {found}, but the weights have {expected}"
    key: str
    found: str
    expected: str


class NotDynamic(Problem):
    """A layer that cannot be exported for other input sizes.

    With `--dynamic-size`, the sizes of the input are known only when the ONNX file runs. Most layers can be written
    without them; some decide by them what to compute. Export the network for one size, with `--input`, or use another
    layer.
    """

    code = "E781"
    text = "{kind} cannot be exported with a dynamic size: {reason}"
    kind: str
    reason: str


class OneSize(Problem):
    """A network without other input sizes.

    `export --dynamic-size` compares the file with the module at three input sizes, so there must be as many.
    `archdsl sizes` prints which sizes a network takes.
    """

    code = "E782"
    text = "the network cannot be exported with a dynamic size: {reason}"
    reason: str
