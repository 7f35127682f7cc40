"""Networks with several inputs: counts by hand, and outputs of modules written by hand from the papers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import archdsl
from archdsl import zoo


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def pair(name: str, theirs: nn.Module, **settings: Any) -> nn.Module:
    """Our network in eval mode with weights that it shares, in order, with `theirs`; none of them is zero."""
    ours = zoo.build(name, seed=0, **settings).eval()
    with torch.no_grad():
        for weight in ours.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    state = ours.state_dict()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), state.values(), strict=True)))
    theirs.eval()
    return ours


def require_onnx(module: nn.Module, inputs: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Fail unless ONNX Runtime gives the same outputs for the inputs by name."""
    archdsl.export_onnx(module, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == list(inputs)
    found = session.run(list(expected), {name: value.numpy() for name, value in inputs.items()})
    for one, value in zip(found, expected.values(), strict=True):
        torch.testing.assert_close(torch.from_numpy(one), value, rtol=1e-4, atol=1e-4)


# Siamese network: section 3.1 of the paper, with a ResNet as its tower.


class PaddedBlock(nn.Module):
    """A basic block whose shortcut takes every second pixel and adds channels of zeros (ResNet, section 3.3, A)."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.stride, self.missing = stride, out - channels
        self.conv1, self.bn1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        before = self.missing // 2
        shortcut = x[:, :, :: self.stride, :: self.stride]
        return torch.relu(y + functional.pad(shortcut, (0, 0, 0, 0, before, self.missing - before)))


class Siamese(nn.Module):
    def __init__(self, n: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
        for stage in range(3):
            for i in range(n):
                out = width * 2**stage
                layers.append(PaddedBlock(channels, out, 2 if i == 0 and stage else 1))
                channels = out
        self.tower = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(channels, 2)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        scores: Tensor = self.fc((self.tower(left) - self.tower(right)).abs())
        return scores


def test_a_siamese_network_is_the_one_by_hand(tmp_path: Path) -> None:
    theirs = Siamese(2, 4)
    ours = pair("siamese_resnet", theirs, n=2, width=4)
    left, right = torch.rand(3, 1, 28, 28), torch.rand(3, 1, 28, 28)
    expected = theirs(left, right).detach()
    torch.testing.assert_close(ours(left, right), expected)
    torch.testing.assert_close(ours(right=right, left=left), expected)
    require_onnx(ours, {"left": left, "right": right}, {"output": expected}, tmp_path / "model.onnx")


def test_both_towers_share_their_weights() -> None:
    network = zoo.load("siamese_resnet")
    convolutions = 9 * 16 + 6 * 9 * 16 * 16 + 9 * 16 * 32 + 5 * 9 * 32 * 32 + 9 * 32 * 64 + 5 * 9 * 64 * 64
    assert network.params == convolutions + 2 * (7 * 16 + 6 * 32 + 6 * 64) + 64 * 2 + 2
    assert {name: str(shape) for name, shape in network.inputs.items()} == {"left": "1x28x28", "right": "1x28x28"}
    ours = network.build(seed=0).eval()
    image, other = torch.rand(2, 1, 1, 28, 28)
    assert torch.equal(ours(image, other), ours(other, image))
    assert torch.equal(ours(image, image), ours(other, other))
    ours.train()(image.expand(2, -1, -1, -1), other.expand(2, -1, -1, -1)).sum().backward()
    assert all(weight.grad is not None for weight in ours.parameters())


# Conditional DCGAN: the class as a learned vector beside the noise.


class ConditionalGenerator(nn.Module):
    def __init__(self, widths: list[int], latent: int, classes: int, label_width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, label_width)
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent + label_width, widths[0], 4, bias=False)]
        for channels, out in pairwise(widths):
            layers += [nn.BatchNorm2d(channels), nn.ReLU(), nn.ConvTranspose2d(channels, out, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(widths[-1]), nn.ReLU(), nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1, bias=False)]
        self.layers = nn.Sequential(*layers)

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        return torch.tanh(self.layers(torch.cat([noise, self.embedding(label)], 1)[:, :, None, None]))


def test_a_conditional_generator_is_the_one_by_hand(tmp_path: Path) -> None:
    theirs = ConditionalGenerator([32, 16, 8], 20, 5, 6)
    ours = pair("dcgan_conditional_generator", theirs, classes=5, latent=20, label_width=6, width=8, stages=3)
    noise, label = torch.randn(4, 20), torch.tensor([0, 4, 2, 2])
    expected = theirs(noise, label).detach()
    assert expected.shape == (4, 3, 32, 32)
    torch.testing.assert_close(ours(noise, label), expected)
    assert (ours(noise, label) - ours(noise, label.flip(0))).abs().max() > 1e-3
    require_onnx(ours, {"noise": noise, "label": label}, {"output": expected}, tmp_path / "model.onnx")


def test_the_generator_without_classes_keeps_its_keys() -> None:
    keys = set(zoo.build("dcgan_generator").state_dict())
    assert {key.split(".")[0] for key in keys} == {"0", "1", "3", "4", "6", "7", "9", "10", "12"}
