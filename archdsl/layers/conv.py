"""Convolutions and transposed convolutions over one, two or three spatial axes."""

from collections.abc import Sequence
from math import prod
from typing import Any, Literal

from archdsl.diagnostics.codes.shapes import NoOutput
from archdsl.diagnostics.problem import Rejected
from archdsl.layers.axes import onnx_spatial_pad
from archdsl.layers.base import (
    AXES,
    Layer,
    OnnxBuilder,
    Paddings,
    Positive,
    Sizes,
    TorchForm,
    changed,
    require_divisible,
    weight_and_bias,
)
from archdsl.layers.memory import Memory
from archdsl.layers.windows import SAME_UPPER, onnx_same_upper, onnx_window, slide, windows_of
from archdsl.shapes import Shape, Tensor, Window
from archdsl.shapes.receptive_field import ReceptiveField

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


class Conv(Layer):
    """Convolution (cross-correlation) with learned kernels, `torch.nn.Conv1d`, `Conv2d` or `Conv3d` by the input.

    out = floor((n + 2*padding - dilation*(kernel_size - 1) - 1) / stride) + 1 on each axis. With padding="same_upper"
    it is ceil(n / stride), an odd element of padding at the end: TensorFlow's "same".
    Weights out*(in/groups)*k, one bias for each output channel.
    """

    kind = "conv"
    autocast = "half"
    parameters = ("weight", "bias")
    bias_axis = 0

    out_channels: Positive
    kernel_size: Sizes
    stride: Sizes = 1
    padding: Paddings | Literal["same", "valid", "same_upper"] = 0
    dilation: Sizes = 1
    groups: Positive = 1
    bias: bool = True
    padding_mode: PaddingMode = "zeros"

    def windows(self, x: Shape) -> tuple[Window, ...]:
        windows = windows_of(self, x, self.kernel_size, self.stride, padding=self.padding, dilation=self.dilation)
        if self.padding != "same":
            return windows
        # PyTorch puts the odd position of an even kernel's padding after the input.
        totals = [window.span - 1 for window in windows]
        return tuple(
            window._replace(before=total // 2, after=total - total // 2)
            for window, total in zip(windows, totals, strict=True)
        )

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self.require_spatial(x)
        require_divisible(x.channels, "input channels", self.groups, "groups")
        require_divisible(self.out_channels, "out_channels", self.groups, "groups")
        windows = self.windows(x)
        if self.padding == "same" and any(w.stride != 1 for w in windows):
            raise self.unfit("padding", 'padding="same" requires a stride of 1')
        self._require_room_to_pad(windows, x)
        return Shape((self.out_channels, *slide(self, windows, x)))

    def _require_room_to_pad(self, windows: tuple[Window, ...], x: Shape) -> None:
        """Reject padding that reads beyond the input: reflection has n - 1 positions to read, wrapping n."""
        room = {"reflect": 1, "circular": 0}.get(self.padding_mode)
        if room is None:
            return
        for axis, size, window in zip(AXES[x.rank], x.spatial, windows, strict=True):
            if max(window.before, window.after) > size - room:
                pad = max(window.before, window.after)
                reason = f"{self.padding_mode} padding of {pad} needs a {axis} of at least {pad + room}, not {size}"
                raise self.unfit("padding", reason)

    def memory(self, x: Shape, y: Shape) -> Memory:
        padded = self._padded_copy(x)
        if padded is None:
            return Memory()
        saves = ("input",) if self.padding_mode in {"reflect", "replicate"} else ()
        return Memory(saves, kept=(Tensor(padded),), inside=(Tensor(padded),))

    def _padded_copy(self, x: Shape) -> Shape | None:
        """The input that PyTorch pads by itself: where its kernels have no such padding, or not the same on both sides.

        Zeros on both sides are left to the kernel.
        """
        windows = self.windows(x)
        if self.padding_mode != "zeros" or self.padding == SAME_UPPER:
            ends = [(w.before, w.after) for w in windows]
        else:
            ends = [(0, w.after - w.before) for w in windows]
        if not any(after or before for before, after in ends):
            return None
        return Shape((x.channels, *(size + sum(pair) for size, pair in zip(x.spatial, ends, strict=True))))

    def weights(self, x: Shape) -> dict[str, Tensor]:
        kernel = self.per_axis("kernel_size", self.kernel_size, x)
        weight = (self.out_channels, x.channels // self.groups, *kernel)
        return weight_and_bias(weight, self.out_channels, bias=self.bias)

    def macs(self, x: Shape, y: Shape) -> int:
        kernel = self.per_axis("kernel_size", self.kernel_size, x)
        return y.numel * (x.channels // self.groups) * prod(kernel)

    def torch(self, x: Shape) -> TorchForm:
        arguments = (x.channels, self.out_channels, self.kernel_size)
        keywords = changed(self, "stride", "padding", "dilation", "groups", "bias", "padding_mode")
        if keywords.get("padding") == SAME_UPPER:
            del keywords["padding"]
            return TorchForm(f"modules.Conv{x.rank}dSame", arguments, keywords)
        return TorchForm(f"nn.Conv{x.rank}d", arguments, keywords)

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        windows = self.windows(x)
        pads = [w.before for w in windows] + [w.after for w in windows]
        value = g.input
        if self.padding_mode != "zeros" and any(pads):
            value = onnx_spatial_pad(g, value, [(w.before, w.after) for w in windows], self.padding_mode)
            pads = [0] * len(pads)
        inputs = [value, g.weight("weight"), *([g.weight("bias")] if g.has("bias") else [])]
        padding: dict[str, Any] = {"pads": pads}
        if self.padding == SAME_UPPER and self.padding_mode == "zeros":
            padding = onnx_same_upper(self, windows) or padding
        return g.node("Conv", *inputs, **onnx_window(windows), **padding, group=self.groups)


class ConvTranspose(Layer):
    """Transposed convolution, `torch.nn.ConvTranspose1d`, `ConvTranspose2d` or `ConvTranspose3d` by the input.

    out = (n - 1)*stride - 2*padding + dilation*(kernel_size - 1) + output_padding + 1 on each axis.
    Weights in*(out/groups)*k, one bias for each output channel.
    """

    kind = "conv_transpose"
    autocast = "half"
    parameters = ("weight", "bias")
    output_axis = 1
    bias_axis = 0

    out_channels: Positive
    kernel_size: Sizes
    stride: Sizes = 1
    padding: Paddings = 0
    output_padding: Paddings = 0
    groups: Positive = 1
    bias: bool = True
    dilation: Sizes = 1
    padding_mode: Literal["zeros"] = "zeros"

    def windows(self, x: Shape) -> tuple[Window, ...]:
        return windows_of(self, x, self.kernel_size, self.stride, padding=self.padding, dilation=self.dilation)

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self.require_spatial(x)
        require_divisible(x.channels, "input channels", self.groups, "groups")
        require_divisible(self.out_channels, "out_channels", self.groups, "groups")
        extra = self.per_axis("output_padding", self.output_padding, x)
        sizes = []
        for axis, size, window, more in zip(AXES[x.rank], x.spatial, self.windows(x), extra, strict=True):
            if more >= max(window.stride, window.dilation):
                reason = (
                    f"output_padding ({more}) must be smaller than stride ({window.stride}) "
                    f"or dilation ({window.dilation})"
                )
                raise self.unfit("output_padding", reason)
            output = window.transposed(size, more)
            if output < 1:
                rule = (
                    f"(n - 1)*s - 2*p + d*(k - 1) + output_padding + 1 = ({size} - 1)*{window.stride} - "
                    f"2*{window.before} + {window.dilation}*{window.kernel - 1} + {more} + 1"
                )
                raise Rejected(NoOutput(self.kind, axis, output, rule), argument="padding")
            sizes.append(output)
        return Shape((self.out_channels, *sizes))

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        windows = self.windows(x)
        # Positions of the input lie `stride` apart in the output: a kernel as wide as that sees one of them.
        reach = [(window.span - 1) // window.stride + 1 for window in windows]
        return field.upsample([window.stride for window in windows], reach, y.spatial)

    def weights(self, x: Shape) -> dict[str, Tensor]:
        kernel = self.per_axis("kernel_size", self.kernel_size, x)
        weight = (x.channels, self.out_channels // self.groups, *kernel)
        return weight_and_bias(weight, self.out_channels, bias=self.bias)

    def macs(self, x: Shape, y: Shape) -> int:
        kernel = self.per_axis("kernel_size", self.kernel_size, x)
        return x.numel * (self.out_channels // self.groups) * prod(kernel)

    def torch(self, x: Shape) -> TorchForm:
        arguments = (x.channels, self.out_channels, self.kernel_size)
        keywords = changed(self, "stride", "padding", "output_padding", "groups", "bias", "dilation")
        return TorchForm(f"nn.ConvTranspose{x.rank}d", arguments, keywords)

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        windows = self.windows(x)
        extra = self.per_axis("output_padding", self.output_padding, x)
        bias = [g.weight("bias")] if g.has("bias") else []
        if any(more >= window.stride for more, window in zip(extra, windows, strict=True)):
            return self._onnx_grown(windows, extra, bias, g)
        pads = [w.before for w in windows] * 2
        return self._onnx_node(windows, bias, g, pads=pads, output_padding=list(extra))

    def _onnx_node(self, windows: Sequence[Window], bias: Sequence[str], g: OnnxBuilder, **attributes: Any) -> str:
        inputs = (g.input, g.weight("weight"), *bias)
        return g.node("ConvTranspose", *inputs, **onnx_window(windows), group=self.groups, **attributes)

    def _onnx_grown(self, windows: Sequence[Window], extra: Sequence[int], bias: Sequence[str], g: OnnxBuilder) -> str:
        """An `output_padding` of the stride or more, which ONNX Runtime does not support.

        Less is cropped at the end; positions that no position of the input reaches are 0 before the bias.
        """
        ends = [window.before - more for window, more in zip(windows, extra, strict=True)]
        pads = [*(window.before for window in windows), *(max(end, 0) for end in ends)]
        if min(ends) >= 0:
            return self._onnx_node(windows, bias, g, pads=pads)
        rank = len(windows)
        value = self._onnx_node(windows, [], g, pads=pads)
        value = g.node("Pad", value, g.ints([*[0] * (rank + 4), *(max(-end, 0) for end in ends)]))
        return g.node("Add", value, g.node("Reshape", *bias, g.ints([1, -1, *[1] * rank]))) if bias else value
