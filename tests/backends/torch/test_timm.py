"""Networks that only timm has: counts, weights, outputs and multiply-adds are timm's."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import archdsl
from archdsl import zoo
from archdsl.cards.cards import cards
from tests.backends.torch.comparison import difference, require_apart, settle, shapes

timm = pytest.importorskip("timm")

CARDS = {name: model for card in cards().values() for name, model in card.models.items() if model.timm}
#: What the note of a card says where the keys are timm's.
EXACT = "The state_dict is timm's"
#: From timm's names to ours where they differ: what to look for, and what to put in its place.
RENAMED = {
    "res2net": ((r"\.convs\.(\d+)\.", r".conv2.\1.conv."), (r"\.bns\.(\d+)\.", r".conv2.\1.bn.")),
}
#: timm registers modules in another order than it runs them.
OTHER_ORDER = {"res2net", "xception"}
#: One small network of each family.
QUICK = {
    "convnext_v2_atto",
    "darknet17",
    "dpn68",
    "dla60x_c",
    "efficientformer_l1",
    "ese_vovnet19b_slim_dw",
    "ghostnet_050",
    "hrnet_w18_small",
    "mixer_s32",
    "mobilenet_v1",
    "mobilevit_xxs",
    "poolformer_s12",
    "repvgg_a0",
    "res2net50_48w_2s",
    "seresnet18",
    "xception",
}
#: The small network of these families, which timm does not have, is compared in tests/test_specs_nasnet.py.
ELSEWHERE = {"nasnet"}
#: The only network of these families takes too long for every run.
LARGE = {"convmixer", "cspdarknet53", "inception_v4", "sknet"}
EACH = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CARDS]


def twin(name: str) -> nn.Module:
    module: nn.Module = timm.create_model(CARDS[name].timm)
    return module.eval()


def family(name: str) -> str:
    entry = zoo.find(name)
    assert entry is not None
    return entry.path.stem


def renamed(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """timm's state under our names, unless they are the same."""
    for pattern, ours in RENAMED.get(family(name), ()):
        state = {re.sub(pattern, ours, key): tensor for key, tensor in state.items()}
    return state


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_there_are_networks_of_each_family() -> None:
    assert sorted(map(family, QUICK)) == sorted({family(name) for name in CARDS} - ELSEWHERE - LARGE)


@pytest.mark.parametrize("name", CARDS)
def test_count_keys_and_shapes(name: str) -> None:
    with torch.device("meta"):
        module, ours = twin(name), zoo.build(name).state_dict()
    theirs = module.state_dict()
    assert sum(parameter.numel() for parameter in module.parameters()) == CARDS[name].params
    assert shapes(ours) == shapes(renamed(theirs, name))
    assert (set(ours) == set(theirs)) == (EXACT in CARDS[name].note)
    assert (list(ours) == list(theirs)) == (family(name) not in OTHER_ORDER)


@pytest.mark.parametrize("name", EACH)
def test_weights_outputs_and_onnx(name: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """The differences found are noted for the table that `./run zoo` makes."""
    theirs = settle(twin(name), zoo.load(name).input_shape)
    with torch.device("meta"):
        ours = zoo.build(name).eval()
    ours.load_state_dict(renamed(theirs.state_dict(), name), strict=True, assign=True)
    if family(name) not in RENAMED:
        theirs.load_state_dict(ours.state_dict(), strict=True)
    x = torch.randn(2, *zoo.load(name).input_shape)
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


@pytest.mark.parametrize("name", EACH)
def test_multiply_adds(name: str) -> None:
    network = zoo.load(name)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        twin(name)(torch.empty(1, *network.input_shape))
    assert network.flops == counter.get_total_flops()
    assert network.output_shape == (1000,)


@pytest.mark.parametrize("name", sorted(QUICK))
def test_another_number_of_classes(name: str) -> None:
    with torch.device("meta"):
        theirs = timm.create_model(CARDS[name].timm, num_classes=7).state_dict()
        ours = zoo.build(name, classes=7).state_dict()
    assert shapes(ours) == shapes(renamed(theirs, name))


def test_mobilevit_resizes_maps_that_its_patches_do_not_cover() -> None:
    theirs = settle(twin("mobilevit_xxs"), (3, 224, 224))
    ours = zoo.build("mobilevit_xxs", input=(3, 224, 224)).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        assert difference(ours(x), theirs(x)) <= 1e-5
