"""Axes as PyTorch counts them (the batch axis is 0, negative ones count from the end) and as a Shape does."""

from collections.abc import Sequence

from archdsl.diagnostics.problem import Refused
from archdsl.diagnostics.shapes import WrongArgumentForShape
from archdsl.layers.base import Layer, OnnxBuilder
from archdsl.shapes import Shape


def position(layer: Layer, argument: str, dim: int, x: Shape, *, new: int = 0) -> int:
    """Where PyTorch's `dim` is in `x`, which has no batch axis; refuses the batch axis and axes that do not exist.

    `new` counts the axes that the layer adds and `dim` may name too.
    """
    rank = len(x) + 1 + new
    found = dim + rank if dim < 0 else dim
    if found == 0:
        reason = f"{argument}={dim} is the batch axis, and samples are kept apart; the first axis of a sample is 1"
        raise Refused(WrongArgumentForShape(layer.kind, reason), argument=argument)
    if not 0 < found < rank:
        reason = f"{argument}={dim} does not exist: the input {x} has the axes 1 to {rank - 1} behind the batch axis"
        raise Refused(WrongArgumentForShape(layer.kind, reason), argument=argument)
    return found - 1


def onnx_reduce(g: OnnxBuilder, op: str, value: str, axes: Sequence[int]) -> str:
    """A reduction that keeps its axes; they became an input with opset 18 (ReduceSum's are older)."""
    if g.opset >= 18:
        return g.node(op, value, g.ints(axes), keepdims=1)
    return g.node(op, value, axes=list(axes), keepdims=1)


def onnx_reshape(g: OnnxBuilder, value: str, y: Shape) -> str:
    """Give a value the shape `y` of one sample; a 0 keeps the batch axis as it is."""
    return g.node("Reshape", value, g.ints([0, *y]))
