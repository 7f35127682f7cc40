"""The arguments of torchvision's ViT, Swin, MaxViT and ConvNeXt are parameters of the specs: each case builds both
with the same arguments. The networks whose numbers are compared are small ones of the same classes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import ConvNeXt, MaxVit, SwinTransformer, VisionTransformer, get_model
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2
from torchvision.models.vision_transformer import ConvStemConfig
from torchvision.ops import StochasticDepth

import archdsl
import archdsl.backends.torch
from archdsl import zoo
from archdsl.backends.torch import modules

#: torchvision's names of arguments that the specs call otherwise.
OURS = {"num_classes": "classes", "dropout": "p"}

#: A network of torchvision with arguments.
CASES: list[tuple[str, dict[str, Any]]] = [
    ("vit_b_32", {"num_classes": 7, "dropout": 0.1, "attention_dropout": 0.2}),
    ("vit_b_16", {"image_size": 160, "representation_size": 64}),
    ("swin_t", {"num_classes": 7, "dropout": 0.1, "attention_dropout": 0.2, "mlp_ratio": 2.5}),
    ("swin_v2_t", {"num_classes": 7, "dropout": 0.1, "attention_dropout": 0.2, "mlp_ratio": 2.5}),
    ("maxvit_t", {"num_classes": 7, "squeeze_ratio": 0.5, "expansion_ratio": 2, "mlp_ratio": 3}),
    ("maxvit_t", {"mlp_dropout": 0.1, "attention_dropout": 0.2}),
    ("convnext_tiny", {"num_classes": 7, "layer_scale": 0.5}),
]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def settings(arguments: dict[str, Any]) -> dict[str, Any]:
    """torchvision's arguments under the names of the specs."""
    return {OURS.get(name, name): value for name, value in arguments.items()}


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}


def dropouts(module: nn.Module) -> list[float]:
    return [layer.p for layer in module.modules() if isinstance(layer, nn.Dropout)]


def attention_dropouts(module: nn.Module) -> list[float]:
    kinds = (nn.MultiheadAttention, *twins("ShiftedWindowAttention"), *twins("ShiftedWindowAttentionV2"))
    found: list[Any] = [layer for layer in module.modules() if isinstance(layer, kinds)]
    return [getattr(layer, "attention_dropout", layer.dropout) for layer in found]


def twins(name: str) -> tuple[type[nn.Module], type[nn.Module]]:
    from torchvision.models import swin_transformer

    return getattr(swin_transformer, name), getattr(modules, name)


def depths(module: nn.Module) -> set[float]:
    """The probabilities of stochastic depth. torchvision's Swin and MaxViT use one module for two residuals."""
    kinds = (StochasticDepth, modules.StochasticDepth)
    return {round(layer.p, 9) for layer in module.modules() if isinstance(layer, kinds)}


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_arguments_are_parameters(name: str, arguments: dict[str, Any]) -> None:
    with torch.device("meta"):
        theirs, ours = get_model(name, weights=None, **arguments), zoo.build(name, **settings(arguments))
    assert shapes(ours) == shapes(theirs)
    assert dropouts(ours) == dropouts(theirs)
    assert attention_dropouts(ours) == attention_dropouts(theirs)
    assert depths(ours) == depths(theirs)


def vit(**arguments: Any) -> tuple[nn.Module, archdsl.Network]:
    own: dict[str, Any] = {
        "patch_size": 8,
        "num_layers": 2,
        "num_heads": 3,
        "hidden_dim": 48,
        "mlp_dim": 96,
        "image_size": 32,
    }
    theirs = VisionTransformer(**own, **arguments)
    return theirs, zoo.load("vit", **own, **settings(arguments))


def swin(size: tuple[int, int], *, second: bool = False, **arguments: Any) -> tuple[nn.Module, archdsl.Network]:
    own: dict[str, Any] = {
        "patch_size": [4, 4],
        "embed_dim": 24,
        "depths": [2, 2],
        "num_heads": [2, 4],
        "window_size": [4, 4],
    }
    own |= arguments
    version = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2} if second else {}
    names = {"unit": "swin_block_v2", "merge": "merging_v2"} if second else {}
    theirs = SwinTransformer(**own, **version)
    pairs = {name: tuple(own[name]) for name in ("patch_size", "window_size")}
    return theirs, zoo.load("swin", input=(3, *size), settings=settings(own | pairs) | names)


def maxvit(size: int, **arguments: Any) -> tuple[nn.Module, archdsl.Network]:
    own: dict[str, Any] = {
        "stem_channels": 8,
        "block_channels": [16, 24],
        "block_layers": [1, 2],
        "head_dim": 8,
        "stochastic_depth_prob": 0.2,
        "partition_size": 4,
    } | arguments
    return MaxVit(input_size=(size, size), **own), zoo.load("maxvit", input=(3, size, size), **settings(own))


def convnext(size: tuple[int, int], **arguments: Any) -> tuple[nn.Module, archdsl.Network]:
    rows = [CNBlockConfig(16, 24, 2), CNBlockConfig(24, None, 3)]
    theirs = ConvNeXt(rows, **arguments)
    return theirs, zoo.load("convnext", input=(3, *size), depths=[2, 3], widths=[16, 24], **settings(arguments))


STEM = [ConvStemConfig(8, 3, 2), ConvStemConfig(16, 5, 2), ConvStemConfig(24, 3, 2)]

SMALL: dict[str, Callable[[], tuple[nn.Module, archdsl.Network]]] = {
    "vit": partial(vit, num_classes=5),
    "vit with a representation": partial(vit, representation_size=20),
    "swin": partial(swin, (64, 64), num_classes=5),
    # 16 x 23 positions, then 8 x 12: windows are filled up, and a side of 23 becomes 24 to be merged.
    "swin on an odd map": partial(swin, (67, 93)),
    # 9 x 10 and 5 x 5 positions: one window covers what the other axis needs two for.
    "swin with other windows": partial(swin, (36, 40), window_size=[5, 12]),
    "swin with other patches": partial(swin, (30, 40), patch_size=[3, 5], stochastic_depth_prob=0.0),
    "swin v2": partial(swin, (64, 64), second=True, num_classes=5),
    "swin v2 on an odd map": partial(swin, (67, 93), second=True),
    "swin v2 with other windows": partial(swin, (36, 40), second=True, window_size=[5, 12]),
    "maxvit": partial(maxvit, 32, num_classes=5),
    "maxvit on a larger image": partial(maxvit, 64, mlp_ratio=2),
    "convnext": partial(convnext, (32, 32), num_classes=5, layer_scale=0.1, stochastic_depth_prob=0.3),
    "convnext on an odd map": partial(convnext, (45, 70)),
}
each_small = pytest.mark.parametrize("name", SMALL)
#: Whose gradients are compared in the default run too.
QUICK = {"vit", "swin on an odd map", "swin v2 on an odd map", "maxvit", "convnext"}


def settle(module: nn.Module) -> None:
    """A state as after training: norms, biases, scales and tables that are not what they begin with."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
        for key, buffer in module.named_buffers():
            if key.endswith("running_var"):
                buffer.uniform_(0.5, 2)


def pair(name: str) -> tuple[nn.Module, nn.Module, archdsl.Network]:
    """torchvision's network and ours with the same settled state."""
    theirs, network = SMALL[name]()
    settle(theirs)
    ours = network.build(seed=0)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return theirs.eval(), ours.eval(), network


def assert_close(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    scale = max(1.0, expected.abs().max().item())
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * scale)


@each_small
def test_outputs_and_onnx(name: str, tmp_path: Path) -> None:
    theirs, ours, network = pair(name)
    x = torch.randn(2, *network.input_shape)
    with torch.inference_mode():
        expected = theirs(x)
        assert (expected[0] - expected[1]).abs().max() > 0.005 * expected.abs().max()
        assert_close(ours(x), expected)
    archdsl.export_onnx(ours, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert_close(torch.from_numpy(session.run(None, {"input": x.numpy()})[0]), expected, 1e-4)


@each_small
def test_multiply_adds(name: str) -> None:
    theirs, network = SMALL[name]()
    with FlopCounterMode(display=False) as counter:
        theirs.to("meta").eval()(torch.empty(1, *network.input_shape, device="meta"))
    assert network.flops == counter.get_total_flops()
    assert network.params == sum(weight.numel() for weight in theirs.parameters())


def gradients(module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    for layer in module.modules():
        if isinstance(layer, StochasticDepth | modules.StochasticDepth):
            layer.p = 0.0
    y = module.train()(x)
    (y * torch.linspace(-1, 1, y.numel()).reshape(y.shape)).sum().backward()
    return {name: weight.grad for name, weight in module.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in SMALL])
def test_gradients(name: str) -> None:
    """In double precision: the error of the single one is larger than the smallest gradients."""
    theirs, ours, network = pair(name)
    x = torch.randn(2, *network.input_shape, dtype=torch.float64)
    expected, found = gradients(theirs.double(), x), gradients(ours.double(), x)
    assert found.keys() == expected.keys() == dict(theirs.named_parameters()).keys()
    for key, tensor in expected.items():
        assert_close(found[key], tensor, 1e-9)


@each_small
def test_initialisation(name: str) -> None:
    """Mean and deviation of each weight of torchvision's network, and of ours."""
    theirs, network = SMALL[name]()
    ours = dict(network.build(seed=1).named_parameters())
    for key, expected in theirs.named_parameters():
        found, deviation = ours[key], expected.std(correction=0).item()
        if deviation == 0:
            assert torch.equal(found, expected), key
        elif expected.numel() >= 64:
            error = deviation / expected.numel() ** 0.5
            assert found.std().item() == pytest.approx(deviation, rel=5 / expected.numel() ** 0.5 + 0.02), key
            assert found.mean().item() == pytest.approx(expected.mean().item(), abs=6 * error), key


@pytest.mark.parametrize("name", sorted(QUICK))
def test_printed_source_is_the_same_network(name: str) -> None:
    _, ours, network = pair(name)
    made: dict[str, Any] = {"__name__": "printed"}
    exec(compile(archdsl.backends.torch.source(network), "printed.py", "exec"), made)
    theirs = [value for value in made.values() if isinstance(value, type) and value.__module__ == "printed"][-1]()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    x = torch.randn(2, *network.input_shape)
    with torch.inference_mode():
        assert torch.equal(theirs.eval()(x), ours(x))


def test_weights_inside_a_layer_are_set_and_frozen_by_their_keys() -> None:
    """In the built module and in the printed one: `cpb_mlp.0` is a number in a sequence."""
    network = archdsl.load(
        "model m { input(4x4x8); a: shifted_window_attention_v2(2, 4, init={"
        '"cpb_mlp.0.bias": ones, "qkv.weight": constant(0.5)}, trainable={"cpb_mlp.2.weight": false}) }'
    )
    made: dict[str, Any] = {"__name__": "printed"}
    exec(compile(archdsl.backends.torch.source(network), "printed.py", "exec"), made)
    for module in (network.build(), made["M"]()):
        weights = dict(module.named_parameters())
        assert weights["a.cpb_mlp.0.bias"].eq(1).all()
        assert weights["a.qkv.weight"].eq(0.5).all()
        assert [key for key, weight in weights.items() if not weight.requires_grad] == ["a.cpb_mlp.2.weight"]


def test_a_stem_of_convolutions() -> None:
    """Its three strides multiply to the size of a patch, as torchvision needs it."""
    own: dict[str, Any] = {
        "patch_size": 8,
        "num_layers": 1,
        "num_heads": 2,
        "hidden_dim": 32,
        "mlp_dim": 64,
        "image_size": 32,
    }
    theirs = VisionTransformer(**own, conv_stem_configs=STEM)
    rows = [(row.out_channels, row.kernel_size, row.stride) for row in STEM]
    ours = zoo.build("vit", **own, conv_stem_configs=rows, seed=0)
    assert list(shapes(ours).items()) == list(shapes(theirs).items())
    settle(theirs)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert_close(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("size", [32, 96, 256])
def test_the_embedding_of_positions_follows_the_input(size: int) -> None:
    with torch.device("meta"):
        theirs = get_model("vit_b_32", weights=None, image_size=size)
        ours = zoo.build("vit_b_32", input=(3, size, size))
    assert shapes(ours) == shapes(theirs)
    assert shapes(ours)["encoder.pos_embedding"] == (1, (size // 32) ** 2 + 1, 768)


@pytest.mark.parametrize("name", ["swin_t", "swin_v2_t"])
@pytest.mark.parametrize("size", [(64, 64), (224, 256), (131, 203)])
def test_swin_takes_other_pictures(name: str, size: tuple[int, int]) -> None:
    network = zoo.load(name, input=(3, *size))
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        theirs = get_model(name, weights=None)
        theirs(torch.empty(1, 3, *size))
    with torch.device("meta"):
        ours = network.build()
        assert ours(torch.empty(2, 3, *size)).shape == (2, 1000)
    assert network.flops == counter.get_total_flops()
    assert shapes(ours) == shapes(theirs)


def test_maxvit_says_what_its_grid_needs() -> None:
    with pytest.raises(archdsl.SpecError, match="does not multiply to 50"):
        zoo.load("maxvit_t", input=(3, 200, 200))
