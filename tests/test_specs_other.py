"""Networks that are not image classifiers: shapes and counts by their papers' rules, outputs by modules by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

import archdsl
from archdsl import Network, zoo
from archdsl.backends.torch import network_of


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def outputs(network: Network, *kinds: str) -> list[str]:
    """The output shapes of all layers of these kinds, in order."""
    return [str(layer.output) for layer in network.layers if layer.kind in kinds]


# DCGAN: figure 1 of the paper.


def test_the_generator_doubles_the_size_and_halves_the_channels() -> None:
    shapes = ["1024x4x4", "512x8x8", "256x16x16", "128x32x32", "3x64x64"]
    assert outputs(zoo.load("dcgan_generator", width=128), "conv_transpose") == shapes
    mirrored = ["64x32x32", "128x16x16", "256x8x8", "512x4x4", "1x1x1"]
    assert outputs(zoo.load("dcgan_discriminator"), "conv") == mirrored


@pytest.mark.parametrize(("width", "stages", "latent"), [(64, 4, 100), (128, 4, 100), (64, 3, 64)])
def test_counts_of_both_halves(width: int, stages: int, latent: int) -> None:
    widths = [width * 2**i for i in range(stages)]
    between = sum(16 * a * b for a, b in pairwise(widths))
    generator = 16 * latent * widths[-1] + between + 16 * width * 3 + 2 * sum(widths)
    discriminator = 16 * 3 * width + between + 16 * widths[-1] + 2 * sum(widths[1:])
    sizes: dict[str, Any] = {"width": width, "stages": stages}
    assert zoo.load("dcgan_generator", latent=latent, **sizes).params == generator
    assert zoo.load("dcgan_discriminator", **sizes).params == discriminator
    assert zoo.load("dcgan_generator", **sizes).output_shape == zoo.load("dcgan_discriminator", **sizes).input_shape


def test_the_halves_fit_together_and_begin_as_the_paper_says() -> None:
    generator, discriminator = (zoo.build(f"dcgan_{half}", seed=0) for half in ("generator", "discriminator"))
    assert sum(p.numel() for p in generator.parameters()) == 3_576_704
    assert sum(p.numel() for p in discriminator.parameters()) == 2_765_568
    images = generator(torch.randn(3, 100, 1, 1))
    assert images.abs().max() <= 1
    verdict = discriminator(images)
    assert verdict.shape == (3, 1)
    assert ((verdict > 0) & (verdict < 1)).all()
    for module in (generator, discriminator):
        for name, weight in module.named_parameters():
            mean = 1.0 if weight.dim() == 1 and name.endswith("weight") else 0.0
            deviation = 0.0 if name.endswith("bias") else 0.02
            assert weight.mean().item() == pytest.approx(mean, abs=0.01), name
            assert weight.std().item() == pytest.approx(deviation, rel=0.3, abs=1e-6), name


# ESPCN: section 3.2 of the paper.


@pytest.mark.parametrize("r", [2, 3, 4])
@pytest.mark.parametrize("colours", [1, 3])
def test_a_pixel_becomes_r_times_r(r: int, colours: int) -> None:
    network = zoo.load(f"espcn_x{r}", colours=colours)
    assert network.output_shape == (colours, 17 * r, 17 * r)
    out = colours * r * r
    assert network.params == (25 * colours * 64 + 64) + (9 * 64 * 32 + 32) + (9 * 32 * out + out)
    # Every multiplication is done on the small image.
    assert network.macs == 17 * 17 * (25 * colours * 64 + 9 * 64 * 32 + 9 * 32 * out)
    # Two pixels from the 5x5 and one from each 3x3, on each side.
    assert network.layers[-2].receptive_field == (9, 9)


def test_any_image_is_upscaled_by_the_network_by_hand() -> None:
    ours = zoo.build("espcn_x3", seed=0, input=(1, 20, 31))
    convs = (nn.Conv2d(1, 64, 5, padding=2), nn.Conv2d(64, 32, 3, padding=1), nn.Conv2d(32, 9, 3, padding=1))
    theirs = nn.Sequential(convs[0], nn.Tanh(), convs[1], nn.Tanh(), convs[2], nn.PixelShuffle(3))
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 1, 20, 31)
    assert ours(x).shape == (2, 1, 60, 93)
    torch.testing.assert_close(ours(x), theirs(x))


# Autoencoders.


def test_the_autoencoder_of_the_paper() -> None:
    network = zoo.load("autoencoder_mlp")
    assert outputs(network, "linear") == ["1000", "500", "250", "30", "250", "500", "1000", "784"]
    sizes = [784, 1000, 500, 250, 30, 250, 500, 1000, 784]
    assert network.params == sum(a * b + b for a, b in pairwise(sizes))
    # The code alone is linear.
    kinds = [layer.kind for layer in network.layers]
    assert kinds == ["linear", "sigmoid"] * 3 + ["linear"] + ["linear", "sigmoid"] * 4
    assert outputs(zoo.load("autoencoder_mlp", widths=(128,), code=2), "linear") == ["128", "2", "128", "784"]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 64)])
def test_the_convolutional_autoencoder_gives_its_input_s_shape(shape: tuple[int, int, int]) -> None:
    channels, height, width = shape
    network = zoo.load("autoencoder_conv", input=shape)
    assert network.output_shape == shape
    assert outputs(network, "conv")[-1] == "32x1x1"
    positions = height // 4 * width // 4
    down = (9 * channels * 16 + 16) + (9 * 16 * 32 + 32) + (positions * 32 * 32 + 32)
    up = (positions * 32 * 32 + 32) + (9 * 32 * 16 + 16) + (9 * 16 * channels + channels)
    assert network.params == down + up


# WaveNet: sections 2.1 to 2.4 of the paper.


def wavenet(width: int, skip: int, classes: int, layers: int) -> int:
    total = 2 * classes * width + width
    for layer in range(layers):
        total += 2 * (2 * width * width + width) + width * skip + skip
        total += width * width + width if layer < layers - 1 else 0
    return total + skip * skip + skip + skip * classes + classes


@pytest.mark.parametrize(("layers", "blocks", "width", "skip"), [(10, 3, 64, 256), (10, 5, 32, 512), (3, 1, 8, 16)])
def test_count_and_receptive_field_of_wavenets(layers: int, blocks: int, width: int, skip: int) -> None:
    network = zoo.load("wavenet", layers=layers, blocks=blocks, width=width, skip_width=skip)
    assert network.params == wavenet(width, skip, 256, layers * blocks)
    assert network.output_shape == network.input_shape == (256, 16000)
    # One sample, one more from the first convolution, and 1 + 2 + 4 + ... in each block.
    assert network.layers[-1].receptive_field == (1 + 1 + blocks * (2**layers - 1),)


def test_a_block_of_ten_layers_sees_1024_samples() -> None:
    """The paper's figure for dilations 1, 2, 4, ..., 512: here it comes after the first convolution's two samples."""
    network = zoo.load("wavenet", blocks=1, width=4, skip_width=4)
    assert network.layers[-1].receptive_field == (1024 + 1,)


@pytest.mark.parametrize(("layers", "blocks"), [(4, 1), (3, 2), (1, 1)])
def test_an_output_depends_on_the_past_alone(layers: int, blocks: int) -> None:
    network = zoo.load("wavenet", layers=layers, blocks=blocks, width=8, skip_width=8, classes=4, length=64)
    module = network.build(seed=0)
    x = torch.randn(1, 4, 64, requires_grad=True)
    module(x)[0, :, 40].sum().backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum(0).nonzero().flatten().tolist()
    field = 2 + blocks * (2**layers - 1)
    assert seen == list(range(40 - field + 1, 41))
    assert network.layers[-1].receptive_field == (field,)


def test_every_weight_of_a_wavenet_is_trained() -> None:
    module = zoo.build("wavenet", seed=0, layers=2, blocks=2, width=4, skip_width=4, classes=4, length=16)
    module(torch.randn(2, 4, 16)).sum().backward()
    assert [name for name, weight in module.named_parameters() if weight.grad is None] == []


class WaveNet(nn.Module):
    """Gated layers with two outputs, by hand; the last layer has only the one to the sum."""

    def __init__(self, dilations: list[int], width: int, skip: int, classes: int) -> None:
        super().__init__()
        self.dilations = dilations
        self.causal = nn.Conv1d(classes, width, 2)
        self.layers = nn.ModuleList()
        for i, dilation in enumerate(dilations):
            parts = {name: nn.Conv1d(width, width, 2, dilation=dilation) for name in ("filter", "gate")}
            parts["skip"] = nn.Conv1d(width, skip, 1)
            if i < len(dilations) - 1:
                parts["dense"] = nn.Conv1d(width, width, 1)
            self.layers.append(nn.ModuleDict(parts))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(skip, skip, 1), nn.ReLU(), nn.Conv1d(skip, classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.causal(nn.functional.pad(x, (1, 0)))
        total = torch.zeros(())
        for layer, dilation in zip(self.layers, self.dilations, strict=True):
            assert isinstance(layer, nn.ModuleDict)
            past = nn.functional.pad(x, (dilation, 0))
            z = torch.tanh(layer["filter"](past)) * torch.sigmoid(layer["gate"](past))
            total = total + layer["skip"](z)
            if "dense" in layer:
                x = x + layer["dense"](z)
        result: Tensor = self.head(total)
        return result


def test_a_wavenet_is_the_one_by_hand() -> None:
    ours = zoo.build("wavenet", seed=0, layers=3, blocks=2, width=8, skip_width=12, classes=16, length=40).eval()
    theirs = WaveNet([1, 2, 4, 1, 2, 4], 8, 12, 16).eval()
    state = ours.state_dict()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), state.values(), strict=True)))
    assert {"causal.1.weight", "layer1.gated.filter.weight", "layer5.dense.bias", "head.3.bias"} <= set(state)
    x = torch.randn(2, 16, 40)
    torch.testing.assert_close(ours(x), theirs(x))


# Waveform networks: table 1 of the paper.

#: Width of the first convolution, then width and number of the layers of each stage.
TABLE = {
    "m3": (256, [(256, 1)]),
    "m5": (128, [(128, 1), (256, 1), (512, 1)]),
    "m11": (64, [(64, 2), (128, 2), (256, 3), (512, 2)]),
    "m18": (64, [(64, 4), (128, 4), (256, 4), (512, 4)]),
}
MILLIONS = {"m3": 0.2, "m5": 0.5, "m11": 1.8, "m18": 3.7}


@pytest.mark.parametrize("name", TABLE)
def test_waveform_networks(name: str) -> None:
    first, stages = TABLE[name]
    network = zoo.load(name)
    weights, others, channels = 80 * first, 3 * first, first
    for width, n in stages:
        for _ in range(n):
            weights, others, channels = weights + 3 * channels * width, others + 3 * width, width
    assert network.params == weights + others + 10 * channels + 10
    assert int(weights / 1e5) / 10 <= MILLIONS[name] <= round(weights / 1e6, 1)
    # The name counts the layers with weights, the output's too.
    assert sum(layer.kind in {"conv", "linear"} for layer in network.layers) == int(name[1:])


@pytest.mark.parametrize("name", TABLE)
def test_four_seconds_become_32_cells(name: str) -> None:
    """The lengths in the table: 8000 after the first convolution, then 2000, 500, 125 and 32 after the pools."""
    first, stages = TABLE[name]
    network = zoo.load(name)
    widths = [first, *(width for width, _ in stages)]
    assert str(network.layers[0].output) == f"{first}x8000"
    lengths = [2000, 500, 125, 32]
    assert outputs(network, "maxpool") == [f"{w}x{n}" for w, n in zip(widths, lengths, strict=False)]
    assert network.output_shape == (10,)
    assert zoo.load(name, classes=35, length=16000).output_shape == (35,)


ONNX: list[Callable[[], nn.Module]] = [
    lambda: zoo.build("dcgan_generator", seed=0, width=8),
    lambda: zoo.build("dcgan_discriminator", seed=0, width=8),
    lambda: zoo.build("espcn_x2", seed=0),
    lambda: zoo.build("autoencoder_mlp", seed=0, widths=(64, 32)),
    lambda: zoo.build("autoencoder_conv", seed=0),
    lambda: zoo.build("wavenet", seed=0, layers=4, blocks=2, width=8, skip_width=8, classes=16, length=100),
    lambda: zoo.build("m5", seed=0),
]


@pytest.mark.parametrize("build", ONNX)
def test_onnx_says_the_same(build: Callable[[], nn.Module], tmp_path: Path) -> None:
    module = build().eval()
    archdsl.export_onnx(module, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    x = torch.rand(2, *network_of(module).input_shape)
    (found,) = session.run(None, {"input": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), module(x).detach(), rtol=1e-4, atol=1e-4)
