"""Axes as PyTorch counts them (the batch axis is 0, negative ones count from the end) and as a Shape does."""

from collections.abc import Sequence

from archdsl.diagnostics.codes.shapes import WrongArgumentForShape
from archdsl.diagnostics.problem import Rejected
from archdsl.layers.base import Layer, OnnxBuilder
from archdsl.shapes import Shape


def position(layer: Layer, argument: str, dim: int, x: Shape, *, new: int = 0) -> int:
    """Where PyTorch's `dim` is in `x`, which has no batch axis; rejects the batch axis and axes that do not exist.

    `new` counts the axes that the layer adds and `dim` may name too.
    """
    rank = len(x) + 1 + new
    found = dim + rank if dim < 0 else dim
    if found == 0:
        reason = f"{argument}={dim} is the batch axis, and samples are kept apart; the first axis of a sample is 1"
        raise Rejected(WrongArgumentForShape(layer.kind, reason), argument=argument)
    if not 0 < found < rank:
        reason = f"{argument}={dim} does not exist: the input {x} has the axes 1 to {rank - 1} behind the batch axis"
        raise Rejected(WrongArgumentForShape(layer.kind, reason), argument=argument)
    return found - 1


def onnx_reduce(g: OnnxBuilder, op: str, value: str, axes: Sequence[int]) -> str:
    """A reduction that keeps its axes; they became an input with opset 18 (ReduceSum's are older)."""
    if g.opset >= 18:
        return g.node(op, value, g.ints(axes), keepdims=1)
    return g.node(op, value, axes=list(axes), keepdims=1)


def onnx_reshape(g: OnnxBuilder, value: str, y: Shape) -> str:
    """Give a value the shape `y` of one sample; a 0 keeps the batch axis as it is."""
    return g.node("Reshape", value, g.ints([0, *y]))


#: ONNX's names for the padding modes (Pad, opset 19 for `wrap`).
ONNX_PAD_MODES = {
    "zeros": "constant",
    "constant": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


def onnx_spatial_pad(g: OnnxBuilder, value: str, sides: Sequence[tuple[int, int]], mode: str, fill: float = 0.0) -> str:
    """The spatial axes padded by (before, after) cells of PyTorch's padding mode `mode`, none of them negative."""
    if not any(map(any, sides)):
        return value
    if mode == "circular" and g.opset < 19:
        return _wrapped(g, value, sides)
    befores, afters = zip(*sides, strict=True)
    constant = [g.scalar(fill)] if fill else []
    return g.node("Pad", value, g.ints([0, 0, *befores, 0, 0, *afters]), *constant, mode=ONNX_PAD_MODES[mode])


def _wrapped(g: OnnxBuilder, value: str, sides: Sequence[tuple[int, int]]) -> str:
    """Circular padding for the opsets whose Pad has no such mode: the ends of each axis joined on."""
    end = 2**63 - 1
    for axis, (before, after) in enumerate(sides, start=2):
        parts = [value]
        if before:
            parts.insert(0, g.node("Slice", value, g.ints([-before]), g.ints([end]), g.ints([axis])))
        if after:
            parts.append(g.node("Slice", value, g.ints([0]), g.ints([after]), g.ints([axis])))
        if len(parts) > 1:
            value = g.node("Concat", *parts, axis=axis)
    return value
