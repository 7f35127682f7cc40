"""archdsl predict: probabilities as in torch, preprocessing as in training, and errors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from syrupy.assertion import SnapshotAssertion
from torch import Tensor
from torch.nn import functional
from torchvision.models import get_model, get_model_weights

import archdsl
from archdsl import zoo
from archdsl.backends.torch import load_weights, published
from archdsl.cli import main

Capture = pytest.CaptureFixture[str]

#: Weights of zero and these biases: the probabilities are the shares, whatever the picture is.
SHARES = (0.125, 0.5, 0.25, 0.0625, 0.0625)
CONSTANT = "model constant(input_channels = 3) { input(input_channels, 4, 4); flatten; head: linear(5) }"
DIGITS = """
model digit(size = 8) { input(1, size, size); conv(4, 3, padding=1); relu; flatten; linear(10) }
train { dataset = digits; epochs = 1; batch = 64; optimizer = adam(lr=0.01) }
"""


def probabilities(scores: Tensor) -> Tensor:
    """Softmax by its definition."""
    powers = (scores.double() - scores.double().max()).exp()
    return powers / powers.sum()


def predicted(arguments: list[str], capsys: Capture) -> list[dict[str, Any]]:
    """What `archdsl predict ... --json` lists."""
    assert main(["predict", *arguments, "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def codes(text: str) -> list[str]:
    return re.findall(r"error\[(E\d+)\]", text)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder with specs, weights that give SHARES, and two pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    Path("constant.arch").write_text(CONSTANT, encoding="utf-8")
    Path("digit.arch").write_text(DIGITS, encoding="utf-8")
    weights = {"head.weight": torch.zeros(5, 48), "head.bias": torch.tensor(SHARES).log()}
    save_file(weights, "constant.safetensors")
    cells = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(cells).save("noise.png")
    Image.fromarray(cells[:40, :40]).save("small.jpg")
    Path("names.txt").write_text("ant\nbee\ncat\ndog\neel\n\n", encoding="utf-8")
    return tmp_path


PLAIN = ["constant.arch", "noise.png", "--weights", "constant.safetensors"]


def test_pictures_are_looked_at_before_weights_are_fetched(folder: Path, capsys: Capture) -> None:
    assert main(["predict", "resnet18", "gone.png", "--weights", "torchvision:DEFAULT"]) == 1
    err = capsys.readouterr().err
    assert "gone.png" in err
    assert "download" not in err


def test_the_table(folder: Path, capsys: Capture, snapshot: SnapshotAssertion) -> None:
    assert main(["predict", *PLAIN, "--classes", "names.txt"]) == 0
    streams = capsys.readouterr()
    assert streams.out == snapshot
    assert "note: how the weights were trained is not known" in streams.err
    assert "ImageNet's mean and standard deviation" in streams.err


def test_several_pictures_in_one_table(folder: Path, capsys: Capture, snapshot: SnapshotAssertion) -> None:
    assert main(["predict", *PLAIN, "small.jpg", "--classes", "names.txt", "--top", "2"]) == 0
    assert capsys.readouterr().out == snapshot


def test_the_likeliest_come_first_and_ties_are_all_there(folder: Path, capsys: Capture) -> None:
    [found] = predicted([*PLAIN, "--top", "99"], capsys)
    assert found["image"] == "noise.png"
    assert [one["probability"] for one in found["predictions"]] == pytest.approx(sorted(SHARES, reverse=True))
    assert [one["index"] for one in found["predictions"]][:3] == [1, 2, 0]
    assert {one["class"] for one in found["predictions"]} == set("01234")


@pytest.mark.parametrize("ending", ["softmax", "log_softmax"])
def test_a_softmax_of_the_network_is_not_repeated(ending: str, folder: Path, capsys: Capture) -> None:
    Path("constant.arch").write_text(CONSTANT.replace("linear(5)", f"linear(5); {ending}; dropout"), encoding="utf-8")
    [found] = predicted(PLAIN, capsys)
    assert found["predictions"][0]["probability"] == pytest.approx(0.5)


def test_plain_weights_see_the_centre_normalised(folder: Path, capsys: Capture) -> None:
    """A picture of one colour in the middle square, another beside it: only the middle is seen."""
    cells = np.zeros((20, 60, 3), np.uint8)
    cells[:, 20:40] = (255, 0, 51)
    Image.fromarray(cells).save("wide.png")
    weights = {"head.weight": torch.zeros(5, 48), "head.bias": torch.zeros(5)}
    weights["head.weight"][[0, 1, 2], [5, 21, 37]] = 1  # of each channel a cell that no border shines into
    save_file(weights, "probe.safetensors")
    arguments = ["constant.arch", "wide.png", "--weights", "probe.safetensors"]
    for options, mean, std in [
        ([], (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        (["--mean", "0.5,0.5,0.5", "--std", "0.5, 0.25, 1"], (0.5, 0.5, 0.5), (0.5, 0.25, 1)),
        (["--mean", "0", "--std", "1"], (0, 0, 0), (1, 1, 1)),
    ]:
        colour = torch.tensor([1.0, 0.0, 0.2])
        scores = torch.cat([(colour - torch.tensor(mean)) / torch.tensor(std), torch.zeros(2)])
        [found] = predicted([*arguments, *options], capsys)
        by_index = {one["index"]: one["probability"] for one in found["predictions"]}
        assert [by_index[i] for i in range(5)] == pytest.approx(probabilities(scores).tolist(), abs=1e-5)


def test_grey_pictures_are_taken_as_they_are(folder: Path, capsys: Capture) -> None:
    save_file({"head.weight": torch.eye(5, 16), "head.bias": torch.zeros(5)}, "grey.safetensors")
    Image.new("L", (4, 4), 51).save("grey.png")
    arguments = ["constant.arch", "grey.png", "--weights", "grey.safetensors", "--set", "input_channels=1"]
    assert main(["predict", *arguments]) == 0
    streams = capsys.readouterr()
    assert "as they are, in 0..1" in streams.err
    assert "20.00%" in streams.out  # five equal scores


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the digits, of a network that takes them with a border of zeros."""
    folder = tmp_path_factory.mktemp("digits")
    (folder / "digit.arch").write_text(DIGITS, encoding="utf-8")
    arguments = ["--set", "size=10", "--out", str(folder / "run"), "--quiet"]
    assert main(["train", str(folder / "digit.arch"), *arguments]) == 0
    return folder / "run"


@pytest.mark.parametrize("weights", ["run", "run/best.safetensors"])
def test_a_run_prepares_pictures_as_it_did_in_training(weights: str, run: Path, folder: Path, capsys: Capture) -> None:
    picture = torch.arange(64, dtype=torch.uint8).reshape(8, 8) * 4
    Image.fromarray(picture.numpy()).save("digit.png")
    path = run.parent / weights
    settings = [] if weights == "run" else ["--set", "size=10"]
    [found] = predicted(["digit.arch", "digit.png", "--weights", str(path), *settings, "--top", "10"], capsys)
    facts = json.loads((run / "run.json").read_text("utf-8"))
    mean, std = facts["mean"][0], facts["std"][0]
    state = load_file(run / "weights.safetensors" if weights == "run" else path)
    x = functional.pad(picture.float() / 255, (1, 1, 1, 1))[None, None]
    x = functional.conv2d((x - mean) / std, state["0.weight"], state["0.bias"], padding=1).relu()
    scores = functional.linear(x.flatten(), state["3.weight"], state["3.bias"])
    expected = probabilities(scores)
    assert [one["index"] for one in found["predictions"]] == expected.argsort(descending=True).tolist()
    for one in found["predictions"]:
        assert one["probability"] == pytest.approx(expected[one["index"]].item(), abs=1e-5)
        assert one["class"] == str(one["index"])


def test_weights_elsewhere_are_those_of_the_run(run: Path, folder: Path, capsys: Capture) -> None:
    Path("own.safetensors").write_bytes((run / "weights.safetensors").read_bytes())
    expected = predicted([str(run), "noise.png"], capsys)
    assert main(["predict", str(run), "noise.png", "--weights", "own.safetensors", "--json"]) == 0
    streams = capsys.readouterr()
    assert json.loads(streams.out) == expected
    assert "not known" not in streams.err


def test_names_of_a_run(run: Path, folder: Path, capsys: Capture, tmp_path: Path) -> None:
    """The run's own class names, also where the network has more outputs than the run has classes."""
    facts = json.loads((run / "run.json").read_text("utf-8"))
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "weights.safetensors").write_bytes((run / "weights.safetensors").read_bytes())
    names = ["zero", "one", "two"]
    (copy / "run.json").write_text(json.dumps(facts | {"classes": names}), encoding="utf-8")
    [found] = predicted(["digit.arch", "noise.png", "--weights", str(copy)], capsys)
    assert sorted(one["class"] for one in found["predictions"]) == sorted(names)


@pytest.fixture
def resnet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """torchvision's ResNet-18, fresh, with its state dict where a download of its weights would be."""
    monkeypatch.setenv("TORCH_HOME", str(folder))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    torch.manual_seed(0)
    theirs: torch.nn.Module = get_model("resnet18", weights=None).eval()
    file = published.Published("resnet18", get_model_weights("resnet18")["DEFAULT"]).file
    file.parent.mkdir(parents=True)
    torch.save(theirs.state_dict(), file)
    return theirs


def test_published_weights_bring_preprocessing_and_names(
    resnet: torch.nn.Module, folder: Path, capsys: Capture
) -> None:
    enum = get_model_weights("resnet18")["DEFAULT"]
    found = predicted(["resnet18", "noise.png", "small.jpg", "--weights", "torchvision:IMAGENET1K_V1"], capsys)
    for path, one in zip(["noise.png", "small.jpg"], found, strict=True):
        with Image.open(path) as picture, torch.inference_mode():
            expected = probabilities(resnet(enum.transforms()(picture.convert("RGB"))[None])[0])
        best = expected.topk(5)
        assert [p["index"] for p in one["predictions"]] == best.indices.tolist()
        assert [p["class"] for p in one["predictions"]] == [enum.meta["categories"][i] for i in best.indices]
        assert [p["probability"] for p in one["predictions"]] == pytest.approx(best.values.tolist(), rel=1e-4)


def test_from_python(resnet: torch.nn.Module, folder: Path) -> None:
    module = zoo.build("resnet18", weights="DEFAULT")
    [[best, second]] = archdsl.predict(module, "noise.png", top=2)
    assert best.probability >= second.probability
    assert best.name in get_model_weights("resnet18")["DEFAULT"].meta["categories"]
    assert module.training
    names = [f"class {i}" for i in range(1000)]
    assert archdsl.predict(module, [Path("noise.png")], top=1, classes=names)[0][0].name == names[best.index]
    assert archdsl.predict(module, []) == []


def test_another_input_size_keeps_the_proportions(resnet: torch.nn.Module, folder: Path, capsys: Capture) -> None:
    """Of 224 from 256 torchvision's preprocessing becomes 112 from 128."""
    enum = get_model_weights("resnet18")["DEFAULT"]
    arguments = ["resnet18", "noise.png", "--weights", "torchvision:DEFAULT", "--input", "3x112x112"]
    [found] = predicted(arguments, capsys)
    with Image.open("noise.png") as picture, torch.inference_mode():
        x = enum.transforms(crop_size=112, resize_size=128)(picture)
        expected = probabilities(resnet(x[None])[0]).topk(5)
    assert [p["index"] for p in found["predictions"]] == expected.indices.tolist()


def test_a_picture_is_turned_as_the_camera_was_held(resnet: torch.nn.Module, folder: Path, capsys: Capture) -> None:
    with Image.open("noise.png") as picture:
        exif = picture.getexif()
        exif[0x0112] = 6  # turned by a quarter
        picture.transpose(Image.Transpose.ROTATE_90).save("turned.png", exif=exif)
    upright, turned = predicted(["resnet18", "noise.png", "turned.png", "--weights", "torchvision:DEFAULT"], capsys)
    assert upright["predictions"] == turned["predictions"]


def test_a_head_left_fresh_is_said(resnet: torch.nn.Module, folder: Path, capsys: Capture) -> None:
    arguments = ["resnet18", "noise.png", "--weights", "torchvision:DEFAULT", "--set", "classes=10"]
    assert main(["predict", *arguments]) == 0
    assert "note: not loaded, to be trained: fc" in capsys.readouterr().err


def test_weights_of_a_twin_from_a_file_have_its_names(resnet: torch.nn.Module, folder: Path, capsys: Capture) -> None:
    torch.save(resnet.state_dict(), "resnet18.pth")
    [found] = predicted(["resnet18", "noise.png", "--weights", "resnet18.pth", "--top", "1"], capsys)
    [best] = found["predictions"]
    assert best["class"] == get_model_weights("resnet18")["DEFAULT"].meta["categories"][best["index"]]


def test_export_and_eval_take_published_weights(resnet: torch.nn.Module, folder: Path, capsys: Capture) -> None:
    """Export: `--normalize run` is the weights' own. Eval: pictures are normalised so, whatever the recipe says."""
    import onnxruntime

    weights = ["--weights", "torchvision:DEFAULT", "--input", "3x64x64"]
    assert main(["export", "resnet18", *weights, "--normalize", "run", "-o", "r.onnx"]) == 0
    x = torch.rand(2, 3, 64, 64)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        expected = resnet((x - mean) / std)
    [found] = onnxruntime.InferenceSession("r.onnx").run(None, {"input": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-4)

    cells = np.random.default_rng(1).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    for number, picture in enumerate(cells):
        place = Path("data", ("a", "b")[number % 2])
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{number}.png")
    capsys.readouterr()
    data = ["--dataset", "imagefolder", "--root", "data", "--set", "validation=0.5", "--format", "json"]
    assert main(["eval", "resnet18", *weights, *data]) == 0
    loss = json.loads(capsys.readouterr().out)["loss"]
    assert main(["eval", "resnet18", *weights, *data, "--set", "augment=[normalize(mean=0, std=1)]"]) == 0
    assert json.loads(capsys.readouterr().out)["loss"] != pytest.approx(loss, rel=1e-3)
    explicit = "augment=[normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])]"
    assert main(["eval", "resnet18", *weights, *data, "--set", explicit]) == 0
    assert json.loads(capsys.readouterr().out)["loss"] == pytest.approx(loss, rel=1e-6)


def test_every_bad_picture_is_named_before_anything_is_computed(folder: Path, capsys: Capture) -> None:
    Path("notes.txt").write_text("no picture", encoding="utf-8")
    Path("pictures").mkdir()
    assert main(["predict", *PLAIN, "nowhere.png", "pictures", "notes.txt"]) == 1
    streams = capsys.readouterr()
    assert codes(streams.err) == ["E732", "E732", "E617"]
    for words in ("nowhere.png: there is no such file", "pictures: it is a folder", "cannot read the image notes.txt"):
        assert words in streams.err
    assert streams.out == ""


@pytest.mark.parametrize("weights", ["constant.safetensors", "torchvision:DEFAULT"])
def test_a_picture_that_is_cut_off(weights: str, resnet: torch.nn.Module, folder: Path, capsys: Capture) -> None:
    data = Path("small.jpg").read_bytes()
    Path("cut.jpg").write_bytes(data[: len(data) // 2])
    spec = "resnet18" if ":" in weights else "constant.arch"
    assert main(["predict", spec, "cut.jpg", "--weights", weights]) == 1
    assert codes(capsys.readouterr().err) == ["E617"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("model m { input(3x8x8); head: conv(21, 1) }", None),
        ("model m { input(3x8x8); flatten; linear(1) }", None),
        ("model m { input(3x4x8x8); adaptive_avgpool(1); flatten; linear(2) }", "E731"),
        ("model m { input(2x8x8); flatten; linear(2) }", "E731"),
        ("model m { input(100); linear(2) }", None),
        ("model m { input(101); linear(2) }", "E731"),
    ],
)
def test_networks_that_take_no_pictures(spec: str, said: str | None, folder: Path, capsys: Capture) -> None:
    Path("m.arch").write_text(spec, encoding="utf-8")
    save_file(archdsl.load("m.arch").build().state_dict(), "m.safetensors")
    assert main(["predict", "m.arch", "noise.png", "--weights", "m.safetensors"]) == (0 if said is None else 1)
    assert codes(capsys.readouterr().err) == ([] if said is None else [said])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([*PLAIN[:3], "nothing.safetensors"], "E720"),
        ([*PLAIN, "--set", "input_channels=1"], "E703"),
        ([*PLAIN, "--mean", "0.5,0.5", "--std", "1,1"], "E710"),
        (["constant.arch", "noise.png", "--weights", "torchvision:DEFAULT"], "E722"),
        (["resnet18", "noise.png", "--weights", "torchvision:V1"], "E724"),
        (["constant.arch", "noise.png", "--weights", "torchvision:rasnet18/DEFAULT"], "E723"),
    ],
)
def test_what_does_not_fit_is_1(arguments: list[str], code: str, folder: Path, capsys: Capture) -> None:
    assert main(["predict", *arguments]) == 1
    streams = capsys.readouterr()
    assert codes(streams.err) == [code]
    assert "Traceback" not in streams.err


def test_too_few_names(folder: Path, capsys: Capture) -> None:
    Path("few.txt").write_text("one\ntwo\n", encoding="utf-8")
    assert main(["predict", *PLAIN, "--classes", "few.txt"]) == 1
    text = capsys.readouterr().err
    assert codes(text) == ["E733"]
    assert "2 class names" in text
    assert "5 outputs" in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["constant.arch", "--weights", "constant.safetensors"],
        [*PLAIN, "--top", "0"],
        [*PLAIN, "--mean", "0.5"],
        [*PLAIN, "--std", "0.5"],
        [*PLAIN, "--mean", "a", "--std", "1"],
        [*PLAIN, "--mean", "0", "--std", "0"],
        [*PLAIN, "--mean", "nan", "--std", "1"],
        [*PLAIN, "--classes", "nowhere.txt"],
        [*PLAIN, "--classes", "noise.png"],
    ],
)
def test_a_wrong_command_line_is_2(arguments: list[str], folder: Path, capsys: Capture) -> None:
    assert main(["predict", *arguments]) == 2
    assert capsys.readouterr().err.startswith("error[E80")


def test_the_weights_a_module_has_are_remembered(folder: Path) -> None:
    module = archdsl.load("constant.arch").build()
    load_weights(module, "constant.safetensors")
    with pytest.warns(UserWarning, match="how the weights were trained is not known"):
        [found] = archdsl.predict(module, ["noise.png"], top=1)
    assert found[0].probability == pytest.approx(0.5)
