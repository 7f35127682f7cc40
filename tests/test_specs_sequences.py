"""Networks for sequences: counts by hand, and outputs of modules written by hand from the papers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

import archdsl
from archdsl import zoo


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def require_same(name: str, theirs: nn.Module, x: Tensor, path: Path, **settings: Any) -> nn.Module:
    """Fail unless our network gives the outputs of `theirs` with the same weights, in torch and ONNX Runtime."""
    ours = zoo.build(name, seed=0, **settings)
    state = ours.state_dict()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), state.values(), strict=True)))
    ours.eval()
    expected = theirs.eval()(x).detach()
    torch.testing.assert_close(ours(x), expected)
    archdsl.export_onnx(ours, path / "model.onnx")
    session = onnxruntime.InferenceSession(path / "model.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-4)
    return ours


# TCN: section 3 and figure 1 of the paper.


class Level(nn.Module):
    """Two causal convolutions and a shortcut, figure 1b. Padded on both sides, then cut at the end."""

    def __init__(self, channels: int, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.past = (kernel - 1) * dilation
        for i, size in enumerate((channels, width), 1):
            convolution = nn.Conv1d(size, width, kernel, padding=self.past, dilation=dilation)
            setattr(self, f"conv{i}", weight_norm(convolution))
        self.downsample = nn.Conv1d(channels, width, 1) if channels != width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for i in (1, 2):
            y = torch.relu(getattr(self, f"conv{i}")(y)[:, :, : x.shape[2]])
        return torch.relu(self.downsample(x) + y)


class Tcn(nn.Module):
    def __init__(self, levels: int, width: int, kernel: int) -> None:
        super().__init__()
        self.levels = nn.Sequential(*(Level(width if i else 1, width, kernel, 2**i) for i in range(levels)))
        self.linear = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.linear(self.levels(x)[:, :, -1])
        return scores


@pytest.mark.parametrize(("levels", "width", "kernel"), [(3, 5, 3), (2, 4, 2)])
def test_a_tcn_is_the_one_by_hand(levels: int, width: int, kernel: int, tmp_path: Path) -> None:
    x = torch.randn(2, 1, 40)
    theirs = Tcn(levels, width, kernel)
    require_same("tcn", theirs, x, tmp_path, levels=levels, width=width, kernel=kernel, length=40)


def test_the_last_step_of_sequential_mnist_sees_the_whole_digit() -> None:
    network = zoo.load("tcn")
    plain = (7 * 25 + 25) + 15 * (7 * 25 * 25 + 25) + (25 + 25) + (25 * 10 + 10)
    assert plain == 66_510
    # Weight norm learns the length of each kernel too.
    assert network.params == plain + 16 * 25 == 66_910
    assert network.layers[-1].receptive_field == (1 + 2 * 6 * (2**8 - 1),)
    assert 1 + 2 * 6 * (2**8 - 1) > 28 * 28


def test_a_step_depends_on_the_past_alone() -> None:
    module = zoo.build("tcn", seed=0, levels=2, width=4, kernel=3, length=30).eval()
    x = torch.randn(1, 1, 30, requires_grad=True)
    module(x).sum().backward()
    assert x.grad is not None
    seen = x.grad[0, 0].nonzero().flatten().tolist()
    # 1 + 2 * (kernel - 1) * (1 + 2) steps.
    assert min(seen) >= 30 - 13
    assert max(seen) == 29


# CRNN: table 1 of the paper.


class Crnn(nn.Module):
    """Convolutions to a row of columns, two recurrent layers in both directions, and scores for each column."""

    def __init__(self, classes: int, hidden: int) -> None:
        super().__init__()
        sizes = [(64, 3, 1), (128, 3, 1), (256, 3, 1), (256, 3, 1), (512, 3, 1), (512, 3, 1), (512, 2, 0)]
        pools = {0: (2, 2), 1: (2, 2), 3: (2, 1), 5: (2, 1)}
        layers: list[nn.Module] = []
        channels = 1
        for i, (out, kernel, padding) in enumerate(sizes):
            layers.append(nn.Conv2d(channels, out, kernel, padding=padding))
            layers += [nn.BatchNorm2d(out)] if i in (4, 5) else []
            layers += [nn.ReLU(), nn.MaxPool2d(pools[i])] if i in pools else [nn.ReLU()]
            channels = out
        self.convolutions = nn.Sequential(*layers)
        self.first = nn.LSTM(512, hidden, bidirectional=True, batch_first=True)
        self.between = nn.Linear(2 * hidden, hidden)
        self.second = nn.LSTM(hidden, hidden, bidirectional=True, batch_first=True)
        self.scores = nn.Linear(2 * hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        columns = self.convolutions(x).flatten(1, 2).transpose(1, 2)
        scores: Tensor = self.scores(self.second(self.between(self.first(columns)[0]))[0])
        return scores


def test_a_crnn_is_the_one_by_hand(tmp_path: Path) -> None:
    x = torch.rand(2, 1, 32, 40)
    ours = require_same("crnn", Crnn(11, 20), x, tmp_path, classes=11, hidden=20, width=40)
    assert ours(x).shape == (2, 9, 11)


def test_the_crnn_of_the_paper() -> None:
    """8.3 million parameters, and about one column for each four pixels of width."""
    network = zoo.load("crnn")
    assert round(network.params / 1e6, 1) == 8.3
    assert network.output_shape == (24, 37)
