"""The arguments of torchvision's builders of GoogLeNet, Inception v3, RegNet, ShuffleNet V2 and SqueezeNet are
parameters of the specs: each case builds torchvision's network and ours with the same arguments.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import RegNet, ShuffleNetV2, get_model
from torchvision.models.regnet import BlockParams

import archdsl
from archdsl import zoo

#: torchvision's names of arguments that the specs call otherwise.
OURS = {"num_classes": "classes", "dropout": "p", "dropout_aux": "p_aux"}
#: Kinds of layers are named in the settings.
KINDS = {nn.SiLU: "silu", nn.Hardswish: "hardswish"}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("regnet_x_400mf", {"num_classes": 7, "stem_width": 16}),
    ("regnet_y_800mf", {"num_classes": 7, "stem_width": 48, "activation": nn.SiLU}),
    ("regnet_x_8gf", {"activation": nn.Hardswish}),
    ("shufflenet_v2_x0_5", {"num_classes": 7}),
    ("squeezenet1_0", {"num_classes": 7, "dropout": 0.1}),
    ("squeezenet1_1", {"dropout": 0.0}),
    ("inception_v3", {"num_classes": 7, "dropout": 0.1}),
    ("inception_v3", {"aux_logits": False, "transform_input": True}),
    ("googlenet", {"num_classes": 7, "dropout": 0.1, "dropout_aux": 0.3, "transform_input": True}),
    ("googlenet", {"aux_logits": False, "dropout": 0.0}),
]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def twin(name: str, **arguments: Any) -> nn.Module:
    """torchvision's own; its truncated normal takes long and changes no shape."""
    if name in {"googlenet", "inception_v3"}:
        arguments = {"init_weights": False} | arguments
    module: nn.Module = get_model(name, weights=None, **arguments)
    return module


def settings(arguments: dict[str, Any]) -> dict[str, Any]:
    """torchvision's arguments under the names of the specs."""
    return {OURS.get(name, name): KINDS.get(value, value) for name, value in arguments.items()}


def shapes(module: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    return [(key, tuple(tensor.shape)) for key, tensor in module.state_dict().items()]


def convolutions(module: nn.Module) -> list[tuple[object, ...]]:
    return [
        (name, layer.kernel_size, layer.stride, layer.padding, layer.groups)
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d)
    ]


def norms(module: nn.Module) -> list[tuple[str, float, float | None]]:
    norms = ((name, layer) for name, layer in module.named_modules() if isinstance(layer, nn.BatchNorm2d))
    return [(name, layer.eps, layer.momentum) for name, layer in norms]


def rates(module: nn.Module) -> list[float]:
    return [layer.p for layer in module.modules() if isinstance(layer, nn.Dropout)]


def activations(module: nn.Module) -> Counter[str]:
    kinds = (nn.ReLU, nn.SiLU, nn.Hardswish, nn.Sigmoid)
    return Counter(type(layer).__name__ for layer in module.modules() if isinstance(layer, kinds))


def assert_same_network(ours: nn.Module, theirs: nn.Module, *, in_order: bool = True) -> None:
    order = list if in_order else sorted
    for figures in (shapes, convolutions, norms):
        assert order(figures(ours)) == order(figures(theirs))
    assert rates(ours) == rates(theirs)


def settle(module: nn.Module, x: Tensor) -> nn.Module:
    """Norms as after training on `x`. Fresh ones let a signal fade out: the scores of every image are the same."""
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in norms:
        nn.init.normal_(layer.weight, 1.0, 0.1)
        nn.init.normal_(layer.bias, 0.0, 0.1)
        layer.momentum = 1.0
    with torch.no_grad():
        module.train()(x)
    for layer in norms:
        layer.momentum = 0.1
    return module.eval()


def assert_same_outputs(ours: nn.Module, theirs: nn.Module, x: Tensor) -> Tensor:
    """With torchvision's weights in both; returns its outputs, which differ between images."""
    settle(theirs, x)
    ours.load_state_dict(theirs.state_dict())
    with torch.inference_mode():
        expected: Tensor = theirs(x)
        found = ours.eval()(x)
    assert (expected[0] - expected[1]).abs().max() > 0.005 * expected.abs().max()
    scale = max(1.0, expected.abs().max().item())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * scale)
    return expected


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_arguments_are_parameters(name: str, arguments: dict[str, Any]) -> None:
    with torch.device("meta"):
        theirs, ours = twin(name, **arguments), zoo.build(name, **settings(arguments))
    # GoogLeNet registers its auxiliary heads after the layers that they read.
    assert_same_network(ours, theirs, in_order=name != "googlenet")
    # GoogLeNet and Inception call the function, without a module.
    if not name.startswith(("googlenet", "inception")):
        assert activations(ours) == activations(theirs)


@pytest.mark.parametrize("name", ["regnet_x_800mf", "regnet_y_400mf"])
def test_the_norms_figures_are_parameters(name: str) -> None:
    with torch.device("meta"):
        theirs = twin(name, norm_layer=partial(nn.BatchNorm2d, eps=1e-4, momentum=0.25))
        ours = zoo.build(name, eps=1e-4, momentum=0.25)
    assert_same_network(ours, theirs)
    assert {figures[1:] for figures in norms(ours)} == {(1e-4, 0.25)}


#: Points of the design space with what is particular about them: depth, w_0, w_a, w_m, group_width.
DESIGNS = [
    pytest.param(12, 16, 30.5, 2.5, 8, id="the shallowest of the space"),
    pytest.param(28, 48, 24.1, 2.2, 40, id="widths that give way to the groups"),
    pytest.param(16, 32, 40.0, 2.3, 512, id="groups as wide as a whole stage"),
    pytest.param(28, 16, 12.0, 2.0, 16, id="more than four stages"),
    pytest.param(14, 64, 6.0, 2.9, 8, id="fewer than four stages"),
    pytest.param(64, 8, 10.0, 3.0, 8, id="the deepest of the space"),
]


@pytest.mark.parametrize(("depth", "w_0", "w_a", "w_m", "group_width"), DESIGNS)
@pytest.mark.parametrize("se_ratio", [None, 0.5])
def test_a_regnet_of_ones_own(
    depth: int, w_0: int, w_a: float, w_m: float, group_width: int, se_ratio: float | None
) -> None:
    figures: dict[str, Any] = {"depth": depth, "w_0": w_0, "w_a": w_a, "w_m": w_m, "group_width": group_width}
    with torch.device("meta"):
        theirs = RegNet(BlockParams.from_init_params(**figures, se_ratio=se_ratio))
        ours = zoo.build("regnet", **figures, se_ratio=se_ratio or 0)
    assert_same_network(ours, theirs)


@pytest.mark.parametrize(
    ("repeats", "channels"), [([1, 2, 3], [8, 16, 40, 64, 100]), ([4, 1, 2], [24, 50, 100, 200, 128])]
)
def test_a_shufflenet_of_ones_own(repeats: list[int], channels: list[int]) -> None:
    with torch.device("meta"):
        theirs = ShuffleNetV2(repeats, channels, num_classes=7)
        ours = zoo.build("shufflenet_v2", stages_repeats=repeats, stages_out_channels=channels, classes=7)
    assert_same_network(ours, theirs)


@pytest.mark.parametrize(("name", "size"), [("googlenet", 97), ("inception_v3", 107)])
def test_transform_input(name: str, size: int, tmp_path: Path) -> None:
    """The outputs are torchvision's, in ONNX Runtime too, and not those without it.

    In double precision, since torchvision multiplies and adds where we subtract and divide: in single, either
    is as far from that as from the other.
    """
    with_it, without = (
        zoo.build(name, input=(3, size, size), aux_logits=False, transform_input=on).double().eval()
        for on in (True, False)
    )
    theirs = twin(name, aux_logits=False, transform_input=True).double()
    x = torch.randn(4, 3, size, size, dtype=torch.float64)
    expected = assert_same_outputs(with_it, theirs, x)
    without.load_state_dict(with_it.state_dict())
    with torch.inference_mode():
        assert (without(x) - expected).abs().max() > 0.01 * expected.abs().max()
    path = tmp_path / "model.onnx"
    archdsl.export_onnx(with_it.float(), path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (exported,) = map(torch.from_numpy, session.run(None, {"input": x.float().numpy()}))
    scale = max(1.0, expected.abs().max().item())
    torch.testing.assert_close(exported, expected.float(), rtol=0, atol=1e-4 * scale)


def test_transform_input_needs_the_three_channels_of_a_picture() -> None:
    with pytest.raises(archdsl.SpecError, match="3 numbers, but the input 1x224x224 has 1 channels"):
        zoo.build("googlenet", input=(1, 224, 224), transform_input=True)


def test_inceptions_auxiliary_output_in_training() -> None:
    theirs, ours = twin("inception_v3", dropout=0.0), zoo.build("inception_v3", p=0.0)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(4, 3, 299, 299)
    with torch.no_grad():
        expected, found = theirs.train()(x), ours.train()(x)
    assert set(found) == {"out", "AuxLogits"}
    for name, tensor in {"out": expected.logits, "AuxLogits": expected.aux_logits}.items():
        assert (tensor[0] - tensor[1]).abs().max() > 0.01
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-5)
    assert isinstance(ours.eval()(x[:1]), Tensor)


def test_the_auxiliary_head_sees_too_little_of_a_small_picture() -> None:
    """torchvision says so only when it trains: 224x224 leaves 3x3 positions for the 5x5 convolution of the head."""
    theirs = twin("inception_v3").train()
    with pytest.raises(RuntimeError, match="Kernel size can't be greater than actual input size"):
        theirs(torch.randn(2, 3, 224, 224))
    with pytest.raises(archdsl.SpecError):
        zoo.load("inception_v3", input=(3, 224, 224))
    assert zoo.load("inception_v3", input=(3, 224, 224), aux_logits=False).output_shape == (1000,)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("regnet_x_400mf", (65, 96)),
        ("regnet_y_400mf", (33, 129)),
        ("shufflenet_v2_x0_5", (97, 64)),
        ("squeezenet1_0", (65, 96)),
        ("squeezenet1_1", (97, 64)),
        ("googlenet", (97, 64)),
    ],
)
def test_other_input_sizes(name: str, sizes: tuple[int, int]) -> None:
    theirs, ours = twin(name), zoo.build(name, input=(3, *sizes))
    assert_same_outputs(ours, theirs, torch.randn(4, 3, *sizes))


@pytest.mark.parametrize("sizes", [(139, 107), pytest.param((331, 299), marks=pytest.mark.slow)])
def test_other_input_sizes_of_inception(sizes: tuple[int, int]) -> None:
    heads = min(sizes) >= 299
    theirs = twin("inception_v3", aux_logits=heads)
    ours = zoo.build("inception_v3", input=(3, *sizes), aux_logits=heads)
    assert_same_outputs(ours, theirs, torch.randn(4, 3, *sizes))


@pytest.mark.parametrize(
    "name",
    [
        "regnet_x_400mf",
        "regnet_y_400mf",
        "shufflenet_v2_x0_5",
        "squeezenet1_0",
        pytest.param("inception_v3", marks=pytest.mark.slow),
    ],
)
def test_weights_begin_as_torchvisions(name: str) -> None:
    """Constants are the same; of the others mean and deviation agree within their errors."""
    options = {"init_weights": True} if name == "inception_v3" else {}
    theirs, ours = twin(name, num_classes=200, **options), zoo.build(name, classes=200)
    found = dict(ours.named_parameters())
    for key, expected in theirs.named_parameters():
        # Five standard errors of one estimate, and half as much again for the difference of two.
        error = 7.5 * expected.std().item() / expected.numel() ** 0.5 + 1e-12
        assert found[key].mean().item() == pytest.approx(expected.mean().item(), abs=error), key
        assert found[key].std().item() == pytest.approx(expected.std().item(), abs=error), key
