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
