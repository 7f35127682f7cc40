"""Detectors to the outputs of their heads: torchvision's keys, weights, outputs and counts, and a module by hand."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model

import archdsl
from archdsl import zoo
from archdsl.backends.torch import published
from archdsl.cards.cards import cards
from tests.backends.torch.comparison import difference, require_apart, settle, shapes

CARDS = {
    name: card
    for family in cards().values()
    for name, card in family.models.items()
    if card.task == "detection" and card.torchvision
}


class Raw(nn.Module):
    """A detector of torchvision without its preprocessing, anchors and suppression of overlaps."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__()
        detector = get_model(CARDS[name].torchvision, weights=None, weights_backbone=None, **options)
        self.backbone, self.head = detector.backbone, detector.head

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = self.head(list(self.backbone(x).values()))
        return {"out": found["cls_logits"], "bbox_regression": found["bbox_regression"]}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def exported(module: nn.Module, x: Tensor, path: Path) -> dict[str, Tensor]:
    """What the module's ONNX file gives for `x`, with the names of the module's outputs."""
    archdsl.export_onnx(module, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, map(torch.from_numpy, session.run(None, {"input": x.numpy()})), strict=True))
    return {"out": found.pop("output"), **found}


def largest(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    assert list(found) == list(expected)
    return max(difference(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("classes", [91, 5])
def test_keys_and_shapes(name: str, classes: int) -> None:
    """They are torchvision's, so that its published weights load unchanged."""
    with torch.device("meta"):
        theirs = get_model(CARDS[name].torchvision, weights=None, weights_backbone=None, num_classes=classes)
        ours = zoo.build(name, classes=classes)
    assert shapes(ours.state_dict()) == shapes(theirs.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict())


@pytest.mark.parametrize("name", CARDS)
def test_multiply_adds(name: str) -> None:
    network = zoo.load(name)
    with torch.device("meta"):
        theirs, x = Raw(name).eval(), torch.empty(1, *network.input_shape)
    with FlopCounterMode(display=False) as counter:
        expected = theirs(x)
    assert network.flops == counter.get_total_flops()
    assert round(network.macs / 1e9, 3) == CARDS[name].gmacs
    assert {key: tuple(shape) for key, shape in network.output_shapes.items()} == {
        key: tuple(tensor.shape[1:]) for key, tensor in expected.items()
    }


@pytest.mark.parametrize("name", CARDS)
def test_weights_outputs_and_onnx(name: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """The differences found are noted for the table that `./run zoo` makes."""
    size = tuple(zoo.load(name).input_shape)
    theirs, ours = settle(Raw(name), size), zoo.build(name).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, *size)
    with torch.inference_mode():
        expected, found = theirs(x), ours(x)
    for tensor in expected.values():
        require_apart(tensor)
    differences = [largest(found, expected), largest(exported(ours, x, tmp_path / "model.onnx"), expected)]
    assert differences[0] <= 1e-5
    assert differences[1] <= 1e-4
    record_property("zoo", [name, *differences])


@pytest.mark.parametrize("name", CARDS)
def test_weights_begin_as_torchvisions(name: str) -> None:
    """Constants are the same; of the others mean and deviation agree within their errors."""
    theirs, found = Raw(name), dict(zoo.build(name).named_parameters())
    for key, expected in theirs.named_parameters():
        # Five standard errors of one estimate, and half as much again for the difference of two.
        error = 7.5 * expected.std().item() / expected.numel() ** 0.5 + 1e-12
        assert found[key].mean().item() == pytest.approx(expected.mean().item(), abs=error), key
        assert found[key].std().item() == pytest.approx(expected.std().item(), abs=error), key


# YOLOv3-tiny: the authors' yolov3-tiny.cfg. Indices of layers are those of that file.


class Darknet(nn.Module):
    """The layers of yolov3-tiny.cfg, in its order; a pair of numbers is filters and size of a convolution."""

    CFG: ClassVar[tuple[tuple[int, int] | str, ...]] = (
        *((16, 3), "max", (32, 3), "max", (64, 3), "max", (128, 3), "max", (256, 3), "max", (512, 3), "max at 1"),
        *((1024, 3), (256, 1), (512, 3), (255, 1), "yolo", "route -4", (128, 1), "upsample", "route -1 8", (256, 3)),
        *((255, 1), "yolo"),
    )

    def __init__(self) -> None:
        super().__init__()
        channels = 3
        widths: list[int] = []
        for layer in self.CFG:
            if isinstance(layer, tuple):
                out, size = layer
                name = f"conv{sum(isinstance(each, tuple) for each in self.CFG[: len(widths) + 1])}"
                linear = nn.Conv2d(channels, out, size)
                norm = nn.BatchNorm2d(out)
                plain = nn.Conv2d(channels, out, size, padding=size // 2, bias=False)
                self.add_module(name, linear if out == 255 else nn.Sequential(OrderedDict(conv=plain, bn=norm)))
                channels = out
            elif layer.startswith("route"):
                channels = sum(widths[int(index)] for index in layer.split()[1:])
            widths.append(channels)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        outputs: list[Tensor] = []
        predictions = []
        convolutions = self.children()
        for layer in self.CFG:
            if isinstance(layer, tuple):
                x = next(convolutions)(x)
                x = x if layer[0] == 255 else F.leaky_relu(x, 0.1)
            elif layer == "max":
                x = F.max_pool2d(x, 2)
            elif layer == "max at 1":
                x = F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=float("-inf")), 2, 1)
            elif layer == "upsample":
                x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
            elif layer.startswith("route"):
                x = torch.cat([outputs[int(index)] for index in layer.split()[1:]], 1)
            else:
                predictions.append(x)
            outputs.append(x)
        coarse, fine = predictions
        return {"out": fine, "coarse": coarse}


@pytest.mark.parametrize("size", [pytest.param((3, 416, 416), marks=pytest.mark.slow), (3, 96, 160)])
def test_yolov3_tiny(size: tuple[int, int, int], tmp_path: Path) -> None:
    theirs = settle(Darknet(), size)
    assert sum(weight.numel() for weight in theirs.parameters()) == zoo.load("yolov3_tiny").params
    ours = zoo.build("yolov3_tiny", input=size).eval()
    assert shapes(ours.state_dict()) == shapes(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, *size)
    with torch.inference_mode():
        expected, found = theirs(x), ours(x)
    for tensor in expected.values():
        require_apart(tensor)
    assert expected["coarse"].shape == (2, 255, size[1] // 32, size[2] // 32)
    assert largest(found, expected) <= 1e-5
    assert largest(exported(ours, x, tmp_path / "model.onnx"), expected) <= 1e-4


def test_published_weights_are_normalised_as_the_detector_does() -> None:
    """torchvision's preprocessing for detection has no mean: the detector scales images to -1..1 itself."""
    found = published.find("torchvision:COCO_V1", zoo.load("ssdlite320_mobilenet_v3_large"))
    assert found.normalisation() == ((0.5,) * 3, (0.5,) * 3)
    assert len(found.classes) == 91
