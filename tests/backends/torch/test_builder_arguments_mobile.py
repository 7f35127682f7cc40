"""The arguments of torchvision's builders of EfficientNet, MobileNet and MnasNet are parameters of the specs.

Each case builds torchvision's network and ours with the same arguments: the state dicts have the same shapes,
convolutions, norms and dropouts the same figures, and the initial weights the same spread.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import MNASNet, MobileNetV2, get_model
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.efficientnet import FusedMBConv, MBConv
from torchvision.ops import StochasticDepth

import archdsl
from archdsl import zoo
from archdsl.backends.torch import modules

NAMES = [
    *(f"efficientnet_b{i}" for i in range(8)),
    *(f"efficientnet_v2_{size}" for size in "sml"),
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    *(f"mnasnet{alpha}" for alpha in ("0_5", "0_75", "1_0", "1_3")),
]
#: torchvision's names of arguments that the specs call otherwise.
OURS = {"num_classes": "classes", "dropout": "p"}

#: The others build quickly. The larger ones have an EfficientNet of the same norms among the cases.
LARGE = {
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_m",
    "efficientnet_v2_l",
}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("efficientnet_b0", {"num_classes": 7, "dropout": 0.1, "stochastic_depth_prob": 0.4}),
    ("efficientnet_b3", {"stochastic_depth_prob": 0.0}),
    ("efficientnet_b5", {"dropout": 0.0, "stochastic_depth_prob": 1.0}),
    ("efficientnet_v2_s", {"num_classes": 7, "dropout": 0.3, "stochastic_depth_prob": 0.5}),
    ("mobilenet_v2", {"num_classes": 7, "width_mult": 0.35, "dropout": 0.5}),
    ("mobilenet_v2", {"width_mult": 1.4}),
    ("mobilenet_v2", {"width_mult": 0.77, "round_nearest": 4}),
    ("mobilenet_v2", {"width_mult": 0.5, "round_nearest": 1}),
    ("mobilenet_v2", {"inverted_residual_setting": [[1, 16, 1, 1], [2.5, 30, 2, 2], [4, 24, 3, 1]]}),
    ("mnasnet0_75", {"num_classes": 7, "dropout": 0.5}),
    *(
        (f"mobilenet_v3_{size}", arguments)
        for size in ("large", "small")
        for arguments in (
            {"num_classes": 7, "dropout": 0.5},
            {"width_mult": 0.35},
            {"width_mult": 0.75, "reduced_tail": True},
            {"width_mult": 1.25, "dilated": True},
            {"reduced_tail": True, "dilated": True},
        )
    ),
]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def settings(arguments: dict[str, Any]) -> dict[str, Any]:
    """torchvision's arguments under the names of the specs."""
    return {OURS.get(name, name): value for name, value in arguments.items()}


def shapes(module: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    return [(key, tuple(tensor.shape)) for key, tensor in module.state_dict().items()]


def convolutions(module: nn.Module) -> list[tuple[object, ...]]:
    return [
        (name, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d)
    ]


def norms(module: nn.Module) -> list[tuple[str, float, float | None]]:
    norms = ((name, layer) for name, layer in module.named_modules() if isinstance(layer, nn.BatchNorm2d))
    return [(name, layer.eps, layer.momentum) for name, layer in norms]


def dropouts(module: nn.Module) -> list[tuple[str, float]]:
    return [(name, layer.p) for name, layer in module.named_modules() if isinstance(layer, nn.Dropout)]


def activations(module: nn.Module) -> list[tuple[str, str]]:
    kinds = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Sigmoid, nn.Hardsigmoid)
    found = [(name, type(layer).__name__) for name, layer in module.named_modules() if isinstance(layer, kinds)]
    # In a squeeze-and-excitation torchvision gives them names of their own.
    named = {"activation": "2", "scale_activation": "4"}
    return [(".".join(named.get(part, part) for part in name.split(".")), kind) for name, kind in found]


def depths(module: nn.Module) -> list[tuple[str, str, float]]:
    """Stochastic depth. torchvision also has the layer in blocks that are no residuals, and never runs it there."""
    unused = {
        id(block.stochastic_depth)
        for block in module.modules()
        if isinstance(block, (MBConv, FusedMBConv)) and not block.use_res_connect
    }
    return [
        (name, layer.mode, layer.p)
        for name, layer in module.named_modules()
        if isinstance(layer, (StochasticDepth, modules.StochasticDepth)) and id(layer) not in unused
    ]


def places(module: nn.Module) -> list[tuple[str, str]]:
    return [(name, mode) for name, mode, _ in depths(module)]


def rates(module: nn.Module) -> list[float]:
    return [p for _, _, p in depths(module)]


def assert_same_network(ours: nn.Module, theirs: nn.Module) -> None:
    assert shapes(ours) == shapes(theirs)
    assert convolutions(ours) == convolutions(theirs)
    assert norms(ours) == norms(theirs)
    assert dropouts(ours) == dropouts(theirs)
    assert activations(ours) == activations(theirs)
    assert places(ours) == places(theirs)
    assert rates(ours) == pytest.approx(rates(theirs), rel=1e-12)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE)) for name in NAMES])
def test_the_defaults_are_torchvisions(name: str) -> None:
    with torch.device("meta"):
        assert_same_network(zoo.build(name), get_model(name, weights=None))


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_arguments_are_parameters(name: str, arguments: dict[str, Any]) -> None:
    with torch.device("meta"):
        assert_same_network(zoo.build(name, **settings(arguments)), get_model(name, weights=None, **arguments))


@pytest.mark.parametrize("name", ["efficientnet_b1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"])
def test_the_norms_figures_are_parameters(name: str) -> None:
    with torch.device("meta"):
        theirs = get_model(name, weights=None, norm_layer=partial(nn.BatchNorm2d, eps=1e-4, momentum=0.25))
        ours = zoo.build(name, eps=1e-4, momentum=0.25)
    assert_same_network(ours, theirs)
    assert {figures[1:] for figures in norms(ours)} == {(1e-4, 0.25)}


@pytest.mark.parametrize("alpha", [0.35, 0.6, 1.4, 2.0])
def test_mnasnets_width(alpha: float) -> None:
    with torch.device("meta"):
        assert_same_network(zoo.build("mnasnet0_5", alpha=alpha), MNASNet(alpha))


def test_the_deepest_blocks_are_left_out_most() -> None:
    """Of 16 blocks in EfficientNet-B0 number i is left out with probability 0.2 * i/16; 9 are residuals."""
    with torch.device("meta"):
        found = rates(zoo.build("efficientnet_b0"))
    assert found == pytest.approx([0.2 * i / 16 for i in (2, 4, 6, 7, 9, 10, 12, 13, 14)])


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5"])
def test_weights_begin_as_torchvisions(name: str) -> None:
    """Constants are the same; of the others mean and deviation agree within their errors."""
    theirs, ours = get_model(name, weights=None, num_classes=200), zoo.build(name, classes=200)
    found = dict(ours.named_parameters())
    for key, expected in theirs.named_parameters():
        # Five standard errors of one estimate, and half as much again for the difference of two.
        error = 7.5 * expected.std().item() / expected.numel() ** 0.5 + 1e-12
        assert found[key].mean().item() == pytest.approx(expected.mean().item(), abs=error), key
        assert found[key].std().item() == pytest.approx(expected.std().item(), abs=error), key
    head = next(layer for layer in reversed(list(ours.modules())) if isinstance(layer, nn.Linear))
    expected_head = next(layer for layer in reversed(list(theirs.modules())) if isinstance(layer, nn.Linear))
    assert head.weight.abs().max().item() == pytest.approx(expected_head.weight.abs().max().item(), rel=0.25)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("efficientnet_b0", (65, 96)),
        ("mobilenet_v2", (33, 129)),
        ("mobilenet_v3_small", (65, 96)),
        ("mnasnet0_5", (97, 64)),
    ],
)
def test_other_input_sizes(name: str, sizes: tuple[int, int]) -> None:
    theirs, ours = get_model(name, weights=None).eval(), zoo.build(name, input=(3, *sizes)).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, *sizes)
    with torch.inference_mode():
        expected = theirs(x)
        scale = max(1.0, expected.abs().max().item())
        torch.testing.assert_close(ours(x), expected, rtol=0, atol=1e-5 * scale)


def test_a_setting_of_the_rows() -> None:
    """The rows of a table may be given by hand, with an expansion that is no whole number."""
    rows = [(1.5, 8, 1, 1), (3, 16, 2, 2)]
    with torch.device("meta"):
        ours = zoo.build("mobilenet_v2", inverted_residual_setting=rows)
        assert_same_network(ours, MobileNetV2(inverted_residual_setting=[list(row) for row in rows]))


BACKBONE = """
from "mobilenet_v3.arch" import stem, bottlenecks, last, large

model backbone {
  input(3x65x97)
  stem
  bottlenecks(large[:4]) -> low
  bottlenecks(large[4:-3])
  bottlenecks(large[-3:], dilation=2)
  last
  output(low)
}
"""


def test_the_features_can_be_tapped_for_segmentation(tmp_path: Path) -> None:
    """What torchvision's LR-ASPP and DeepLabV3 take from the dilated MobileNetV3: features 4 and 16."""
    (tmp_path / "mobilenet_v3.arch").write_bytes((zoo.specs_folder() / "mobilenet_v3.arch").read_bytes())
    path = tmp_path / "backbone.arch"
    path.write_text(BACKBONE, encoding="utf-8")
    features = get_model("mobilenet_v3_large", weights=None, dilated=True).features
    assert isinstance(features, nn.Module)
    theirs = IntermediateLayerGetter(features, {"4": "low", "16": "out"}).eval()
    ours = archdsl.load(path).build().eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 65, 97)
    with torch.inference_mode():
        expected, found = theirs(x), ours(x)
    assert set(found) == set(expected) == {"low", "out"}
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-5)
