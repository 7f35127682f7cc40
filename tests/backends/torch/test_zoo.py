"""Networks that torchvision has: keys, weights, outputs, multiply-adds and initialisation are torchvision's."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model, get_model_builder

import archdsl
from archdsl import zoo
from archdsl.cards.cards import cards
from tests.backends.torch.comparison import difference, require_apart, settle, shapes

#: The classifiers that torchvision has too, by family.
FAMILIES = {
    family: [name for name, card in models.items() if card.torchvision and card.task == "classification"]
    for family, models in ((family, card.models) for family, card in cards().items())
}
TWINS = [name for names in FAMILIES.values() for name in names]
#: One of each family, the smallest; the others run the same comparison in the longer run. VGG's layers are AlexNet's,
#: and its smallest has half a gigabyte of weights.
QUICK = {
    min(names, key=lambda name: cards()[family].models[name].params) for family, names in FAMILIES.items() if names
} - {"vgg11"} | {"resnet50"}
#: Modules that torchvision registers in another order than it runs them.
OTHER_ORDER: set[str] = {"googlenet", "swin_t", "swin_s", "swin_b", "swin_v2_t", "swin_v2_s", "swin_v2_b"}


def sized(*names: str) -> list[Any]:
    """The names as parameters, those outside QUICK for the longer run."""
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


def twin(name: str, **options: Any) -> nn.Module:
    """torchvision's own network, without its initialisation where that takes long and can be left out."""
    if name in {"googlenet", "inception_v3"} or name.startswith("vgg"):
        options.setdefault("init_weights", False)
    if name.startswith("vgg"):
        # get_model passes `weights`, which vgg's builder then reads as a wish for pretrained ones.
        module: nn.Module = get_model_builder(name)(weights=None, **options)
    else:
        module = get_model(name, weights=None, **options)
    return module


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@cache
def load(name: str) -> archdsl.Network:
    return zoo.load(name)


def images(name: str, batch: int = 2) -> Tensor:
    return torch.randn(batch, *load(name).input_shape)


def test_every_classifier_of_torchvision_is_here() -> None:
    from torchvision import models

    theirs = set(models.list_models(module=models))
    assert {cards()[family].models[name].torchvision for family, names in FAMILIES.items() for name in names} == theirs
    assert len(theirs) == 80


@pytest.mark.parametrize("name", TWINS)
def test_keys_shapes_counts_and_multiply_adds(name: str) -> None:
    """Multiply-adds are counted with autograd on, since PyTorch's fused path for attention hides its products."""
    network = load(name)
    with torch.device("meta"):
        theirs, ours = twin(name), zoo.build(name)
        with FlopCounterMode(display=False) as counter:
            theirs.eval()(torch.empty(1, *network.input_shape))
    assert shapes(ours.state_dict()) == shapes(theirs.state_dict())
    if name not in OTHER_ORDER:
        assert list(ours.state_dict()) == list(theirs.state_dict())
    assert list(network.state) == list(ours.state_dict())
    assert network.params == sum(weight.numel() for weight in theirs.parameters())
    assert network.flops == counter.get_total_flops()
    assert network.output_shape == (1000,)


@pytest.mark.parametrize("name", sized(*TWINS))
def test_weights_outputs_and_onnx(name: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """The differences found are noted for the table that `./run zoo` makes."""
    theirs = settle(twin(name), load(name).input_shape)
    with torch.device("meta"):
        ours = zoo.build(name).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    x = images(name)
    with torch.inference_mode():
        expected, found = theirs(x), ours(x)
    require_apart(expected)
    path = tmp_path / "model.onnx"
    archdsl.export_onnx(ours, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (exported,) = map(torch.from_numpy, session.run(None, {"input": x.numpy()}))
    differences = [difference(each, expected) for each in (found, exported)]
    assert differences[0] <= 1e-5
    assert differences[1] <= 1e-4
    record_property("zoo", [name, *differences])


@pytest.mark.parametrize("family", [family for family, names in FAMILIES.items() if names])
def test_another_number_of_classes(family: str) -> None:
    name = FAMILIES[family][0]
    with torch.device("meta"):
        theirs, ours = twin(name, num_classes=7), zoo.build(name, classes=7)
    assert shapes(ours.state_dict()) == shapes(theirs.state_dict())


def test_auxiliary_outputs_in_training() -> None:
    theirs, ours = twin("googlenet"), zoo.build("googlenet")
    ours.load_state_dict(theirs.state_dict())
    for module in (*theirs.modules(), *ours.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    x = torch.randn(2, 3, 224, 224)
    expected, found = theirs.train()(x), ours.train()(x)
    assert set(found) == {"out", "aux1", "aux2"}
    for name, tensor in {"out": expected.logits, "aux1": expected.aux_logits1, "aux2": expected.aux_logits2}.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-5)
    assert isinstance(ours.eval()(x), Tensor)


@pytest.mark.parametrize(
    "name", ["alexnet", pytest.param("vgg11_bn", marks=pytest.mark.slow), "googlenet", "resnet18", "densenet121"]
)
def test_initialisation_is_torchvisions(name: str) -> None:
    theirs = twin(name, init_weights=True) if name in {"googlenet", "vgg11_bn"} else twin(name)
    ours = zoo.build(name, seed=1)
    for (key, expected), (_, found) in zip(theirs.named_parameters(), _ordered(ours, theirs), strict=True):
        if name == "googlenet" and key.endswith("fc2.bias"):
            continue
        close = 0.2 if expected.numel() < 5000 else 0.05
        if expected.numel() < 64 and expected.std() > 0:
            continue
        assert found.std().item() == pytest.approx(expected.std().item(), rel=close, abs=1e-6), key
        spread = 5 * expected.std().item() / expected.numel() ** 0.5
        assert found.mean().item() == pytest.approx(expected.mean().item(), abs=2 * spread + 1e-6), key


def _ordered(ours: nn.Module, theirs: nn.Module) -> list[tuple[str, Tensor]]:
    found = dict(ours.named_parameters())
    return [(key, found[key]) for key, _ in theirs.named_parameters()]


@pytest.mark.parametrize(
    ("name", "options", "settings"),
    [
        ("resnet18", {"num_classes": 7}, {"classes": 7}),
        ("resnet50", {"zero_init_residual": True}, {"zero_init_residual": True}),
        ("vgg11", {"num_classes": 7, "dropout": 0.1}, {"classes": 7, "p": 0.1}),
        ("densenet121", {"num_classes": 7, "drop_rate": 0.2}, {"classes": 7, "drop_rate": 0.2}),
        ("googlenet", {"num_classes": 7, "aux_logits": False}, {"classes": 7, "aux_logits": False}),
        ("alexnet", {"num_classes": 7, "dropout": 0.1}, {"classes": 7, "p": 0.1}),
    ],
)
def test_builder_arguments_are_parameters(name: str, options: dict[str, Any], settings: dict[str, Any]) -> None:
    theirs, ours = twin(name, **options), zoo.build(name, **settings)
    assert shapes(ours.state_dict()) == shapes(theirs.state_dict())
    rates = [module.p for module in theirs.modules() if isinstance(module, nn.Dropout)]
    if name == "densenet121":
        # torchvision calls the function there, without a module; the last dense layers are 6 + 12 + 24 + 16.
        rates = [options["drop_rate"]] * 58
    assert [module.p for module in ours.modules() if isinstance(module, nn.Dropout)] == rates
    if settings.get("zero_init_residual"):
        last = [tensor for key, tensor in ours.named_parameters() if key.endswith("bn3.weight")]
        assert len(last) == 16
        assert not any(tensor.any() for tensor in last)


@pytest.mark.parametrize("size", [64, 96, 256])
def test_other_input_sizes(size: int) -> None:
    theirs, ours = twin("resnet18").eval(), zoo.build("resnet18", input=(3, size, size)).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-5)
