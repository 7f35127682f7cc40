"""Sample arguments and inputs of every layer type, for the contract tests."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archdsl.arguments.values import spec_text
from archdsl.layers import all_kinds
from archdsl.layers.base import Layer, Operand
from archdsl.shapes import IntegerShape, Shape


def shape(text: str) -> Shape:
    """The Shape written `3x8x8`, or that of integers written `int64` or `int64(5)`."""
    if text.startswith("int64"):
        return IntegerShape(map(int, re.findall(r"\d+", text.removeprefix("int64"))))
    return Shape(map(int, text.split("x")))


@dataclass(frozen=True)
class Sample:
    """A layer of some kind on an input, and on taps."""

    kind: str
    x: Shape
    arguments: Mapping[str, Any]
    operands: tuple[Shape, ...] = ()

    @property
    def layer(self) -> Layer:
        return all_kinds()[self.kind](**self.arguments)

    @property
    def y(self) -> Shape:
        return self.layer.shape(self.x, *self.operands)

    def call(self, *more: str) -> str:
        """The layer as a spec writes it on the taps `t0`, `t1`, ..., with more arguments."""
        taps = self.layer.written_operands([f"t{i}" for i in range(len(self.operands))])
        plain = {name: value for name, value in self.arguments.items() if not isinstance(value, Operand)}
        arguments = [*taps, *(f"{name}={spec_text(value)}" for name, value in plain.items()), *more]
        return f"{self.kind}({', '.join(arguments)})"

    @property
    def taps(self) -> str:
        """The statements that define the taps."""
        sizes = [f"({', '.join(map(str, one))},)" for one in self.operands]
        return "".join(f"parameter({size}) -> t{i}; " for i, size in enumerate(sizes))

    def __str__(self) -> str:
        arguments = ",".join(f"{name}={value}" for name, value in self.arguments.items())
        return f"{self.kind}({arguments})-{'-'.join(map(str, (self.x, *self.operands)))}"


def on(*inputs: str, **arguments: Any) -> list[tuple[str, dict[str, Any]]]:
    """The same arguments on several inputs."""
    return [(x, arguments) for x in inputs]


def _anywhere(**arguments: Any) -> list[tuple[str, dict[str, Any]]]:
    return on("5", "4x7", "4x5x6", **arguments)


ALL = ("4x9", "4x8x7", "4x6x5x7")
SOFT = [*on("5", "4x7", "4x5x6"), *on("4x5x6", dim=2), *on("4x5x6", "4x5", dim=-1)]

JOINED = on("4x5x6 4x5x6", "4 4 4", "4x5x6 4x1x1", "4x1x1 4x5x6", "1x5x1 4x1x6")
REDUCED = [
    *on("5", "4x7", dim=1, keepdim=True),
    *on("4x7", "4x5x6", dim=1),
    *on("4x5x6", dim=(2, -1)),
    *on("4x5x6", dim=(3, 1), keepdim=True),
    *on("4x5x6", dim=(1, 2, 3), keepdim=True),
    *on("4x5x1", dim=-1),
]
RECURRENT = [
    *on("5x4", "1x3", hidden_size=3),
    *on("5x4", hidden_size=3, bias=False, bidirectional=True),
    *on("5x4", hidden_size=3, num_layers=3, bidirectional=True, dropout=0.3),
]
MORE_RECURRENT = {
    "lstm": [
        *on("5x4", hidden_size=3, proj_size=2),
        *on("5x4", hidden_size=4, proj_size=3, num_layers=2, bidirectional=True),
    ],
    "gru": on("5x4", hidden_size=2, num_layers=2),
    "rnn": [
        *on("5x4", hidden_size=3, nonlinearity="relu"),
        *on("5x4", hidden_size=3, nonlinearity="relu", bidirectional=True),
    ],
}

TABLE: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "conv": [
        *on(*ALL, out_channels=6, kernel_size=3),
        *on(*ALL, out_channels=8, kernel_size=2, stride=2, padding=1, dilation=2, groups=4, bias=False),
        *on(*ALL, out_channels=2, kernel_size=4, padding="same"),
        *on("4x8x7", out_channels=2, kernel_size=(3, 2), stride=(1, 2), padding=(2, 0), dilation=(2, 1)),
        *on("4x8x7", out_channels=2, kernel_size=3, padding="valid"),
        *on(*ALL, out_channels=2, kernel_size=3, padding=2, padding_mode="reflect"),
        *on(*ALL, out_channels=2, kernel_size=3, padding=1, padding_mode="replicate"),
        *on(*ALL, out_channels=2, kernel_size=2, padding="same", padding_mode="circular"),
        *on(*ALL, out_channels=2, kernel_size=3, stride=2, padding="same_upper"),
        *on("4x8x7", out_channels=4, kernel_size=(4, 2), stride=(1, 3), padding="same_upper", groups=2, bias=False),
        *on("4x8x7", out_channels=2, kernel_size=3, stride=2, padding="same_upper", dilation=(2, 1)),
        *on("4x8x7", out_channels=2, kernel_size=4, padding="same_upper", padding_mode="reflect"),
        *on("4x8x7", out_channels=2, kernel_size=1, stride=3, padding="same_upper"),
    ],
    "conv_transpose": [
        *on(*ALL, out_channels=6, kernel_size=3),
        *on(*ALL, out_channels=8, kernel_size=3, stride=2, padding=1, output_padding=1, groups=4, bias=False),
        *on("4x8x7", out_channels=2, kernel_size=(3, 2), stride=(1, 2), dilation=(2, 1), padding=(2, 0)),
        *on("4x8x7", out_channels=2, kernel_size=2, stride=(2, 1), dilation=2, output_padding=(0, 1), padding=(0, 1)),
        *on(*ALL, out_channels=4, kernel_size=2, dilation=3, output_padding=2, groups=2),
        *on("4x8x7", out_channels=2, kernel_size=2, dilation=3, output_padding=2, padding=1, bias=False),
    ],
    "embedding": [
        *on("int64", "int64(5)", "int64(2,3)", num_embeddings=7, embedding_dim=4),
        *on("int64(5)", num_embeddings=7, embedding_dim=1, padding_idx=0, scale_grad_by_freq=True),
        *on("int64(5)", num_embeddings=7, embedding_dim=4, padding_idx=-2),
    ],
    **{kind: [*RECURRENT, *more] for kind, more in MORE_RECURRENT.items()},
    "linear": [*on("5", "4x7", "4x5x6", out_features=3), *on("5", "4x7", out_features=3, bias=False)],
    "batchnorm": [
        *on("5", *ALL),
        *on("5", "4x8x7", affine=False, eps=0.1),
        *on("5", *ALL, track_running_stats=False),
        *on("4x8x7", track_running_stats=False, affine=False),
        *on("4x8x7", momentum=None),
    ],
    "instancenorm": [
        *on(*ALL),
        *on(*ALL, affine=True, eps=0.01),
        *on(*ALL, track_running_stats=True),
        *on("4x8x7", track_running_stats=True, affine=True, momentum=None),
    ],
    "groupnorm": [*on("4", *ALL, num_groups=2), *on("4x8x7", num_groups=4, affine=False, eps=0.01)],
    "layernorm": [
        *on("5", *ALL),
        *on("4x8x7", normalized_shape=7),
        *on("4x8x7", normalized_shape=(8, 7), eps=0.01),
        *on("4x8x7", normalized_shape=(8, 7), elementwise_affine=False),
        *on("4x8x7", normalized_shape=7, bias=False),
    ],
    "local_response_norm": [
        *on(*ALL, size=3),
        *on(*ALL, size=4, alpha=0.5, beta=0.6, k=2.0),
        *on("7x4x3", size=5, alpha=0.5),
        *on("3x4x3", size=9, alpha=0.5),
        *on("3x4x3", size=1, alpha=0.0),
        *on("3x4x3", size=3, alpha=0.5, beta=-0.5),
    ],
    "relu": [*_anywhere(), *_anywhere(inplace=True)],
    "leaky_relu": [*_anywhere(), *_anywhere(negative_slope=0.3, inplace=True), *_anywhere(negative_slope=-0.3)],
    "prelu": [*_anywhere(), *on("4", "4x7", "4x5x6", num_parameters=4, init_value=0.1), *on("4", init_value=1.0)],
    "relu6": [*_anywhere(), *_anywhere(inplace=True)],
    "elu": [*_anywhere(), *_anywhere(alpha=0.3, inplace=True)],
    "selu": [*_anywhere(), *_anywhere(inplace=True)],
    "celu": [*_anywhere(), *_anywhere(alpha=0.3, inplace=True), *_anywhere(alpha=-2.0)],
    "gelu": [*_anywhere(), *_anywhere(approximate="tanh")],
    "silu": [*_anywhere(), *_anywhere(inplace=True)],
    "mish": [*_anywhere(), *_anywhere(inplace=True)],
    "sigmoid": _anywhere(),
    "hardsigmoid": [*_anywhere(), *_anywhere(inplace=True)],
    "hardswish": [*_anywhere(), *_anywhere(inplace=True)],
    "hardtanh": [*_anywhere(), *_anywhere(min_val=-0.3, max_val=2.0, inplace=True)],
    "tanh": _anywhere(),
    "softplus": [*_anywhere(), *_anywhere(beta=2.0, threshold=1.0), *_anywhere(beta=-1.5)],
    "softsign": _anywhere(),
    "softmax": SOFT,
    "log_softmax": SOFT,
    "logsigmoid": _anywhere(),
    "glu": [*on("6", "4x8", "4x5x6"), *on("4x5x6", dim=1), *on("4x6x5", dim=2)],
    "dropout": [*_anywhere(), *_anywhere(p=0.1, inplace=True)],
    "channel_dropout": [*on(*ALL), *on(*ALL, p=0.1, inplace=True)],
    "alpha_dropout": [*_anywhere(), *_anywhere(p=0.1, inplace=True)],
    "stochastic_depth": [*_anywhere(p=0.1), *_anywhere(p=0.1, mode="batch")],
    "channel_layernorm": [
        *_anywhere(),
        *_anywhere(eps=0.1),
        *on("4x5x6", bias=False),
        *on("4x5x6", elementwise_affine=False),
    ],
    "normalize": [
        *_anywhere(mean=0.5, std=2.0),
        *on("4x5x6", "4", mean=(0.1, 0.2, 0.3, 0.4), std=(1.0, 2.0, 0.5, 9.0)),
    ],
    "flatten": [
        *_anywhere(),
        *on("4x5x6", start_dim=2),
        *on("4x5x6", end_dim=2),
        *on("4x5x6", start_dim=-2, end_dim=-2),
        *on("int64(5)", "int64(2,3)"),
    ],
    "unflatten": [
        *on("12", "12x3", dim=1, unflattened_size=(3, 4)),
        *on("4x12x3", dim=-2, unflattened_size=(2, -1, 3)),
        *on("4", dim=1, unflattened_size=(4,)),
        *on("int64(12)", dim=1, unflattened_size=(3, 4)),
    ],
    "permute": [
        *on("4x5x6", dims=(0, 2, 3, 1)),
        *on("4x5", dims=(0, -1, 1)),
        *on("4", dims=(-2, 1)),
        *on("int64(2,3)", dims=(0, 2, 1)),
    ],
    "transpose": [*on("4x5x6", dim0=1, dim1=-1), *on("4x5", dim0=2, dim1=2), *on("int64(2,3)", dim0=1, dim1=2)],
    "squeeze": [
        *on("4x1x1", "4x5", "1x5", "1x4x1"),
        *on("4x1x1", dim=-1),
        *on("4x5x1", dim=2),
        *on("1x4x1", dim=(1, 3)),
        *on("int64(1)", "int64(1,3)", dim=1),
    ],
    "unsqueeze": [*on("4x5", "4", dim=1), *on("4x5", dim=2), *on("4x5", "4", dim=-1), *on("int64", "int64(4)", dim=1)],
    "identity": [*_anywhere(), *on("int64", "int64(5)")],
    "select": [*on("4x5", "4x5x6", dim=1, index=2), *on("4x5x6", dim=-1, index=-2), *on("int64(4)", dim=1, index=2)],
    "narrow": [
        *on("4x5", "4x5x6", "4", dim=1, start=1, length=2),
        *on("4x5x6", dim=-1, start=-3, length=3),
        *on("int64(4)", dim=1, start=1, length=2),
    ],
    "parameter": [
        *on("4x5x6", "4x6", size=(4, 5, 6)),
        *on("4x5x6", size=(4, 1, 1)),
        *on("4x5", size=(1, 5), batch_axis=True),
        *on("4", size=4),
        *on("int64", size=4),
    ],
    "constant": [
        *on("4x5x6", "int64", value=(1, -0.5, 3)),
        *on("4", value=((1.5, 2.0, 3.0), (4.0, 5.0, 6.0))),
        *on("4x5", value=(((1.0,), (2.0,)), ((3.0,), (4.0,)))),
    ],
    "float": on("int64(5)", "int64(2,3)"),
    "argmax": [*on("5", "4x7", "4x5x6", dim=1), *on("4x5x6", dim=-2, keepdim=True), *on("5", dim=-1, keepdim=True)],
    "concat": [
        *on("4x5x6 2x5x6", "4 3 2", "4x5 1x5 4x5"),
        *on("4x5x6 4x2x6", dim=2),
        *on("4x5x6 4x5x1", dim=-1),
        *on("int64(4) int64(3)"),
    ],
    "add": [*JOINED, *_anywhere(other=0.7), *on("4x5", other=-2)],
    "sub": [*JOINED, *_anywhere(other=0.7), *on("4x5", other=-2)],
    "mul": [*JOINED, *_anywhere(other=0.7), *on("4x5", other=-2)],
    "div": [*JOINED, *_anywhere(other=0.7), *on("4x5", other=-2)],
    "pow": [*JOINED, *_anywhere(exponent=2), *_anywhere(exponent=0.5), *on("4x5", exponent=-1)],
    "matmul": on("4x5 5x3", "2x4x5 2x5x3", "1x4x5 3x5x2", "3x2x1x4 1x2x4x4"),
    "neg": _anywhere(),
    "abs": _anywhere(),
    "exp": _anywhere(),
    "log": _anywhere(),
    "sqrt": _anywhere(),
    "sin": _anywhere(),
    "cos": _anywhere(),
    "clamp": [*_anywhere(min=-0.5), *_anywhere(max=2), *_anywhere(min=-0.5, max=2.0), *on("4x5", min=3.0, max=-3.0)],
    "mean": REDUCED,
    "sum": REDUCED,
    "max": REDUCED,
    "norm": [
        *REDUCED,
        *on("4x5x6", dim=(2, 3), p=1.0),
        *on("4x5x6", dim=1, p=3.5, keepdim=True),
        *on("4x5", dim=-1, p=1),
    ],
    "maxpool": [
        *on(*ALL, kernel_size=3),
        *on(*ALL, kernel_size=3, stride=2, padding=1, ceil_mode=True),
        *on(*ALL, kernel_size=2, stride=1, dilation=3),
        *on(*ALL, kernel_size=3, stride=2, padding="same_upper"),
        *on("4x8x7", kernel_size=(2, 4), stride=(1, 3), padding="same_upper", ceil_mode=True),
        *on("4x8x7", kernel_size=2, stride=1, dilation=(5, 2), padding="same_upper"),
    ],
    "avgpool": [
        *on(*ALL, kernel_size=3, stride=2, padding="same_upper"),
        *on(*ALL, kernel_size=3, stride=2, padding="same_upper", count_include_pad=False),
        *on("4x8x7", kernel_size=(9, 4), stride=(3, 1), padding="same_upper", ceil_mode=True),
        *on("4x8x7", kernel_size=3, padding="same_upper", divisor_override=5, count_include_pad=False),
        *on(*ALL, kernel_size=3),
        *on(*ALL, kernel_size=3, stride=2, padding=1, ceil_mode=True),
        *on(*ALL, kernel_size=3, stride=2, padding=1, count_include_pad=False),
        *on("4x8x7", kernel_size=(2, 3), divisor_override=5),
    ],
    "lppool": [
        *on(*ALL, norm_type=2.0, kernel_size=3),
        *on(*ALL, norm_type=2, kernel_size=2, stride=3, ceil_mode=True),
    ],
    "adaptive_avgpool": [*on(*ALL, output_size=1), *on(*ALL, output_size=3), *on("4x8x7", output_size=(2, None))],
    "adaptive_maxpool": [*on(*ALL, output_size=1), *on(*ALL, output_size=3), *on("4x8x7", output_size=(2, None))],
    "upsample": [
        *on(*ALL, scale_factor=2.0),
        *on(*ALL, size=9, mode="nearest-exact"),
        *on("4x9", scale_factor=1.5, mode="linear"),
        *on("4x8x7", scale_factor=2, mode="bilinear"),
        *on("4x8x7", size=(5, 11), mode="bilinear", align_corners=True),
        *on("4x8x7", scale_factor=2.0, mode="bicubic"),
        *on("4x6x5x7", scale_factor=2.0, mode="trilinear"),
    ],
    "pixel_shuffle": on("8x3x4", upscale_factor=2),
    "pixel_unshuffle": on("3x4x6", downscale_factor=2),
    "channel_shuffle": on("6x4x5", "6x5", groups=3),
    "pad": [
        *on(*ALL, padding=1),
        *on(*ALL, padding=2, mode="reflect"),
        *on(*ALL, padding=2, mode="replicate"),
        *on(*ALL, padding=2, mode="circular"),
        *on("4x8x7", padding=(1, 0, 2, 3), mode="constant", value=1.5),
        *on("4x8x7", padding=(-1, 2, 0, -3)),
    ],
    "crop": [*on(*ALL, size=4), *on("4x8x7", size=(3, 7))],
    "multihead_attention": [
        *on("5x8", "17x12", num_heads=2),
        *on("5x8", num_heads=1, bias=False),
        *on("5x8", num_heads=8, dropout=0.5),
        *on("3x5x8", "2x3x4x6", num_heads=2),
        *on("5x8", "2x5x8", num_heads=4, is_causal=True),
        *on("5x8 7x8", num_heads=2, key=Operand(0, shape("7x8"))),
        *on("2x5x8 2x7x8", num_heads=2, bias=False, key=Operand(0, shape("2x7x8"))),
        *on("5x8 7x8 7x4", num_heads=2, key=Operand(0, shape("7x8")), value=Operand(1, shape("7x4"))),
        *on("5x8 5x12", num_heads=4, key=Operand(0, shape("5x12")), is_causal=True),
    ],
    "shifted_window_attention": [
        *on("4x8x6", "6x6x6", num_heads=3, window_size=2),
        *on("2x3x4", num_heads=2, window_size=(5, 3), qkv_bias=False, proj_bias=False),
        *on("9x8x6", "4x10x6", num_heads=2, window_size=(4, 3), shift_size=(2, 1)),
        *on("8x8x8", num_heads=4, window_size=4, shift_size=2, attention_dropout=0.5, dropout=0.5),
    ],
    "shifted_window_attention_v2": [
        *on("4x8x6", "6x6x6", num_heads=3, window_size=2),
        *on("2x3x4", num_heads=2, window_size=(5, 3), qkv_bias=False, proj_bias=False),
        *on("9x8x6", "4x10x6", num_heads=2, window_size=(4, 3), shift_size=(2, 1)),
        *on("8x8x8", num_heads=4, window_size=4, shift_size=2, attention_dropout=0.5, dropout=0.5),
    ],
    "relative_multihead_attention": on("9x8", "4x9x8", "2x3x4x8", head_dim=4),
    "levit_attention": [
        *on("9x8", "1x8", "16x12", key_dim=4),
        *on("9x8", key_dim=3, num_heads=2, attn_ratio=2.5),
    ],
    "pad_channels": [*on(*ALL, out_channels=7, stride=2), *on("4", "4x8x7", out_channels=6, before=0)],
}


def _sample(kind: str, inputs: str, arguments: dict[str, Any]) -> Sample:
    x, *operands = map(shape, inputs.split())
    return Sample(kind, x, arguments, tuple(operands))


SAMPLES = [_sample(kind, *case) for kind, cases in TABLE.items() for case in cases]
