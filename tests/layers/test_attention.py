"""Attention: the outputs of torch's and torchvision's modules, rejected arguments, and counts by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from timm.models import efficientformer
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import maxvit, swin_transformer

import archdsl
from archdsl.backends.torch import source
from archdsl.diagnostics import Rejected
from archdsl.layers.attention import MultiheadAttention
from archdsl.layers.base import Layer
from archdsl.layers.levit_attention import LevitAttention
from archdsl.layers.window_attention import (
    RelativeMultiheadAttention,
    ShiftedWindowAttention,
    ShiftedWindowAttentionV2,
)
from archdsl.shapes import Shape
from archdsl.shapes.receptive_field import ReceptiveField
from tests.layers.agreement import module_of, require_agreement

SWIN = {
    "shifted_window_attention": (ShiftedWindowAttention, swin_transformer.ShiftedWindowAttention),
    "shifted_window_attention_v2": (ShiftedWindowAttentionV2, swin_transformer.ShiftedWindowAttentionV2),
}
each_version = pytest.mark.parametrize("version", SWIN)

#: Height and width, window, shift: whole windows, padding on one axis or both, one window that covers one axis
#: or both, another window on each axis, and a shift along one axis only.
CASES = [
    ((8, 8), (4, 4), (0, 0)),
    ((8, 8), (4, 4), (2, 2)),
    ((12, 8), (4, 4), (1, 3)),
    ((7, 8), (4, 4), (2, 2)),
    ((7, 9), (4, 4), (2, 2)),
    ((9, 8), (2, 5), (1, 2)),
    ((4, 8), (4, 4), (2, 2)),
    ((3, 9), (4, 4), (2, 2)),
    ((3, 3), (5, 5), (2, 2)),
    ((8, 8), (4, 4), (2, 0)),
    ((8, 8), (4, 4), (0, 1)),
]


class SelfAttention(nn.Module):
    """torch's own on three times the same tokens."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(batch_first=True, **arguments)

    def forward(self, x: Tensor) -> Tensor:
        attended: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return attended


def settle(module: nn.Module) -> nn.Module:
    """Biases and tables that are not nearly zero."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    return module


def results(module: nn.Module, x: Tensor) -> list[Tensor]:
    """The output, and the gradients of a sum of its products with fixed numbers: at the input and the weights."""
    x = x.clone().requires_grad_()
    y = module(x)
    loss = (y * torch.linspace(-1, 1, y.numel()).reshape(y.shape)).sum()
    return [y, *torch.autograd.grad(loss, [x, *module.parameters()])]


def require_equal(layer: Layer, theirs: nn.Module, x: Tensor) -> None:
    """Fail unless the weights load strictly and outputs and gradients agree, in training and eval mode."""
    ours = module_of(layer.torch(Shape(x.shape[1:])))
    state = (theirs.attention if isinstance(theirs, SelfAttention) else theirs).state_dict()
    ours.load_state_dict(state, strict=True)
    assert list(ours.state_dict()) == list(state)
    for training in (True, False):
        # timm's modules do not return themselves here.
        theirs.train(training)
        found, expected = results(ours.train(training), x), results(theirs, x)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * max(1, other.abs().max().item()))
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(("tokens", "heads", "bias"), [(1, 1, True), (7, 3, True), (50, 12, False)])
def test_tokens_as_in_torch(tokens: int, heads: int, bias: bool) -> None:
    theirs = settle(SelfAttention(embed_dim=24, num_heads=heads, bias=bias))
    require_equal(MultiheadAttention(num_heads=heads, bias=bias), theirs, torch.randn(3, tokens, 24))


@each_version
@pytest.mark.parametrize(("size", "window", "shift"), CASES)
def test_windows_as_in_torchvision(
    version: str, size: tuple[int, int], window: tuple[int, int], shift: tuple[int, int]
) -> None:
    kind, twin = SWIN[version]
    theirs = settle(twin(12, list(window), list(shift), 3))
    layer = kind(num_heads=3, window_size=window, shift_size=shift)
    require_equal(layer, theirs, torch.randn(2, *size, 12))


@each_version
def test_windows_without_biases(version: str) -> None:
    kind, twin = SWIN[version]
    theirs = settle(twin(8, [3, 3], [1, 1], 2, qkv_bias=False, proj_bias=False))
    layer = kind(num_heads=2, window_size=3, shift_size=1, qkv_bias=False, proj_bias=False)
    require_equal(layer, theirs, torch.randn(2, 5, 6, 8))


def test_the_scale_of_cosines_has_a_limit() -> None:
    theirs = settle(swin_transformer.ShiftedWindowAttentionV2(8, [4, 4], [0, 0], 2))
    nn.init.constant_(theirs.get_parameter("logit_scale"), 9.0)
    require_equal(ShiftedWindowAttentionV2(num_heads=2, window_size=4), theirs, torch.randn(2, 4, 4, 8))


@pytest.mark.parametrize(("groups", "tokens", "head_dim"), [(1, 1, 8), (5, 9, 8), (4, 49, 4)])
def test_groups_as_in_torchvision(groups: int, tokens: int, head_dim: int) -> None:
    theirs = settle(maxvit.RelativePositionalMultiHeadAttention(24, head_dim, tokens))
    require_equal(RelativeMultiheadAttention(head_dim=head_dim), theirs, torch.randn(2, groups, tokens, 24))


def test_any_number_of_axes_of_groups() -> None:
    module = module_of(RelativeMultiheadAttention(head_dim=4).torch(Shape((2, 3, 9, 8))))
    x = torch.randn(2, 2, 3, 9, 8)
    torch.testing.assert_close(module(x).flatten(1, 2), module(x.flatten(1, 2)))
    torch.testing.assert_close(module(x[:, 0, 0]), module(x)[:, 0, 0])


@pytest.mark.parametrize(("side", "key_dim", "heads", "ratio"), [(1, 4, 2, 1.0), (3, 5, 2, 2.5), (7, 8, 3, 4.0)])
def test_attention_with_a_bias_for_each_distance_as_in_timm(side: int, key_dim: int, heads: int, ratio: float) -> None:
    theirs = settle(efficientformer.Attention(24, key_dim, heads, ratio, side))
    layer, x = LevitAttention(key_dim=key_dim, num_heads=heads, attn_ratio=ratio), Shape((side**2, 24))
    require_equal(layer, theirs, torch.randn(2, *x))
    with FlopCounterMode(display=False) as counter:
        theirs(torch.randn(1, *x))
    assert 2 * layer.macs(x, x) == counter.get_total_flops()


@each_version
def test_first_values_as_in_torchvision(version: str) -> None:
    """The deviation of each weight, and the keys' bias, which the second version leaves 0."""
    kind, twin = SWIN[version]
    theirs = twin(96, [7, 7], [3, 3], 3)
    ours = module_of(kind(num_heads=3, window_size=7, shift_size=3).torch(Shape((14, 14, 96))))
    for (name, found), (_, expected) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert found.std(correction=0).item() == pytest.approx(expected.std(correction=0).item(), rel=0.2), name
    for name, buffer in theirs.named_buffers():
        torch.testing.assert_close(ours.get_buffer(name), buffer, rtol=0, atol=1e-6)
    if version == "shifted_window_attention_v2":
        assert ours.get_parameter("qkv.bias")[96:192].abs().max() == 0
        assert torch.equal(ours.get_parameter("logit_scale"), theirs.get_parameter("logit_scale"))


def test_first_values_of_tokens_and_groups() -> None:
    tokens = module_of(MultiheadAttention(num_heads=3).torch(Shape((5, 96))))
    groups = module_of(RelativeMultiheadAttention(head_dim=32).torch(Shape((4, 49, 96))))
    pairs = [
        (tokens, nn.MultiheadAttention(96, 3, batch_first=True)),
        (groups, maxvit.RelativePositionalMultiHeadAttention(96, 32, 49)),
    ]
    for ours, theirs in pairs:
        for (name, found), (_, expected) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
            assert found.std().item() == pytest.approx(expected.std().item(), rel=0.2), name
    assert torch.equal(groups.get_buffer("relative_position_index"), pairs[1][1].get_buffer("relative_position_index"))


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (MultiheadAttention(num_heads=2, dropout=0.5), (5, 8)),
        (ShiftedWindowAttention(num_heads=2, window_size=4, attention_dropout=0.5), (4, 4, 8)),
        (ShiftedWindowAttention(num_heads=2, window_size=4, dropout=0.5), (4, 4, 8)),
        (ShiftedWindowAttentionV2(num_heads=2, window_size=4, attention_dropout=0.5), (4, 4, 8)),
        (ShiftedWindowAttentionV2(num_heads=2, window_size=4, dropout=0.5), (4, 4, 8)),
    ],
)
def test_dropout_works_in_training_only_and_keeps_the_mean(layer: Layer, x: tuple[int, ...]) -> None:
    module = module_of(layer.torch(Shape(x)))
    sample = torch.randn(1, *x)
    with torch.no_grad():
        expected = module.eval()(sample)
        assert torch.equal(module(sample), expected)
        module.train()
        draws = module(sample.expand(3000, *x))
    assert draws.std(0).min() > 0
    error = (draws.mean(0) - expected).abs() / (draws.std(0) / 3000**0.5)
    assert error.max() < 6


@each_version
@pytest.mark.parametrize(("size", "window"), [((8, 8), 4), ((7, 9), 4), ((3, 3), 5)])
def test_multiply_adds_are_those_of_torchvisions_module(version: str, size: tuple[int, int], window: int) -> None:
    kind, twin = SWIN[version]
    x = Shape((*size, 12))
    layer = kind(num_heads=3, window_size=window, shift_size=1)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        twin(12, [window] * 2, [1, 1], 3)(torch.empty(1, *x))
    assert 2 * layer.macs(x, x) == counter.get_total_flops()


def test_counts_by_hand() -> None:
    """ViT-B/16 on 197 tokens: 4*768^2 weights, 4*768 biases, and 197*(4*768^2 + 2*197*768) multiply-adds."""
    attention, x = MultiheadAttention(num_heads=12), Shape((197, 768))
    assert sum(tensor.numel for tensor in attention.weights(x).values()) == 2_359_296 + 3_072
    assert attention.macs(x, x) == 464_781_312 + 59_610_624
    # Swin-T's first: 64 windows of 49 cells see 49 cells each; 13^2 offsets for 3 heads.
    windows, y = ShiftedWindowAttention(num_heads=3, window_size=7), Shape((56, 56, 96))
    assert windows.macs(y, y) == 3136 * (4 * 96**2 + 2 * 49 * 96)
    assert windows.weights(y)["relative_position_bias_table"].shape == (169, 3)


def test_what_a_cell_sees() -> None:
    x = Shape((8, 12, 6))
    field = ReceptiveField((1, 1), (1, 1), (8, 12), (frozenset({0}), frozenset({1}), frozenset()))
    windows = ShiftedWindowAttention(num_heads=2, window_size=(4, 3), shift_size=1)
    assert windows.receptive_field(field, x, x).sizes == (4, 3)
    larger = ShiftedWindowAttention(num_heads=2, window_size=16)
    assert larger.receptive_field(field, x, x).sizes == (8, 12)
    tokens = field.arrange((frozenset({0, 1}), frozenset()))
    assert MultiheadAttention(num_heads=2).receptive_field(tokens, Shape((96, 6)), Shape((96, 6))).sizes == (8, 12)


@pytest.mark.parametrize(
    ("layer", "x", "code", "argument", "words"),
    [
        (MultiheadAttention(num_heads=3), (5, 8), "E403", "num_heads", r"features \(8\) .* num_heads \(3\)"),
        (MultiheadAttention(num_heads=2), (8,), "E401", None, "tokens"),
        (ShiftedWindowAttention(num_heads=3, window_size=2), (4, 4, 8), "E403", "num_heads", "num_heads"),
        (ShiftedWindowAttention(num_heads=2, window_size=2), (4, 8), "E401", None, "HxWxC"),
        (ShiftedWindowAttention(num_heads=2, window_size=2, shift_size=2), (4, 4, 8), "E404", "shift_size", "less"),
        (
            ShiftedWindowAttention(num_heads=2, window_size=(4, 2), shift_size=(1, 3)),
            (4, 4, 8),
            "E404",
            "shift_size",
            r"\(1, 3\) must be less than window_size \(4, 2\)",
        ),
        (ShiftedWindowAttentionV2(num_heads=2, window_size=(1, 4)), (4, 4, 8), "E404", "window_size", "at least 2"),
        (RelativeMultiheadAttention(head_dim=3), (9, 8), "E403", "head_dim", "head_dim"),
        (RelativeMultiheadAttention(head_dim=4), (8, 8), "E404", None, "8 tokens .* do not form a square"),
        (RelativeMultiheadAttention(head_dim=4), (8,), "E401", None, "groups"),
        (LevitAttention(key_dim=4), (8, 8), "E404", None, "8 tokens .* do not form a square"),
        (LevitAttention(key_dim=4), (8, 4, 4), "E401", None, "tokens"),
        (LevitAttention(key_dim=4, attn_ratio=0.2), (9, 8), "E405", "attn_ratio", "no features"),
    ],
)
def test_errors(layer: Layer, x: tuple[int, ...], code: str, argument: str | None, words: str) -> None:
    """What is rejected does not run either."""
    with pytest.raises(Rejected, match=words) as caught:
        layer.shape(Shape(x))
    assert (caught.value.problem.code, caught.value.argument) == (code, argument)
    if code != "E401":
        require_agreement(layer, layer.torch(Shape(x)), Shape(x))


#: The arguments of an attention to the taps `a` (7 tokens) and `b`, whose width is given, and what torch runs on.
CROSS = {
    "key=a": (8, lambda x, a, b: (x, a, a)),
    "key=a, value=b": (8, lambda x, a, b: (x, a, b)),
    "key=a, value=b, bias=false": (12, lambda x, a, b: (x, a, b)),
    "key=b": (6, lambda x, a, b: (x, b, b)),
    "value=d": (8, lambda x, a, b: (x, x, x.relu())),
    "value=d, is_causal=true": (8, lambda x, a, b: (x, x, x.relu())),
    "is_causal=true": (8, lambda x, a, b: (x, x, x)),
}


def cross_spec(arguments: str, width: int, groups: str = "") -> str:
    """A model in which 5 tokens of 8 features attend to tensors made of the same input."""
    return f"""
      model m {{
        input({groups}7x12) -> x
        narrow(-1, 0, 8) -> a
        use(x); narrow(-1, 0, {width}) -> b
        use(x); narrow(-2, 1, 5); narrow(-1, 2, 8) -> c
        relu -> d; use(c)
        atn: multihead_attention(2, {arguments})
      }}
    """


@pytest.mark.parametrize("groups", ["", "3x"])
@pytest.mark.parametrize("arguments", CROSS)
def test_attention_to_taps_as_in_torch(arguments: str, groups: str, tmp_path: Path) -> None:
    """State, outputs, gradients and multiply-adds of torch.nn.MultiheadAttention; the same from source and ONNX."""
    width, choose = CROSS[arguments]
    network = archdsl.load(cross_spec(arguments, width, groups))
    ours = settle(network.build(seed=0))
    x = torch.randn(2, *network.input_shape, requires_grad=True)
    theirs, expected = _torchs_attention(arguments, width, choose, x, ours)
    assert [(key, tuple(tensor.shape)) for key, tensor in network.state.items()] == [
        (f"atn.{key}", tuple(tensor.shape)) for key, tensor in theirs.state_dict().items()
    ]
    y = ours(x)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-5)
    found, wanted = (torch.autograd.grad((one * one).sum(), x)[0] for one in (y, expected))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
    with FlopCounterMode(display=False) as counter:
        ours.eval()(x)
    assert counter.get_total_flops() == 2 * network.flops
    printed: dict[str, Any] = {"__name__": "printed"}
    exec(source(network), printed)
    again = printed["M"]()
    again.load_state_dict(ours.state_dict())
    assert torch.equal(again(x), y)
    archdsl.export_onnx(ours, tmp_path / "m.onnx")  # compares with ONNX Runtime


def _torchs_attention(arguments: str, width: int, choose: Any, x: Tensor, ours: nn.Module) -> tuple[nn.Module, Tensor]:
    """torch.nn.MultiheadAttention with the same weights, and its output on the same tensors."""
    flat = x.flatten(0, -3)
    query, key, value = choose(flat[:, 1:6, 2:10], flat[..., :8], flat[..., :width])
    theirs = nn.MultiheadAttention(
        8, 2, bias="bias=false" not in arguments, kdim=key.shape[-1], vdim=value.shape[-1], batch_first=True
    )
    theirs.load_state_dict(ours.atn.state_dict())  # type: ignore[union-attr]
    mask = nn.Transformer.generate_square_subsequent_mask(5) if "is_causal" in arguments else None
    return theirs, theirs(query, key, value, need_weights=False, attn_mask=mask)[0].reshape(*x.shape[:-2], 5, 8)


def test_attention_to_a_tap_runs_again_on_the_newest_one(tmp_path: Path) -> None:
    spec = "model m { input(5x8) -> a; s: { atn: multihead_attention(2, key=a) }; linear(8) -> a; tanh; reuse(s) }"
    network = archdsl.load(spec)
    module: Any = network.build(seed=0)
    x = torch.randn(3, 5, 8)
    linear, attend = module.get_submodule("1"), module.s.atn
    a = linear(attend(x, key=x))
    torch.testing.assert_close(module(x), attend(a.tanh(), key=a))
    archdsl.export_onnx(module, tmp_path / "m.onnx")


def test_receptive_field_of_attention_to_a_tap() -> None:
    """Each output depends on all tokens of the tap, and each of them on three positions."""
    query = "adaptive_avgpool(1); transpose(1, 2) -> q"
    key = "use(a); conv(8, 3, padding=1); transpose(1, 2) -> k"
    network = archdsl.load(f"model m {{ input(8x6) -> a; {query}; {key}; use(q); multihead_attention(2, key=k) }}")
    assert [layer.receptive_field for layer in network.layers][-2:] == [(3,), (8,)]
    alone = archdsl.load("model m { input(6x8) -> a; narrow(1, 0, 2); multihead_attention(2, key=a) }")
    assert alone.layers[-1].receptive_field == (8,)


def test_a_map_that_no_head_divides_is_an_error_that_says_how_to_make_tokens() -> None:
    with pytest.raises(Rejected) as caught:
        MultiheadAttention(num_heads=3).shape(Shape((8, 4, 4)))
    assert caught.value.help == "`flatten(2); transpose(1, 2)` converts a feature map to tokens"
