"""Networks with several inputs: counts by hand, and outputs of modules written by hand from the papers."""

from __future__ import annotations

import math
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
    """Fail unless ONNX Runtime gives the same outputs, in this order, for the inputs by name."""
    archdsl.export_onnx(module, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == list(inputs)
    found = session.run(None, {name: value.numpy() for name, value in inputs.items()})
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


# DDPM: appendix B of the paper.


def sinusoids(step: Tensor, width: int) -> Tensor:
    """Positional encodings as in section 3.5 of the Transformer's paper, all sines first."""
    half = width // 2
    angles = step[:, None].double() / 10000.0 ** (torch.arange(half).double() / (half - 1))
    return torch.cat([angles.sin(), angles.cos()], 1).float()


class ResBlock(nn.Module):
    def __init__(self, channels: int, out: int, time: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(32, channels, eps=1e-6), nn.Conv2d(channels, out, 3, padding=1)
        self.time = nn.Linear(time, out)
        self.norm2, self.conv2 = nn.GroupNorm(32, out, eps=1e-6), nn.Conv2d(out, out, 3, padding=1)
        self.shortcut = nn.Conv2d(channels, out, 1) if channels != out else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv1(functional.silu(self.norm1(x)))
        h = h + self.time(functional.silu(time))[:, :, None, None]
        result: Tensor = self.shortcut(x) + self.conv2(functional.silu(self.norm2(h)))
        return result


class PixelAttention(nn.Module):
    """softmax(Q K^T / sqrt(C)) V over the pixels of a map; one linear layer makes Q, K and V."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, channels, eps=1e-6)
        self.qkv, self.proj = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x).permute(0, 2, 3, 1)).chunk(3, 3)
        weights = torch.einsum("nhwc,nijc->nhwij", q, k) * x.shape[1] ** -0.5
        weights = weights.flatten(3).softmax(-1).reshape(weights.shape)
        attended = torch.einsum("nhwij,nijc->nhwc", weights, v)
        result: Tensor = x + self.proj(attended).permute(0, 3, 1, 2)
        return result


class DiffusionUNet(nn.Module):
    """The U-Net of DDPM. Modules are registered in the order in which they run."""

    def __init__(self, base: int, factors: list[int], blocks: int, size: int, attention_size: int) -> None:
        super().__init__()
        self.base, self.factors, self.blocks = base, factors, blocks
        self.time = nn.Sequential(nn.Linear(base, 4 * base), nn.SiLU(), nn.Linear(4 * base, 4 * base))
        self.stem = nn.Conv2d(3, base, 3, padding=1)
        self.steps = nn.ModuleList()
        channels, skips = base, [base]
        for i, factor in enumerate(factors):
            for _ in range(blocks):
                self._add(ResBlock(channels, factor * base, 4 * base), size == attention_size)
                channels = factor * base
                skips.append(channels)
            if i < len(factors) - 1:
                self.steps.append(nn.Conv2d(channels, channels, 3, stride=2))
                skips.append(channels)
                size //= 2
        self._add(ResBlock(channels, channels, 4 * base), True)
        self._add(ResBlock(channels, channels, 4 * base), False)
        for i, factor in reversed(list(enumerate(factors))):
            for _ in range(blocks + 1):
                self._add(ResBlock(channels + skips.pop(), factor * base, 4 * base), size == attention_size)
                channels = factor * base
            if i:
                self.steps.append(nn.Conv2d(channels, channels, 3, padding=1))
                size *= 2
        self.head = nn.Sequential(nn.GroupNorm(32, channels, eps=1e-6), nn.SiLU(), nn.Conv2d(channels, 3, 3, padding=1))

    def _add(self, block: ResBlock, attention: bool) -> None:
        self.steps.append(block)
        self.steps.append(PixelAttention(block.conv2.out_channels) if attention else nn.Identity())

    def forward(self, image: Tensor, step: Tensor) -> Tensor:
        time = self.time(sinusoids(step, self.base))
        steps = iter(self.steps)
        x = self.stem(image)
        skips = [x]
        for i in range(len(self.factors)):
            for _ in range(self.blocks):
                x = next(steps)(x, time)
                x = next(steps)(x)
                skips.append(x)
            if i < len(self.factors) - 1:
                # TensorFlow's SAME: the odd row and column of padding come at the end.
                x = next(steps)(functional.pad(x, (0, 1, 0, 1)))
                skips.append(x)
        for _ in range(2):
            x = next(steps)(x, time)
            x = next(steps)(x)
        for i in reversed(range(len(self.factors))):
            for _ in range(self.blocks + 1):
                x = next(steps)(torch.cat([x, skips.pop()], 1), time)
                x = next(steps)(x)
            if i:
                x = next(steps)(x.repeat_interleave(2, 2).repeat_interleave(2, 3))
        result: Tensor = self.head(x)
        return result


def test_a_diffusion_network_is_the_one_by_hand(tmp_path: Path) -> None:
    theirs = DiffusionUNet(32, [1, 2], 2, 8, 4)
    ours = pair("ddpm", theirs, base=32, factors=[1, 2], blocks=2, attention_sizes=[4], size=8)
    image, step = torch.randn(3, 3, 8, 8), torch.tensor([0, 500, 999])
    expected = theirs(image, step).detach()
    torch.testing.assert_close(ours(image, step), expected, rtol=1e-4, atol=1e-4)
    assert (ours(image, step) - ours(image, step.flip(0))).abs().max() > 1e-2
    require_onnx(ours, {"image": image, "step": step}, {"output": expected}, tmp_path / "model.onnx")


def test_the_diffusion_network_for_cifar() -> None:
    """Attention at 16x16 pixels and in the middle; the shapes are those of the images."""
    network = zoo.load("ddpm")
    assert network.output_shape == (3, 32, 32)
    attention = [layer for layer in network.layers if layer.kind == "multihead_attention"]
    assert [str(layer.output) for layer in attention] == ["256x256"] * 2 + ["16x256"] + ["256x256"] * 3
    with torch.device("meta"):
        theirs = DiffusionUNet(128, [1, 2, 2, 2], 2, 32, 16)
    assert network.params == sum(weight.numel() for weight in theirs.parameters())


# CLIP: section 2.4 and figure 3 of the paper.


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(width), nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, attn_mask=mask, need_weights=False)[0]
        result: Tensor = x + self.down(functional.gelu(self.up(self.ln_2(x))))
        return result


class Tower(nn.Module):
    """A transformer on embedded tokens; the features are those of one token, at length 1."""

    def __init__(self, embedding: nn.Module, tokens: int, width: int, features: int, *, causal: bool) -> None:
        super().__init__()
        if not causal:
            self.class_embedding = nn.Parameter(torch.empty(1, width))
        self.positional_embedding = nn.Parameter(torch.empty(tokens, width))
        self.causal, self.embedding = causal, embedding
        self.first = nn.Identity() if causal else nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, 2) for _ in range(2))
        self.last, self.proj = nn.LayerNorm(width), nn.Linear(width, features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x, mask = self.embedding(x), None
        if self.causal:
            mask = torch.full((x.shape[1],) * 2, -math.inf).triu(1)
        else:
            x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x.flatten(2).transpose(1, 2)], 1)
        x = self.first(x + self.positional_embedding)
        for block in self.blocks:
            x = block(x, mask)
        return functional.normalize(self.proj(self.last(x[:, -1 if self.causal else 0])), dim=1)


class Clip(nn.Module):
    """Two towers, and the cosine of each pair times exp(logit_scale)."""

    def __init__(self, features: int, patch: int, size: int, width: int, words: int, length: int, text: int) -> None:
        super().__init__()
        self.logit_scale = nn.Parameter(torch.empty(1))
        patches = nn.Conv2d(3, width, patch, patch, bias=False)
        self.visual = Tower(patches, (size // patch) ** 2 + 1, width, features, causal=False)
        self.textual = Tower(nn.Embedding(words, text), length, text, features, causal=True)

    def forward(self, image: Tensor, text: Tensor) -> dict[str, Tensor]:
        images, texts = self.visual(image), self.textual(text)
        fit = self.logit_scale.exp() * functional.cosine_similarity(images, texts)[:, None]
        return {"out": fit, "image_features": images, "text_features": texts}


def test_a_two_tower_network_is_the_one_by_hand(tmp_path: Path) -> None:
    theirs = Clip(16, 4, 8, 24, 50, 6, 12)
    settings = {"embed_dim": 16, "size": 8, "patch": 4, "image_width": 24, "image_layers": 2, "image_heads": 2}
    settings |= {"vocabulary": 50, "context_length": 6, "text_width": 12, "text_layers": 2, "text_heads": 2}
    ours = pair("clip_small", theirs, **settings)
    image, text = torch.randn(3, 3, 8, 8), torch.randint(50, (3, 6))
    expected = theirs(image, text)
    found = ours(image, text)
    assert list(found) == ["out", "image_features", "text_features"]
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)
    inputs, outputs = {"image": image, "text": text}, {name: value.detach() for name, value in expected.items()}
    require_onnx(ours, inputs, outputs, tmp_path / "model.onnx")
