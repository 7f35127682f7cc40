"""Networks for sequences: counts by hand, and outputs of modules written by hand from the papers."""

from __future__ import annotations

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
