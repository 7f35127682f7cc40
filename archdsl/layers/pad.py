"""Padding and cropping of the spatial axes, and zero channels."""

from collections.abc import Sequence
from typing import Literal

from archdsl.diagnostics.codes.shapes import NoOutput
from archdsl.diagnostics.problem import Rejected
from archdsl.layers.axes import onnx_spatial_pad
from archdsl.layers.base import AXES, Layer, NonNegative, OnnxBuilder, Positive, Sizes, TorchForm
from archdsl.layers.memory import Memory
from archdsl.shapes import Shape, Window

PadMode = Literal["zeros", "reflect", "replicate", "circular", "constant"]
TORCH_CLASSES = {
    "zeros": "ZeroPad",
    "reflect": "ReflectionPad",
    "replicate": "ReplicationPad",
    "circular": "CircularPad",
    "constant": "ConstantPad",
}


def onnx_crop(g: OnnxBuilder, value: str, starts: Sequence[int], sizes: Sequence[int], x: Sequence[int]) -> str:
    """A slice of each spatial axis: `sizes` positions from `starts` on, where its size `x` is larger."""
    cut = [
        i for i, (start, size, whole) in enumerate(zip(starts, sizes, x, strict=True)) if start != 0 or size != whole
    ]
    if not cut:
        return value
    begin, end = g.ints([starts[i] for i in cut]), g.ints([starts[i] + sizes[i] for i in cut])
    return g.node("Slice", value, begin, end, g.ints([2 + i for i in cut]))


class Pad(Layer):
    """Padding of the spatial axes: `torch.nn.ZeroPad2d`, `ReflectionPad2d`, `ReplicationPad2d`, `CircularPad2d`, ...

    `padding` is one number for all sides, or two for each axis, the last axis first: (left, right, top, bottom).
    A negative number crops. Reflection reads up to n - 1 positions of the axis, wrapping up to n.
    `value` fills with mode="constant". out = n + before + after on each axis.
    """

    kind = "pad"

    def memory(self, x: Shape, y: Shape) -> Memory:
        return Memory(("input",) if self.mode in {"reflect", "replicate"} else ())

    padding: int | tuple[int, ...]
    mode: PadMode = "zeros"
    value: float = 0.0

    def sides(self, x: Shape) -> list[tuple[int, int]]:
        """Padding before and after, for each spatial axis in the tensor's order."""
        if isinstance(self.padding, int):
            return [(self.padding, self.padding)] * x.rank
        if len(self.padding) != 2 * x.rank:
            reason = f"padding has {len(self.padding)} numbers, but the input {x} takes one or {2 * x.rank}"
            raise self.unfit("padding", reason)
        pairs = list(zip(self.padding[::2], self.padding[1::2], strict=True))
        return pairs[::-1]

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self.require_spatial(x)
        if self.mode != "constant" and self.value != 0:
            reason = f'value={self.value:g} has no effect with mode="{self.mode}"'
            raise self.conflict("value", reason, 'add mode="constant"')
        sizes = []
        for axis, size, (before, after) in zip(AXES[x.rank], x.spatial, self.sides(x), strict=True):
            output = size + before + after
            if output < 1:
                rule = f"n + before + after = {size} + {before} + {after}"
                raise Rejected(NoOutput(self.kind, axis, output, rule), argument="padding")
            fault = self._fault(axis, size, before, after)
            if fault:
                raise self.unfit("padding", fault)
            sizes.append(output)
        return Shape((x.channels, *sizes))

    def _fault(self, axis: str, size: int, before: int, after: int) -> str | None:
        """The reason why PyTorch rejects the padding of one axis in this mode."""
        largest = max(before, after)
        match self.mode:
            case "zeros" | "constant" if -min(before, 0) - min(after, 0) > size:
                return f"{before} and {after} cut more than the size {size} of the {axis} axis"
            case "reflect" if largest >= size:
                return f"reflect padding of {largest} requires a {axis} of at least {largest + 1}, found {size}"
            case "circular" if largest > size:
                return f"circular padding of {largest} requires a {axis} of at least {largest}, found {size}"
            case "circular" if before * after < 0:
                # PyTorch returns uninitialised memory there.
                return f"circular padding cannot pad one side of the {axis} axis and crop the other"
        return None

    def torch(self, x: Shape) -> TorchForm:
        arguments = (self.padding, self.value) if self.mode == "constant" else (self.padding,)
        return TorchForm(f"nn.{TORCH_CLASSES[self.mode]}{x.rank}d", arguments)

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        sides = self.sides(x)
        grown = [(max(before, 0), max(after, 0)) for before, after in sides]
        starts = [max(-before, 0) for before, _ in sides]
        value, sizes = g.input, x.spatial
        if self.mode == "circular":
            # Wrapping is around what remains after cropping; the other modes read all of the input.
            cut = Shape(size + min(b, 0) + min(a, 0) for size, (b, a) in zip(sizes, sides, strict=True))
            return onnx_spatial_pad(g, onnx_crop(g, value, starts, cut, sizes), grown, self.mode)
        value = onnx_spatial_pad(g, value, grown, self.mode, self.value)
        wanted = [size + before + after for size, (before, after) in zip(sizes, sides, strict=True)]
        sizes = Shape(size + before + after for size, (before, after) in zip(sizes, grown, strict=True))
        return onnx_crop(g, value, starts, wanted, sizes)


class Crop(Layer):
    """The middle `size` positions of each spatial axis, from floor((n - size) / 2) on."""

    kind = "crop"
    saves = ()
    is_view = True

    size: Sizes

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self.require_spatial(x)
        sizes = self.per_axis("size", self.size, x)
        for axis, size, wanted in zip(AXES[x.rank], x.spatial, sizes, strict=True):
            if wanted > size:
                raise self.unfit("size", f"cannot crop a {axis} of {size} to {wanted}")
        return Shape((x.channels, *sizes))

    def starts(self, x: Shape) -> tuple[int, ...]:
        """The first position that is kept, on each spatial axis."""
        sizes = self.per_axis("size", self.size, x)
        return tuple((size - wanted) // 2 for size, wanted in zip(x.spatial, sizes, strict=True))

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("modules.Crop", (self.starts(x), self.per_axis("size", self.size, x)))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return onnx_crop(g, g.input, self.starts(x), self.per_axis("size", self.size, x), x.spatial)


class PadChannels(Layer):
    """Zero channels up to `out_channels`, half of them before the input's: a shortcut without parameters.

    `stride` keeps every stride-th position of each spatial axis; `before` is the number of channels before.
    Option A of He et al., "Deep Residual Learning for Image Recognition", 2015, as used for CIFAR-10.
    """

    kind = "pad_channels"
    saves = ()

    out_channels: Positive
    before: NonNegative | None = None
    stride: Positive = 1

    def windows(self, x: Shape) -> tuple[Window, ...]:
        return (Window(1, self.stride),) * x.rank

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self.require_spatial(x, (0, 1, 2, 3) if self.stride == 1 else (1, 2, 3))
        added = self.out_channels - x.channels
        if added < 0:
            reason = f"the input has {x.channels} channels already, more than out_channels ({self.out_channels})"
            raise self.unfit("out_channels", reason)
        if self.before is not None and self.before > added:
            reason = f"before ({self.before}) is more than the {added} channels to add to {x.channels}"
            raise self.unfit("before", reason)
        return Shape((self.out_channels, *(-(-size // self.stride) for size in x.spatial)))

    def added(self, x: Shape) -> tuple[int, int]:
        """The zero channels before and after the input's."""
        added = self.out_channels - x.channels
        before = added // 2 if self.before is None else self.before
        return before, added - before

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("modules.PadChannels", (*self.added(x), self.stride))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        value = g.input
        if self.stride > 1:
            axes = range(2, 2 + x.rank)
            begin, end, steps = ([number] * x.rank for number in (0, 2**63 - 1, self.stride))
            value = g.node("Slice", value, g.ints(begin), g.ints(end), g.ints(axes), g.ints(steps))
        before, after = self.added(x)
        if before or after:
            zeros = [0] * x.rank
            value = g.node("Pad", value, g.ints([0, before, *zeros, 0, after, *zeros]), mode="constant")
        return value
