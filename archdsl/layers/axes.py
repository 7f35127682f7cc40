"""Axes as PyTorch counts them (the batch axis is 0, negative ones count from the end), and their ONNX forms."""

from collections.abc import Sequence

from archdsl.layers.base import Layer, OnnxBuilder
from archdsl.shapes import Shape
from archdsl.shapes.extent import is_known


def position(layer: Layer, argument: str, dim: int, x: Shape, *, new: int = 0) -> int:
    """The position of PyTorch's `dim` in `x`, which has no batch axis; rejects the batch axis and unknown ones.

    `new` is the number of axes that the layer adds, which `dim` may name too.
    """
    rank = len(x) + 1 + new
    found = dim + rank if dim < 0 else dim
    if found == 0:
        raise layer.unfit(argument, f"{argument}={dim} is the batch axis; the first axis of a sample is 1")
    if not 0 < found < rank:
        axes = f"the axes 1 to {rank - 1}" if rank > 2 else "the axis 1" if rank == 2 else "no axis"
        raise layer.unfit(argument, f"{argument}={dim} does not exist: the input {x} has {axes} after the batch axis")
    return found - 1


def require_axis_left(layer: Layer, argument: str, x: Shape, left: int, help: str | None = None) -> None:
    """Reject a layer that leaves no axis but the batch axis, which only integers can do without."""
    if not left and x.dtype == "float32":
        raise layer.unfit(argument, f"no axis of the input {x} would be left besides the batch axis", help)


def onnx_reduce(g: OnnxBuilder, op: str, value: str, axes: Sequence[int], *, keepdims: bool = True) -> str:
    """A reduction of some axes, which are an input since opset 18; of ReduceSum since 13."""
    if g.opset >= 18 or op == "ReduceSum":
        return g.node(op, value, g.ints(axes), keepdims=keepdims)
    return g.node(op, value, axes=list(axes), keepdims=keepdims)


def onnx_reshape(g: OnnxBuilder, value: str, y: Shape) -> str:
    """A Reshape to the shape `y` of a sample; the 0 keeps the batch axis, -1 is one size that is not known yet."""
    unknown = [size for size in y if not is_known(size)]
    sizes = y if len(unknown) > 1 else [size if is_known(size) else -1 for size in y]
    return g.node("Reshape", value, g.ints([0, *sizes]))


def onnx_for_each_sample(g: OnnxBuilder, value: str, y: Shape) -> str:
    """A tensor with a batch axis of 1, repeated for each sample of the layer's input."""
    batch = g.node("Slice", g.node("Shape", g.input), g.ints([0]), g.ints([1]))
    return g.node("Expand", value, g.node("Concat", batch, g.ints(y), axis=0))


#: ONNX's names for the padding modes (Pad, opset 19 for `wrap`).
ONNX_PAD_MODES = {
    "zeros": "constant",
    "constant": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


def onnx_spatial_pad(g: OnnxBuilder, value: str, sides: Sequence[tuple[int, int]], mode: str, fill: float = 0.0) -> str:
    """The spatial axes padded by (before, after) in PyTorch's padding mode `mode`; none is negative."""
    if not any(map(any, sides)):
        return value
    if mode == "circular" and g.opset < 19:
        return _wrapped(g, value, sides)
    befores, afters = zip(*sides, strict=True)
    constant = [g.scalar(fill)] if fill else []
    return g.node("Pad", value, g.ints([0, 0, *befores, 0, 0, *afters]), *constant, mode=ONNX_PAD_MODES[mode])


def _wrapped(g: OnnxBuilder, value: str, sides: Sequence[tuple[int, int]]) -> str:
    """Circular padding for opsets without that mode of Pad: both ends of each axis are concatenated to it."""
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
