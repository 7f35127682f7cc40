"""Weights that torchvision publishes, without a network: state dicts written by torchvision's own modules lie where
its downloads would. They are not the published files, and torch compares checksums of downloads only, so that the
comparison itself is left to torch: here it is only seen to be asked for.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights, get_model, get_model_weights

import archdsl
from archdsl import zoo
from archdsl.backends.torch import load_weights, published
from archdsl.diagnostics.codes.weights import WeightsWarning
from archdsl.shapes import Shape
from tests.backends.torch.comparison import difference, require_apart, settle

Change = Callable[[dict[str, Tensor]], dict[str, Tensor]]
StandIn = Callable[..., nn.Module]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """A function that puts a fresh state dict where torchvision keeps a download, and returns its network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)

    def write(name: str, weights: str = "DEFAULT", change: Change = dict, size: int = 64, **options: Any) -> nn.Module:
        torch.manual_seed(0)
        theirs = settle(get_model(name, weights=None, **options), (3, size, size))
        file = published.Published(name, get_model_weights(name)[weights]).file
        assert file.parent == tmp_path / "hub" / "checkpoints"
        torch.save(change(theirs.state_dict()), file)
        return theirs

    return write


def agree(ours: nn.Module, theirs: nn.Module, size: int = 64) -> None:
    x = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        expected, found = theirs.eval()(x), ours.eval()(x)
    require_apart(expected)
    assert difference(found, expected) <= 1e-5


def only(error: pytest.ExceptionInfo[archdsl.SpecError]) -> tuple[str, str]:
    """The code and whole report of the one thing that is wrong."""
    [diagnostic] = error.value.diagnostics
    return diagnostic.code, str(error.value)


@pytest.mark.parametrize(
    "weights",
    ["IMAGENET1K_V1", "DEFAULT", "torchvision:IMAGENET1K_V1", "ResNet18_Weights.DEFAULT", ResNet18_Weights.DEFAULT],
)
def test_the_network_is_torchvisions(weights: Any, stand_in: StandIn) -> None:
    theirs = stand_in("resnet18")
    agree(zoo.build("resnet18", weights=weights), theirs)


def test_torchvision_is_asked_to_compare_the_checksum_and_to_unpickle_nothing(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, asked = stand_in("resnet18"), {}

    def get_state_dict(self: Any, **options: Any) -> dict[str, Tensor]:
        asked.update(options)
        return theirs.state_dict()

    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", get_state_dict)
    zoo.build("resnet18", weights="DEFAULT")
    assert (asked["check_hash"], asked["weights_only"]) == (True, True)


def test_only_the_head_is_fresh_for_other_classes(stand_in: StandIn) -> None:
    theirs = stand_in("resnet18").state_dict()
    with pytest.warns(WeightsWarning, match=r"not loaded.*: fc \(the weights have 1,000 classes, the network 10\)"):
        ours = zoo.build("resnet18", weights="DEFAULT", classes=10, seed=1).state_dict()
    fresh = zoo.build("resnet18", classes=10, seed=1).state_dict()
    assert all(torch.equal(ours[key], (fresh if key.startswith("fc.") else theirs)[key]) for key in ours)


def test_the_same_classes_give_no_warning(stand_in: StandIn) -> None:
    stand_in("resnet18")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zoo.build("resnet18", weights="DEFAULT", classes=1000, seed=1)


@pytest.mark.parametrize(
    ("name", "layers"), [("googlenet", r"aux1\.fc2, aux2\.fc2, fc"), ("squeezenet1_1", r"classifier\.1")]
)
def test_a_head_may_be_several_layers_or_a_convolution(name: str, layers: str, stand_in: StandIn) -> None:
    stand_in(name)
    with pytest.warns(WeightsWarning, match=rf": {layers} \("):
        zoo.build(name, weights="DEFAULT", classes=7)


def test_any_other_difference_is_an_error(stand_in: StandIn) -> None:
    stand_in("resnet18")
    with pytest.raises(archdsl.SpecError, match=r"conv1\.weight .*64x3x7x7, but the model expects 32x3x7x7") as error:
        zoo.build("resnet18", weights="DEFAULT", width=32, classes=10)
    assert {one.code for one in error.value.diagnostics} == {"E703"}


@pytest.mark.parametrize("settings", [{}, {"aux_logits": False}, {"transform_input": False}])
def test_googlenet_is_built_as_by_torchvisions_builder(settings: dict[str, Any], stand_in: StandIn) -> None:
    """Its builder sets transform_input with weights, and removes the auxiliary heads after loading them."""
    stand_in("googlenet", size=224, init_weights=False)
    theirs = get_model("googlenet", weights="DEFAULT", **{k: v for k, v in settings.items() if k != "aux_logits"})
    assert theirs.transform_input is settings.get("transform_input", True)
    with warnings.catch_warnings(record=True) as said:
        ours = zoo.build("googlenet", weights="DEFAULT", **settings)
    agree(ours, theirs, 224)
    assert any("transform_input" in str(one.message) for one in said) == ("transform_input" in settings)
    heads = any(key.startswith("aux") for key in ours.state_dict())
    assert heads is settings.get("aux_logits", True)


def without_counters(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As batch norms were saved before PyTorch 0.4.1."""
    return {key: tensor for key, tensor in state.items() if not key.endswith("num_batches_tracked")}


def with_dots(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As densenet's keys are in the files that torchvision publishes."""
    keys = {key: re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key) for key in without_counters(state)}
    assert list(keys.values()) != list(keys)
    return {old: state[key] for key, old in keys.items()}


@pytest.mark.parametrize(("name", "change"), [("resnet18", without_counters), ("densenet121", with_dots)])
def test_older_files_are_read_as_torchvision_reads_them(name: str, change: Change, stand_in: StandIn) -> None:
    stand_in(name, change=change)
    agree(zoo.build(name, weights="DEFAULT"), get_model(name, weights="DEFAULT"))


def test_an_older_file_by_its_path(stand_in: StandIn, tmp_path: Path) -> None:
    """What a user without a network is told to do: the file itself as weights."""
    theirs = stand_in("densenet121", change=with_dots)
    [file] = (tmp_path / "hub" / "checkpoints").iterdir()
    ours = zoo.build("densenet121")
    load_weights(ours, file)
    agree(ours, theirs)


@pytest.mark.parametrize(
    ("twin", "weights", "before", "after"),
    [
        ("regnet_y_16gf", "IMAGENET1K_SWAG_E2E_V1", (3, 224, 224), (3, 384, 384)),
        ("vit_h_14", "IMAGENET1K_SWAG_E2E_V1", (3, 224, 224), (3, 518, 518)),
        ("resnet50", "IMAGENET1K_V2", (3, 224, 224), (3, 224, 224)),
        ("r3d_18", "KINETICS400_V1", (3, 16, 64, 64), (3, 16, 112, 112)),
        ("fcn_resnet50", "DEFAULT", (3, 300, 400), (3, 300, 400)),
    ],
)
def test_the_input_is_what_the_preprocessing_gives(
    twin: str, weights: str, before: tuple[int, ...], after: tuple[int, ...]
) -> None:
    found = published.Published(twin, get_model_weights(twin)[weights])
    assert found.input_size(Shape(before)) == after


def test_another_input_is_said_and_a_given_one_stays() -> None:
    reference = "torchvision:regnet_y_16gf/IMAGENET1K_SWAG_E2E_V1"

    def elaborate(size: Any, settings: Any) -> archdsl.Network:
        return zoo.load("resnet18", input=size, **settings)

    with pytest.warns(WeightsWarning, match="the input is 3x384x384"):
        network, _ = published.fitted(reference, elaborate, None, {})
    assert network.input_shape == (3, 384, 384)
    assert published.fitted(reference, elaborate, (3, 64, 64), {})[0].input_shape == (3, 64, 64)


def test_what_trained_with_names_is_what_torchvisions_builders_set(stand_in: StandIn) -> None:
    """Segmentation: with weights torchvision's builder has an auxiliary head, without it has not."""
    theirs = {name for name, setting in published.TRAINED_WITH.items() if setting == "aux_loss"}
    for name in sorted(theirs):
        with torch.device("meta"):
            plain = get_model(name, weights=None, weights_backbone=None)
        assert plain.aux_classifier is None
    import torchvision.models.segmentation.deeplabv3 as deeplab
    import torchvision.models.segmentation.fcn as fcn

    named = re.findall(
        r"def ((?:fcn|deeplabv3)_\w+)\(", Path(fcn.__file__).read_text() + Path(deeplab.__file__).read_text()
    )
    assert set(named) == theirs


OWN = "model mine { input(3x8x8); conv1: conv(4, 3); flatten; fc: linear(1000) }"


def test_a_model_of_ones_own_names_its_twin(stand_in: StandIn, tmp_path: Path) -> None:
    theirs = stand_in("resnet18")
    path = tmp_path / "mine.arch"
    spec = (zoo.specs_folder() / "resnet.arch").read_text("utf-8")
    path.write_text(spec.replace("model resnet18 ", "model mine "), encoding="utf-8")
    ours = archdsl.load(path).build()
    load_weights(ours, "torchvision:resnet18/IMAGENET1K_V1")
    agree(ours, theirs)
    with pytest.raises(archdsl.SpecError) as error:
        load_weights(ours, "torchvision:IMAGENET1K_V1")
    code, report = only(error)
    assert code == "E722"
    assert "`torchvision:resnet50/IMAGENET1K_V2`" in report


@pytest.mark.parametrize(
    ("model", "reference", "code", "said"),
    [
        (OWN, "torchvision:DEFAULT", "E722", "it is not in the zoo"),
        ("lenet", "torchvision:DEFAULT", "E722", "it is not in torchvision"),
        ("resnet18", "torchvision:IMAGENET1K_V9", "E724", "expected one of IMAGENET1K_V1, DEFAULT"),
        ("resnet18", "torchvision:imagenet1k_v1", "E724", "did you mean `IMAGENET1K_V1`?"),
        ("resnet18", "torchvision:", "E724", "expected one of"),
        (OWN, "torchvision:resnet81/DEFAULT", "E723", "did you mean `resnet18`"),
        (OWN, "torchvision:/DEFAULT", "E722", "it is not in the zoo"),
    ],
)
def test_what_is_not_there_is_named(model: str, reference: str, code: str, said: str) -> None:
    module = archdsl.load(model).build()
    with pytest.raises(archdsl.SpecError) as error:
        load_weights(module, reference)
    found, report = only(error)
    assert found == code
    assert said in report


@pytest.mark.parametrize(
    "failure", [URLError("no route to host"), RuntimeError('invalid hash value (expected "5c106cde", got "0")')]
)
def test_a_download_that_fails(
    failure: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)

    def fail(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(archdsl.SpecError) as error:
        zoo.build("resnet18", weights="DEFAULT")
    code, report = only(error)
    assert code == "E725"
    reason = failure.reason if isinstance(failure, URLError) else str(failure)
    assert str(reason) in report
    name = ResNet18_Weights.DEFAULT.url.rpartition("/")[2]
    for words in (ResNet18_Weights.DEFAULT.url, str(tmp_path / "hub" / "checkpoints"), name, "--weights FILE"):
        assert words in report
    assert capsys.readouterr().out == ""


def test_a_damaged_file_in_the_cache(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in("resnet18")
    [file] = (tmp_path / "hub" / "checkpoints").iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(archdsl.SpecError) as error:
        zoo.build("resnet18", weights="DEFAULT")
    code, report = only(error)
    assert code == "E721"
    assert str(file) in report
    assert "delete the file" in report


def test_names_and_preprocessing_come_along(stand_in: StandIn) -> None:
    stand_in("resnet18")
    found = published.find("torchvision:DEFAULT", zoo.load("resnet18"))
    assert found.classes[:2] == ("tench", "goldfish")
    assert found.normalisation() == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_segmentation_has_its_auxiliary_head_and_its_classes(stand_in: StandIn) -> None:
    name = "deeplabv3_mobilenet_v3_large"
    theirs = stand_in(name, weights_backbone=None, aux_loss=True)
    x = torch.randn(1, 3, 64, 64)
    ours = zoo.build(name, weights=f"{name}/COCO_WITH_VOC_LABELS_V1", input=(3, 64, 64)).eval()
    with torch.inference_mode():
        expected, found = theirs(x), ours(x)
    for output in ("out", "aux"):
        torch.testing.assert_close(found[output], expected[output], rtol=0, atol=1e-5)
    with pytest.warns(WeightsWarning, match=r"aux_classifier\.4.*the weights have 21 classes, the network 5"):
        assert "aux_classifier.4.weight" in zoo.build(name, weights=f"{name}/DEFAULT", classes=5).state_dict()
    alone = zoo.build(name, weights=f"{name}/DEFAULT", aux_loss=False)
    assert not any(key.startswith("aux") for key in alone.state_dict())


def with_linears(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As a vision transformer's keys were before torchvision had a module of its own for multilayer perceptrons."""
    return {key.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2."): state[key] for key in state}


@pytest.mark.slow
def test_a_vision_transformer_of_larger_pictures(stand_in: StandIn) -> None:
    """The fine-tuned weights are for 384x384, which torchvision's builder sees to; their keys are older ones."""
    weights = "IMAGENET1K_SWAG_E2E_V1"
    stand_in("vit_b_16", weights, change=with_linears, image_size=384)
    theirs = get_model("vit_b_16", weights=weights)
    with pytest.warns(WeightsWarning, match="the input is 3x384x384"):
        ours = zoo.build("vit_b_16", weights=weights)
    agree(ours, theirs, 384)


def test_a_size_that_is_set_stays() -> None:
    def elaborate(size: Any, settings: Any) -> archdsl.Network:
        return zoo.load("vit_b_32", input=size, **settings)

    network, _ = published.fitted("torchvision:vit_b_32/DEFAULT", elaborate, None, {"image_size": 256})
    assert network.input_shape == (3, 256, 256)
