"""Networks that no installed library has: keys, counts and outputs are those of modules written by hand.

The modules have the names of their authors' code, where that is PyTorch's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import get_model

import archdsl
from archdsl import zoo
from archdsl.cards.cards import cards
from tests.backends.torch.comparison import difference, require_apart, settle, shapes

PARAMS = {name: model.params for card in cards().values() for name, model in card.models.items()}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def agree(name: str, theirs: nn.Module, size: Sequence[int], tmp_path: Path) -> None:
    """Give the network the state of the module by hand; compare keys, counts and outputs, in torch and ONNX Runtime."""
    assert sum(weight.numel() for weight in theirs.parameters()) == PARAMS[name]
    settle(theirs, size)
    ours = zoo.build(name, input=tuple(size)).eval()
    assert shapes(ours.state_dict()) == shapes(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, *size)
    with torch.inference_mode():
        expected = theirs(x)
        assert difference(ours(x), expected) <= 1e-5
    require_apart(expected)
    path = tmp_path / "model.onnx"
    archdsl.export_onnx(ours, path)
    (found,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"input": x.numpy()})
    assert difference(torch.from_numpy(found), expected) <= 1e-4


def named(**modules: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(modules))


def conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def pooled_classifier(x: Tensor, classifier: nn.Module) -> Tensor:
    found: Tensor = classifier(x.mean((2, 3)))
    return found


# PeleeNet: figures 1 and 2 and table 1 of the paper.


def conv_norm(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    return named(conv=conv(inputs, outputs, kernel, stride), norm=nn.BatchNorm2d(outputs), relu=nn.ReLU())


class PeleeStem(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem1, self.stem2a, self.stem2b = conv_norm(3, 32, 3, 2), conv_norm(32, 16), conv_norm(16, 32, 3, 2)
        self.stem3 = conv_norm(64, 32)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem1(x)
        found: Tensor = self.stem3(torch.cat([F.max_pool2d(x, 2), self.stem2b(self.stem2a(x))], 1))
        return found


class PeleeLayer(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.branch1a, self.branch1b = conv_norm(channels, width), conv_norm(width, 16, 3)
        self.branch2a, self.branch2b, self.branch2c = (
            conv_norm(channels, width),
            conv_norm(width, 16, 3),
            conv_norm(16, 16, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.branch1b(self.branch1a(x)), self.branch2c(self.branch2b(self.branch2a(x)))], 1)


class PeleeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        parts: dict[str, nn.Module] = {"stemblock": PeleeStem()}
        # Layers, channels after the stage, and channels of the bottlenecks: half a growth of 32, times 1, 2, 4 and 4.
        for i, (n, out, width) in enumerate([(3, 128, 16), (4, 256, 32), (8, 512, 64), (6, 704, 64)], 1):
            layers = {f"denselayer{j + 1}": PeleeLayer(out - 32 * (n - j), width) for j in range(n)}
            parts[f"denseblock{i}"] = named(**layers)
            parts[f"transition{i}"] = conv_norm(out, out)
            if i < 4:
                parts[f"transition{i}_pool"] = nn.AvgPool2d(2)
        self.features = named(**parts)
        self.classifier = nn.Linear(704, 1000)

    def forward(self, x: Tensor) -> Tensor:
        return pooled_classifier(self.features(x), self.classifier)


def test_peleenet(tmp_path: Path) -> None:
    agree("peleenet", PeleeNet(), (3, 96, 128), tmp_path)


# ShuffleNet: figure 2 and table 1 of the paper.


class ShuffleUnit(nn.Module):
    """With stride 2 the shortcut is pooled and its channels come first."""

    def __init__(self, channels: int, out: int, stride: int, groups: int, first_groups: int) -> None:
        super().__init__()
        self.groups, self.stride = groups, stride
        middle, out = out // 4, out - channels if stride == 2 else out
        self.conv1, self.bn1 = conv(channels, middle, groups=first_groups), nn.BatchNorm2d(middle)
        self.conv2, self.bn2 = conv(middle, middle, 3, stride, middle), nn.BatchNorm2d(middle)
        self.conv3, self.bn3 = conv(middle, out, groups=groups), nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        # Channel i of group g goes to place i * groups + g.
        order = [
            g * (y.shape[1] // self.groups) + i for i in range(y.shape[1] // self.groups) for g in range(self.groups)
        ]
        y = self.bn3(self.conv3(self.bn2(self.conv2(y[:, order]))))
        both = [F.avg_pool2d(x, 3, 2, 1), y]
        return F.relu(torch.cat(both, 1) if self.stride == 2 else x + y)


class ShuffleNet(nn.Module):
    def __init__(self, groups: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(conv(3, 24, 3, 2), nn.BatchNorm2d(24), nn.ReLU())
        channels, stages = 24, []
        for i, n in enumerate((4, 8, 4)):
            units = []
            for j in range(n):
                first_groups = 1 if i == j == 0 else groups
                units.append(ShuffleUnit(channels, width * 2**i, 2 if j == 0 else 1, groups, first_groups))
                channels = width * 2**i
            stages.append(nn.Sequential(*units))
        self.stage2, self.stage3, self.stage4 = stages
        self.fc = nn.Linear(channels, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.conv1(x), 3, 2, 1)
        return pooled_classifier(self.stage4(self.stage3(self.stage2(x))), self.fc)


@pytest.mark.parametrize(("groups", "width"), [(1, 144), (2, 200), (3, 240), (4, 272), (8, 384)])
def test_shufflenet_v1(groups: int, width: int, tmp_path: Path) -> None:
    agree(f"shufflenet_v1_g{groups}", ShuffleNet(groups, width), (3, 64, 96), tmp_path)


# PyramidNet: section 2 of the paper.


class PyramidUnit(nn.Module):
    """The shortcut is filled up with channels of zeros."""

    def __init__(self, channels: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        self.stride, self.out = stride, 4 * width if bottleneck else width
        sizes = [(channels, width, 1), (width, width, 3), (width, 4 * width, 1)]
        if not bottleneck:
            sizes = [(channels, width, 3), (width, width, 3)]
        strided = 1 if bottleneck else 0
        self.bn1 = nn.BatchNorm2d(channels)
        for i, (before, after, kernel) in enumerate(sizes):
            setattr(self, f"conv{i + 1}", conv(before, after, kernel, stride if i == strided else 1))
            setattr(self, f"bn{i + 2}", nn.BatchNorm2d(after))
        self.last = len(sizes)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(x)
        for i in range(1, self.last + 1):
            y = self.get_submodule(f"bn{i + 1}")(self.get_submodule(f"conv{i}")(y if i == 1 else F.relu(y)))
        x = F.avg_pool2d(x, 2) if self.stride == 2 else x
        added: Tensor = y + torch.cat([x, x.new_zeros(len(x), self.out - x.shape[1], *x.shape[2:])], 1)
        return added


class PyramidNet(nn.Module):
    def __init__(self, n: int, alpha: int, bottleneck: bool = False) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(3, 16, 3), nn.BatchNorm2d(16)
        # The exact width; the units have the nearest integers.
        channels, width, stages = 16, 16.0, []
        for i in (1, 2, 3):
            units = []
            for j in range(n):
                width += alpha / (3 * n)
                units.append(PyramidUnit(channels, round(width), 2 if i > 1 and j == 0 else 1, bottleneck))
                channels = units[-1].out
            stages.append(nn.Sequential(*units))
        self.layer1, self.layer2, self.layer3 = stages
        self.bn_final, self.fc = nn.BatchNorm2d(channels), nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(x)))))
        return pooled_classifier(F.relu(self.bn_final(x)), self.fc)


@pytest.mark.parametrize(
    ("name", "n", "alpha", "bottleneck"),
    [
        ("pyramidnet110_a48", 18, 48, False),
        ("pyramidnet110_a84", 18, 84, False),
        pytest.param("pyramidnet110_a270", 18, 270, False, marks=pytest.mark.slow),
        pytest.param("pyramidnet164_a270", 18, 270, True, marks=pytest.mark.slow),
    ],
)
def test_pyramidnet(name: str, n: int, alpha: int, bottleneck: bool, tmp_path: Path) -> None:
    agree(name, PyramidNet(n, alpha, bottleneck), (3, 32, 32), tmp_path)


# HarDNet: section 3 of the paper.


def conv_relu6(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    return named(conv=conv(inputs, outputs, kernel, stride), norm=nn.BatchNorm2d(outputs), relu=nn.ReLU6())


def depthwise(channels: int, stride: int = 1) -> nn.Sequential:
    return named(dwconv=conv(channels, channels, 3, stride, channels), norm=nn.BatchNorm2d(channels))


class Harmonic(nn.Module):
    """Layer i is linked to i - 1, i - 2, i - 4, ..., as far as these powers of two divide i."""

    def __init__(self, channels: int, n: int, growth: int, m: float, separable: bool) -> None:
        super().__init__()
        self.links = [[i - 2**k for k in range((i & -i).bit_length())] for i in range(1, n + 1)]
        widths = [channels, *(int(growth * m ** (len(each) - 1) + 1) // 2 * 2 for each in self.links)]
        self.layers = nn.ModuleList()
        for i, each in enumerate(self.links, 1):
            inputs, out = sum(widths[j] for j in each), widths[i]
            separate = named(layer1=conv_relu6(inputs, out), layer2=depthwise(out))
            self.layers.append(separate if separable else conv_relu6(inputs, out, 3))
        self.kept = [i for i in range(1, n + 1) if i % 2 or i == n]
        self.out = sum(widths[i] for i in self.kept)

    def forward(self, x: Tensor) -> Tensor:
        outputs = [x]
        for layer, links in zip(self.layers, self.links, strict=True):
            outputs.append(layer(torch.cat([outputs[j] for j in links], 1)))
        return torch.cat([outputs[i] for i in self.kept], 1)


#: Layers, growth, channels and whether the size is halved, for each block.
HARDNETS: dict[str, list[tuple[int, int, int, bool]]] = {
    "hardnet39": [(4, 16, 96, True), (16, 20, 320, True), (8, 64, 640, True), (4, 160, 1024, False)],
    "hardnet68": [
        (8, 14, 128, True),
        (16, 16, 256, False),
        (16, 20, 320, True),
        (16, 40, 640, True),
        (4, 160, 1024, False),
    ],
    "hardnet85": [
        (8, 24, 192, True),
        (16, 24, 256, False),
        (16, 28, 320, True),
        (16, 36, 480, False),
        (16, 48, 720, True),
        (4, 256, 1280, False),
    ],
}


class HarDNet(nn.Module):
    def __init__(self, name: str, width: int, m: float = 1.7) -> None:
        super().__init__()
        separable = name.endswith("ds")
        rows, channels = HARDNETS[name.removesuffix("ds")], 2 * width
        self.base = nn.ModuleList([conv_relu6(3, width, 3, 2), conv_relu6(width, channels, 1 if separable else 3)])
        self.base.append(depthwise(channels, 2) if separable else nn.MaxPool2d(3, 2, 1))
        for n, growth, out, halved in rows:
            block = Harmonic(channels, n, growth, m, separable)
            self.base.append(block)
            if out == 1280:
                self.base.append(nn.Dropout(0.1))
            self.base.append(conv_relu6(block.out, out))
            if halved:
                self.base.append(depthwise(out, 2) if separable else nn.MaxPool2d(2))
            channels = out
        self.base.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(channels, 1000)))

    def forward(self, x: Tensor) -> Tensor:
        for part in self.base:
            x = part(x)
        return x


@pytest.mark.parametrize(
    ("name", "width", "m"),
    [
        pytest.param("hardnet68", 32, 1.7, marks=pytest.mark.slow),
        pytest.param("hardnet85", 48, 1.7, marks=pytest.mark.slow),
        pytest.param("hardnet68ds", 32, 1.7, marks=pytest.mark.slow),
        ("hardnet39ds", 24, 1.6),
    ],
)
def test_hardnet(name: str, width: int, m: float, tmp_path: Path) -> None:
    agree(name, HarDNet(name, width, m), (3, 64, 96), tmp_path)


# SqueezeNext: figures 1 and 3 of the paper, and the authors' model in Caffe.


class SqueezedUnit(nn.Module):
    def __init__(self, channels: int, out: int, stride: int, turned: bool) -> None:
        super().__init__()
        width = channels if stride == 2 else channels // 2 if channels <= out else channels // 4
        kernels: list[tuple[int, int]] = [(1, 3), (3, 1)] if turned else [(3, 1), (1, 3)]
        self.conv1, self.conv2 = self.layer(channels, width, (1, 1), stride), self.layer(width, width // 2)
        self.conv3, self.conv4 = self.layer(width // 2, width, kernels[0]), self.layer(width, width, kernels[1])
        self.conv5 = self.layer(width, out)
        self.shortcut = self.layer(channels, out, (1, 1), stride) if stride == 2 or channels != out else None

    @staticmethod
    def layer(inputs: int, outputs: int, kernel: tuple[int, int] = (1, 1), stride: int = 1) -> nn.Sequential:
        padding = (kernel[0] // 2, kernel[1] // 2)
        return named(
            conv=nn.Conv2d(inputs, outputs, kernel, stride, padding), bn=nn.BatchNorm2d(outputs), relu=nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv5(self.conv4(self.conv3(self.conv2(self.conv1(x)))))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class SqueezeNext(nn.Module):
    def __init__(self, mult: float) -> None:
        super().__init__()
        channels, stages = int(64 * mult), []
        self.conv1 = nn.Sequential(nn.Conv2d(3, channels, 7, 2), nn.BatchNorm2d(channels), nn.ReLU())
        for i, n in enumerate((6, 6, 8, 1)):
            out = int(32 * 2**i * mult)
            units = [SqueezedUnit(channels, out, 2 if i > 0 else 1, turned=False)]
            units += [SqueezedUnit(out, out, 1, turned=j % 2 == 1) for j in range(1, n)]
            stages.append(nn.Sequential(*units))
            channels = out
        self.stage1, self.stage2, self.stage3, self.stage4 = stages
        self.conv5 = SqueezedUnit.layer(channels, int(128 * mult))
        self.fc = nn.Linear(int(128 * mult), 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True)
        return pooled_classifier(self.conv5(self.stage4(self.stage3(self.stage2(self.stage1(x))))), self.fc)


@pytest.mark.parametrize(("name", "mult"), [("sqnxt23_x1_0", 1.0), ("sqnxt23_x1_5", 1.5), ("sqnxt23_x2_0", 2.0)])
def test_squeezenext(name: str, mult: float, tmp_path: Path) -> None:
    agree(name, SqueezeNext(mult), (3, 99, 131), tmp_path)


def test_the_authors_squeezenext_has_no_biases() -> None:
    """705,728 weights in the convolutions and the last layer of their prototxt, and 11,552 in the norms."""
    network = zoo.load("sqnxt23_x1_0", bias=False)
    assert network.params == 705_728 + 11_552
    sizes = [layer.output.spatial for layer in network.layers if layer.output != layer.input and layer.output.spatial]
    assert [size for i, size in enumerate(sizes) if size not in sizes[:i]] == [(n, n) for n in (111, 55, 28, 14, 7, 1)]


# CBAM: figures 2 and 3 of the paper.


class ChannelGate(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 16
        self.mlp = nn.Sequential(nn.Flatten(), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3))))
        return x * gate[:, :, None, None]


class SpatialGate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.spatial = named(conv=conv(2, 1, 7), bn=nn.BatchNorm2d(1))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x * torch.sigmoid(self.spatial(torch.stack([x.amax(1), x.mean(1)], 1)))
        return found


def gated(depth: int) -> nn.Module:
    """torchvision's ResNet with both gates after the last norm of each block."""
    module: nn.Module = get_model(f"resnet{depth}", weights=None)
    for i in (1, 2, 3, 4):
        for block in module.get_submodule(f"layer{i}").children():
            last = block.get_submodule("bn3" if depth >= 50 else "bn2")
            channels = last.get_parameter("weight").numel()
            gates = named(ChannelGate=ChannelGate(channels), SpatialGate=SpatialGate())
            block.add_module("cbam", gates)
            last.register_forward_hook(lambda _module, _inputs, found, gates=gates: gates(found))
    return module


@pytest.mark.parametrize("depth", [18, *(pytest.param(depth, marks=pytest.mark.slow) for depth in (34, 50, 101))])
def test_cbam(depth: int, tmp_path: Path) -> None:
    agree(f"cbam_resnet{depth}", gated(depth), (3, 64, 96), tmp_path)
