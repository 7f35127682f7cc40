"""Video networks: torchvision's keys, weights, outputs and counts, over time, height and width."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model, get_model_weights

from archdsl import zoo
from archdsl.cards.cards import cards
from tests.backends.onnx.cases import model_of, run
from tests.backends.torch.comparison import difference, require_apart, settle, shapes

CARDS = {name: card for family in cards().values() for name, card in family.models.items() if card.task == "video"}
#: Small clips of odd sizes: S3D ends with a window of 2x7x7 on a map of 1/8 of the time and 1/32 of the rest.
SIZES = {"s3d": (3, 13, 209, 217)}
SMALL = (3, 5, 33, 49)
QUICK = {"r2plus1d_18", "s3d"}


def twin(name: str, **options: object) -> nn.Module:
    module: nn.Module = get_model(CARDS[name].torchvision, weights=None, **options)
    return module


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_which_of_torchvisions_networks_for_video_are_here() -> None:
    """Those that convolve: its multiscale vision transformers are not."""
    from torchvision import models

    theirs = {name for name in models.list_models(module=models.video) if not name.startswith(("mvit", "swin3d"))}
    assert {card.torchvision for card in CARDS.values()} == theirs


@pytest.mark.parametrize("name", CARDS)
def test_keys_and_shapes(name: str) -> None:
    with torch.device("meta"):
        theirs, ours = twin(name), zoo.build(name)
    assert shapes(ours.state_dict()) == shapes(theirs.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert list(zoo.load(name).state) == list(ours.state_dict())


@pytest.mark.parametrize("name", CARDS)
def test_counts_and_multiply_adds(name: str) -> None:
    network = zoo.load(name)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        twin(name).eval()(torch.empty(1, *network.input_shape))
    assert network.flops == counter.get_total_flops()
    assert tuple(network.output_shape) == (400,)
    (weights,) = get_model_weights(CARDS[name].torchvision)
    assert (network.params, round(network.macs / 1e9, 3)) == (weights.meta["num_params"], weights.meta["_ops"])
    assert (CARDS[name].params, CARDS[name].gmacs) == (weights.meta["num_params"], weights.meta["_ops"])


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CARDS]
)
def test_weights_outputs_and_onnx(name: str, record_property: Callable[[str, object], None]) -> None:
    """On small clips of odd sizes; the differences found are noted for the table that `./run zoo` makes."""
    size = SIZES.get(name, SMALL)
    theirs = settle(twin(name), size)
    with torch.device("meta"):
        ours = zoo.build(name, input=size).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    x = torch.randn(2, *size)
    with torch.inference_mode():
        expected, found = theirs(x), ours(x)
    # Without export_onnx's own runs of the file: those over three axes are slow.
    exported = run(model_of(zoo.load(name, input=size), ours.state_dict()), x)["output"]
    require_apart(expected)
    differences = [difference(each, expected) for each in (found, exported)]
    assert differences[0] <= 1e-5
    assert differences[1] <= 1e-4
    record_property("zoo", [name, *differences])


@pytest.mark.parametrize("name", CARDS)
def test_convolutions_are_torchvisions(name: str) -> None:
    """Kernels, strides, paddings and the norms' figures, which the keys and shapes do not tell."""

    def figures(module: nn.Module) -> list[tuple[object, ...]]:
        return [
            (key, layer.kernel_size, layer.stride, layer.padding)
            if isinstance(layer, nn.Conv3d)
            else (key, layer.eps, layer.momentum)
            for key, layer in module.named_modules()
            if isinstance(layer, nn.Conv3d | nn.BatchNorm3d)
        ]

    with torch.device("meta"):
        assert figures(zoo.build(name)) == figures(twin(name))


def test_builder_arguments_are_parameters() -> None:
    with torch.device("meta"):
        theirs, ours = twin("s3d", num_classes=7, dropout=0.5), zoo.build("s3d", classes=7, p=0.5)
        assert shapes(ours.state_dict()) == shapes(theirs.state_dict())
        assert [layer.p for layer in ours.modules() if isinstance(layer, nn.Dropout)] == [0.5]
        theirs, ours = twin("mc3_18", num_classes=7), zoo.build("mc3_18", classes=7)
        assert shapes(ours.state_dict()) == shapes(theirs.state_dict())


@pytest.mark.parametrize("name", ["mc3_18", "s3d"])
def test_weights_begin_as_torchvisions(name: str) -> None:
    """Constants are the same; of the others mean and deviation agree within their errors."""
    theirs, ours = twin(name), zoo.build(name)
    found = dict(ours.named_parameters())
    for key, expected in theirs.named_parameters():
        # Five standard errors of one estimate, and half as much again for the difference of two.
        error = 7.5 * expected.std().item() / expected.numel() ** 0.5 + 1e-12
        assert found[key].mean().item() == pytest.approx(expected.mean().item(), abs=error), key
        assert found[key].std().item() == pytest.approx(expected.std().item(), abs=error), key


def test_a_factored_convolution_has_as_many_weights_as_a_full_one() -> None:
    """Section 3.5: the width between space and time is chosen for that, rounded down.

    The first stage: 64 channels in and out, so 27*64*64 // (9*64 + 3*64) = 144 between, exactly as many.
    """
    full, factored = zoo.load("r3d_18"), zoo.load("r2plus1d_18")
    key = "layer1.0.conv1.0"
    weights = [factored.state[f"{key}.{i}.weight"].shape for i in (0, 3)]
    assert [tuple(shape) for shape in weights] == [(144, 64, 1, 3, 3), (64, 144, 3, 1, 1)]
    assert sum(shape.numel for shape in weights) == full.state[f"{key}.weight"].shape.numel
