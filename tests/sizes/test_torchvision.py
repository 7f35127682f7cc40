"""The sizes that networks take are those with which torchvision's modules run, on PyTorch's meta device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import get_model, list_models
from torchvision.models.vision_transformer import VisionTransformer

import archdsl
from archdsl import zoo
from archdsl.shapes import Shape
from archdsl.sizes import input_sizes

#: Sizes are compared from 1 to this one, in the default tests to a smaller one.
MOST, FEW = 320, 72
#: The heads that run in training only are left out, as in torchvision's own eval mode.
WITHOUT_HEADS: dict[str, dict[str, Any]] = {"googlenet": {"aux_logits": False}, "inception_v3": {"aux_logits": False}}
#: The sizes that torchvision states for its published weights, as the smallest.
STATED = {
    "alexnet": 63,
    "vgg11": 32,
    "googlenet": 15,
    "densenet121": 29,
    "inception_v3": 75,
    "squeezenet1_0": 21,
    "squeezenet1_1": 17,
}
CLASSIFIERS = [name for name in list_models() if zoo.find(name) and not name.startswith(("quantized", "raft"))]
FAST = ["alexnet", "squeezenet1_0"]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    with torch.no_grad():
        yield


def network_of(name: str) -> archdsl.Network:
    return zoo.load(name, settings=WITHOUT_HEADS.get(name))


def module_of(name: str) -> nn.Module:
    """torchvision's network without memory for its weights. ViT compares the size with a number: its own check."""
    has_backbone = name.startswith(("fcn", "deeplab", "lraspp"))
    arguments = {"weights_backbone": None} if has_backbone else {}
    with plain_widths(), torch.device("meta"):
        module: nn.Module = get_model(name, weights=None, **arguments)
    return module.eval()


@contextmanager
def plain_widths() -> Iterator[None]:
    """torchvision computes the widths of a RegNet with tensors and reads them, which the meta device cannot."""
    from torchvision.models.regnet import BlockParams

    own: Any = BlockParams.__dict__["from_init_params"]

    def on_cpu(*args: Any, **kwargs: Any) -> Any:
        with torch.device("cpu"):
            return own.__func__(BlockParams, *args, **kwargs)

    BlockParams.from_init_params = on_cpu
    try:
        yield
    finally:
        BlockParams.from_init_params = own


def runs(module: nn.Module, shape: Shape) -> bool:
    if isinstance(module, VisionTransformer):
        # It compares the size with its own before it looks at the tensors; here these decide.
        module.image_size = shape[-1]
    try:
        module(torch.empty(1, *shape, device="meta"))
    except (RuntimeError, ValueError, AssertionError, IndexError):
        return False
    return True


def disagreements(name: str, axis: str, most: int) -> list[int]:
    """The sizes at which a rule and torchvision's module differ."""
    network, module = network_of(name), module_of(name)
    [one] = [one for one in input_sizes(network) if one.axis.name == axis]
    assert one.rule is not None
    shapes = {n: one.axis.resized(network.inputs, n)["input"] for n in range(1, most + 1)}
    return [n for n, shape in shapes.items() if one.takes(n) != runs(module, shape)]


@pytest.mark.parametrize("axis", ["height", "width", "height = width"])
@pytest.mark.parametrize("name", FAST)
def test_the_rule_is_torchvisions(name: str, axis: str) -> None:
    assert disagreements(name, axis, FEW) == []


@pytest.mark.parametrize(("name", "smallest"), STATED.items())
def test_the_minimum_is_the_one_that_torchvision_states(name: str, smallest: int) -> None:
    for one in input_sizes(network_of(name)):
        assert one.rule is not None
        assert one.rule.smallest == smallest
        assert str(one.rule) == f"every size from {smallest}"


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_network_takes_the_sizes_that_torchvision_runs(name: str) -> None:
    assert disagreements(name, "height = width", MOST) == []
