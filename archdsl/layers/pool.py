"""Pooling: the maximum, mean or norm of a sliding window, and of windows fitted to an output size."""

from collections.abc import Sequence
from math import gcd, prod
from typing import Annotated

from pydantic import Field

from archdsl.layers.axes import onnx_spatial_pad
from archdsl.layers.base import AXES, Layer, OnnxBuilder, Positive, Sizes, TorchForm, Twin, changed
from archdsl.layers.memory import Memory, numbers
from archdsl.layers.windows import (
    SAME_UPPER,
    SamePaddings,
    onnx_same_upper,
    onnx_window,
    padded,
    slide,
    windows_of,
)
from archdsl.shapes import Shape, Tensor, Window
from archdsl.shapes.receptive_field import ReceptiveField

Exponent = Annotated[float, Field(gt=0, allow_inf_nan=False)]
#: The sizes of an adaptive pool's output; `none` in a tuple keeps the input's size.
OutputSizes = Positive | tuple[Positive | None, ...]


def pool_shape(layer: Layer, windows: Sequence[Window], x: Shape, *, ceil: bool) -> Shape:
    """The output of windows over `x`; rejects a size under 1 and a padding of more than half the kernel."""
    for axis, window in zip(AXES[x.rank], windows, strict=True):
        if window.before > window.kernel // 2:
            reason = f"padding ({window.before}) is more than half of kernel_size ({window.kernel}) on the {axis} axis"
            help = f"padding={window.kernel // 2} is the largest for a kernel of {window.kernel}"
            raise layer.unfit("padding", reason, help)
    return Shape((x.channels, *slide(layer, windows, x, ceil=ceil)))


def _require_kernel_inside(layer: Layer, windows: Sequence[Window], x: Shape) -> None:
    """Reject what PyTorch's mean over three axes does: a kernel larger than the input without its padding."""
    if x.rank != 3:
        return
    for axis, size, window in zip(AXES[3], x.spatial, windows, strict=True):
        if window.kernel > size:
            reason = f"kernel_size ({window.kernel}) is larger than the input's {axis} ({size}), padding not counted"
            raise layer.unfit("kernel_size", reason)


def onnx_ends(windows: Sequence[Window], x: Shape, y: Shape) -> list[int]:
    """The padding after the input with which rounding down gives the sizes `y`.

    ONNX's own `ceil_mode` keeps a last window that PyTorch drops, and counts positions that PyTorch does not.
    """
    return [
        max(w.after, (out - 1) * w.stride + w.span - size - w.before)
        for w, size, out in zip(windows, x.spatial, y.spatial, strict=True)
    ]


def onnx_pool(
    g: OnnxBuilder,
    op: str,
    value: str,
    windows: Sequence[Window],
    pads: Sequence[int],
    *,
    count_pads: bool = False,
    same: bool = False,
) -> str:
    """A MaxPool or AveragePool; `pads` are those before the input on each axis, then those after it.

    Windows without dilation that are padded to `same` sizes leave the padding to ONNX.
    """
    attributes = onnx_window(windows)
    if all(w.dilation == 1 for w in windows):
        del attributes["dilations"]
    if same and (own := onnx_same_upper(windows)):
        attributes |= own | {"count_include_pad": 1 if count_pads else None}
    elif any(pads):
        attributes |= {"pads": list(pads), "count_include_pad": 1 if count_pads else None}
    return g.node(op, value, **attributes)


def _with_positions(y: Shape) -> Memory:
    """The memory of a pool whose kernel also returns the position of each maximum."""
    return Memory(kept=(Tensor(y, "int64"),), inside=(Tensor(y, "int64"),))


def _of_copy(copy: Shape, others: tuple[Tensor, ...] = ()) -> Memory:
    """The memory of a pool that runs on a padded copy of its input."""
    return Memory((), kept=(Tensor(copy), *others), inside=(Tensor(copy), *others))


class _SamePool(Twin):
    """A pool with a window, which TensorFlow's padding has in a class of its own."""

    twin = "nn.{name}{rank}d"

    def torch(self, x: Shape) -> TorchForm:
        form = super().torch(x)
        if form.keywords.get("padding") != SAME_UPPER:
            return form
        keywords = {name: value for name, value in form.keywords.items() if name != "padding"}
        return TorchForm(f"modules.{type(self).__name__}{x.rank}dSame", form.arguments, keywords)


class MaxPool(_SamePool):
    """The maximum of each window, `torch.nn.MaxPool1d`, `MaxPool2d` or `MaxPool3d` by the input.

    out = floor((n + 2*padding - dilation*(kernel_size - 1) - 1) / stride) + 1 on each axis. With `ceil_mode`
    it is rounded up, less a last window that would start in the padding after the input. Padding counts as
    minus infinity and is at most half of the kernel. With padding="same_upper" out is ceil(n / stride).
    """

    kind = "maxpool"

    kernel_size: Sizes
    stride: Sizes | None = None
    padding: SamePaddings = 0
    dilation: Sizes = 1
    ceil_mode: bool = False

    def memory(self, x: Shape, y: Shape) -> Memory:
        copy = padded(self.windows(x), x) if self.padding == SAME_UPPER else None
        return _with_positions(y) if copy is None else _of_copy(copy, (Tensor(y, "int64"),))

    def windows(self, x: Shape) -> tuple[Window, ...]:
        return windows_of(self, x, self.kernel_size, self.stride, padding=self.padding, dilation=self.dilation)

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self.require_spatial(x)
        if self.padding == SAME_UPPER:
            return Shape((x.channels, *slide(self, self.windows(x), x)))
        return pool_shape(self, self.windows(x), x, ceil=self.ceil_mode)

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        windows = self.windows(x)
        befores, ends = [w.before for w in windows], onnx_ends(windows, x, y)
        value = g.input
        if any(end >= w.kernel for end, w in zip(ends, windows, strict=True)):
            # A dilated kernel can need more padding than ONNX Runtime allows for a pool.
            value = onnx_spatial_pad(g, value, list(zip(befores, ends, strict=True)), "constant", float("-inf"))
            befores = ends = [0] * x.rank
        return onnx_pool(g, "MaxPool", value, windows, [*befores, *ends], same=self.padding == SAME_UPPER)


class AvgPool(_SamePool):
    """The mean of each window, `torch.nn.AvgPool1d`, `AvgPool2d` or `AvgPool3d` by the input.

    Sizes as of `maxpool`. The sum is divided by the number of positions in the window: those in the input and, with
    `count_include_pad`, in the padding, but never those that `ceil_mode` adds after it. `divisor_override`
    is the divisor instead (PyTorch has it for two and three axes). TensorFlow's means with padding="same_upper"
    have count_include_pad=false.
    """

    kind = "avgpool"

    kernel_size: Sizes
    stride: Sizes | None = None
    padding: SamePaddings = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: Positive | None = None

    def windows(self, x: Shape) -> tuple[Window, ...]:
        return windows_of(self, x, self.kernel_size, self.stride, padding=self.padding)

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self.require_spatial(x)
        if x.rank == 1 and self.divisor_override is not None:
            reason = f"PyTorch's AvgPool1d has no divisor_override, and the input {x} has one spatial axis"
            raise self.unfit("divisor_override", reason)
        windows = self.windows(x)
        if self.padding != SAME_UPPER:
            _require_kernel_inside(self, windows, x)
        return pool_shape(self, windows, x, ceil=self.ceil_mode)

    def memory(self, x: Shape, y: Shape) -> Memory:
        copy = padded(self.windows(x), x) if self.padding == SAME_UPPER else None
        return Memory() if copy is None else _of_copy(copy)

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        windows = self.windows(x)
        befores, ends = [w.before for w in windows], onnx_ends(windows, x, y)
        same = self.padding == SAME_UPPER
        if self.divisor_override is not None:
            mean = onnx_pool(g, "AveragePool", g.input, windows, [*befores, *ends], count_pads=True, same=same)
            return g.node("Mul", mean, g.scalar(prod(w.kernel for w in windows) / self.divisor_override))
        extra = [end - w.after for end, w in zip(ends, windows, strict=True)]
        if self.count_include_pad and any(extra) and not same:
            # Padding counts, but not what ceil_mode adds after it: the padding becomes part of the input.
            value = onnx_spatial_pad(g, g.input, [(w.before, w.after) for w in windows], "zeros")
            return onnx_pool(g, "AveragePool", value, windows, [*[0] * x.rank, *extra])
        counted = self.count_include_pad
        return onnx_pool(g, "AveragePool", g.input, windows, [*befores, *ends], count_pads=counted, same=same)


class LPPool(Layer):
    """The p-norm of each window, (sum of x^p)^(1/p) with p = `norm_type`: `torch.nn.LPPool1d`, `LPPool2d`, `LPPool3d`.

    As in PyTorch it is the mean times the kernel's size: a window that `ceil_mode` lets extend over the edge
    is scaled up to a whole one, and the root of a negative sum for an odd p is NaN.
    """

    kind = "lppool"

    def memory(self, x: Shape, y: Shape) -> Memory:
        # The powers; their means, and the steps to the root.
        return Memory(kept=(Tensor(x), numbers(4 * y.numel)), inside=(Tensor(x),))

    norm_type: Exponent
    kernel_size: Sizes
    stride: Sizes | None = None
    ceil_mode: bool = False

    def windows(self, x: Shape) -> tuple[Window, ...]:
        return windows_of(self, x, self.kernel_size, self.stride)

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self.require_spatial(x)
        windows = self.windows(x)
        _require_kernel_inside(self, windows, x)
        return pool_shape(self, windows, x, ceil=self.ceil_mode)

    def torch(self, x: Shape) -> TorchForm:
        kernel, stride = self.kernel_size, changed(self, "stride")
        if x.rank == 1:
            # LPPool1d's forward pass fails on a tuple of one number.
            (kernel,) = self.per_axis("kernel_size", kernel, x)
            stride = {name: self.per_axis(name, value, x)[0] for name, value in stride.items()}
        return TorchForm(f"nn.LPPool{x.rank}d", (self.norm_type, kernel), stride | changed(self, "ceil_mode"))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        # ONNX's LpPool takes |x|, and sums a window at the edge as it is.
        windows = self.windows(x)
        powers = g.node("Pow", g.input, g.scalar(self.norm_type))
        mean = onnx_pool(g, "AveragePool", powers, windows, [*[0] * x.rank, *onnx_ends(windows, x, y)])
        total = g.node("Mul", mean, g.scalar(prod(w.kernel for w in windows)))
        return g.node("Pow", total, g.scalar(1 / self.norm_type))


def adaptive_bounds(size: int, output: int) -> list[tuple[int, int]]:
    """Start and end of `output` windows over `size` positions: floor(i*n/out) to ceil((i + 1)*n/out)."""
    return [(i * size // output, -(-(i + 1) * size // output)) for i in range(output)]


def _reach(size: int, output: int) -> int:
    """The size of the largest window."""
    return -((gcd(size, output) - output - size) // output)


class _AdaptivePool(Layer):
    """A pool with an output size instead of a window, called after its class in PyTorch."""

    output_size: OutputSizes

    def sizes(self, x: Shape) -> tuple[int, ...]:
        """The output sizes; `none` is the input's own."""
        wanted = self.output_size
        numbers = wanted if isinstance(wanted, int) else [size or 0 for size in wanted]
        sizes = self.per_axis("output_size", numbers, x)
        return tuple(size or own for size, own in zip(sizes, x.spatial, strict=True))

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self.require_spatial(x)
        return Shape((x.channels, *self.sizes(x)))

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        pairs = list(zip(x.spatial, y.spatial, strict=True))
        if all(size % output == 0 for size, output in pairs):
            return field.slide([Window(size // output, size // output) for size, output in pairs], y.spatial)
        factors = [output / size for size, output in pairs]
        return field.upsample(factors, [_reach(size, output) for size, output in pairs], y.spatial)

    def torch(self, x: Shape) -> TorchForm:
        # PyTorch accepts None in the tuple for two and three axes, but not for one.
        size = self.sizes(x) if x.rank == 1 and not isinstance(self.output_size, int) else self.output_size
        return TorchForm(f"nn.{type(self).__name__}{x.rank}d", (size,))


class AdaptiveAvgPool(_AdaptivePool):
    """Means of `output_size` windows that cover the input: `torch.nn.AdaptiveAvgPool1d`, `2d` or `3d`.

    Window i of an axis is from floor(i*n/out) to ceil((i + 1)*n/out); windows overlap where out does not divide n.
    """

    kind = "adaptive_avgpool"

    def memory(self, x: Shape, y: Shape) -> Memory:
        return Memory(() if y.spatial.numel == 1 else ("input",))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        if all(size == 1 for size in y.spatial):
            return g.node("GlobalAveragePool", g.input)
        pairs = list(zip(x.spatial, y.spatial, strict=True))
        if all(size % output == 0 for size, output in pairs):
            strides = [size // output for size, output in pairs]
            return g.node("AveragePool", g.input, kernel_shape=strides, strides=strides)
        value, sizes = g.input, list(x.spatial)
        for axis, (size, output) in enumerate(pairs):
            if size != output:
                value = _means(g, value, sizes, axis, output)
                sizes[axis] = output
        return value


def _means(g: OnnxBuilder, value: str, sizes: Sequence[int], axis: int, output: int) -> str:
    """The windows' means along one spatial axis: a product with a matrix of 1/k where the window is, else 0."""
    size = sizes[axis]
    rows = [
        [1 / (end - start) if start <= i < end else 0.0 for i in range(size)]
        for start, end in adaptive_bounds(size, output)
    ]
    if axis == len(sizes) - 1:
        columns = [row[i] for i in range(size) for row in rows]
        return g.node("MatMul", value, g.floats(columns, [size, output]))
    matrix = g.floats([number for row in rows for number in row], [output, size])
    if axis == len(sizes) - 2:
        return g.node("MatMul", matrix, value)
    flat = g.node("Reshape", value, g.ints([0, 0, size, prod(sizes[axis + 1 :])]))
    return g.node("Reshape", g.node("MatMul", matrix, flat), g.ints([0, 0, output, *sizes[axis + 1 :]]))


class AdaptiveMaxPool(_AdaptivePool):
    """Maxima of `output_size` windows that cover the input: `torch.nn.AdaptiveMaxPool1d`, `2d` or `3d`.

    Window i of an axis is from floor(i*n/out) to ceil((i + 1)*n/out); windows overlap where out does not divide n.
    """

    kind = "adaptive_maxpool"

    def memory(self, x: Shape, y: Shape) -> Memory:
        return _with_positions(y)

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        if all(size == 1 for size in y.spatial):
            return g.node("GlobalMaxPool", g.input)
        value, kernel = g.input, []
        for axis, (size, output) in enumerate(zip(x.spatial, y.spatial, strict=True), start=2):
            reach = _reach(size, output)
            if size % output:
                # The windows side by side, the shorter ones with their last position twice, which has the same maximum.
                positions = [
                    min(start + i, end - 1) for start, end in adaptive_bounds(size, output) for i in range(reach)
                ]
                value = g.node("Gather", value, g.ints(positions), axis=axis)
            kernel.append(reach)
        return g.node("MaxPool", value, kernel_shape=kernel, strides=kernel)
