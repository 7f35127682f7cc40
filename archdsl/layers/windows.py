"""Sliding windows that convolutions and pools share: their arguments, output sizes and ONNX attributes."""

from collections.abc import Sequence
from typing import Any

from archdsl.diagnostics.codes.shapes import NoOutput
from archdsl.diagnostics.problem import Rejected
from archdsl.layers.base import AXES, Layer, Paddings, Sizes
from archdsl.shapes import Shape, Window


def windows_of(
    layer: Layer, x: Shape, kernel: Sizes, stride: Sizes | None, *, padding: Paddings = 0, dilation: Sizes = 1
) -> tuple[Window, ...]:
    """The window on each spatial axis; without a stride it is the kernel size."""
    kernels = layer.per_axis("kernel_size", kernel, x)
    strides = kernels if stride is None else layer.per_axis("stride", stride, x)
    pads = layer.per_axis("padding", padding, x)
    dilations = layer.per_axis("dilation", dilation, x)
    return tuple(Window(k, s, p, p, d) for k, s, p, d in zip(kernels, strides, pads, dilations, strict=True))


def slide(layer: Layer, windows: Sequence[Window], x: Shape, *, ceil: bool = False) -> tuple[int, ...]:
    """The spatial sizes after windows over `x`; rejects a size under 1 with the padding or kernel that would fit."""
    sizes = tuple(window.output(size, ceil=ceil) for size, window in zip(x.spatial, windows, strict=True))
    for axis, size, window, output in zip(AXES[x.rank], x.spatial, windows, sizes, strict=True):
        if output < 1:
            problem = NoOutput(layer.kind, axis, output, _rule(size, window, ceil=ceil))
            raise Rejected(problem, help=_fitting(size, window))
    return sizes


def _rule(size: int, window: Window, *, ceil: bool) -> str:
    number = f"({size} + {window.before} + {window.after} - {window.dilation}*{window.kernel - 1} - 1)"
    if ceil:
        return f"ceil((n + p + q - d*(k - 1) - 1) / s) + 1 = ceil({number} / {window.stride}) + 1"
    return f"(n + p + q - d*(k - 1) - 1) // s + 1 = {number} // {window.stride} + 1"


def _fitting(size: int, window: Window) -> str:
    """The padding and the kernel with which a window fits."""
    padding = -(-(window.span - size) // 2)
    largest = (size + window.before + window.after - 1) // window.dilation + 1
    smaller = f"a kernel of {largest} is the largest that fits" if largest >= 1 else "the input is too small"
    return f"padding={padding} would give {(size + 2 * padding - window.span) // window.stride + 1}; {smaller}"


def onnx_window(windows: Sequence[Window]) -> dict[str, Any]:
    """The attributes of ONNX's convolutions and pools without their padding."""
    return {
        "kernel_shape": [w.kernel for w in windows],
        "strides": [w.stride for w in windows],
        "dilations": [w.dilation for w in windows],
    }
