"""Segmentation networks: torchvision's keys, weights, outputs and counts, and U-Net compared with its paper."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model, get_model_weights
from torchvision.transforms.functional import center_crop

import archdsl
from archdsl import zoo
from archdsl.cards.cards import cards
from tests.backends.torch.comparison import require_apart, settle, shapes

CARDS = {
    name: card
    for family in cards().values()
    for name, card in family.models.items()
    if card.task == "segmentation" and card.torchvision
}
QUICK = {"deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large"}
#: With an auxiliary prediction, where torchvision has one.
AUXILIARY = [name for name in CARDS if not name.startswith("lraspp")]
CASES: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in CARDS]
CASES += [(name, {"aux_loss": True}) for name in AUXILIARY]
#: Odd sizes, so that a stride leaves another remainder than a size of the map would show.
SIZES = (65, 97)


def twin(name: str, **options: Any) -> nn.Module:
    module: nn.Module = get_model(CARDS[name].torchvision, weights=None, weights_backbone=None, **options)
    return module


def with_auxiliary(name: str) -> dict[str, Any]:
    return {"aux_loss": True} if name in AUXILIARY else {}


def sized(*names: str) -> list[Any]:
    """The names as parameters, those outside QUICK for the longer run."""
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


def exported(module: nn.Module, x: Tensor, path: Path) -> dict[str, Tensor]:
    """What the module's ONNX file gives for `x`, by torchvision's names."""
    archdsl.export_onnx(module, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, map(torch.from_numpy, session.run(None, {"input": x.numpy()})), strict=True))
    return {"out": found.pop("output"), **found}


def difference(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The largest difference of any output, as a share of its largest value (at least 1)."""
    assert list(found) == list(expected)
    pairs = [(found[key], value) for key, value in expected.items()]
    assert all(one.shape == other.shape for one, other in pairs)
    return max((one - other).abs().max().item() / max(1.0, other.abs().max().item()) for one, other in pairs)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_every_network_for_segmentation_of_torchvision_is_here() -> None:
    from torchvision import models

    assert {card.torchvision for card in CARDS.values()} == set(models.list_models(module=models.segmentation))


@pytest.mark.parametrize(("name", "options"), CASES)
def test_keys_and_shapes(name: str, options: dict[str, Any]) -> None:
    with torch.device("meta"):
        theirs, ours = twin(name, **options), zoo.build(name, **options)
    assert shapes(ours.state_dict()) == shapes(theirs.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    network = zoo.load(name, **options)
    assert list(network.state) == list(ours.state_dict())
    assert network.params == sum(weight.numel() for weight in theirs.parameters())


@pytest.mark.parametrize(("name", "options"), CASES)
def test_multiply_adds(name: str, options: dict[str, Any]) -> None:
    network = zoo.load(name, **options)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        expected = twin(name, **options).eval()(torch.empty(1, *network.input_shape))
    assert network.flops == counter.get_total_flops()
    assert {key: tuple(shape) for key, shape in network.output_shapes.items()} == {
        key: tuple(tensor.shape[1:]) for key, tensor in expected.items()
    }
    if not options:
        assert round(network.macs / 1e9, 3) == CARDS[name].gmacs


@pytest.mark.parametrize("name", CARDS)
def test_torchvisions_weights_have_the_auxiliary_head(name: str) -> None:
    network = zoo.load(name, **with_auxiliary(name))
    (weights,) = get_model_weights(CARDS[name].torchvision)
    assert (network.params, round(network.macs / 1e9, 3)) == (weights.meta["num_params"], weights.meta["_ops"])


@pytest.mark.parametrize("name", ["resnet50", "resnet101", "mobilenet_v3_large"])
def test_the_backbones_count_in_the_derivations(name: str) -> None:
    """It is torchvision's count of the classifier less its head, which the cards write out."""
    (weights, *_) = get_model_weights(name)
    rest = {"mobilenet_v3_large": 960 * 1280 + 1280 + 1280 * 1000 + 1000}.get(name, 2048 * 1000 + 1000)
    backbone = weights.meta["num_params"] - rest
    derived = [card.derivation.split()[0] for key, card in CARDS.items() if key.endswith(name) and card.derivation]
    assert derived
    assert set(derived) == {str(backbone)}


@pytest.mark.parametrize("name", sized(*CARDS))
def test_weights_outputs_and_onnx(name: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """With the auxiliary output, which torchvision also has outside training; the differences are for `./run zoo`."""
    options = with_auxiliary(name)
    theirs = settle(twin(name, **options), (3, *SIZES))
    with torch.device("meta"):
        ours = zoo.build(name, input=(3, *SIZES), **options).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    x = torch.randn(2, 3, *SIZES)
    with torch.inference_mode():
        expected, found = theirs(x), ours(x)
    found = found if options else {"out": found}
    assert expected["out"].shape == (2, 21, *SIZES)
    require_apart(expected["out"])
    differences = [difference(found, expected), difference(exported(ours, x, tmp_path / "model.onnx"), expected)]
    assert differences[0] <= 1e-5
    assert differences[1] <= 1e-4
    record_property("zoo", [name, *differences])


def test_without_the_auxiliary_head_there_is_one_output() -> None:
    """It is the same one: torchvision's weights load without their auxiliary head."""
    name = "deeplabv3_mobilenet_v3_large"
    theirs = twin(name, aux_loss=True).eval()
    state = theirs.state_dict()
    ours = zoo.build(name, input=(3, *SIZES)).eval()
    ours.load_state_dict({key: state[key] for key in state if not key.startswith("aux_classifier.")})
    x = torch.randn(1, 3, *SIZES)
    with torch.inference_mode():
        found = ours(x)
        assert isinstance(found, Tensor)
        assert difference({"out": found}, {"out": theirs(x)["out"]}) <= 1e-5


@pytest.mark.parametrize("name", [pytest.param("fcn_resnet50", marks=pytest.mark.slow), "deeplabv3_mobilenet_v3_large"])
def test_both_outputs_in_training(name: str) -> None:
    """Both predictions run backward too: the gradients of the first layer agree."""
    theirs, ours = twin(name, aux_loss=True), zoo.build(name, input=(3, *SIZES), aux_loss=True)
    ours.load_state_dict(theirs.state_dict())
    for module in (*theirs.modules(), *ours.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    x = torch.randn(2, 3, *SIZES)
    expected, found = theirs.train()(x), ours.train()(x)
    assert difference(found, expected) <= 1e-5
    gradients = []
    for module, outputs in ((theirs, expected), (ours, found)):
        (outputs["out"].square().mean() + 0.4 * outputs["aux"].square().mean()).backward()
        gradients.append(next(module.parameters()).grad)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", CARDS)
def test_another_number_of_classes(name: str) -> None:
    with torch.device("meta"):
        theirs, ours = twin(name, num_classes=5), zoo.build(name, classes=5)
    assert shapes(ours.state_dict()) == shapes(theirs.state_dict())
    assert tuple(zoo.load(name, classes=5).output_shape) == (5, 520, 520)


@pytest.mark.parametrize("name", sorted(QUICK))
def test_weights_begin_as_torchvisions(name: str) -> None:
    """Constants are the same; of the others mean and deviation agree within their errors."""
    options = with_auxiliary(name)
    theirs, ours = twin(name, **options), zoo.build(name, **options)
    found = dict(ours.named_parameters())
    for key, expected in theirs.named_parameters():
        # Five standard errors of one estimate, and half as much again for the difference of two.
        error = 7.5 * expected.std().item() / expected.numel() ** 0.5 + 1e-12
        assert found[key].mean().item() == pytest.approx(expected.mean().item(), abs=error), key
        assert found[key].std().item() == pytest.approx(expected.std().item(), abs=error), key


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions, each with ReLU."""

    def __init__(self, inputs: int, outputs: int, padding: int, norm: bool) -> None:
        layers: list[nn.Module] = []
        for width in (inputs, outputs):
            layers.append(nn.Conv2d(width, outputs, 3, padding=padding, bias=not norm))
            layers += [nn.BatchNorm2d(outputs)] if norm else []
            layers.append(nn.ReLU())
        super().__init__(*layers)


class UNet(nn.Module):
    """The network of the paper's figure 1, written for PyTorch by hand."""

    def __init__(self, inputs: int, widths: list[int], *, padding: int = 0, norm: bool = False) -> None:
        super().__init__()
        double = [DoubleConv(a, b, padding, norm) for a, b in zip([inputs, *widths], widths, strict=False)]
        self.down = nn.ModuleList(double)
        self.up = nn.ModuleList()
        for wide, narrow in zip(widths[:0:-1], widths[-2::-1], strict=True):
            self.up.append(nn.ConvTranspose2d(wide, narrow, 2, stride=2))
            self.up.append(DoubleConv(wide, narrow, padding, norm))
        self.head = nn.Conv2d(widths[0], 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for i, double in enumerate(self.down):
            x = double(F.max_pool2d(x, 2) if i else x)
            skips.append(x)
        for i in range(0, len(self.up), 2):
            x = self.up[i](x)
            skip = center_crop(skips[-2 - i // 2], list(x.shape[-2:]))
            x = self.up[i + 1](torch.cat([skip, x], 1))
        head: Tensor = self.head(x)
        return head


def test_unet_has_the_papers_sizes() -> None:
    """Figure 1: 572x572 in, 28x28 at the bottom, 388x388 out; 23 convolutional layers in total."""
    network = zoo.load("unet")
    assert tuple(network.input_shape) == (1, 572, 572)
    assert tuple(network.output_shape) == (2, 388, 388)
    sizes = [row.output[-1] for row in network.layers if row.kind in {"maxpool", "conv_transpose"}]
    assert sizes == [284, 140, 68, 32, 56, 104, 200, 392]
    assert sum(row.kind in {"conv", "conv_transpose"} for row in network.layers) == 23


def test_unets_receptive_field() -> None:
    """By hand: where neighbours are j pixels of the input apart, two 3x3 convolutions add 4*j, a pooling adds j.

    An up-convolution whose kernel is its stride adds nothing, and halves j.
    """
    down, bottom, up = (4 + 1) * (1 + 2 + 4 + 8), 4 * 16, 4 * (8 + 4 + 2 + 1)
    *_, last = zoo.load("unet").layers
    assert last.receptive_field == (1 + down + bottom + up,) * 2


@pytest.mark.parametrize(
    ("name", "size", "padding", "norm"), [("unet", (1, 204, 220), 0, False), ("unet_padded", (3, 48, 80), 1, True)]
)
def test_unets_outputs(name: str, size: tuple[int, ...], padding: int, norm: bool, tmp_path: Path) -> None:
    theirs = settle(UNet(size[0], [8, 16, 32, 64, 128], padding=padding, norm=norm), size)
    ours = zoo.build(name, input=size, base=8).eval()
    state = OrderedDict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True))
    ours.load_state_dict(state, strict=True)
    x = torch.randn(2, *size)
    with torch.inference_mode():
        expected = theirs(x)
        assert difference({"out": ours(x)}, {"out": expected}) <= 1e-5
    assert difference(exported(ours, x, tmp_path / "model.onnx"), {"out": expected}) <= 1e-4


@pytest.mark.parametrize(("name", "padding", "norm"), [("unet", 0, False), ("unet_padded", 1, True)])
def test_unets_count_and_multiply_adds(name: str, padding: int, norm: bool) -> None:
    network = zoo.load(name)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        theirs = UNet(network.input_shape[0], [64, 128, 256, 512, 1024], padding=padding, norm=norm).eval()
        theirs(torch.empty(1, *network.input_shape))
    assert network.params == sum(weight.numel() for weight in theirs.parameters())
    assert network.flops == counter.get_total_flops()


def test_unet_begins_as_the_paper_says() -> None:
    """Section 3: a deviation of sqrt(2/N) with N incoming nodes, 9 * 64 for a 3x3 convolution of 64 channels."""
    weight = zoo.build("unet", seed=0).get_parameter("down1.2.weight")
    assert weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)


def test_a_padded_unet_gives_the_pictures_size() -> None:
    assert tuple(zoo.load("unet_padded", classes=3).output_shape) == (3, 512, 512)
