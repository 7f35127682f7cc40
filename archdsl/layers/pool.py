"""Pooling: the maximum, mean or norm of a sliding window, and of windows fitted to an output size."""

from collections.abc import Mapping, Sequence
from math import gcd, prod
from typing import Annotated, Any

from pydantic import Field

from archdsl.layers.axes import onnx_reduce, onnx_spatial_pad
from archdsl.layers.base import AXES, Layer, OnnxBuilder, Positive, Sizes, TorchForm, Twin, changed
from archdsl.layers.memory import Memory, numbers
from archdsl.layers.windows import SAME_UPPER, SamePaddings, onnx_same_upper, onnx_window, padded, slide, windows_of
from archdsl.shapes import Shape, Tensor, Window
from archdsl.shapes.extent import is_known
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


def onnx_ends(windows: Sequence[Window], x: Shape, y: Shape, *, ceil: bool) -> list[int]:
    """The padding after the input with which rounding down gives the sizes `y`.

    ONNX's own `ceil_mode` keeps a last window that PyTorch drops, and counts positions that PyTorch does not.
    """
    if not ceil:
        return [w.after for w in windows]
    return [
        max(w.after, (out - 1) * w.stride + w.span - size - w.before)
        for w, size, out in zip(windows, x.spatial, y.spatial, strict=True)
    ]


def running_ends(windows: Sequence[Window], x: Shape) -> list[Any]:
    """The same with `ceil_mode` for sizes that are known only when the file runs; the padding may be negative."""
    ends = []
    for size, w in zip(x.spatial, windows, strict=True):
        room: Any = size + w.before
        last = (room + w.after - w.span + w.stride - 1) // w.stride * w.stride
        if is_known(size):
            last -= w.stride if last >= room else 0
        else:
            # 1 if the last window would start in the padding after the input.
            last = last - (last - room + 1).at_least(0).at_most(1) * w.stride
        ends.append(last + w.span - room)
    return ends


def onnx_pool(
    g: OnnxBuilder,
    op: str,
    value: str,
    windows: Sequence[Window],
    pads: Sequence[int],
    *,
    count_pads: bool = False,
    own: Mapping[str, Any] | None = None,
) -> str:
    """A MaxPool or AveragePool; `pads` are those before the input on each axis, then those after it.

    `own` is padding by ONNX itself, in place of `pads`.
    """
    attributes = onnx_window(windows)
    if all(w.dilation == 1 for w in windows):
        del attributes["dilations"]
    if own:
        attributes |= {**own, "count_include_pad": 1 if count_pads else None}
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

    def own_padding(self, windows: Sequence[Window]) -> dict[str, Any]:
        """ONNX's own padding to as many windows as strides, if it is that."""
        return onnx_same_upper(self, windows) if getattr(self, "padding", 0) == SAME_UPPER else {}


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
        if self.ceil_mode and self.padding != SAME_UPPER and not all(map(is_known, x)):
            sides = g.ints([0, 0, *(w.before for w in windows), 0, 0, *running_ends(windows, x)])
            value = g.node("Pad", g.input, sides, g.scalar(float("-inf")), mode="constant")
            return onnx_pool(g, "MaxPool", value, windows, [])
        befores, ends = [w.before for w in windows], onnx_ends(windows, x, y, ceil=self.ceil_mode)
        value = g.input
        if any(end >= w.kernel for end, w in zip(ends, windows, strict=True)):
            # A dilated kernel can need more padding than ONNX Runtime allows for a pool.
            value = onnx_spatial_pad(g, value, list(zip(befores, ends, strict=True)), "constant", float("-inf"))
            befores = ends = [0] * x.rank
        return onnx_pool(g, "MaxPool", value, windows, [*befores, *ends], own=self.own_padding(windows))


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
        if self.ceil_mode and self.padding != SAME_UPPER and not all(map(is_known, x)):
            return self._onnx_running(windows, x, g)
        befores, ends = [w.before for w in windows], onnx_ends(windows, x, y, ceil=self.ceil_mode)
        own = self.own_padding(windows)
        if self.divisor_override is not None:
            mean = onnx_pool(g, "AveragePool", g.input, windows, [*befores, *ends], count_pads=True, own=own)
            return g.node("Mul", mean, g.scalar(prod(w.kernel for w in windows) / self.divisor_override))
        extra = [end - w.after for end, w in zip(ends, windows, strict=True)]
        if self.count_include_pad and any(extra):
            # Padding counts, but not what ceil_mode adds after it: the padding becomes part of the input.
            value = onnx_spatial_pad(g, g.input, [(w.before, w.after) for w in windows], "zeros")
            return onnx_pool(g, "AveragePool", value, windows, [*[0] * x.rank, *extra])
        counted = self.count_include_pad
        return onnx_pool(g, "AveragePool", g.input, windows, [*befores, *ends], count_pads=counted, own=own)

    def _onnx_running(self, windows: Sequence[Window], x: Shape, g: OnnxBuilder) -> str:
        """With `ceil_mode` and sizes that are known only when the file runs: sums divided by what they counted."""
        befores, afters = [w.before for w in windows], [w.after for w in windows]
        ends = running_ends(windows, x)

        def mean(value: str, befores: Sequence[int], ends: Sequence[int]) -> str:
            padded = g.node("Pad", value, g.ints([0, 0, *befores, 0, 0, *ends]), mode="constant")
            return onnx_pool(g, "AveragePool", padded, windows, [])

        total = mean(g.input, befores, ends)
        if self.divisor_override is not None:
            return g.node("Mul", total, g.scalar(prod(w.kernel for w in windows) / self.divisor_override))
        sizes: Sequence[int] = x.spatial
        if self.count_include_pad:
            sizes = [n + before + after for n, before, after in zip(sizes, befores, afters, strict=True)]
            ends = [end - after for end, after in zip(ends, afters, strict=True)]
            befores = [0] * x.rank
        ones = g.node("Expand", g.scalar(1.0), g.ints([1, 1, *sizes]))
        return g.node("Div", total, mean(ones, befores, ends))


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
        mean = onnx_pool(
            g, "AveragePool", powers, windows, [*[0] * x.rank, *onnx_ends(windows, x, y, ceil=self.ceil_mode)]
        )
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

    def _wanted(self, x: Shape) -> Sequence[int | None]:
        """The output size of each axis; None for one that keeps its size."""
        wanted = self.output_size
        return [wanted] * x.rank if isinstance(wanted, int) else wanted

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
        if not all(map(is_known, x)):
            return self._onnx_running(x, g)
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

    def _onnx_running(self, x: Shape, g: OnnxBuilder) -> str:
        """For sizes that are known only when the file runs: products with matrices of 1/k in the windows, else 0."""
        value, wanted = g.input, self._wanted(x)
        for axis, (size, output) in enumerate(zip(x.spatial, wanted, strict=True), start=2):
            if output is None:
                continue
            starts, ends = _running_bounds(g, size, output)
            positions = _positions(g, size)
            inside = g.node("And", g.node("Not", g.node("Less", positions, starts)), g.node("Less", positions, ends))
            count = g.node("Cast", g.node("Sub", ends, starts), to=1)
            matrix = g.node("Div", g.node("Cast", inside, to=1), count)
            order = [*range(axis), *range(axis + 1, x.rank + 2), axis]
            moved = value if axis == x.rank + 1 else g.node("Transpose", value, perm=order)
            value = g.node("MatMul", moved, g.node("Transpose", matrix, perm=[1, 0]))
            if axis != x.rank + 1:
                value = g.node("Transpose", value, perm=[*range(axis), x.rank + 1, *range(axis, x.rank + 1)])
        return value


def _running_bounds(g: OnnxBuilder, size: int, output: int) -> tuple[str, str]:
    """Starts and ends of `output` windows over a size that is known only when the file runs, output x 1."""
    steps = g.ints(range(output))
    starts = g.node("Div", g.node("Mul", steps, g.ints([size])), g.ints([output]))
    last = g.node("Add", g.node("Mul", g.ints(range(1, output + 1)), g.ints([size])), g.ints([output - 1]))
    ends = g.node("Div", last, g.ints([output]))
    column = g.ints([output, 1])
    return g.node("Reshape", starts, column), g.node("Reshape", ends, column)


def _positions(g: OnnxBuilder, size: int) -> str:
    """The integers below a size that is known only when the file runs."""
    return g.node("Range", g.integer(0), g.integer(size), g.integer(1))


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
        if not all(map(is_known, x)):
            return self._onnx_running(x, g)
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

    def _onnx_running(self, x: Shape, g: OnnxBuilder) -> str:
        """For sizes that are known only when the file runs: the windows side by side, short ones with repetitions."""
        value = g.input
        for axis, (size, output) in enumerate(zip(x.spatial, self._wanted(x), strict=True), start=2):
            if output is None:
                continue
            starts, ends = _running_bounds(g, size, output)
            reach: Any = size
            # No window has more positions than ceil(n / out) + 1.
            positions = _positions(g, (reach + output - 1) // output + 1)
            inside = g.node("Min", g.node("Add", starts, positions), g.node("Sub", ends, g.ints([1])))
            value = onnx_reduce(g, "ReduceMax", g.node("Gather", value, inside, axis=axis), [axis + 1], keepdims=False)
        return value
