"""E74x: pictures of a network that cannot be drawn."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class NoSuchPart(Problem):
    """A layer is asked for that the network does not have."""

    code = "E741"
    text = "the network has no layer or scope called {name}"
    explanation = """
Parts are called as in the table: `archdsl summary SPEC --columns name` lists their full names, which are also
the prefixes of their weights in the state_dict.
"""

    name: str


class NothingToDraw(Problem):
    """A picture is asked for that does not exist for this network."""

    code = "E742"
    text = "no picture of the {picture}: {reason}"
    explanation = """
Filters are those of convolutions, feature maps need an output with two spatial axes, and mistakes and the
confusion matrix need a network that gives one score for each class. `--layer NAME` chooses another layer.
"""

    picture: str
    reason: str
