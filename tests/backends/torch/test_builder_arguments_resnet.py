"""The arguments of torchvision's builders of ResNet are parameters of the spec.

Each case builds torchvision's network and ours with the same arguments, and compares keys, shapes and
convolutions, or the weights they begin with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import get_model

import archdsl
from archdsl import zoo

ALL = [
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
]
CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in ALL),
    ("resnet50", {"groups": 32, "width_per_group": 4}),
    ("resnet50", {"groups": 8, "width_per_group": 24}),
    ("resnet50", {"width_per_group": 96}),
    ("resnet101", {"groups": 2}),
    ("resnet50", {"groups": 16, "width_per_group": 3}),
    ("wide_resnet50_2", {"num_classes": 7}),
    *(
        ("resnet50", {"replace_stride_with_dilation": [bool(case & 4), bool(case & 2), bool(case & 1)]})
        for case in range(1, 8)
    ),
    ("resnext50_32x4d", {"replace_stride_with_dilation": [False, True, True]}),
]


def convolutions(module: nn.Module) -> list[tuple[object, ...]]:
    return [
        (name, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups, layer.bias is None)
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d)
    ]


def shapes(module: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    return [(key, tuple(tensor.shape)) for key, tensor in module.state_dict().items()]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_arguments_are_parameters(name: str, arguments: dict[str, Any]) -> None:
    settings = {"classes" if key == "num_classes" else key: value for key, value in arguments.items()}
    with torch.device("meta"):
        theirs, ours = get_model(name, weights=None, **arguments), zoo.build(name, **settings)
    assert shapes(ours) == shapes(theirs)
    assert convolutions(ours) == convolutions(theirs)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("resnet50", {"replace_stride_with_dilation": [False, True, True]}),
        ("resnet50", {"replace_stride_with_dilation": [True, False, True], "groups": 4, "width_per_group": 16}),
        pytest.param("wide_resnet50_2", {}, marks=pytest.mark.slow),
    ],
)
def test_the_same_outputs_with_arguments(name: str, arguments: dict[str, Any]) -> None:
    theirs = get_model(name, weights=None, **arguments).eval()
    with torch.device("meta"):
        ours = zoo.build(name, input=(3, 65, 97), **arguments).eval()
    ours.load_state_dict(theirs.state_dict(), assign=True)
    x = torch.randn(2, 3, 65, 97)
    with torch.inference_mode():
        expected = theirs(x)
        scale = max(1.0, expected.abs().max().item())
        torch.testing.assert_close(ours(x), expected, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d"])
@pytest.mark.parametrize("zero", [False, True])
def test_zero_init_residual(name: str, zero: bool) -> None:
    """The scale of a block's last norm begins at 0, and no other."""

    def zeros(module: nn.Module) -> list[str]:
        return [key for key, weight in module.named_parameters() if key.endswith("weight") and not weight.any()]

    theirs = get_model(name, weights=None, zero_init_residual=zero)
    found = zeros(zoo.build(name, zero_init_residual=zero))
    assert found == zeros(theirs)
    assert bool(found) is zero


@pytest.mark.parametrize("arguments", [{}, {"groups": 32, "width_per_group": 4}])
def test_weights_begin_as_torchvisions(arguments: dict[str, Any]) -> None:
    """Constants are the same; of the others mean and deviation agree within their errors."""
    theirs, ours = get_model("resnet50", weights=None, **arguments), zoo.build("resnet50", **arguments)
    found = dict(ours.named_parameters())
    for key, expected in theirs.named_parameters():
        # Five standard errors of one estimate, and half as much again for the difference of two.
        error = 7.5 * expected.std().item() / expected.numel() ** 0.5 + 1e-12
        assert found[key].mean().item() == pytest.approx(expected.mean().item(), abs=error), key
        assert found[key].std().item() == pytest.approx(expected.std().item(), abs=error), key


def test_dilation_keeps_the_size() -> None:
    """Each stage whose stride is replaced leaves the map twice as large: 7x7 becomes 28x28 with two of them."""
    network = zoo.load("resnet50", replace_stride_with_dilation=[False, True, True])
    (before,) = (row.input for row in network.layers if row.kind == "adaptive_avgpool")
    assert tuple(before) == (2048, 28, 28)


TWO_TRUNKS = """
from "resnet.arch" import basic, bottleneck, trunk

model two_trunks {
  input(3x65x65)
  dilated: { trunk(bottleneck, [3, 4, 6, 3], replace_stride_with_dilation=[false, true, true]) }
  narrow: conv(3, 1x1)
  upsample(65)
  plain: { trunk(basic, [2, 2, 2, 2]) }
}
"""


def test_another_spec_can_import_the_trunk(tmp_path: Path) -> None:
    (tmp_path / "resnet.arch").write_bytes((zoo.specs_folder() / "resnet.arch").read_bytes())
    path = tmp_path / "two_trunks.arch"
    path.write_text(TWO_TRUNKS, encoding="utf-8")
    with torch.device("meta"):
        ours = archdsl.load(path).build()
        dilated = get_model("resnet50", weights=None, replace_stride_with_dilation=[False, True, True])
        plain = get_model("resnet18", weights=None)
    for scope, theirs in (("dilated.", dilated), ("plain.", plain)):
        found = [
            (str(key).removeprefix(scope), *rest) for key, *rest in convolutions(ours) if str(key).startswith(scope)
        ]
        assert found == convolutions(theirs)
