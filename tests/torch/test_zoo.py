"""The networks torchvision has too: keys, weights, outputs, multiply-adds and initialisation are torchvision's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import archdsl
from archdsl import zoo

RESNETS = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
DENSENETS = ["densenet121", "densenet161", "densenet169", "densenet201"]
VGGS = [f"vgg{depth}{suffix}" for depth in (11, 13, 16, 19) for suffix in ("", "_bn")]
TWINS = ["alexnet", "googlenet", *VGGS, *RESNETS, *DENSENETS]
#: One of each family; the others run the same comparison in the longer run.
QUICK = {"alexnet", "googlenet", "vgg11_bn", "resnet18", "resnet50", "densenet121"}
#: Modules that torchvision registers in another order than it runs them.
OTHER_ORDER = {"googlenet"}


def twin(name: str, **options: Any) -> nn.Module:
    """torchvision's own network, freshly initialised the fast way where it offers one."""
    if name == "googlenet":
        options.setdefault("init_weights", False)
    if name.startswith("vgg"):
        # Its own initialisation takes seconds for a network whose weights are never trained here.
        options.setdefault("init_weights", False)
        module: nn.Module = getattr(torchvision.models, name)(weights=None, **options)
    else:
        module = torchvision.models.get_model(name, weights=None, **options)
    return module


def settle(module: nn.Module) -> None:
    """Give batch norms running figures as after training: fresh ones would hide a mistake in folding them."""
    for key, buffer in module.named_buffers():
        if key.endswith("running_var"):
            buffer.uniform_(0.5, 2)
        elif key.endswith("running_mean"):
            buffer.normal_(std=0.2)


def shapes(state: dict[str, Tensor]) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    return {key: (tuple(tensor.shape), tensor.dtype) for key, tensor in state.items()}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", TWINS)
def test_keys_and_shapes(name: str) -> None:
    with torch.device("meta"):
        theirs, ours = twin(name), zoo.build(name)
    assert shapes(ours.state_dict()) == shapes(theirs.state_dict())
    if name not in OTHER_ORDER:
        assert list(ours.state_dict()) == list(theirs.state_dict())


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in TWINS]
)
def test_weights_outputs_and_onnx(name: str, tmp_path: Path) -> None:
    theirs = twin(name).eval()
    settle(theirs)
    with torch.device("meta"):
        ours = zoo.build(name).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    x = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        expected = theirs(x)
        scale = max(1.0, expected.abs().max().item())
        torch.testing.assert_close(ours(x), expected, rtol=0, atol=1e-5 * scale)
    path = tmp_path / "model.onnx"
    archdsl.export_onnx(ours, path)
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": x.numpy()})
    assert (torch.from_numpy(found) - expected).abs().max().item() <= 1e-5 * scale


@pytest.mark.parametrize("name", ["alexnet", "vgg11_bn", "googlenet", "resnet18", "resnet50", "densenet121"])
def test_multiply_adds(name: str) -> None:
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        twin(name).eval()(torch.empty(1, 3, 224, 224))
    network = zoo.load(name)
    assert network.flops == counter.get_total_flops()
    assert network.output_shape == (1000,)


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


@pytest.mark.parametrize("name", ["alexnet", "vgg11_bn", "googlenet", "resnet18", "densenet121"])
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
