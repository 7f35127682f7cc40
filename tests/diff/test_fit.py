"""Which entries of a checkpoint fit: compared with `load_state_dict` on torchvision's own modules."""

from __future__ import annotations

import re
from typing import Any

import pytest

import archdsl
from archdsl.diff import Difference
from archdsl.diff.fit import fit
from archdsl.shapes import Shape, Tensor

QUICK = [("resnet50", "resnet101"), ("resnet101", "resnet50"), ("densenet121", "densenet169")]
#: Pairs of one family, of related ones, of the same network, and of strangers.
PAIRS = [
    *(("vgg11", "vgg13"), ("resnet18", "resnet34"), ("resnet34", "resnet50"), ("resnet50", "wide_resnet50_2")),
    *(("resnet50", "resnext50_32x4d"), ("resnext101_32x8d", "resnext101_64x4d"), ("resnet50", "resnet50")),
    *(("vgg16", "vgg16_bn"), ("vgg16_bn", "vgg16"), ("vgg19", "vgg16"), ("vgg11", "alexnet")),
    ("densenet161", "densenet201"),
    *(("squeezenet1_0", "squeezenet1_1"), ("mobilenet_v2", "mobilenet_v3_small"), ("alexnet", "resnet18")),
    *(("mobilenet_v3_small", "mobilenet_v3_large"), ("mnasnet0_5", "mnasnet1_0"), ("mnasnet1_3", "mnasnet0_75")),
    *(("shufflenet_v2_x0_5", "shufflenet_v2_x1_0"), ("efficientnet_b0", "efficientnet_b1")),
    *(("efficientnet_b3", "efficientnet_v2_s"), ("regnet_x_400mf", "regnet_y_400mf")),
    *(("regnet_y_800mf", "regnet_y_1_6gf"), ("convnext_tiny", "convnext_small"), ("convnext_small", "convnext_base")),
    *(("vit_b_16", "vit_b_32"), ("vit_b_16", "vit_l_16"), ("swin_t", "swin_s"), ("swin_t", "swin_v2_t")),
    *(("googlenet", "inception_v3"), ("maxvit_t", "maxvit_t")),
]  # fmt: skip


def verdict(old: Any, new: Any) -> tuple[str, set[str], set[str], set[str]]:
    """What torch does with the state of `old`: the verdict, and the keys missing, unexpected and of another shape."""
    state = old.state_dict()
    other: set[str] = set()
    try:
        found = new.load_state_dict(state, strict=False)
    except RuntimeError as error:
        other = set(re.findall(r"size mismatch for (\S+): ", str(error)))
        for key in other:  # in place, which keeps the versions of the modules that it is from
            del state[key]
        found = new.load_state_dict(state, strict=False)
        return "does not load", set(found.missing_keys) - other, set(found.unexpected_keys), other
    try:
        new.load_state_dict(state)
    except RuntimeError:
        return "loads with strict=False", set(found.missing_keys), set(found.unexpected_keys), other
    return "loads", set(found.missing_keys), set(found.unexpected_keys), other


def agree(old: str, new: str) -> None:
    torch, torchvision = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    # RegNet computes its widths with tensors, which have no values on the meta device.
    with torch.device("cpu" if "regnet" in old else "meta"):
        modules = [torchvision.models.get_model(name) for name in (old, new)]
    found = Difference(archdsl.load(old), archdsl.load(new)).fit
    expected, missing, unexpected, other = verdict(*modules)
    assert found.verdict == expected
    assert set(found.unexpected) == unexpected
    assert set(found.other_shape) == other
    # A batch norm without any entry gets its counter from load_state_dict, as checkpoints of PyTorch 0.3 had none.
    ours = set(found.missing)
    assert missing <= ours
    assert all(key.endswith("num_batches_tracked") for key in ours - missing)
    assert set(found.kept) == set(modules[0].state_dict()) - unexpected - other


@pytest.mark.filterwarnings("ignore:for .*copying from a non-meta parameter")
@pytest.mark.parametrize(("old", "new"), QUICK)
def test_the_verdict_is_that_of_torch(old: str, new: str) -> None:
    agree(old, new)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:for .*copying from a non-meta parameter")
@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_the_verdict_is_that_of_torch_for_many(old: str, new: str) -> None:
    agree(old, new)


def test_all_four_groups() -> None:
    def state(**shapes: tuple[int, ...]) -> dict[str, Tensor]:
        return {name: Tensor(Shape(shape)) for name, shape in shapes.items()}

    found = fit(state(a=(2, 3), b=(4,), c=(1,), scalar=(1,)), state(a=(2, 3), b=(5,), d=(1,), scalar=()))
    assert found.kept == ("a", "scalar")
    assert found.missing == ("d",)
    assert found.unexpected == ("c",)
    assert found.other_shape == {"b": ((4,), (5,))}


@pytest.mark.parametrize("size", [1, 3])
def test_torch_takes_a_vector_of_one_for_a_scalar(size: int) -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Module()
    module.scale = torch.nn.Parameter(torch.zeros(()))
    ours = fit({"scale": Tensor(Shape((size,)))}, {"scale": Tensor(Shape(()))})
    if ours.verdict == "loads":
        module.load_state_dict({"scale": torch.ones(size)})
        assert module.scale == 1
    else:
        with pytest.raises(RuntimeError, match="size mismatch"):
            module.load_state_dict({"scale": torch.ones(size)}, strict=False)
