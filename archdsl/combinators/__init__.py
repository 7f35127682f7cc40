"""Combinators: the words that make one network of several. Each is one record; everything else is derived from it.

The grammar takes their keywords, elaboration follows their scheme and join, `archdsl.graph.lower` makes operations
of them. To add one is to add its record here, and where it has a scheme of its own, that scheme's elaboration
(`archdsl.elaborate.combinators`) and lowering.
"""

from __future__ import annotations

from enum import Enum

from archdsl.combinators.join import ADD, CONCAT, MUL, SUB, Join
from archdsl.text.record import Record

__all__ = ["COMBINATORS", "KEYWORDS", "Combinator", "Join", "Scheme"]


class Scheme(Enum):
    """What the items in a combinator's body run on, and what is joined.

    BODY      the items one after the other; the result with the input, or with what `shortcut { }` makes of it
    BRANCHES  every item on the input; the results with each other
    PARTS     the input cut on channels into one equal part for each item; the results with each other
    CHAIN     the input and the first item's result, then that and the next item's result on it, and so on
    """

    BODY = "body"
    BRANCHES = "branches"
    PARTS = "parts"
    CHAIN = "chain"


class Combinator(Record):
    """One combinator of the language.

    keyword   as a spec writes it
    scheme    what its items run on
    join      how the results become one tensor
    summary   what it computes, in one line
    shortcut  whether it takes `when condition` before its body and `shortcut { }` after it
    """

    keyword: str
    scheme: Scheme
    join: Join
    summary: str
    shortcut: bool = False


COMBINATORS = {
    one.keyword: one
    for one in (
        Combinator("residual", Scheme.BODY, ADD, "the input, or what `shortcut { }` makes of it, plus the body", True),
        Combinator("inception", Scheme.BRANCHES, CONCAT, "every item on the input, concatenated on channels"),
        Combinator("sum", Scheme.BRANCHES, ADD, "every item on the input, added"),
        Combinator("subtract", Scheme.BRANCHES, SUB, "the first item on the input minus each of the others"),
        Combinator("dense", Scheme.CHAIN, CONCAT, "each item on all before it, concatenated on channels"),
        Combinator("scale", Scheme.BODY, MUL, "the input times the body"),
        Combinator("split", Scheme.PARTS, CONCAT, "the input cut into equal parts, an item for each, concatenated"),
    )
}

#: The words that begin a combinator in a spec. `aux { }` is read like one; it joins nothing.
KEYWORDS = (*COMBINATORS, "aux")
