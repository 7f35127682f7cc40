"""`archdsl.features`: the inner tensors of a module, compared with hooks and with torchvision's extractor."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.models.segmentation.deeplabv3 import DeepLabHead, DeepLabV3
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

import archdsl
from archdsl import zoo
from archdsl.backends.torch import network_of
from archdsl.cards.cards import cards
from archdsl.diagnostics import SpecError
from archdsl.graph.features import feature_names
from tests.backends.torch.test_interop import inputs_of

#: The first network of each family.
FAMILIES = [next(iter(card.models)) for card in cards().values()]


@pytest.fixture(scope="module")
def module() -> nn.Module:
    return zoo.build("resnet18", seed=0, input=(3, 64, 64)).eval()


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def hooked(module: nn.Module, names: list[str], inputs: list[Tensor]) -> dict[str, Tensor]:
    """The first outputs of these parts of a module, copied before anything overwrites them."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            found.setdefault(name, (output[0] if isinstance(output, tuple) else output).clone())

        return hook

    handles = [part.register_forward_hook(keep(name)) for name, part in module.named_modules() if name in names]
    with torch.no_grad():
        module(*inputs)
    for handle in handles:
        handle.remove()
    return found


def test_they_equal_torchvisions(module: nn.Module, x: Tensor) -> None:
    twin = torchvision.models.resnet18().eval()
    twin.load_state_dict(module.state_dict())
    names = ["layer2", "layer4", "layer1.0.conv2"]
    found, expected = archdsl.features(module, names)(x), create_feature_extractor(twin, names)(x)
    assert list(found) == names
    for name in names:
        torch.testing.assert_close(found[name], expected[name])


def test_nothing_overwrites_them(module: nn.Module, x: Tensor) -> None:
    names = ["bn1", "layer1.0.bn1", "layer1.0.bn2"]  # a ReLU in place, then a sum in place, follow
    found, expected = archdsl.features(module, names)(x), hooked(module, names, [x])
    for name in names:
        assert torch.equal(found[name], expected[name])
        assert found[name].min() < 0


def test_only_what_they_need_is_there_with_the_same_weights(module: nn.Module) -> None:
    features = archdsl.features(module, ["layer2"])
    assert [name for name, _ in features.named_children()] == ["conv1", "bn1", "2", "maxpool", "layer1", "layer2"]
    assert features.get_parameter("conv1.weight") is module.get_parameter("conv1.weight")
    assert set(features.state_dict()) <= set(module.state_dict())


def test_their_sizes(module: nn.Module, x: Tensor) -> None:
    features = archdsl.features(module, {"layer1": "0", "layer4": "1"})
    assert (features.channels, features.reductions) == ({"0": 64, "1": 512}, {"0": 4, "1": 32})
    assert not hasattr(features, "out_channels")
    assert archdsl.features(module, ["layer4", "layer4.1.conv2"]).out_channels == 512
    for name, tensor in features(x).items():
        assert tensor.shape == (2, features.channels[name], *[64 // features.reductions[name]] * 2)


@pytest.mark.parametrize(
    ("name", "part", "channels", "reductions"),
    [
        ("swin_t", "features.5", 384, {"features.5": 16}),  # channels last, patches merged into them
        ("efficientnet_b0", "features.4", 80, {"features.4": 16}),  # after squeeze and excitation
        ("unet", "down3", 256, {"down3": 4}),  # without padding: 136 of 572 positions
        ("vit_b_32", "encoder", 768, {}),
    ],
)
def test_channels_and_strides(name: str, part: str, channels: int, reductions: dict[str, int]) -> None:
    with torch.device("meta"):
        features = archdsl.features(zoo.build(name), [part])
    assert (features.channels, features.reductions) == ({part: channels}, reductions)


def test_taps_and_aux_heads() -> None:
    spec = (
        "model m { input(3x8x8); stem: conv(4, 3) -> low; relu; aux { flatten; linear(2) }\n"
        "body: { tanh; conv(5, 1) -> high; relu }; use(low); head: conv(7, 1) }"
    )
    module = archdsl.load(spec).build(seed=0)
    x = torch.randn(2, 3, 8, 8)
    expected = hooked(module, ["stem", "body.1", "head"], [x])
    for names, parts in ((["low", "high"], ["stem", "body.1"]), (["head"], ["head"])):
        features = archdsl.features(module, names)
        for name, part in zip(names, parts, strict=True):
            assert torch.equal(features(x)[name], expected[part])
    assert [name for name, _ in archdsl.features(module, ["head"]).named_children()] == ["stem", "head"]


def test_a_layer_that_was_replaced_is_kept(x: Tensor) -> None:
    module = zoo.build("resnet18", seed=0, input=(3, 64, 64)).eval()
    module.conv1 = nn.Conv2d(3, 64, 5, stride=2, padding=2)
    assert torch.equal(archdsl.features(module, ["conv1"])(x)["conv1"], module.get_submodule("conv1")(x))
    module.layer3 = nn.Identity()
    with pytest.raises(SpecError, match="E872"):
        archdsl.features(module, ["layer3"])


def test_wrong_names(module: nn.Module) -> None:
    with pytest.raises(SpecError, match=r"(?s)E870.*no part, layer or tap `layer5`.*did you mean `layer"):
        archdsl.features(module, ["layer1", "layer5"])
    with pytest.raises(SpecError, match=r"E871.*found a string"):
        archdsl.features(module, "layer1")
    with pytest.raises(SpecError, match=r"E871.*empty"):
        archdsl.features(module, [])
    with pytest.raises(SpecError, match=r"E871.*same name"):
        archdsl.features(module, {"layer1": "a", "layer2": "a"})


def test_detectors_take_them(module: nn.Module, x: Tensor) -> None:
    anchors = AnchorGenerator(sizes=((32, 64),), aspect_ratios=((0.5, 1.0),))
    boxes = MultiScaleRoIAlign(featmap_names=["0"], output_size=7, sampling_ratio=2)
    backbone = archdsl.features(module, {"layer4": "0"})
    image = [torch.rand(3, 64, 64)]
    small = {"min_size": 64, "max_size": 64}
    faster = FasterRCNN(backbone, 3, rpn_anchor_generator=anchors, box_roi_pool=boxes, **small).eval()
    assert set(faster(image)[0]) == {"boxes", "labels", "scores"}
    retina = RetinaNet(backbone, 3, anchor_generator=anchors, **small).eval()
    assert set(retina(image)[0]) == {"boxes", "labels", "scores"}
    out = DeepLabV3(archdsl.features(module, {"layer4": "out"}), DeepLabHead(512, 5)).eval()(x)
    assert out["out"].shape == (2, 5, 64, 64)


def test_feature_pyramids_take_them(module: nn.Module, x: Tensor) -> None:
    features = archdsl.features(module, ["layer2", "layer4"])
    pyramid = FeaturePyramidNetwork(list(features.channels.values()), 16)
    maps = pyramid(features(x))
    assert [tuple(one.shape[1:]) for one in maps.values()] == [(16, 8, 8), (16, 2, 2)]
    backbone = BackboneWithFPN(module, {"layer2": "0", "layer4": "1"}, [128, 512], 16)
    assert list(backbone(x)) == ["0", "1", "pool"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_them(name: str) -> None:
    """Five parts or layers, drawn by chance, have the values that hooks see."""
    module = zoo.build(name, seed=0).eval()
    network = network_of(module)
    parts = dict(module.named_modules())
    known = [one for one in feature_names(network) if one in parts]
    names = random.Random(name).sample(known, min(5, len(known)))
    inputs = inputs_of(network, batch=1)
    expected = hooked(module, names, inputs)
    with torch.no_grad():
        found = archdsl.features(module, names)(*inputs)
    assert list(found) == names
    for one in names:
        torch.testing.assert_close(found[one], expected[one])
