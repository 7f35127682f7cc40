"""Which operations share a box: a norm, an activation or a dropout is drawn with the layer that it follows."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.diagrams.flow.program import Flow, Op
from archdsl.diagrams.labels import family
from archdsl.graph import LayerNode

#: Layers that have no box of their own beside one with weights.
LIGHT = frozenset({"norm", "activation", "dropout"})
#: Layers that take light ones before them into their box, as in networks with norms before convolutions.
HEADS = frozenset({"conv", "linear", "attention"})


def chains(ops: Sequence[Op], flow: Flow, *, fuse: bool = True) -> list[list[Op]]:
    """Operations in order, those that are drawn as one box in one list."""
    found: list[list[Op]] = []
    for op in ops:
        if fuse and found and _follows(found[-1][-1], op, flow) and _fits(found[-1], op):
            found[-1].append(op)
        else:
            found.append([op])
    return found


def _follows(last: Op, op: Op, flow: Flow) -> bool:
    """Whether an operation reads what the last one makes and nothing else, and is the only one to do so."""
    return op.reads == last.makes and flow.readers[op.reads[0]] == [op]


def _fits(chain: Sequence[Op], op: Op) -> bool:
    kind = kind_of(op)
    if kind in LIGHT:
        return kind_of(chain[0]) in LIGHT | HEADS or chain[0].is_sign
    return kind in HEADS and all(kind_of(one) in LIGHT for one in chain)


def kind_of(op: Op) -> str:
    """The family of a layer, or the operation."""
    return family(op.node) if isinstance(op.node, LayerNode) else op.step.op
