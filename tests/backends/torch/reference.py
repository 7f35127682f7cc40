"""What PyTorch does with a spec, without archdsl: random specs as plain data, run by torch.nn directly.

`program()` draws layer by layer. Every layer is run by PyTorch as soon as it is drawn, so that later draws
know the tensor they meet; the first error ends the spec. Names of kinds and arguments are written out
here by hand: this file is the independent side of the comparison.
"""

from __future__ import annotations

import atexit
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial, reduce
from pathlib import Path
from random import Random
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import torch
from hypothesis import strategies as st_hypothesis
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from archdsl.arguments.values import spec_text
from tests.backends.torch import choices as st

Args = dict[str, Any]
#: Runs a part of a spec again; and what drawing one gives: the tensor after it and that.
Op = Callable[[Tensor], Tensor]
Step = tuple[Tensor, Op]
Draw = Callable[[st.SearchStrategy[Any]], Any]


class Contiguous(nn.Module):
    """A copy in the order of the axes."""

    def forward(self, x: Tensor) -> Tensor:
        return x.contiguous()


class Rejection(Exception):
    """PyTorch rejects what was drawn."""


@dataclass
class First:
    """How a module is made, the initializers of its weights and its parametrization, to be drawn again from a seed."""

    make: Callable[[], Any]
    initializers: dict[str, str]
    parametrization: str = ""

    def module(self) -> nn.Module:
        made: nn.Module = self.make()
        for name, text in self.initializers.items():
            with torch.no_grad():
                INITIALIZERS[text](made.get_parameter(name).data)
        if self.parametrization:
            # Spectral norm begins with further steps of its iteration where the module is in training mode.
            PARAMETRIZATIONS[self.parametrization](made.train())
        return made.eval()


@dataclass
class Program:
    """A drawn spec: its text, the modules by the keys of the state_dict, and what came out.

    first     how each module's weights begin
    frozen    the keys of the weights that are not trained
    settings  the model's parameters, which are given from outside
    inputs    a batch of each input by its name; one alone is called "input" and has none in the spec
    outputs, aux    further outputs, and those of training
    """

    input: tuple[int, ...]
    lines: list[str] = field(default_factory=list)
    modules: dict[str, nn.Module] = field(default_factory=dict)
    first: dict[str, First] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)
    settings: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    aux: dict[str, Tensor] = field(default_factory=dict)
    imports: bool = False
    inputs: dict[str, Tensor] = field(default_factory=dict)
    output: Tensor | None = None
    rejected: str | None = None

    @property
    def state(self) -> dict[str, Tensor]:
        """The entries of the state_dict."""
        return {
            f"{key}.{name}": tensor for key, one in self.modules.items() for name, tensor in one.state_dict().items()
        }

    @property
    def text(self) -> str:
        sizes = {name: "x".join(map(str, tensor.shape[1:])) for name, tensor in self.inputs.items()}
        named = ", ".join(f"{name}: {size}" for name, size in sizes.items())
        size = named if len(sizes) > 1 else "x".join(map(str, self.input))
        given = ", ".join(f"{name} = {spec_text(_another(value))}" for name, value in self.settings.items())
        head = f'from "{library()}" import unit, tail, again, wide\n' if self.imports else ""
        params = f"({given})" if given else ""
        return f"{head}model m{params} {{\n  input({size})\n" + "\n".join(self.lines) + "\n}\n"


def _another(value: Any) -> Any:
    """Another value of the same type."""
    return not value if isinstance(value, bool) else value + 1 if isinstance(value, int | float) else f"not {value}"


@cache
def library() -> str:
    """The path of the file that specs import."""
    folder = Path(mkdtemp(prefix="archdsl-specs-"))
    atexit.register(rmtree, folder)
    path = folder / "library.arch"
    path.write_text(LIBRARY)
    return str(path)


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
        raise Rejection(f"no {name}{rank}d")
    cls: type[nn.Module] = getattr(nn, f"{name}{rank}d")
    return cls


def _wrong_length(x: Tensor, *values: Any) -> None:
    """PyTorch broadcasts a tuple of one number over the axes; the language asks for a plain number then."""
    for value in values:
        if isinstance(value, tuple) and len(value) != _rank(x):
            raise Rejection("one number for each axis")


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


def _same(x: Tensor, window: Any, mode: str = "constant", fill: float = 0.0) -> Tensor:
    """TensorFlow's rule for "SAME": what is missing to a whole number of strides, the larger half at the end."""
    pads = []
    for axis in range(_rank(x) - 1, -1, -1):
        kernel, stride, dilation = (
            one if isinstance(one, int) else one[axis]
            for one in (window.kernel_size, window.stride, getattr(window, "dilation", 1))
        )
        reach, rest = dilation * (kernel - 1) + 1, x.shape[axis + 2] % stride
        missing = max(reach - (rest or stride), 0)
        pads += [missing // 2, missing - missing // 2]
    return F.pad(x, pads, mode, fill) if any(pads) else x


@cache
def _with_same(name: str) -> type[nn.Module]:
    """A convolution or pool of PyTorch on an input that is padded as TensorFlow does."""
    cls = getattr(nn, name)

    class Same(cls):  # type: ignore[valid-type,misc]
        def forward(self, x: Tensor) -> Tensor:
            if hasattr(self, "return_indices"):
                padded = _same(x, self, fill=float("-inf"))
            else:
                mode = getattr(self, "padding_mode", "zeros")
                padded = _same(x, self, "constant" if mode == "zeros" else mode)
            result: Tensor = super().forward(padded)
            if getattr(self, "count_include_pad", True) or getattr(self, "divisor_override", None):
                return result
            ones = _same(torch.ones_like(x), self)
            inside: Tensor = super().forward(ones)
            return result / inside

    return Same


def _windowed(name: str, args: Args, x: Tensor, *sizes: int) -> nn.Module:
    """A convolution or pool, with TensorFlow's padding or PyTorch's own."""
    if args.get("padding") != "same_upper":
        return _nd(name, x)(*sizes, **args)
    return _with_same(_nd(name, x).__name__)(*sizes, **{key: value for key, value in args.items() if key != "padding"})


def _conv(args: Args, x: Tensor) -> nn.Module:
    _wrong_length(x, *args.values())
    return _windowed("Conv", args, x, x.shape[1])


@kind("conv", _conv)
def _(draw: Draw, x: Tensor) -> Args:
    args = {"out_channels": draw(st.integers(1, 8)), "kernel_size": _sizes(draw, x, 1, 5)}
    _maybe_sizes(draw, args, "stride", x, 1, 3)
    if draw(st.integers(1, 6)) == 1:
        args["padding"] = draw(st.sampled_from(["same", "valid", "same_upper", "same_upper"]))
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
            raise Rejection("AvgPool1d has no divisor_override")
        if name == "LPPool" and _rank(x) == 1:
            # LPPool1d fails on a tuple of one number, which its documentation allows.
            args = {key: value[0] if isinstance(value, tuple) else value for key, value in args.items()}
        return _windowed(name, args, x)

    return make


@kind("maxpool", _pool("MaxPool"))
def _(draw: Draw, x: Tensor) -> Args:
    args = {"kernel_size": _sizes(draw, x, 1, 4)}
    _maybe_sizes(draw, args, "stride", x, 1, 4)
    _maybe_sizes(draw, args, "padding", x, 0, 2)
    _maybe(draw, args, "padding", st.sampled_from(["same_upper"]), 6)
    _maybe_sizes(draw, args, "dilation", x, 1, 2, 5)
    _maybe(draw, args, "ceil_mode", st.booleans())
    return args


@kind("avgpool", _pool("AvgPool"))
def _(draw: Draw, x: Tensor) -> Args:
    args = {"kernel_size": _sizes(draw, x, 1, 4)}
    _maybe_sizes(draw, args, "stride", x, 1, 4)
    _maybe_sizes(draw, args, "padding", x, 0, 2)
    _maybe(draw, args, "padding", st.sampled_from(["same_upper"]), 6)
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
    """A spec is for training too, where PyTorch also rejects a single cell with running figures."""
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
            raise Rejection("the batch axis")
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
        raise Rejection("a permutation of all axes that keeps the batch axis")
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
        raise Rejection("two numbers for each axis")
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
        raise Rejection("does not fit")
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
        raise Rejection("fewer channels")
    if _rank(x) > 3 or (step > 1 and _rank(x) < 1):
        raise Rejection("no spatial axis")
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
            raise Rejection("another number of axes")
        return make(args, x)

    return checked


@kind("pixel_shuffle", _images(lambda args, x: nn.PixelShuffle(**args), 2))
def _(draw: Draw, x: Tensor) -> Args:
    return {"upscale_factor": draw(st.integers(1, 2))}


def _with_axis(module: nn.Module, dim: int) -> nn.Module:
    """The module; weight_norm fails on an axis that the weight does not have, but not always with an error."""
    if module.get_parameter("weight").dim() <= dim:
        raise Rejection(f"no axis {dim}")
    return module


class LastLSTM(nn.LSTM):
    """The states of all steps."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return _steps(super().forward, x)


class LastGRU(nn.GRU):
    """The states of all steps."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return _steps(super().forward, x)


class LastRNN(nn.RNN):
    """The states of all steps."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return _steps(super().forward, x)


def _steps(forward: Callable[..., Any], x: Tensor) -> Tensor:
    if x.dim() != 3:
        raise Rejection("no sequence")
    states: Tensor = forward(x)[0]
    return states


def _recurrent(cls: type[nn.Module]) -> Callable[[Args, Tensor], nn.Module]:
    return lambda args, x: cls(input_size=x.shape[-1], batch_first=True, **args)


for _name, _cls in (("lstm", LastLSTM), ("gru", LastGRU), ("rnn", LastRNN)):

    @kind(_name, _recurrent(_cls))
    def _(draw: Draw, x: Tensor, name: str = _name) -> Args:
        args: Args = {"hidden_size": draw(st.integers(1, 5))}
        _maybe(draw, args, "num_layers", st.integers(1, 2))
        _maybe(draw, args, "bias", st.booleans())
        _maybe(draw, args, "bidirectional", st.booleans())
        if name == "lstm":
            _maybe(draw, args, "proj_size", st.integers(0, 4), 4)
        if name == "rnn":
            _maybe(draw, args, "nonlinearity", st.sampled_from(["tanh", "relu"]))
        return args


class SelfAttention(nn.MultiheadAttention):
    """Attention of tokens to themselves, for each group of them."""

    is_causal = False

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        if x.dim() < 3:
            raise Rejection("no tokens")
        tokens = x.flatten(0, -3)
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[-2]) if self.is_causal else None
        return super().forward(tokens, tokens, tokens, need_weights=False, attn_mask=mask)[0].reshape(x.shape)


def _attention(args: Args, x: Tensor) -> nn.Module:
    made = SelfAttention(x.shape[-1], args["num_heads"], bias=args.get("bias", True), batch_first=True)
    made.is_causal = args.get("is_causal", False)
    return made


@kind("multihead_attention", _attention)
def _(draw: Draw, x: Tensor) -> Args:
    args: Args = {"num_heads": draw(st.sampled_from([1, 2, 3, x.shape[-1]]))}
    _maybe(draw, args, "bias", st.booleans())
    _maybe(draw, args, "is_causal", st.booleans())
    return args


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


def _elementwise(function: Callable[..., Tensor]) -> Callable[[Args, Tensor], Callable[[Tensor], Tensor]]:
    """A function of torch with its arguments by name or, for the four operations, by position."""
    return lambda args, x: lambda tensor: function(tensor, **args)


for _name in ("neg", "abs", "exp", "log", "sqrt", "sin", "cos"):
    kind(_name, _elementwise(getattr(torch, _name)))(lambda draw, x: {})
for _name in ("add", "sub", "mul", "div"):
    kind(_name, _elementwise(getattr(torch, _name)))(lambda draw, x: {"other": draw(st.sampled_from([0.5, -1.5, 2]))})
kind("pow", _elementwise(torch.pow))(lambda draw, x: {"exponent": draw(st.sampled_from([2, 3.0, 0.5, 1]))})


@kind("clamp", _elementwise(torch.clamp))
def _(draw: Draw, x: Tensor) -> Args:
    args: Args = {}
    _maybe(draw, args, "min", st.sampled_from([-0.5, 0.0]), 2)
    _maybe(draw, args, "max", st.sampled_from([0.25, 6]), 2)
    return args


def _reduced(function: Callable[..., Tensor]) -> Callable[[Args, Tensor], Callable[[Tensor], Tensor]]:
    def make(args: Args, x: Tensor) -> Callable[[Tensor], Tensor]:
        dims = args["dim"] if isinstance(args["dim"], tuple) else (args["dim"],)
        if any(dim % x.dim() == 0 for dim in dims):
            raise Rejection("the batch axis")
        return lambda tensor: function(tensor, **args)

    return make


def _draw_axes(draw: Draw, x: Tensor) -> Args:
    last = draw(st.integers(1, 3))
    args: Args = {"dim": draw(st.sampled_from([1, -1, last, last, (last, 1), (-1, 2), (2,)]))}
    _maybe(draw, args, "keepdim", st.booleans(), 2)
    return args


for _name in ("mean", "sum"):
    kind(_name, _reduced(getattr(torch, _name)))(_draw_axes)
kind("max", _reduced(torch.amax))(_draw_axes)


def _norm(x: Tensor, dim: Any, keepdim: bool = False, p: float = 2.0) -> Tensor:
    result: Tensor = torch.linalg.vector_norm(x, p, dim, keepdim)
    return result


@kind("norm", _reduced(_norm))
def _(draw: Draw, x: Tensor) -> Args:
    args = _draw_axes(draw, x)
    _maybe(draw, args, "p", st.sampled_from([1.0, 2, 3.0]))
    return args


def _constant(args: Args, x: Tensor) -> Callable[[Tensor], Tensor]:
    value = torch.tensor(args["value"])
    return lambda tensor: value.expand(len(tensor), *value.shape)


@kind("constant", _constant)
def _(draw: Draw, x: Tensor) -> Args:
    sizes = [draw(st.integers(1, 3)) for _ in range(draw(st.integers(1, 4)))]

    def nested(sizes: list[int]) -> Any:
        if not sizes:
            return draw(st.sampled_from([0.5, -2.0, 1.0]))
        return tuple(nested(sizes[1:]) for _ in range(sizes[0]))

    return {"value": nested(sizes)}


#: Kinds that mostly keep the shape; and all kinds, with more of what networks are made of.
KEEPING = ["conv", "conv", "batchnorm", "relu", "gelu", "dropout", "identity", "tanh", "groupnorm", "adaptive_avgpool"]
WEIGHTED = [*KINDS, *["conv"] * 8, *["linear"] * 2, *["maxpool"] * 2, *["batchnorm"] * 3, *["relu"] * 3]

#: Initializers as a spec writes them, and how torch.nn.init fills a weight.
INITIALIZERS: dict[str, Callable[[Tensor], object]] = {
    "zeros": nn.init.zeros_,
    "ones": nn.init.ones_,
    "constant(0.25)": lambda weight: nn.init.constant_(weight, 0.25),
    "uniform(-0.5, 0.5)": lambda weight: nn.init.uniform_(weight, -0.5, 0.5),
    "uniform(0.5, -0.5)": lambda weight: nn.init.uniform_(weight, 0.5, -0.5),
    "normal(std=0.3)": lambda weight: nn.init.normal_(weight, std=0.3),
    "trunc_normal(std=0.5)": lambda weight: nn.init.trunc_normal_(weight, std=0.5),
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal(gain=0.5)": lambda weight: nn.init.xavier_normal_(weight, 0.5),
    'kaiming_normal(mode="fan_out")': lambda weight: nn.init.kaiming_normal_(weight, mode="fan_out"),
    "kaiming_uniform(a=0.5)": lambda weight: nn.init.kaiming_uniform_(weight, 0.5),
    "orthogonal": nn.init.orthogonal_,
    "eye": nn.init.eye_,
    "dirac": nn.init.dirac_,
    "dirac(groups=2)": lambda weight: nn.init.dirac_(weight, 2),
    "partial_dirac": lambda weight: nn.init.dirac_(weight[: weight.size(1)]),
    "sparse(0.5)": lambda weight: nn.init.sparse_(weight, 0.5),
    "default": lambda weight: weight,
}
#: Parametrizations as a spec writes them, and what torch does with a module.
PARAMETRIZATIONS: dict[str, Callable[[nn.Module], object]] = {
    "weight_norm": parametrizations.weight_norm,
    "weight_norm(dim=1)": lambda module: parametrizations.weight_norm(_with_axis(module, 1), dim=1),
    "weight_norm(dim=none)": lambda module: parametrizations.weight_norm(module, dim=None),  # type: ignore[arg-type]
    "spectral_norm": parametrizations.spectral_norm,
    "spectral_norm(2, dim=1)": lambda module: parametrizations.spectral_norm(module, n_power_iterations=2, dim=1),
    "spectral_norm(dim=-1)": lambda module: parametrizations.spectral_norm(module, dim=-1),
}
#: Those that fill a weight of any number of axes.
ANYWHERE = ["zeros", "ones", "constant(0.25)", "uniform(-0.5, 0.5)", "normal(std=0.3)", "trunc_normal(std=0.5)"]

#: A file that specs import, whose blocks `Machine.block` knows by heart.
LIBRARY = """
let wide = 6
block unit(n, act = relu) { conv(n, 1, bias=false); batchnorm; act }
inline block tail(n) { linear(n); tanh }
block again(f, n) { part: residual { f(n) }; reuse(part) }
"""


@dataclass
class Names:
    """A scope of the state_dict's names: positions count all its parts; `labels` can run again.

    `inside` has the scopes of the labelled parts that are one.
    """

    path: str = ""
    count: int = 0
    labels: dict[str, Op] = field(default_factory=dict)
    inside: dict[str, Names] = field(default_factory=dict)

    def take(self, label: str = "") -> str:
        own = label or str(self.count)
        self.count += 1
        return f"{self.path}.{own}" if self.path else own

    def parts(self) -> dict[str, Op]:
        """All parts that have a label, by the labels that lead to them."""
        inner = {f"{label}.{one}": op for label, scope in self.inside.items() for one, op in scope.parts().items()}
        return self.labels | inner


class Machine:
    """Draws a spec and runs it as it grows. What draws a part also returns how to run it again."""

    def __init__(self, draw: Draw, program: Program, budget: int) -> None:
        self.draw = draw
        self.program = program
        self.budget = budget
        self.taps: dict[str, Tensor] = {}
        self.tap_scopes: dict[str, str] = {}
        self.keeping = 0
        self.scopes = [Names()]
        self.rules: list[tuple[str, str, str]] = []
        self.in_aux = False
        self.labels = 0
        self.key = ""

    def emit(self, depth: int, text: str) -> None:
        self.program.lines.append("  " * (depth + 1) + text)

    def chance(self, one_in: int) -> bool:
        return bool(self.draw(st.integers(1, one_in)) == 1)

    def run(self, operation: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        """What PyTorch makes of it; its error ends the spec."""
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = operation(*tensors)
        except Exception as error:
            raise Rejection(f"{type(error).__name__}: {error}") from error
        if result.numel() == 0:
            raise Rejection("an empty tensor")
        if result.dim() < 2 or result.shape[0] != 2:
            raise Rejection("the batch axis is gone")
        return result

    def layer(self, x: Tensor, depth: int, label: str) -> Step:
        """A layer. Most of those that PyTorch rejects are drawn again, so that specs grow long enough."""
        for attempt in range(4):
            name, args = self.choose(x)
            extra: dict[str, str] = {}
            try:
                module = self.make(name, args, x)
                y = self.run(module, x)
                self.add(name, args, x, module, extra, label)
                if "parametrization" in extra:
                    y = self.run(module, x)
            except Rejection:
                if attempt < 3 and self.draw(st.integers(0, 3)):
                    continue
                self.write(name, args, extra, depth, label)
                raise
            self.write(name, args, extra, depth, label)
            return y, partial(self.again, name, args, self.key)
        raise AssertionError("the last attempt returns or raises")

    def add(
        self,
        name: str,
        args: Args,
        x: Tensor,
        made: Callable[[Tensor], Tensor],
        said: dict[str, str] | None = None,
        label: str = "",
    ) -> None:
        """Note a module under its name. `said` is filled with what the spec says of how its weights begin."""
        weights = dict(made.named_parameters()) if isinstance(made, nn.Module) else {}
        own: dict[str, str] = {}
        frozen: list[str] = []
        if weights and said is not None:
            own = self.start(weights)
        starts = {weight: own.get(weight) or self.rule(name, weight, tensor) for weight, tensor in weights.items()}
        first = First(partial(self.make, name, args, x), {one: text for one, text in starts.items() if text})
        if weights and said is not None:
            assert isinstance(made, nn.Module)
            said |= {"init": text} if (text := _init(own, self)) else {}
            first.parametrization = self.parametrize(made, weights, starts, said)
            weights = dict(made.named_parameters())
            frozen = self.freeze(list(weights))
            said |= {"trainable": text} if (text := _trainable(weights, frozen)) else {}
        if first.initializers:
            self.run(lambda x: (first.module(), x)[1], x)  # torch says which weights it cannot fill
        self.key = self.scopes[-1].take(label)
        if isinstance(made, nn.Module):
            self.program.modules[self.key] = made
            self.program.first[self.key] = first
            self.program.frozen |= {f"{self.key}.{one}" for one in frozen}

    def parametrize(
        self, made: nn.Module, weights: Mapping[str, Tensor], starts: Mapping[str, str | None], said: dict[str, str]
    ) -> str:
        """Now and then a parametrization of a module's weight, as a spec writes it."""
        if "weight" not in weights or not self.chance(8):
            return ""
        text: str = self.draw(st.sampled_from(list(PARAMETRIZATIONS)))
        said["parametrization"] = text
        if starts["weight"] == "zeros" and "weight_norm" in text:
            raise Rejection("a weight of zeros has no norm")
        self.run(lambda x: (PARAMETRIZATIONS[text](made.train()), made.eval(), x)[2], torch.zeros(2, 1))
        return text

    def start(self, weights: Mapping[str, Tensor]) -> dict[str, str]:
        """Initializers for some of a layer's weights, mostly such as can fill them."""
        own = {}
        for weight, tensor in weights.items() if self.chance(6) else ():
            if weight == "weight" or self.chance(2):
                fitting = ANYWHERE if tensor.dim() < 2 and not self.chance(6) else list(INITIALIZERS)
                own[weight] = self.draw(st.sampled_from(fitting))
        return own

    def freeze(self, weights: list[str]) -> list[str]:
        if not self.chance(8):
            return []
        return [one for one in weights if self.chance(2)] or weights

    def rule(self, name: str, weight: str, tensor: Tensor) -> str | None:
        """The initializer that the settings in force have for a weight, the innermost one's."""
        for kind, parameter, text in reversed(self.rules):
            if parameter == weight and (kind in (name, "*") or (kind == "" and tensor.dim() > 1)):
                return text
        return None

    def again(self, name: str, args: Args, key: str, x: Tensor) -> Tensor:
        """Run a layer once more: on its own weights where it has any, else as it is made for this input."""
        made = self.make(name, args, x)
        before = self.program.modules.get(key)
        if before is not None and before.state_dict():
            assert isinstance(made, nn.Module)
            plain = self.program.first[key].make()
            if type(made) is not type(plain) or _sizes_of(made) != _sizes_of(plain):
                raise Rejection("other weights")
            made = before
        return self.run(made, x)

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
        except Rejection:
            raise
        except Exception as error:
            raise Rejection(f"{type(error).__name__}: {error}") from error
        return made.eval() if isinstance(made, nn.Module) else made

    def write(self, name: str, args: Args, extra: dict[str, str], depth: int, label: str) -> None:
        texts = [f"{key}={self.value(value)}" for key, value in args.items()]
        texts += [f"{key}={text}" for key, text in extra.items()]
        self.emit(depth, _headed(label, f"{name}({', '.join(texts)})" if texts else name))

    def value(self, value: Any) -> str:
        """A value as the spec writes it: now and then a parameter of the model, whose default is another one."""
        if value is None or isinstance(value, tuple) or not self.chance(12):
            return spec_text(value)
        name = f"p{len(self.program.settings)}"
        self.program.settings[name] = value
        return name

    def body(self, x: Tensor, depth: int, most: int) -> Step:
        """A few items, one after the other; the settings of the body end with it."""
        operations: list[Op] = []
        before = list(self.rules)
        for _ in range(self.draw(st.integers(0 if depth else 1, most))):
            if self.budget <= 0:
                break
            if self.chance(25):
                self.setting(x, depth)
            x, operation = self.item(x, depth)
            operations.append(operation)
        self.rules = before
        return x, lambda x: reduce(lambda x, operation: operation(x), operations, x)

    def setting(self, x: Tensor, depth: int) -> None:
        text = self.draw(st.sampled_from(list(INITIALIZERS)))
        kind = self.draw(st.sampled_from(["", "*", "conv", "linear", "batchnorm"]))
        self.rules.append((kind, "weight", text))
        self.emit(depth, "init = " + {"": text, "*": f"{{weight: {text}}}"}.get(kind, f"{{{kind}: {text}}}"))
        self.run(lambda x: (INITIALIZERS[text](torch.empty(4, 4, 1)) if text.startswith("uniform") else 0, x)[1], x)

    def item(self, x: Tensor, depth: int) -> Step:
        self.budget -= 1
        forms = [*["layer"] * 12, "argmax"]
        if depth < 3:
            forms += ["group", "residual", "residual", "inception", "sum", "subtract", "dense", "scale", "split"]
            forms += [*["tap"] * 4, "for", "if", "block", *["reuse"] * 4]
        if depth == 0 and len(self.scopes) == 1:
            forms += ["aux"]
        form = self.draw(st.sampled_from(forms))
        if form == "reuse" and (self.in_aux or not self.parts_in_sight()):
            form = "layer"
        label = ""
        if form in LABELLED and not self.in_aux and self.chance(2):
            self.labels += 1
            label = f"l{self.labels}"
        if label and form != "layer":
            self.scopes.append(Names(self.scopes[-1].take(label)))
        result: Step = getattr(self, form)(x, depth, label)
        if label and form != "layer":
            inside = self.scopes.pop()
            self.scopes[-1].inside[label] = inside
        if label:
            self.scopes[-1].labels[label] = result[1]
        return result

    def inner(self, x: Tensor, depth: int, head: str, most: int = 2, end: str = "}") -> Step:
        self.emit(depth, head)
        joined = head != "{" and not head.endswith(": {")
        self.keeping += joined
        y = self.body(x, depth + 1, most)
        self.keeping -= joined
        self.emit(depth, end)
        return y

    def group(self, x: Tensor, depth: int, label: str) -> Step:
        return self.inner(x, depth, _headed(label, "{"))

    def residual(self, x: Tensor, depth: int, label: str) -> Step:
        with_shortcut = self.draw(st.booleans())
        y, operation = self.inner(x, depth, _headed(label, "residual {"))
        if not with_shortcut:
            return self.join(torch.add, x, y), lambda x: self.join(torch.add, x, operation(x))
        self.program.lines[-1] += " shortcut {"
        first, other = self.body(x, depth + 1, 1)
        self.emit(depth, "}")

        def again(x: Tensor) -> Tensor:
            body = operation(x)
            return self.join(torch.add, other(x), body)

        return self.join(torch.add, first, y), again

    def join(self, operation: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
        """Tensors meet; with other numbers of axes only by an accident of the batch size."""
        if a.dim() != b.dim():
            raise Rejection("other numbers of axes")
        return self.run(operation, a, b)

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        """Matrices of each sample; PyTorch would take the batch axis for one of a matrix's."""
        if min(a.dim(), b.dim()) < 3:
            raise Rejection("no matrices")
        return self.join(torch.matmul, a, b)

    def argmax(self, x: Tensor, depth: int, label: str) -> Step:
        """The position of the maximum, as a number: integers can do little else. What is NaN has no maximum in ONNX."""
        if not x.isfinite().all():
            return self.layer(x, depth, label)
        dim = self.draw(st.integers(1, 2))
        self.emit(depth, f"argmax({dim}, keepdim=true); float")
        self.scopes[-1].take()
        self.scopes[-1].take()

        def again(x: Tensor) -> Tensor:
            return self.run(lambda x: torch.argmax(x, dim, keepdim=True).float(), x)

        return again(x), again

    def parts(self, inputs: list[Tensor], depth: int) -> tuple[list[Tensor], list[Op]]:
        steps = [self.inner(x, depth + 1, "{", most=1) for x in inputs]
        return [y for y, _ in steps], [operation for _, operation in steps]

    def concatenate(self, tensors: list[Tensor]) -> Tensor:
        if len({tensor.dim() for tensor in tensors}) > 1:
            raise Rejection("other numbers of axes")
        return self.run(lambda *parts: torch.cat(parts, 1), *tensors)

    def inception(self, x: Tensor, depth: int, label: str) -> Step:
        self.emit(depth, _headed(label, "inception {"))
        ends, operations = self.parts([x] * self.draw(st.integers(1, 3)), depth)
        self.emit(depth, "}")
        return self.concatenate(ends), lambda x: self.concatenate([operation(x) for operation in operations])

    def sum(self, x: Tensor, depth: int, label: str) -> Step:
        return self.folded(x, depth, _headed(label, "sum {"), torch.add)

    def subtract(self, x: Tensor, depth: int, label: str) -> Step:
        return self.folded(x, depth, _headed(label, "subtract {"), torch.sub)

    def folded(self, x: Tensor, depth: int, head: str, join: Callable[[Tensor, Tensor], Tensor]) -> Step:
        self.emit(depth, head)
        self.keeping += 1
        ends, operations = self.parts([x] * self.draw(st.integers(1, 3)), depth)
        self.keeping -= 1
        self.emit(depth, "}")

        def total(ends: list[Tensor]) -> Tensor:
            return reduce(lambda a, b: self.join(join, a, b), ends)

        return total(ends), lambda x: total([operation(x) for operation in operations])

    def dense(self, x: Tensor, depth: int, label: str) -> Step:
        self.emit(depth, _headed(label, "dense {"))
        operations = []
        for _ in range(self.draw(st.integers(1, 3))):
            y, operation = self.inner(x, depth + 1, "{", most=1)
            x = self.concatenate([x, y])
            operations.append(operation)
        self.emit(depth, "}")
        return x, lambda x: reduce(lambda x, operation: self.concatenate([x, operation(x)]), operations, x)

    def scale(self, x: Tensor, depth: int, label: str) -> Step:
        if self.chance(3):
            factor = self.draw(st.sampled_from([0.25, -1, 2.0]))
            y, operation = self.inner(x, depth, _headed(label, f"scale({factor}) {{"))
            self.scopes[-1].take()
            return y * factor, lambda x: operation(x) * factor
        y, operation = self.inner(x, depth, _headed(label, "scale {"))
        return self.join(torch.mul, x, y), lambda x: self.join(torch.mul, x, operation(x))

    def split(self, x: Tensor, depth: int, label: str) -> Step:
        if self.chance(2):
            return self.split_by_sizes(x, depth, label)
        parts = self.draw(st.sampled_from([n for n in (1, 2, 3, 4) if x.shape[1] % n == 0] * 4 + [2, 3]))
        self.emit(depth, _headed(label, f"split({parts}) {{"))
        if x.shape[1] % parts:
            self.program.lines += ["{ }"] * parts
            self.emit(depth, "}")
            raise Rejection("not divisible")
        ends, operations = self.parts(list(torch.chunk(x, parts, 1)), depth)
        self.emit(depth, "}")

        def again(x: Tensor) -> Tensor:
            if x.shape[1] % parts:
                raise Rejection("not divisible")
            pairs = zip(operations, torch.chunk(x, parts, 1), strict=True)
            return self.concatenate([operation(part) for operation, part in pairs])

        return self.concatenate(ends), again

    def sizes(self, x: Tensor) -> list[int]:
        """The channels of the parts of a tensor; now and then too few."""
        left, sizes = x.shape[1], list[int]()
        while left and len(sizes) < 3:
            sizes.append(self.draw(st.integers(1, left)))
            left -= sizes[-1]
        return [*sizes, left] if left and not self.chance(10) else sizes

    def split_by_sizes(self, x: Tensor, depth: int, label: str) -> Step:
        sizes = self.sizes(x)
        text = ", ".join(map(str, sizes))
        text = text if len(sizes) > 1 and self.chance(2) else f"[{text}]"
        self.emit(depth, _headed(label, f"split({text}) {{"))
        if sum(sizes) != x.shape[1]:
            self.program.lines += ["{ }"] * len(sizes)
            self.emit(depth, "}")
        ends, operations = self.parts(list(self.cut(x, sizes)), depth)
        self.emit(depth, "}")

        def again(x: Tensor) -> Tensor:
            pairs = zip(operations, self.cut(x, sizes), strict=True)
            return self.concatenate([operation(part) for operation, part in pairs])

        return self.concatenate(ends), again

    def cut(self, x: Tensor, sizes: list[int]) -> Sequence[Tensor]:
        """The parts of a tensor, all of which PyTorch's `split` has to give."""
        try:
            return torch.split_with_sizes(x, sizes, 1)
        except RuntimeError as error:
            raise Rejection(str(error)) from error

    def taps_of_parts(self, x: Tensor, depth: int) -> Step:
        """Taps of the parts of this tensor."""
        count, sizes = self.draw(st.integers(1, 3)), self.sizes(x)
        chunked = self.chance(2)
        if chunked:
            sizes = [part.shape[1] for part in x.chunk(count, 1)]
        names = [f"t{len(self.taps) + i}" for i in range(len(sizes))]
        call = f"chunk({count})" if chunked else f"split([{', '.join(map(str, sizes))}])"
        self.emit(depth, f"{call} -> {', '.join(names)}")
        self.tap_scopes |= dict.fromkeys(names, self.scopes[-1].path)

        def keep(x: Tensor) -> Tensor:
            parts = x.chunk(count, 1) if chunked else self.cut(x, sizes)
            if len(parts) != len(names):
                raise Rejection("another number of parts")
            self.taps |= dict(zip(names, parts, strict=True))
            return x

        return keep(x), keep

    def labels_of(self, name: str) -> list[str]:
        """The labels that lead to a tap, if it was made inside another part."""
        own, here = (path.split(".") if path else [] for path in (self.tap_scopes.get(name, ""), self.scopes[-1].path))
        common = next((i for i, (a, b) in enumerate(zip(own, here, strict=False)) if a != b), min(len(own), len(here)))
        return own[common:]

    def written_tap(self, name: str) -> str:
        """A tap by its name or, where it was made inside another part, mostly by labels."""
        return name if self.chance(3) else ".".join([*self.labels_of(name), name])

    def parts_in_sight(self) -> dict[str, Op]:
        """The parts that can run again here: those of this scope and of the scopes around it."""
        return {path: op for scope in self.scopes for path, op in scope.parts().items()}

    def tap(self, x: Tensor, depth: int, label: str) -> Step:
        """Keep this tensor or parts of it and go on, or bring a kept one back."""
        if self.chance(4):
            return self.taps_of_parts(x, depth)
        if not self.taps or self.draw(st.booleans()):
            name = f"t{len(self.taps)}"
            self.emit(depth, f"identity -> {name}")
            self.tap_scopes[name] = self.scopes[-1].path
            self.scopes[-1].take()

            def keep(x: Tensor) -> Tensor:
                self.taps[name] = x
                return x

            return keep(x), keep
        inside = [name for name in sorted(self.taps) if self.labels_of(name)]
        name = self.draw(st.sampled_from(inside if inside and self.chance(2) else sorted(self.taps)))
        how = self.draw(st.sampled_from(["concat", "add", "sub", "mul", "div", "matmul", "use", "use"]))
        written = self.written_tap(name)
        self.emit(depth, f"{how}([{written}])" if how != "use" and self.chance(4) else f"{how}({written})")
        if how != "use":
            self.scopes[-1].take()

        def fetch(x: Tensor) -> Tensor:
            match how:
                case "concat":
                    return self.concatenate([x, self.taps[name]])
                case "add" | "sub" | "mul" | "div":
                    return self.join(getattr(torch, how), x, self.taps[name])
                case "matmul":
                    return self.product(x, self.taps[name])
                case _:
                    return self.taps[name]

        return fetch(x), fetch

    # `for` and `if` are keywords, so these methods get their names below.
    def loop(self, x: Tensor, depth: int, label: str) -> Step:
        """A loop over a layer that is repeated as it stands."""
        times = self.draw(st.integers(0, 3))
        self.emit(depth, f"for i in 1..{times} {{")
        self.emit(depth + 1, "conv(channels, 1)")
        self.emit(depth, "}")
        return self.made(x, [("conv", {"kernel_size": 1})] * times)

    def made(self, x: Tensor, layers: Sequence[tuple[str, Args]]) -> Step:
        """Layers whose text is written already; a convolution without a number keeps its channels."""

        def complete(name: str, args: Args, x: Tensor) -> Args:
            return {"out_channels": x.shape[1]} | args if name == "conv" else args

        keys = []
        for name, args in layers:
            whole = complete(name, args, x)
            self.add(name, whole, x, self.make(name, whole, x))
            keys.append(self.key)
            x = self.again(name, whole, self.key, x)

        def again(x: Tensor) -> Tensor:
            for (name, args), key in zip(layers, keys, strict=True):
                x = self.again(name, complete(name, args, x), key, x)
            return x

        return x, again

    def block(self, x: Tensor, depth: int, label: str) -> Step:
        """A call of a block of the imported file."""
        self.program.imports = True
        name = self.draw(st.sampled_from(["unit", "unit", "tail", "again"]))
        n = self.draw(st.integers(1, 6))
        if name == "tail":
            self.emit(depth, f"tail({n})")
            return self.made(x, [("linear", {"out_features": n}), ("tanh", {})])
        act = self.draw(st.sampled_from(["relu", "tanh", "sigmoid"]))
        unit = [("conv", {"out_channels": n, "kernel_size": 1, "bias": False}), ("batchnorm", {})]
        if name == "again":
            n = x.shape[1]
            unit = [("conv", {"out_channels": n, "kernel_size": 1, "bias": False}), ("batchnorm", {}), ("relu", {})]
            self.emit(depth, f"again(unit, {n})")
            path = self.scopes[-1].take()
            self.scopes.append(Names(f"{path}.part.0"))
            _, operation = self.made(x, unit)
            self.scopes.pop()

            def twice(x: Tensor) -> Tensor:
                x = self.join(torch.add, x, operation(x))
                return self.join(torch.add, x, operation(x))

            return self.run(twice, x), twice
        self.emit(depth, f"unit({'wide' if n == 6 else n}, {act})")
        self.scopes.append(Names(self.scopes[-1].take()))
        result = self.made(x, [*unit, (act, {})])
        self.scopes.pop()
        return result

    def condition(self, x: Tensor, depth: int, label: str) -> Step:
        bound = self.draw(st.integers(0, 10))
        self.emit(depth, f"if channels > {bound} {{")
        taken = x.shape[1] > bound
        y = x
        operation: Op = torch.relu
        if taken:
            y, operation = self.body(x, depth + 1, 1)
        else:
            self.emit(depth + 1, "relu")
        self.emit(depth, "}")
        return y, lambda x: operation(x) if x.shape[1] > bound else x

    def reuse(self, x: Tensor, depth: int, label: str) -> Step:
        """An earlier part again; where it does not fit, mostly a layer in its place."""
        labels = self.parts_in_sight()
        name = self.draw(st.sampled_from(sorted(labels)))
        before = dict(self.taps)
        try:
            y = labels[name](x)
        except Rejection:
            self.taps = before
            if self.draw(st.integers(0, 3)):
                return self.layer(x, depth, "")
            self.emit(depth, f"reuse({name})")
            raise
        self.emit(depth, f"reuse({name})")
        return y, labels[name]

    def aux(self, x: Tensor, depth: int, label: str) -> Step:
        """An auxiliary head, whose taps are its own."""
        before = dict(self.taps)
        self.in_aux = True
        self.emit(depth, "aux {")
        y, _ = self.body(x, depth + 1, 2)
        self.emit(depth, "}")
        self.in_aux = False
        self.taps = before
        self.program.aux[f"aux{len(self.program.aux) + 1}"] = y
        return x, lambda x: x

    def outputs(self) -> None:
        """Some of the taps are outputs too."""
        for name in sorted(self.taps):
            if self.chance(4):
                other = f"out_{name}"
                renamed = self.chance(2)
                self.emit(0, f"output({other}={name})" if renamed else f"output({name})")
                self.program.outputs[other if renamed else name] = self.taps[name]


setattr(Machine, "for", Machine.loop)
setattr(Machine, "if", Machine.condition)

#: Forms that can have a label.
LABELLED = {"layer", "group", "residual", "inception", "sum", "subtract", "dense", "scale", "split"}


def _init(own: Mapping[str, str], machine: Machine) -> str:
    if list(own) == ["weight"] and machine.chance(2):
        return own["weight"]
    return f"{{{', '.join(f'{_key(weight)}: {text}' for weight, text in own.items())}}}" if own else ""


def _trainable(weights: Mapping[str, Tensor], frozen: Sequence[str]) -> str:
    whole = len(frozen) == len(weights)
    return ("false" if whole else f"{{{', '.join(f'{_key(one)}: false' for one in frozen)}}}") if frozen else ""


def _key(name: str) -> str:
    """A key of a dictionary as a spec writes it."""
    return spec_text(name) if "." in name else name


def _headed(label: str, head: str) -> str:
    return f"{label}: {head}" if label else head


def _sizes_of(module: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(tensor.shape) for tensor in module.state_dict().values()]


@st_hypothesis.composite
def specs(draw: Any, budget: int = 8) -> Program:
    """A random spec with what PyTorch makes of it, drawn by hypothesis, which makes failures smaller."""
    return program(draw(st_hypothesis.randoms()), budget)


def _more_inputs(draw: Draw, x: Tensor) -> dict[str, Tensor]:
    """The inputs by name: mostly one, or others that can often be joined with the first."""
    inputs = {"input": x}
    if draw(st.integers(0, 3)) == 0:
        channels = x.shape[1] if draw(st.booleans()) else draw(st.integers(1, 8))
        same = [channels, *x.shape[2:]]
        inputs = {"image": x, "x": torch.randn(2, *same)}
        if draw(st.booleans()):
            inputs["time"] = torch.randn(2, draw(st.integers(1, 8)))
    return inputs


def program(random: Random, budget: int = 8) -> Program:
    """A random spec with what PyTorch makes of it: an output, or an error."""

    def draw(strategy: st.SearchStrategy[Any]) -> Any:
        return strategy(random)

    rank = draw(st.sampled_from([0, 1, 2, 2, 2, 3]))
    sizes = st.integers(1, 12) if rank < 3 else st.integers(1, 6)
    shape = (draw(st.integers(1, 8)), *(draw(sizes) for _ in range(rank)))
    made = Program(shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draw(st.integers(0, 9999)))
        x = torch.randn(2, *shape)
        made.inputs = _more_inputs(draw, x)
        machine = Machine(draw, made, budget)
        if len(made.inputs) > 1:
            machine.taps |= made.inputs
        try:
            made.output, _ = machine.body(x, 0, 6)
            machine.outputs()
        except Rejection as error:
            made.rejected = str(error)
            depth = "\n".join(made.lines).count("{") - "\n".join(made.lines).count("}")
            made.lines += ["}"] * depth
    assert math.prod(shape) > 0
    return made
