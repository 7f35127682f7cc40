"""E74x: pictures that cannot be drawn."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class NoSuchPart(Problem):
    """A layer that does not exist."""

    code = "E741"
    text = "the network has no layer or scope named {name}"
    explanation = """
`archdsl summary SPEC --columns name` lists the full names, which are also the prefixes in the state_dict.
"""

    name: str


class NothingToDraw(Problem):
    """A picture that does not exist for this network."""

    code = "E742"
    text = "cannot draw {picture}: {reason}"
    explanation = """
`filters` needs a convolution, `features` an output with two spatial axes, `mistakes` and `confusion` a network with
one score per class. `--layer NAME` selects another layer.
"""

    picture: str
    reason: str
