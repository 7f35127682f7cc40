"""The networks for CIFAR: shapes and counts by their papers' rules, outputs by modules written by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import archdsl
from archdsl import Network, zoo
from archdsl.backends.torch import network_of
from archdsl.graph import layer_nodes


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def output(network: Network, label: str) -> str:
    """The output shape of the last layer with a label."""
    return next(str(layer.output) for layer in reversed(network.layers) if f"{layer.name}.".startswith(f"{label}."))


def convolutions(network: Network) -> int:
    """Layers with weights as the papers count them: without the 1x1 convolutions of the shortcuts."""
    beside = ("shortcut", "downsample")
    weighted = [layer.name for layer in network.layers if layer.kind in {"conv", "linear"}]
    return sum(not any(label in name for label in beside) for name in weighted)


def agree(ours: nn.Module, theirs: nn.Module, *size: int) -> None:
    """Give the second module the state of the first, value by value in order, and compare their outputs."""
    settle(ours)
    state = theirs.state_dict()
    assert [tuple(value.shape) for value in state.values()] == [tuple(v.shape) for v in ours.state_dict().values()]
    theirs.load_state_dict(dict(zip(state, ours.state_dict().values(), strict=True)))
    x = torch.randn(2, *size)
    with torch.inference_mode():
        torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours.train()(x), theirs.train()(x), rtol=1e-3, atol=1e-4)


def settle(module: nn.Module) -> None:
    """Set norms as after training: freshly initialised norms would hide one in the wrong place."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.weight.data, part.running_var):
                assert tensor is not None
                tensor.uniform_(0.5, 2)
            for tensor in (part.bias.data, part.running_mean):
                assert tensor is not None
                tensor.normal_(std=0.2)


# Wide ResNet: table 1 of the paper.


def wide_resnet(depth: int, k: int, classes: int = 10) -> int:
    total, channels = 3 * 9 * 16, 16
    for width in (16 * k, 32 * k, 64 * k):
        for _ in range((depth - 4) // 6):
            total += 2 * channels + 9 * channels * width + 2 * width + 9 * width * width
            total += channels * width if channels != width else 0
            channels = width
    return total + 2 * channels + channels * classes + classes


@pytest.mark.parametrize(("depth", "k"), [(16, 8), (28, 10), (40, 1), (40, 2), (40, 4)])
def test_wide_resnets(depth: int, k: int) -> None:
    network = zoo.load(f"wrn_{depth}_{k}")
    assert network.params == wide_resnet(depth, k)
    assert [output(network, f"group{i}") for i in (1, 2, 3)] == [f"{16 * k}x32x32", f"{32 * k}x16x16", f"{64 * k}x8x8"]
    # The paper counts the three 1x1 convolutions and leaves the linear layer out: 6n + 4.
    assert convolutions(network) - 1 + 3 == depth


def test_parameters_of_wide_resnets() -> None:
    assert wide_resnet(28, 10) == 36_479_194
    network = zoo.load("wrn_28_10", classes=100, p=0.3)
    assert network.params == wide_resnet(28, 10, 100)
    assert sum(layer.kind == "dropout" for layer in network.layers) == 12


class Wide(nn.Module):
    """A block of a wide residual network by hand; the shortcut starts after the first norm."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.beside = nn.Conv2d(channels, out, 1, stride, bias=False) if channels != out else None

    def forward(self, x: Tensor) -> Tensor:
        active = functional.relu(self.bn1(x))
        inner = self.conv2(functional.relu(self.bn2(self.conv1(active))))
        added: Tensor = inner + (x if self.beside is None else self.beside(active))
        return added


def test_a_wide_resnet_is_the_one_by_hand() -> None:
    blocks = [(16, 32, 1), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, 1)]
    theirs = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        *(Wide(*block) for block in blocks),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(128, 10),
    )
    agree(zoo.build("wide_resnet", seed=0, depth=16, width=2), theirs, 3, 32, 32)


# Pre-activation ResNet: the same with bottlenecks.


def preresnet(depth: int) -> int:
    total, channels = 3 * 9 * 16, 16
    for planes in (16, 32, 64):
        for _ in range((depth - 2) // 9):
            total += 2 * channels + channels * planes + 2 * planes + 9 * planes**2 + 2 * planes + planes * 4 * planes
            total += channels * 4 * planes if channels != 4 * planes else 0
            channels = 4 * planes
    return total + 2 * channels + channels * 10 + 10


@pytest.mark.parametrize("depth", [164, 1001])
def test_preactivation_resnets(depth: int) -> None:
    network = zoo.load(f"preresnet{depth}")
    assert network.params == preresnet(depth)
    assert [output(network, f"layer{i}") for i in (1, 2, 3)] == ["64x32x32", "128x16x16", "256x8x8"]
    assert convolutions(network) == depth


def test_preresnet164_has_1_703_258_parameters() -> None:
    assert preresnet(164) == 1_703_258


def test_nothing_but_additions_lies_between_blocks_of_equal_width() -> None:
    """With the last convolution of each block at 0 only the first block of each stage changes its input."""
    module = zoo.build("preresnet", seed=0, depth=29).eval()
    for name, weight in module.named_parameters():
        if name.endswith("conv3.weight"):
            weight.data.zero_()
    seen: dict[str, Tensor] = {}
    for label in ("0", "1", "2"):
        module.get_submodule(f"layer2.{label}").register_forward_hook(
            lambda _module, _inputs, out, label=label: seen.__setitem__(label, out)
        )
    module(torch.randn(1, 3, 32, 32))
    assert torch.equal(seen["0"], seen["1"])
    assert torch.equal(seen["0"], seen["2"])


# DenseNet: section 3 of the paper.


def densenet(depth: int, growth: int, *, bc: bool) -> int:
    n, channels = (depth - 4) // (6 if bc else 3), 2 * growth if bc else 16
    total = 3 * 9 * channels
    for block in range(3):
        for _ in range(n):
            if bc:
                total += 2 * channels + channels * 4 * growth + 2 * 4 * growth + 9 * 4 * growth * growth
            else:
                total += 2 * channels + 9 * channels * growth
            channels += growth
        if block < 2:
            kept = channels // 2 if bc else channels
            total += 2 * channels + channels * kept
            channels = kept
    return total + 2 * channels + channels * 10 + 10


@pytest.mark.parametrize(
    ("name", "depth", "growth", "params"),
    [
        ("densenet_40_12", 40, 12, 1_019_722),
        ("densenet_100_12", 100, 12, None),
        ("densenet_bc_100_12", 100, 12, 769_162),
        ("densenet_bc_250_24", 250, 24, None),
        ("densenet_bc_190_40", 190, 40, None),
    ],
)
def test_densenets(name: str, depth: int, growth: int, params: int | None) -> None:
    network = zoo.load(name)
    assert network.params == densenet(depth, growth, bc="bc" in name)
    assert params in {None, network.params}
    assert convolutions(network) == depth
    sizes = [output(network, label).partition("x")[2] for label in ("block1", "transition1", "block2", "block3")]
    assert sizes == ["32x32", "16x16", "16x16", "8x8"]


def test_channels_of_a_densenet_grow_and_are_compressed() -> None:
    network = zoo.load("densenet_bc_100_12")
    norms = {layer.name: layer.output.channels for layer in network.layers if layer.kind == "batchnorm"}
    assert norms["block1.layer1.norm1"] == 24
    assert norms["block1.layer16.norm1"] == 24 + 15 * 12
    assert norms["block2.layer1.norm1"] == (24 + 16 * 12) // 2
    assert norms["norm"] == 342


class DenseLayer(nn.Module):
    """A layer of DenseNet-B by hand: its input, and what it adds."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(functional.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(functional.relu(self.norm2(inner)))], 1)


def dense_block(channels: int, growth: int, n: int) -> list[nn.Module]:
    return [DenseLayer(channels + i * growth, growth) for i in range(n)]


def transition(channels: int) -> list[nn.Module]:
    halved = nn.Conv2d(channels, channels // 2, 1, bias=False)
    return [nn.BatchNorm2d(channels), nn.ReLU(), halved, nn.AvgPool2d(2)]


def test_a_densenet_bc_is_the_one_by_hand() -> None:
    """40 layers and 8 channels growth: six layers a block, from 16 to 64, 32 to 80 and 40 to 88 channels."""
    theirs = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        *(*dense_block(16, 8, 6), *transition(64), *dense_block(32, 8, 6), *transition(80), *dense_block(40, 8, 6)),
        *(nn.BatchNorm2d(88), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(88, 10)),
    )
    agree(zoo.build("densenet_bc", seed=0, depth=40, growth=8), theirs, 3, 32, 32)


def test_dropout_follows_each_convolution_but_the_first() -> None:
    assert sum(layer.kind == "dropout" for layer in zoo.load("densenet_40_12", p=0.2).layers) == 36 + 2
    assert sum(layer.kind == "dropout" for layer in zoo.load("densenet_bc_100_12", p=0.2).layers) == 2 * 48 + 2


# ResNeXt: section 5.3 of the paper.


def resnext29(groups: int, classes: int = 10) -> int:
    total, channels = 3 * 9 * 64 + 2 * 64, 64
    for stage in range(3):
        width, out = groups * 64 * 2**stage, 256 * 2**stage
        for _ in range(3):
            total += channels * width + 2 * width + 9 * width * (width // groups) + 2 * width + width * out + 2 * out
            total += channels * out + 2 * out if channels != out else 0
            channels = out
    return total + channels * classes + classes


@pytest.mark.parametrize("groups", [8, 16])
def test_resnexts(groups: int) -> None:
    network = zoo.load(f"resnext29_{groups}x64d")
    assert network.params == resnext29(groups)
    assert zoo.load(f"resnext29_{groups}x64d", classes=100).params == resnext29(groups, 100)
    assert [output(network, f"layer{i}") for i in (1, 2, 3)] == ["256x32x32", "512x16x16", "1024x8x8"]
    assert convolutions(network) == 29
    assert {node.layer.groups for node in layer_nodes(network.root) if node.label == "conv2"} == {groups}  # type: ignore[attr-defined]


# All-CNN: tables 1 and 2 of the paper.


@pytest.mark.parametrize(
    ("name", "kinds", "params"),
    [
        ("cnn_c", ["conv", "conv", "maxpool"], 954_730),
        ("strided_cnn_c", ["conv", "conv"], 954_730),
        ("convpool_cnn_c", ["conv", "conv", "conv", "maxpool"], 1_369_738),
        ("all_cnn_c", ["conv", "conv", "conv"], 1_369_738),
    ],
)
def test_pools_become_convolutions(name: str, kinds: list[str], params: int) -> None:
    network = zoo.load(name)
    for stage, shape in (("stage1", "96x16x16"), ("stage2", "192x8x8")):
        layers = [layer for layer in network.layers if layer.name.startswith(stage) and layer.kind != "relu"]
        assert [layer.kind for layer in layers] == kinds
        assert output(network, stage) == shape
    # The average is over 6x6 positions.
    assert output(network, "head") == "10x6x6"
    further = 9 * 96 * 96 + 96 + 9 * 192 * 192 + 192 if "pool" in name or "all" in name else 0
    front = (9 * 3 * 96 + 96) + (9 * 96 * 96 + 96) + (9 * 96 * 192 + 192) + (9 * 192 * 192 + 192)
    assert network.params == params == front + further + (9 * 192 * 192 + 192) + (192 * 192 + 192) + (192 * 10 + 10)


# The speed runs: the author's script.


class Speed(nn.Module):
    """A group of the speed-run network by hand."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(c, out, 3, padding="same", bias=False) for c in (channels, out))
        self.norm1, self.norm2 = (nn.BatchNorm2d(out, eps=1e-12, momentum=0.4) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.gelu(self.norm1(functional.max_pool2d(self.conv1(x), 2)))
        return functional.gelu(self.norm2(self.conv2(x)))


class Scaled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * (1 / 9)


def speed_run() -> nn.Sequential:
    groups = (Speed(24, 64), Speed(64, 256), Speed(256, 256))
    last = (nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10, bias=False), Scaled())
    return nn.Sequential(nn.Conv2d(3, 24, 2), nn.GELU(), *groups, *last)


def test_the_speed_run_is_the_one_by_hand() -> None:
    ours, theirs = zoo.build("airbench94", seed=0), speed_run()
    assert sum(p.numel() for p in theirs.parameters()) == zoo.load("airbench94").params == 1_972_792
    assert set(ours.state_dict()) == set(theirs.state_dict())
    settle(ours)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))
    torch.testing.assert_close(ours.train()(x), theirs.train()(x), rtol=1e-4, atol=1e-4)
    for key, buffer in theirs.named_buffers():
        torch.testing.assert_close(ours.state_dict()[key], buffer)


def test_whitening_and_the_scales_of_norms_are_frozen() -> None:
    module = zoo.build("airbench94", seed=0)
    frozen = {name for name, weight in module.named_parameters() if not weight.requires_grad}
    assert frozen == {"0.weight", *(f"{i}.norm{j}.weight" for i in (2, 3, 4) for j in (1, 2))}
    assert zoo.load("airbench94").trainable_params == 1_972_792 - 24 * 12 - 2 * (64 + 256 + 256)


def test_convolutions_hand_their_input_on_at_first() -> None:
    module = zoo.build("airbench94", seed=0)
    for name in ("2.conv1", "2.conv2", "3.conv1", "4.conv2"):
        conv = module.get_submodule(name)
        assert isinstance(conv, nn.Conv2d)
        x = torch.randn(1, conv.in_channels, 8, 8)
        torch.testing.assert_close(conv(x)[:, : conv.in_channels], x)
        # The others begin as in PyTorch: uniform within 1 / sqrt(fan_in).
        others, bound = conv.weight[conv.in_channels :], (conv.in_channels * 9) ** -0.5
        assert others.numel() == 0 or 0.99 * bound < others.abs().max().item() <= bound
    whitening = module.get_submodule("0")
    assert isinstance(whitening, nn.Conv2d)
    torch.testing.assert_close(whitening.weight.flatten(1).T @ whitening.weight.flatten(1), torch.eye(12))
    assert whitening.bias is not None
    assert not whitening.bias.any()


def test_shapes_of_the_speed_run() -> None:
    network = zoo.load("airbench94")
    assert [output(network, label) for label in "02345"] == ["24x31x31", "64x15x15", "256x7x7", "256x3x3", "256x1x1"]


# ResNet-9: the article's figure, by hand.


class Nine(nn.Module):
    """The article's network by hand."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()

        def unit(channels: int, out: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU())

        self.prep, self.widen1 = unit(channels, width), unit(width, 2 * width)
        self.branch1 = nn.Sequential(unit(2 * width, 2 * width), unit(2 * width, 2 * width))
        self.widen2, self.widen3 = unit(2 * width, 4 * width), unit(4 * width, 8 * width)
        self.branch3 = nn.Sequential(unit(8 * width, 8 * width), unit(8 * width, 8 * width))
        self.classifier = nn.Linear(8 * width, 10, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(self.widen1(self.prep(x)), 2)
        x = functional.max_pool2d(self.widen2(x + self.branch1(x)), 2)
        x = functional.max_pool2d(self.widen3(x), 2)
        scores: Tensor = self.classifier((x + self.branch3(x)).amax((2, 3))) * 0.125
        return scores


@pytest.mark.parametrize(
    ("name", "width", "size"), [("resnet9", 64, (3, 32, 32)), ("resnet9_fashion", 16, (1, 28, 28))]
)
def test_resnet9_is_the_one_by_hand(name: str, width: int, size: tuple[int, int, int]) -> None:
    ours, theirs = zoo.build(name, seed=0), Nine(width, size[0])
    assert sum(p.numel() for p in theirs.parameters()) == zoo.load(name).params
    agree(ours, theirs, *size)


ONNX: list[Callable[[], nn.Module]] = [
    lambda: zoo.build("airbench94", seed=0),
    lambda: zoo.build("wide_resnet", seed=0, depth=10, width=2),
    lambda: zoo.build("preresnet", seed=0, depth=11),
    lambda: zoo.build("densenet_bc", seed=0, depth=22, growth=8),
    lambda: zoo.build("densenet_cifar", seed=0, depth=13, growth=8),
    lambda: zoo.build("resnext_cifar", seed=0, groups=4, width_per_group=8, n=1),
    lambda: zoo.build("cnn_c", seed=0),
    lambda: zoo.build("all_cnn_c", seed=0),
    lambda: zoo.build("resnet9_fashion", seed=0),
]


@pytest.mark.parametrize("build", ONNX)
def test_onnx_says_the_same(build: Callable[[], nn.Module], tmp_path: Path) -> None:
    module = build().eval()
    settle(module)
    archdsl.export_onnx(module, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    x = torch.randn(2, *network_of(module).input_shape)
    (found,) = session.run(None, {"input": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), module(x).detach(), rtol=1e-4, atol=1e-4)
