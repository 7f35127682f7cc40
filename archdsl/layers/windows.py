"""Sliding windows that convolutions and pools share: their arguments, output sizes and ONNX attributes."""

from collections.abc import Sequence
from typing import Any, Literal

from archdsl.diagnostics.codes.shapes import NoOutput
from archdsl.diagnostics.problem import Rejected
from archdsl.layers.base import AXES, Layer, Paddings, Sizes
from archdsl.shapes import Shape, Window
from archdsl.shapes.extent import Unanswered, is_known

#: TensorFlow's "same" padding by ONNX's name: ceil(n / stride) outputs, an odd element of padding at the end.
SAME_UPPER = "same_upper"
SamePaddings = Paddings | Literal["same_upper"]


def windows_of(
    layer: Layer,
    x: Shape,
    kernel: Sizes,
    stride: Sizes | None,
    *,
    padding: SamePaddings | Literal["same", "valid"] = 0,
    dilation: Sizes = 1,
) -> tuple[Window, ...]:
    """The window on each spatial axis; without a stride it is the kernel size."""
    kernels = layer.per_axis("kernel_size", kernel, x)
    strides = kernels if stride is None else layer.per_axis("stride", stride, x)
    pads = layer.per_axis("padding", 0 if isinstance(padding, str) else padding, x)
    dilations = layer.per_axis("dilation", dilation, x)
    windows = tuple(Window(k, s, p, p, d) for k, s, p, d in zip(kernels, strides, pads, dilations, strict=True))
    if padding != SAME_UPPER or all(window.span == 1 for window in windows):
        return windows
    if not all(map(is_known, x.spatial)):
        # For sizes that are known only when an ONNX file runs, the file has to do it.
        if not onnx_same_upper(layer, windows):
            raise Unanswered
        return windows
    return tuple(_same_upper(window, size) for window, size in zip(windows, x.spatial, strict=True))


def _same_upper(window: Window, size: int) -> Window:
    """The window with the padding for ceil(n / stride) outputs."""
    outputs = -(-size // window.stride)
    total = max((outputs - 1) * window.stride + window.span - size, 0)
    return window._replace(before=total // 2, after=total - total // 2)


def padded(windows: Sequence[Window], x: Shape) -> Shape | None:
    """The shape of `x` with the windows' padding; None without padding."""
    sizes = [size + window.before + window.after for size, window in zip(x.spatial, windows, strict=True)]
    return None if sizes == list(x.spatial) else x.like((x.channels, *sizes))


def onnx_same_upper(layer: Layer, windows: Sequence[Window]) -> dict[str, Any]:
    """ONNX's own padding of that name, for any size of the input, where ONNX Runtime has it.

    It has none for dilated kernels, fails for pools with a stride larger than the kernel, and starts a convolution in
    the wrong place where the stride is larger by two or more.
    """
    gap = 1 if layer.kind == "conv" else 0
    plain = all(window.dilation == 1 and window.stride <= window.kernel + gap for window in windows)
    return {"auto_pad": "SAME_UPPER"} if plain else {}


def slide(layer: Layer, windows: Sequence[Window], x: Shape, *, ceil: bool = False) -> tuple[int, ...]:
    """The spatial sizes after windows over `x`; rejects a size under 1 with the padding or kernel that would fit."""
    sizes = tuple(window.output(size, ceil=ceil) for size, window in zip(x.spatial, windows, strict=True))
    for axis, size, window, output in zip(AXES[x.rank], x.spatial, windows, sizes, strict=True):
        if output < 1:
            problem = NoOutput(layer.kind, axis, output, rule(size, window, ceil=ceil))
            raise Rejected(problem, help=_fitting(size, window))
    return sizes


def rule(size: int, window: Window, *, ceil: bool) -> str:
    """The output-size formula, with letters and with numbers."""
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
