"""Resampling: interpolation to another size, and rearrangements between channels and space."""

import struct
from collections.abc import Sequence
from math import ceil, floor
from typing import Annotated, Any, Literal

from pydantic import Field

from archdsl.diagnostics.codes.shapes import NoOutput, NotDivisible
from archdsl.diagnostics.problem import Rejected
from archdsl.layers.axes import onnx_spatial_pad
from archdsl.layers.base import AXES, OnnxBuilder, Positive, SameShape, Sizes, Twin, require_divisible
from archdsl.layers.pad import onnx_crop
from archdsl.shapes import Shape, Window
from archdsl.shapes.extent import is_known
from archdsl.shapes.receptive_field import ReceptiveField

Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Factors = Factor | tuple[Factor, ...]
UpsampleMode = Literal["nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear"]
#: The numbers of spatial axes each mode is for.
RANKS = {"linear": (1,), "bilinear": (2,), "bicubic": (2,), "trilinear": (3,)}
#: The number of neighbours each mode reads on an axis.
REACH = {"nearest": 1, "nearest-exact": 1, "linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 4}


def _float32(value: float) -> float:
    """The value rounded to single precision, in which PyTorch and ONNX Runtime compute positions."""
    rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    return rounded


class Upsample(Twin):
    """Interpolation to `size`, or to floor(n * scale_factor) on each axis: `torch.nn.Upsample`.

    `mode` is nearest or nearest-exact for any input, linear for one spatial axis, bilinear or bicubic for two,
    trilinear for three; `align_corners` is for the last four. Output i is read at (i + 0.5)/f - 0.5 with f the
    scale factor as given (`recompute_scale_factor`: output/input size), at i/f for nearest, and at
    i*(n - 1)/(out - 1) with `align_corners`.
    """

    kind = "upsample"
    saves = ()

    size: Sizes | None = None
    scale_factor: Factors | None = None
    mode: UpsampleMode = "nearest"
    align_corners: bool | None = None
    recompute_scale_factor: bool | None = None

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self.require_spatial(x, RANKS.get(self.mode, (1, 2, 3)))
        self._require_one_target()
        sizes = self._sizes(x)
        for axis, size, output in zip(AXES[x.rank], x.spatial, sizes, strict=True):
            if output < 1:
                rule = f"floor(n * scale_factor) with n = {size} and scale_factor = {self.scale_factor}"
                raise Rejected(NoOutput(self.kind, axis, output, rule), argument="scale_factor")
        return Shape((x.channels, *sizes))

    def _require_one_target(self) -> None:
        if (self.size is None) == (self.scale_factor is None):
            found = "neither" if self.size is None else "both"
            raise self.conflict(None, f"expected either size or scale_factor, found {found}")
        if self.mode not in RANKS and self.align_corners is not None:
            reason = f'align_corners requires an interpolating mode, not mode="{self.mode}"'
            raise self.conflict("align_corners", reason)
        if self.size is not None and self.recompute_scale_factor:
            raise self.conflict("recompute_scale_factor", "recompute_scale_factor has no effect with size")

    def _sizes(self, x: Shape) -> tuple[int, ...]:
        if self.size is not None:
            return self.per_axis("size", self.size, x)
        return tuple(floor(size * factor) for size, factor in zip(x.spatial, self._factors(x), strict=True))

    def _factors(self, x: Shape) -> tuple[float, ...]:
        given = self.scale_factor
        factors = given if isinstance(given, tuple) else (given or 0.0,) * x.rank
        if len(factors) != x.rank:
            reason = f"scale_factor has {len(factors)} numbers, but the input {x} has another number of spatial axes"
            raise self.unfit("scale_factor", reason)
        return factors

    def _own_factors(self, x: Shape) -> tuple[float, ...] | None:
        """The factors that determine the positions, or None where the sizes do."""
        placed_by_size = self.scale_factor is None or self.recompute_scale_factor or self.align_corners
        return None if placed_by_size else self._factors(x)

    def _placing_factors(self, x: Shape, y: Shape) -> tuple[float, ...] | None:
        """The factors as PyTorch uses them: linear modes copy an axis that keeps its size, for any factor."""
        factors = self._own_factors(x)
        if factors is None or self.mode == "bicubic":
            return factors
        return tuple(1.0 if n == out else f for n, out, f in zip(x.spatial, y.spatial, factors, strict=True))

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        factors = [output / size for size, output in zip(x.spatial, y.spatial, strict=True)]
        return field.upsample(factors, [REACH[self.mode]] * x.rank, y.spatial)

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        if not all(map(is_known, (*x, *y))):
            return self._onnx_running(x, g)
        if self.mode in RANKS:
            place = "align_corners" if self.align_corners else "half_pixel"
            factors = self._placing_factors(x, y)
            if self.mode == "bicubic":
                return _resize(g, x, y, factors, place, mode="cubic", cubic_coeff_a=-0.75)
            return _resize(g, x, y, factors, place, mode="linear")
        positions = self._nearest_positions(x, y)
        if all(_is_repeated(axis, size) for axis, size in zip(positions, x.spatial, strict=True)):
            return _resize(g, x, y, None, "asymmetric", mode="nearest", nearest_mode="floor")
        value = g.input
        for axis, (indices, size) in enumerate(zip(positions, x.spatial, strict=True), start=2):
            if indices != list(range(size)):
                value = g.node("Gather", value, g.ints(indices), axis=axis)
        return value

    def _onnx_running(self, x: Shape, g: OnnxBuilder) -> str:
        """For sizes that are known only when the file runs. Factors must be integers: then the sizes say the same."""
        sizes = self._sizes(x)
        if self.mode in RANKS:
            place = "align_corners" if self.align_corners else "half_pixel"
            if self.mode == "bicubic":
                return _resize_to(g, x, sizes, place, mode="cubic", cubic_coeff_a=-0.75)
            return _resize_to(g, x, sizes, place, mode="linear")
        if self.scale_factor is not None:
            return _resize_to(g, x, sizes, "asymmetric", mode="nearest", nearest_mode="floor")
        value = g.input
        for axis, (size, output) in enumerate(zip(x.spatial, sizes, strict=True), start=2):
            positions = _running_positions(g, size, output, self.mode, fused=x.rank != 2)
            value = g.node("Gather", value, positions, axis=axis)
        return value

    def _nearest_positions(self, x: Shape, y: Shape) -> list[list[int]]:
        """The position of the input that each output copies, on each axis."""
        factors = self._own_factors(x) or (None,) * x.rank
        exact = self.mode == "nearest-exact"
        found = []
        for size, output, factor in zip(x.spatial, y.spatial, factors, strict=True):
            step = _float32(1 / factor if factor else size / output)
            if exact:
                positions = [_middle(i, step, fused=x.rank != 2) for i in range(output)]
            elif x.rank == 2 and output in (size, 2 * size):
                # PyTorch has a shortcut here that ignores the factor.
                positions = [i * size // output for i in range(output)]
            else:
                positions = [floor(_float32(i * step)) for i in range(output)]
            found.append([min(position, size - 1) for position in positions])
        return found


#: ONNX's numbers for its types.
_FLOAT, _INT64, _DOUBLE = 1, 7, 11


def _resize_to(g: OnnxBuilder, x: Shape, sizes: Sequence[int], place: str, **attributes: Any) -> str:
    """A Resize of the spatial axes to sizes that are known only when the file runs."""
    attributes["coordinate_transformation_mode"] = place
    if g.opset >= 18:
        return g.node("Resize", g.input, "", "", g.ints(sizes), axes=list(range(2, 2 + x.rank)), **attributes)
    batch = g.node("Slice", g.node("Shape", g.input), g.ints([0]), g.ints([2]))
    return g.node("Resize", g.input, "", "", g.node("Concat", batch, g.ints(sizes), axis=0), **attributes)


def _running_positions(g: OnnxBuilder, size: int, output: int, mode: str, *, fused: bool) -> str:
    """The position of the input that each output copies, for sizes that are known only when the file runs.

    Products are computed in double precision and rounded once, as PyTorch's in single precision are.
    """

    def double(value: str) -> str:
        return g.node("Cast", value, to=_DOUBLE)

    step = g.node("Cast", g.node("Div", double(g.ints([size])), double(g.ints([output]))), to=_FLOAT)
    steps = double(g.node("Range", g.integer(0), g.integer(output), g.integer(1)))
    half = double(g.scalar(0.5))
    if mode == "nearest-exact":
        steps = g.node("Add", steps, half)
    places = g.node("Mul", steps, double(step))
    if mode == "nearest-exact" and fused:
        shifted = g.node("Cast", g.node("Sub", places, half), to=_FLOAT)
        places = g.node("Add", g.node("Max", shifted, g.scalar(0.0)), g.scalar(0.5))
    rounded = g.node("Floor", g.node("Cast", places, to=_FLOAT))
    return g.node("Min", g.node("Cast", rounded, to=_INT64), g.node("Sub", g.ints([size]), g.ints([1])))


def _resize(g: OnnxBuilder, x: Shape, y: Shape, factors: Sequence[float] | None, place: str, **attributes: Any) -> str:
    """A Resize of the spatial axes to `y`, with positions by `factors` or, without them, by the two sizes."""
    attributes["coordinate_transformation_mode"] = place
    pairs = list(zip(x.spatial, y.spatial, strict=True))
    if factors is None or all(size * f == output for (size, output), f in zip(pairs, factors, strict=True)):
        if g.opset >= 18:
            return g.node("Resize", g.input, "", "", g.ints(y.spatial), axes=list(range(2, 2 + x.rank)), **attributes)
        # Sizes would have to include the batch's, which is variable; factors need not.
        factors = [output / size for size, output in pairs]
    if x == y and max(factors) > 1:
        return _resize_in_place(g, x, factors, **attributes)
    scales = [_scale(size, output, factor) for (size, output), factor in zip(pairs, factors, strict=True)]
    return g.node("Resize", g.input, "", g.floats([1.0, 1.0, *scales]), **attributes)


def _resize_in_place(g: OnnxBuilder, x: Shape, factors: Sequence[float], **attributes: Any) -> str:
    """A Resize by factors slightly above 1 that keeps all sizes, which ONNX Runtime would treat as a copy.

    The last positions are repeated until one axis grows, and cropped afterwards.
    """
    widest = factors.index(max(factors))
    sizes = list(x.spatial)
    sizes[widest] = ceil(1 / (factors[widest] - 1)) + 1
    more = [(0, size - own) for size, own in zip(sizes, x.spatial, strict=True)]
    outputs = [floor(size * factor) for size, factor in zip(sizes, factors, strict=True)]
    scales = [_scale(size, output, factor) for size, output, factor in zip(sizes, outputs, factors, strict=True)]
    value = onnx_spatial_pad(g, g.input, more, "replicate")
    value = g.node("Resize", value, "", g.floats([1.0, 1.0, *scales]), **attributes)
    return onnx_crop(g, value, [0] * x.rank, x.spatial, outputs)


def _middle(i: int, step: float, *, fused: bool) -> int:
    """The input position at the middle of output i, rounded as in PyTorch, which fuses a step on one and three axes."""
    if fused:
        return floor(_float32(max(_float32(step * (i + 0.5) - 0.5), 0.0) + 0.5))
    return floor(_float32(step * (i + 0.5)))


def _is_repeated(positions: Sequence[int], size: int) -> bool:
    """Whether each of `size` positions occurs equally often, in order."""
    count = len(positions)
    return count % size == 0 and list(positions) == [i * size // count for i in range(count)]


def _scale(size: int, output: int, factor: float) -> float:
    """The factor, changed by a rounding error where single precision would give another size than `output`."""
    for nudge in (0.0, 2.0**-22, -(2.0**-22)):
        scale = _float32(factor * (1 + nudge))
        # ONNX's shape inference multiplies in double precision, ONNX Runtime in single.
        if floor(_float32(size * scale)) == output == floor(size * scale):
            return scale
    return (output + 0.5) / size


class PixelShuffle(Twin):
    """Channels to space: (C*r^2)xHxW becomes Cx(H*r)x(W*r) with r = `upscale_factor`, `torch.nn.PixelShuffle`.

    Shi and others 2016.
    """

    kind = "pixel_shuffle"
    saves = ()

    upscale_factor: Positive

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self.require_spatial(x, (2,))
        square = self.upscale_factor**2
        if x.channels % square:
            problem = NotDivisible("input channels", x.channels, "upscale_factor squared", square)
            raise Rejected(problem, argument="upscale_factor")
        return Shape((x.channels // square, *(size * self.upscale_factor for size in x.spatial)))

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        return field.upsample([self.upscale_factor] * 2, [1, 1], y.spatial)

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.node("DepthToSpace", g.input, blocksize=self.upscale_factor, mode="CRD")


class PixelUnshuffle(Twin):
    """Space to channels: Cx(H*r)x(W*r) becomes (C*r^2)xHxW with r = `downscale_factor`, `torch.nn.PixelUnshuffle`."""

    kind = "pixel_unshuffle"
    saves = ()

    downscale_factor: Positive

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self.require_spatial(x, (2,))
        for axis, size in zip(AXES[2], x.spatial, strict=True):
            require_divisible(size, axis, self.downscale_factor, "downscale_factor")
        return Shape((x.channels * self.downscale_factor**2, *(size // self.downscale_factor for size in x.spatial)))

    def windows(self, x: Shape) -> tuple[Window, ...]:
        return (Window(self.downscale_factor, self.downscale_factor),) * 2

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        # ONNX's SpaceToDepth has the channels in another order.
        factor = self.downscale_factor
        height, width = (size // factor for size in x.spatial)
        cut = g.node("Reshape", g.input, g.ints([0, x.channels, height, factor, width, factor]))
        turned = g.node("Transpose", cut, perm=[0, 1, 3, 5, 2, 4])
        return g.node("Reshape", turned, g.ints([0, x.channels * factor**2, height, width]))


class ChannelShuffle(SameShape, Twin):
    """The channels of `groups` groups interleaved, `torch.nn.ChannelShuffle`.

    Channel g*(C/groups) + i goes to i*groups + g (ShuffleNet: Zhang and others 2018).
    """

    kind = "channel_shuffle"
    saves = ()

    groups: Positive

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self.require_spatial(x)
        require_divisible(x.channels, "input channels", self.groups, "groups")
        return x

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        cut = g.node("Reshape", g.input, g.ints([0, self.groups, x.channels // self.groups, x.spatial.numel]))
        turned = g.node("Transpose", cut, perm=[0, 2, 1, 3])
        return g.node("Reshape", turned, g.ints([0, *y]))
