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
