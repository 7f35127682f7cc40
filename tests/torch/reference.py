"""What PyTorch does with a spec, without archdsl: random specs as plain data, run by torch.nn directly.

`specs()` draws layer by layer. Every layer is run by PyTorch as soon as it is drawn, so that later draws
know the tensor they meet; the first refusal ends the spec. Names of kinds and arguments are written out
here by hand: this file is the independent side of the comparison.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from archdsl.values import spec_text

Args = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]


class Contiguous(nn.Module):
    """A copy in the order of the axes."""

    def forward(self, x: Tensor) -> Tensor:
        return x.contiguous()


class Refusal(Exception):
    """PyTorch refuses what was drawn."""


@dataclass
class Program:
    """A drawn spec: its text, the modules in the order they were made, and what came out."""

    input: tuple[int, ...]
    lines: list[str] = field(default_factory=list)
    modules: list[nn.Module] = field(default_factory=list)
    x: Tensor | None = None
    output: Tensor | None = None
    refused: str | None = None

    @property
    def text(self) -> str:
        size = "x".join(map(str, self.input))
        return f"model m {{\n  input({size})\n" + "\n".join(self.lines) + "\n}\n"


def _rank(x: Tensor) -> int:
    return x.dim() - 2


def _sizes(draw: Draw, x: Tensor, low: int, high: int) -> Any:
    """One number, or one for each axis (now and then for a wrong number of axes)."""
    numbers = st.integers(low, high)
    rank = _rank(x)
    choice = draw(st.integers(0, 19))
    if choice < 13 or rank < 1:
        return draw(numbers)
    if choice < 19:
        return tuple(draw(numbers) for _ in range(rank))
    return tuple(draw(numbers) for _ in range(rank + draw(st.sampled_from([-1, 1]))))


def _maybe(draw: Draw, args: Args, name: str, strategy: st.SearchStrategy[Any], chance: int = 3) -> None:
    """Give an argument once in `chance` times."""
    if draw(st.integers(1, chance)) == 1:
        args[name] = draw(strategy)


def _maybe_sizes(draw: Draw, args: Args, name: str, x: Tensor, low: int, high: int, chance: int = 3) -> None:
    if draw(st.integers(1, chance)) == 1:
        args[name] = _sizes(draw, x, low, high)


def _nd(name: str, x: Tensor) -> type[nn.Module]:
    """`Conv` and an image: nn.Conv2d."""
    rank = _rank(x)
    if rank not in (1, 2, 3) or not hasattr(nn, f"{name}{rank}d"):
        raise Refusal(f"no {name}{rank}d")
    cls: type[nn.Module] = getattr(nn, f"{name}{rank}d")
    return cls


def _wrong_length(x: Tensor, *values: Any) -> None:
    """PyTorch broadcasts a tuple of one number over the axes; the language asks for a plain number then."""
    for value in values:
        if isinstance(value, tuple) and len(value) != _rank(x):
            raise Refusal("one number for each axis")


@dataclass
class Kind:
    """How to draw a kind's arguments, and how PyTorch makes it."""

    draw: Callable[[Draw, Tensor], Args]
    make: Callable[[Args, Tensor], Callable[[Tensor], Tensor]]


KINDS: dict[str, Kind] = {}


def kind(name: str, make: Callable[[Args, Tensor], Any]) -> Callable[[Callable[[Draw, Tensor], Args]], None]:
    """Register the drawing function of a kind with how PyTorch makes it."""

    def register(draw: Callable[[Draw, Tensor], Args]) -> None:
        KINDS[name] = Kind(draw, make)

    return register


def _conv(args: Args, x: Tensor) -> nn.Module:
    _wrong_length(x, *args.values())
    return _nd("Conv", x)(x.shape[1], **args)


@kind("conv", _conv)
def _(draw: Draw, x: Tensor) -> Args:
    args = {"out_channels": draw(st.integers(1, 8)), "kernel_size": _sizes(draw, x, 1, 5)}
    _maybe_sizes(draw, args, "stride", x, 1, 3)
    if draw(st.integers(1, 6)) == 1:
        args["padding"] = draw(st.sampled_from(["same", "valid"]))
    else:
        _maybe_sizes(draw, args, "padding", x, 0, 3, 2)
    _maybe_sizes(draw, args, "dilation", x, 1, 3, 4)
    _maybe(draw, args, "groups", st.sampled_from([1, 2, 3, 4, x.shape[1]]), 4)
    _maybe(draw, args, "bias", st.booleans())
    _maybe(draw, args, "padding_mode", st.sampled_from(["zeros", "reflect", "replicate", "circular"]), 4)
    if "groups" in args and draw(st.booleans()):
        args["out_channels"] = args["groups"] * draw(st.integers(1, 2))
    return args


def _conv_transpose(args: Args, x: Tensor) -> nn.Module:
    _wrong_length(x, *args.values())
    return _nd("ConvTranspose", x)(x.shape[1], **args)


@kind("conv_transpose", _conv_transpose)
def _(draw: Draw, x: Tensor) -> Args:
    args = {"out_channels": draw(st.integers(1, 6)), "kernel_size": _sizes(draw, x, 1, 4)}
    _maybe_sizes(draw, args, "stride", x, 1, 2, 2)
    _maybe_sizes(draw, args, "padding", x, 0, 2)
    _maybe_sizes(draw, args, "output_padding", x, 0, 2)
    _maybe(draw, args, "groups", st.sampled_from([1, 2, x.shape[1]]), 4)
    _maybe(draw, args, "bias", st.booleans())
    _maybe_sizes(draw, args, "dilation", x, 1, 2)
    return args


@kind("linear", lambda args, x: nn.Linear(x.shape[-1], **args))
def _(draw: Draw, x: Tensor) -> Args:
    args = {"out_features": draw(st.integers(1, 12))}
    _maybe(draw, args, "bias", st.booleans())
    return args


def _pool(name: str) -> Callable[[Args, Tensor], nn.Module]:
    def make(args: Args, x: Tensor) -> nn.Module:
        _wrong_length(x, *args.values())
        if name == "AvgPool" and "divisor_override" in args and _rank(x) == 1:
            raise Refusal("AvgPool1d has no divisor_override")
        if name == "LPPool" and _rank(x) == 1:
            # LPPool1d fails on a tuple of one number, which its documentation allows.
            args = {key: value[0] if isinstance(value, tuple) else value for key, value in args.items()}
        return _nd(name, x)(**args)

    return make


@kind("maxpool", _pool("MaxPool"))
def _(draw: Draw, x: Tensor) -> Args:
    args = {"kernel_size": _sizes(draw, x, 1, 4)}
    _maybe_sizes(draw, args, "stride", x, 1, 4)
    _maybe_sizes(draw, args, "padding", x, 0, 2)
    _maybe_sizes(draw, args, "dilation", x, 1, 2, 5)
    _maybe(draw, args, "ceil_mode", st.booleans())
    return args


@kind("avgpool", _pool("AvgPool"))
def _(draw: Draw, x: Tensor) -> Args:
    args = {"kernel_size": _sizes(draw, x, 1, 4)}
    _maybe_sizes(draw, args, "stride", x, 1, 4)
    _maybe_sizes(draw, args, "padding", x, 0, 2)
    _maybe(draw, args, "ceil_mode", st.booleans())
    _maybe(draw, args, "count_include_pad", st.booleans())
    _maybe(draw, args, "divisor_override", st.integers(1, 5), 8)
    return args


@kind("lppool", _pool("LPPool"))
def _(draw: Draw, x: Tensor) -> Args:
    args = {"norm_type": float(draw(st.integers(1, 3))), "kernel_size": _sizes(draw, x, 1, 4)}
    _maybe_sizes(draw, args, "stride", x, 1, 4)
    _maybe(draw, args, "ceil_mode", st.booleans())
    return args


def _adaptive(name: str) -> Callable[[Args, Tensor], nn.Module]:
    def make(args: Args, x: Tensor) -> nn.Module:
        _wrong_length(x, *args.values())
        return _nd(name, x)(**args)

    return make


for _name in ("Avg", "Max"):

    @kind(f"adaptive_{_name.lower()}pool", _adaptive(f"Adaptive{_name}Pool"))
    def _(draw: Draw, x: Tensor) -> Args:
        return {"output_size": _sizes(draw, x, 1, 6)}


def _batchnorm(args: Args, x: Tensor) -> nn.Module:
    if x.dim() == 2:
        return nn.BatchNorm1d(x.shape[1], **args)
    return _nd("BatchNorm", x)(x.shape[1], **args)


@kind("batchnorm", _batchnorm)
def _(draw: Draw, x: Tensor) -> Args:
    args: Args = {}
    _maybe(draw, args, "eps", st.sampled_from([1e-3, 1e-5]))
    _maybe(draw, args, "momentum", st.sampled_from([0.1, 0.01, None]))
    _maybe(draw, args, "affine", st.booleans())
    return args


def _layernorm(args: Args, x: Tensor) -> nn.Module:
    args = dict(args)
    return nn.LayerNorm(args.pop("normalized_shape", None) or tuple(x.shape[1:]), **args)


@kind("layernorm", _layernorm)
def _(draw: Draw, x: Tensor) -> Args:
    args: Args = {}
    _maybe(draw, args, "normalized_shape", st.sampled_from([x.shape[-1], tuple(x.shape[1:]), tuple(x.shape[-1:]), 3]))
    _maybe(draw, args, "elementwise_affine", st.booleans())
    _maybe(draw, args, "bias", st.booleans())
    return args


@kind("groupnorm", lambda args, x: nn.GroupNorm(args["num_groups"], x.shape[1], affine=args.get("affine", True)))
def _(draw: Draw, x: Tensor) -> Args:
    args: Args = {"num_groups": draw(st.sampled_from([1, 2, 3, x.shape[1]]))}
    _maybe(draw, args, "affine", st.booleans())
    return args


def _instancenorm(args: Args, x: Tensor) -> nn.Module:
    """A spec is for training too, where PyTorch also refuses a single cell with running figures."""
    make = _nd("InstanceNorm", x)
    make(x.shape[1], **args).train()(x)
    return make(x.shape[1], **args)


@kind("instancenorm", _instancenorm)
def _(draw: Draw, x: Tensor) -> Args:
    args: Args = {}
    _maybe(draw, args, "affine", st.booleans())
    _maybe(draw, args, "track_running_stats", st.booleans())
    return args


def _local_response_norm(args: Args, x: Tensor) -> nn.Module:
    """PyTorch's views a volume; a permuted one has to be copied for it."""
    return nn.Sequential(Contiguous(), nn.LocalResponseNorm(**args))


@kind("local_response_norm", _local_response_norm)
def _(draw: Draw, x: Tensor) -> Args:
    args: Args = {"size": draw(st.integers(1, 5))}
    _maybe(draw, args, "alpha", st.sampled_from([1e-4, 0.5]))
    _maybe(draw, args, "k", st.sampled_from([1.0, 2.0]))
    return args


ACTIVATIONS: dict[str, tuple[type[nn.Module], dict[str, st.SearchStrategy[Any]]]] = {
    "relu": (nn.ReLU, {}),
    "leaky_relu": (nn.LeakyReLU, {"negative_slope": st.sampled_from([0.01, 0.2])}),
    "relu6": (nn.ReLU6, {}),
    "elu": (nn.ELU, {"alpha": st.sampled_from([1.0, 0.5])}),
    "selu": (nn.SELU, {}),
    "celu": (nn.CELU, {"alpha": st.sampled_from([1.0, 0.5])}),
    "gelu": (nn.GELU, {"approximate": st.sampled_from(["none", "tanh"])}),
    "silu": (nn.SiLU, {}),
    "mish": (nn.Mish, {}),
    "sigmoid": (nn.Sigmoid, {}),
    "logsigmoid": (nn.LogSigmoid, {}),
    "hardsigmoid": (nn.Hardsigmoid, {}),
    "hardswish": (nn.Hardswish, {}),
    "hardtanh": (nn.Hardtanh, {"min_val": st.sampled_from([-1.0, -0.5]), "max_val": st.sampled_from([1.0, 0.5])}),
    "tanh": (nn.Tanh, {}),
    "softplus": (nn.Softplus, {"beta": st.sampled_from([1.0, 2.0])}),
    "softsign": (nn.Softsign, {}),
    "softmax": (nn.Softmax, {"dim": st.integers(1, 4)}),
    "log_softmax": (nn.LogSoftmax, {"dim": st.sampled_from([1, 2, -1])}),
    "glu": (nn.GLU, {"dim": st.sampled_from([1, 2, -1])}),
    "dropout": (nn.Dropout, {"p": st.sampled_from([0.0, 0.5, 1.0, 1.5])}),
    "alpha_dropout": (nn.AlphaDropout, {"p": st.sampled_from([0.0, 0.5])}),
    "identity": (nn.Identity, {}),
}

for _kind, (_cls, _options) in ACTIVATIONS.items():

    def _draw_options(draw: Draw, x: Tensor, options: dict[str, st.SearchStrategy[Any]] = _options) -> Args:
        args: Args = {}
        for option, strategy in options.items():
            _maybe(draw, args, option, strategy, 2)
        return args

    def _make(args: Args, x: Tensor, kind: str = _kind, cls: type[nn.Module] = _cls) -> nn.Module:
        args = {"dim": 1} | args if kind in {"softmax", "log_softmax"} else args
        return cls(**args)

    kind(_kind, _make)(_draw_options)


@kind("prelu", lambda args, x: nn.PReLU(args.get("num_parameters", 1), args.get("init_value", 0.25)))
def _(draw: Draw, x: Tensor) -> Args:
    args: Args = {}
    _maybe(draw, args, "num_parameters", st.sampled_from([1, x.shape[1], 3]))
    _maybe(draw, args, "init_value", st.sampled_from([0.25, 0.1]))
    return args


@kind("channel_dropout", lambda args, x: _nd("Dropout", x)(**args))
def _(draw: Draw, x: Tensor) -> Args:
    args: Args = {}
    _maybe(draw, args, "p", st.sampled_from([0.0, 0.3, 1.0]))
    return args


@kind("stochastic_depth", lambda args, x: nn.Identity())
def _(draw: Draw, x: Tensor) -> Args:
    args: Args = {"p": draw(st.sampled_from([0.0, 0.2]))}
    _maybe(draw, args, "mode", st.sampled_from(["row", "batch"]))
    return args


def _keeps_batch(make: Callable[[Args, Tensor], Any], *names: str) -> Callable[[Args, Tensor], Any]:
    """The batch axis is not the model's to touch, though PyTorch would let it."""

    def checked(args: Args, x: Tensor) -> Any:
        if any(args.get(name) is not None and args[name] % (x.dim() + (make is _unsqueeze)) == 0 for name in names):
            raise Refusal("the batch axis")
        return make(args, x)

    return checked


@kind("flatten", _keeps_batch(lambda args, x: nn.Flatten(**args), "start_dim"))
def _(draw: Draw, x: Tensor) -> Args:
    args: Args = {}
    _maybe(draw, args, "start_dim", st.integers(1, 3), 4)
    _maybe(draw, args, "end_dim", st.integers(-2, 3), 4)
    return args


@kind("unflatten", lambda args, x: nn.Unflatten(args["dim"], args["unflattened_size"]))
def _(draw: Draw, x: Tensor) -> Args:
    dim = draw(st.integers(1, x.dim()))
    size = x.shape[dim] if dim < x.dim() else 4
    factor = draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0] + [3]))
    return {"dim": dim, "unflattened_size": (factor, max(size // factor, 1))}


def _permute(args: Args, x: Tensor) -> Callable[[Tensor], Tensor]:
    if len(args["dims"]) != x.dim() or args["dims"][0] != 0:
        raise Refusal("a permutation of all axes that keeps the batch axis")
    return lambda tensor: tensor.permute(args["dims"])


@kind("permute", _permute)
def _(draw: Draw, x: Tensor) -> Args:
    rest = draw(st.permutations(range(1, x.dim())))
    return {"dims": (0, *rest) if draw(st.integers(1, 12)) > 1 else (0, *rest[:-1], 1)}


def _transpose(args: Args, x: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda tensor: tensor.transpose(args["dim0"], args["dim1"])


@kind("transpose", _keeps_batch(_transpose, "dim0", "dim1"))
def _(draw: Draw, x: Tensor) -> Args:
    return {"dim0": draw(st.integers(1, 3)), "dim1": draw(st.integers(-1, 3))}


def _squeeze(args: Args, x: Tensor) -> Callable[[Tensor], Tensor]:
    dim = args.get("dim")
    axes = tuple(i for i in range(1, x.dim()) if x.shape[i] == 1) if dim is None else (dim,)
    return lambda tensor: tensor.squeeze(axes)


@kind("squeeze", _keeps_batch(_squeeze, "dim"))
def _(draw: Draw, x: Tensor) -> Args:
    args: Args = {}
    _maybe(draw, args, "dim", st.integers(1, 4), 2)
    return args


def _unsqueeze(args: Args, x: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda tensor: tensor.unsqueeze(args["dim"])


@kind("unsqueeze", _keeps_batch(_unsqueeze, "dim"))
def _(draw: Draw, x: Tensor) -> Args:
    return {"dim": draw(st.integers(1, 3))}


def _pad(args: Args, x: Tensor) -> nn.Module:
    names = {"zeros": "Zero", "reflect": "Reflection", "replicate": "Replication", "circular": "Circular"}
    name = names.get(args.get("mode", "zeros"), "Constant")
    padding = args["padding"]
    if isinstance(padding, tuple) and len(padding) != 2 * _rank(x):
        raise Refusal("two numbers for each axis")
    if name == "Constant":
        return _nd("ConstantPad", x)(padding, args.get("value", 0.0))
    return _nd(f"{name}Pad", x)(padding)


@kind("pad", _pad)
def _(draw: Draw, x: Tensor) -> Args:
    numbers = st.integers(0, 3)
    args: Args = {"padding": draw(numbers)}
    if draw(st.booleans()):
        args["padding"] = tuple(draw(numbers) for _ in range(2 * max(_rank(x), 1)))
    _maybe(draw, args, "mode", st.sampled_from(["zeros", "reflect", "replicate", "circular", "constant"]), 2)
    if args.get("mode") == "constant":
        args["value"] = draw(st.sampled_from([0.5, -1.0]))
    return args


def _crop(args: Args, x: Tensor) -> Callable[[Tensor], Tensor]:
    size = args["size"]
    sizes = (size,) * _rank(x) if isinstance(size, int) else size
    if (
        _rank(x) not in (1, 2, 3)
        or len(sizes) != _rank(x)
        or any(n > m for n, m in zip(sizes, x.shape[2:], strict=True))
    ):
        raise Refusal("does not fit")
    starts = [(m - n) // 2 for n, m in zip(sizes, x.shape[2:], strict=True)]
    index: Any = (Ellipsis, *[slice(a, a + n) for a, n in zip(starts, sizes, strict=True)])
    return lambda tensor: tensor[index]


@kind("crop", _crop)
def _(draw: Draw, x: Tensor) -> Args:
    return {"size": _sizes(draw, x, 1, 4)}


def _pad_channels(args: Args, x: Tensor) -> Callable[[Tensor], Tensor]:
    more = args["out_channels"] - x.shape[1]
    before = args.get("before", more // 2)
    step = args.get("stride", 1)
    if more < 0 or before > more:
        raise Refusal("fewer channels")
    if _rank(x) > 3 or (step > 1 and _rank(x) < 1):
        raise Refusal("no spatial axis")
    index = (slice(None), slice(None), *(slice(None, None, step),) * _rank(x))
    pads = (0, 0) * _rank(x) + (before, more - before)
    return lambda tensor: F.pad(tensor[index], pads)


@kind("pad_channels", _pad_channels)
def _(draw: Draw, x: Tensor) -> Args:
    args: Args = {"out_channels": x.shape[1] + draw(st.integers(-1, 4))}
    if args["out_channels"] < 1:
        args["out_channels"] = 1
    _maybe(draw, args, "stride", st.integers(1, 3), 2)
    _maybe(draw, args, "before", st.integers(0, 2), 4)
    return args


def _images(make: Callable[[Args, Tensor], Any], *ranks: int) -> Callable[[Args, Tensor], Any]:
    def checked(args: Args, x: Tensor) -> Any:
        if _rank(x) not in ranks:
            raise Refusal("another number of axes")
        return make(args, x)

    return checked


@kind("pixel_shuffle", _images(lambda args, x: nn.PixelShuffle(**args), 2))
def _(draw: Draw, x: Tensor) -> Args:
    return {"upscale_factor": draw(st.integers(1, 2))}


@kind("pixel_unshuffle", _images(lambda args, x: nn.PixelUnshuffle(**args), 2))
def _(draw: Draw, x: Tensor) -> Args:
    return {"downscale_factor": draw(st.integers(1, 3))}


@kind("channel_shuffle", _images(lambda args, x: nn.ChannelShuffle(**args), 1, 2, 3))
def _(draw: Draw, x: Tensor) -> Args:
    return {"groups": draw(st.sampled_from([1, 2, 3, x.shape[1]]))}


@kind("upsample", _images(lambda args, x: nn.Upsample(**args), 1, 2, 3))
def _(draw: Draw, x: Tensor) -> Args:
    args: Args = {}
    if draw(st.booleans()):
        args["scale_factor"] = draw(st.sampled_from([1.0, 2.0, 1.5, 0.5, 3]))
    else:
        args["size"] = draw(st.integers(1, 8))
    modes = {1: ["nearest", "linear"], 2: ["nearest", "bilinear", "bicubic"], 3: ["nearest", "trilinear"]}
    mode = draw(st.sampled_from([*modes.get(_rank(x), ["nearest"]), "nearest-exact", "bilinear"]))
    if mode != "nearest" or draw(st.booleans()):
        args["mode"] = mode
    if mode.endswith(("linear", "cubic")):
        _maybe(draw, args, "align_corners", st.booleans())
    return args


#: Kinds that mostly keep the shape; and all kinds, with more of what networks are made of.
KEEPING = ["conv", "conv", "batchnorm", "relu", "gelu", "dropout", "identity", "tanh", "groupnorm", "adaptive_avgpool"]
WEIGHTED = [*KINDS, *["conv"] * 8, *["linear"] * 2, *["maxpool"] * 2, *["batchnorm"] * 3, *["relu"] * 3]


class Machine:
    """Draws a spec and runs it as it grows."""

    def __init__(self, draw: Draw, program: Program, budget: int) -> None:
        self.draw = draw
        self.program = program
        self.budget = budget
        self.taps: dict[str, Tensor] = {}
        self.keeping = 0

    def emit(self, depth: int, text: str) -> None:
        self.program.lines.append("  " * (depth + 1) + text)

    def run(self, operation: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        """What PyTorch makes of it; its refusal ends the spec."""
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = operation(*tensors)
        except Exception as error:
            raise Refusal(f"{type(error).__name__}: {error}") from error
        if result.numel() == 0:
            raise Refusal("an empty tensor")
        if result.dim() < 2 or result.shape[0] != 2:
            raise Refusal("the batch axis is gone")
        return result

    def layer(self, x: Tensor, depth: int) -> Tensor:
        """A layer. Most of those that PyTorch refuses are drawn again, so that specs grow long enough."""
        for attempt in range(4):
            name, args = self.choose(x)
            try:
                module = self.make(name, args, x)
                y = self.run(module, x)
            except Refusal:
                if attempt < 3 and self.draw(st.integers(0, 3)):
                    continue
                self.write(name, args, depth)
                raise
            self.write(name, args, depth)
            if isinstance(module, nn.Module):
                self.program.modules.append(module)
            return y
        raise AssertionError("the last attempt returns or raises")

    def choose(self, x: Tensor) -> tuple[str, Args]:
        """A kind with its arguments; inside a join mostly one that keeps the shape."""
        if self.keeping and self.draw(st.integers(0, 3)):
            name = self.draw(st.sampled_from(KEEPING))
            if name == "conv":
                return name, {"out_channels": x.shape[1], "kernel_size": 3, "padding": 1}
        else:
            name = self.draw(st.sampled_from(WEIGHTED))
        return name, KINDS[name].draw(self.draw, x)

    def make(self, name: str, args: Args, x: Tensor) -> Callable[[Tensor], Tensor]:
        try:
            made = KINDS[name].make(args, x)
        except Refusal:
            raise
        except Exception as error:
            raise Refusal(f"{type(error).__name__}: {error}") from error
        return made.eval() if isinstance(made, nn.Module) else made

    def write(self, name: str, args: Args, depth: int) -> None:
        text = ", ".join(f"{key}={spec_text(value)}" for key, value in args.items())
        self.emit(depth, f"{name}({text})" if args else name)

    def body(self, x: Tensor, depth: int, most: int) -> Tensor:
        """A few items, one after the other."""
        for _ in range(self.draw(st.integers(0 if depth else 1, most))):
            if self.budget <= 0:
                break
            x = self.item(x, depth)
        return x

    def item(self, x: Tensor, depth: int) -> Tensor:
        self.budget -= 1
        forms = ["layer"] * 10
        if depth < 3:
            forms += [
                "group",
                "residual",
                "residual",
                "inception",
                "sum",
                "dense",
                "scale",
                "split",
                "tap",
                "for",
                "if",
            ]
        form = self.draw(st.sampled_from(forms))
        result: Tensor = getattr(self, form)(x, depth)
        return result

    def inner(self, x: Tensor, depth: int, head: str, most: int = 2, end: str = "}") -> Tensor:
        self.emit(depth, head)
        self.keeping += head != "{"
        y = self.body(x, depth + 1, most)
        self.keeping -= head != "{"
        self.emit(depth, end)
        return y

    def group(self, x: Tensor, depth: int) -> Tensor:
        label = self.draw(st.sampled_from(["", f"part{len(self.program.lines)}: "]))
        return self.inner(x, depth, label + "{")

    def residual(self, x: Tensor, depth: int) -> Tensor:
        with_shortcut = self.draw(st.booleans())
        y = self.inner(x, depth, "residual {")
        first = x
        if with_shortcut:
            self.program.lines[-1] += " shortcut {"
            first = self.body(x, depth + 1, 1)
            self.emit(depth, "}")
        return self.join(torch.add, first, y)

    def join(self, operation: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
        """Tensors meet; with other numbers of axes only by an accident of the batch size."""
        if a.dim() != b.dim():
            raise Refusal("other numbers of axes")
        return self.run(operation, a, b)

    def parts(self, inputs: list[Tensor], depth: int) -> list[Tensor]:
        return [self.inner(x, depth + 1, "{", most=1) for x in inputs]

    def concatenate(self, tensors: list[Tensor]) -> Tensor:
        if len({tensor.dim() for tensor in tensors}) > 1:
            raise Refusal("other numbers of axes")
        return self.run(lambda *parts: torch.cat(parts, 1), *tensors)

    def inception(self, x: Tensor, depth: int) -> Tensor:
        self.emit(depth, "inception {")
        ends = self.parts([x] * self.draw(st.integers(1, 3)), depth)
        self.emit(depth, "}")
        return self.concatenate(ends)

    def sum(self, x: Tensor, depth: int) -> Tensor:
        self.emit(depth, "sum {")
        self.keeping += 1
        ends = self.parts([x] * self.draw(st.integers(1, 3)), depth)
        self.keeping -= 1
        self.emit(depth, "}")
        total = ends[0]
        for end in ends[1:]:
            total = self.join(torch.add, total, end)
        return total

    def dense(self, x: Tensor, depth: int) -> Tensor:
        self.emit(depth, "dense {")
        for _ in range(self.draw(st.integers(1, 3))):
            y = self.inner(x, depth + 1, "{", most=1)
            x = self.concatenate([x, y])
        self.emit(depth, "}")
        return x

    def scale(self, x: Tensor, depth: int) -> Tensor:
        y = self.inner(x, depth, "scale {")
        return self.join(torch.mul, x, y)

    def split(self, x: Tensor, depth: int) -> Tensor:
        parts = self.draw(st.sampled_from([n for n in (1, 2, 3, 4) if x.shape[1] % n == 0] * 4 + [2, 3]))
        self.emit(depth, f"split({parts}) {{")
        if x.shape[1] % parts:
            self.program.lines += ["{ }"] * parts
            self.emit(depth, "}")
            raise Refusal("not divisible")
        ends = self.parts(list(torch.chunk(x, parts, 1)), depth)
        self.emit(depth, "}")
        return self.concatenate(ends)

    def tap(self, x: Tensor, depth: int) -> Tensor:
        """Keep this tensor and go on, or bring a kept one back."""
        if not self.taps or self.draw(st.booleans()):
            name = f"t{len(self.taps)}"
            self.emit(depth, f"identity -> {name}")
            self.program.modules.append(nn.Identity())
            self.taps[name] = x
            return x
        name = self.draw(st.sampled_from(sorted(self.taps)))
        other = self.taps[name]
        how = self.draw(st.sampled_from(["concat", "add", "mul", "use"]))
        self.emit(depth, f"{how}({name})")
        match how:
            case "concat":
                return self.concatenate([x, other])
            case "add":
                return self.join(torch.add, x, other)
            case "mul":
                return self.join(torch.mul, x, other)
            case _:
                return other

    # `for` is a keyword, so the method is set below.
    def loop(self, x: Tensor, depth: int) -> Tensor:
        """A loop over a drawn layer that is repeated as it stands."""
        times = self.draw(st.integers(0, 3))
        self.emit(depth, f"for i in 1..{times} {{")
        self.emit(depth + 1, "conv(channels, 1)")
        self.emit(depth, "}")
        for _ in range(times):
            if _rank(x) not in (1, 2, 3):
                raise Refusal("no spatial axis")
            module = _nd("Conv", x)(x.shape[1], x.shape[1], 1).eval()
            self.program.modules.append(module)
            x = self.run(module, x)
        return x

    def condition(self, x: Tensor, depth: int) -> Tensor:
        bound = self.draw(st.integers(0, 10))
        self.emit(depth, f"if channels > {bound} {{")
        y = x
        if x.shape[1] > bound:
            y = self.body(x, depth + 1, 1)
        else:
            self.emit(depth + 1, "relu")
        self.emit(depth, "}")
        return y


setattr(Machine, "for", Machine.loop)
setattr(Machine, "if", Machine.condition)


@st.composite
def specs(draw: Any, budget: int = 8) -> Program:
    """A random spec with what PyTorch makes of it: an output, or a refusal."""
    rank = draw(st.sampled_from([0, 1, 2, 2, 2, 3]))
    sizes = st.integers(1, 12) if rank < 3 else st.integers(1, 6)
    shape = (draw(st.integers(1, 8)), *(draw(sizes) for _ in range(rank)))
    program = Program(shape)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        program.x = torch.randn(2, *shape)
        machine = Machine(draw, program, budget)
        try:
            program.output = machine.body(program.x, 0, 6)
        except Refusal as refusal:
            program.refused = str(refusal)
            depth = "\n".join(program.lines).count("{") - "\n".join(program.lines).count("}")
            program.lines += ["}"] * depth
    assert math.prod(shape) > 0
    return program
