"""Modules without a PyTorch class, compared with the functions they implement."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from archdsl.backends.torch import arithmetic, modules

X = torch.arange(2 * 3 * 4 * 6, dtype=torch.float32).reshape(2, 3, 4, 6)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (modules.Permute((0, 3, 1, 2)), torch.einsum("abcd->adbc", X)),
        (modules.Squeeze((1, 2)), None),
        (modules.Crop((1, 2), (2, 3)), X[:, :, 1:3, 2:5]),
        (modules.PadChannels(1, 2), torch.cat([torch.zeros(2, 1, 4, 6), X, torch.zeros(2, 2, 4, 6)], 1)),
        (modules.PadChannels(0, 3, 2), torch.cat([X[:, :, ::2, ::2], torch.zeros(2, 3, 2, 3)], 1)),
    ],
    ids=repr,
)
def test_reshaping(module: nn.Module, expected: Tensor | None) -> None:
    if expected is None:
        assert module(X[:, :1, :1]).shape == (2, 6)
    else:
        assert torch.equal(module(X), expected)


def test_pad_channels_keeps_the_rank() -> None:
    assert modules.PadChannels(1, 1)(torch.ones(2, 3)).tolist() == [[0, 1, 1, 1, 0]] * 2
    assert modules.PadChannels(0, 1, 3)(torch.ones(2, 3, 7)).shape == (2, 4, 3)


def test_joins() -> None:
    a, b = X + 1, X * 3
    assert torch.equal(modules.Concat(2)(X, [a, b]), torch.cat([X, a, b], 2))
    assert torch.equal(arithmetic.Add()(X, [a, b]), X + a + b)
    assert torch.equal(arithmetic.Mul()(X, [a[:, :, :1, :1]]), X * a[:, :, :1, :1])


@pytest.mark.parametrize("mode", ["row", "batch"])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_stochastic_depth_draws_as_torchvision_does(p: float, mode: str) -> None:
    ours = modules.StochasticDepth(p, mode)  # type: ignore[arg-type]
    theirs = torchvision.ops.StochasticDepth(p, mode)
    x = torch.randn(64, 2, 3, 3)
    torch.manual_seed(3)
    result = ours(x)
    torch.manual_seed(3)
    assert torch.equal(result, theirs(x))
    assert ours.eval()(x) is x


def test_stochastic_depth_rejects_other_modes() -> None:
    with pytest.raises(ValueError, match="column"):
        modules.StochasticDepth(0.1, "column")  # type: ignore[arg-type]


def test_reprs() -> None:
    assert repr(modules.PadChannels(1, 2, 2)) == "PadChannels(before=1, after=2, stride=2)"
    assert repr(modules.StochasticDepth(0.2)) == "StochasticDepth(p=0.2, mode='row')"
    assert repr(modules.Crop((0,), (3,))) == "Crop(starts=(0,), sizes=(3,))"
    assert repr(arithmetic.Add()) == "Add()"
