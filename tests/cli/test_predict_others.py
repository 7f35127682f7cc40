"""`archdsl predict` for networks that give no classes: values, embeddings, images, masks and several outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import archdsl
from archdsl.backends.torch import load_weights
from archdsl.cli import main
from archdsl.inference.results import Embedding, Mask, Outputs, Picture, Score, Values

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.filterwarnings("ignore:how the weights were trained")

METRIC = "model m { input(1x4x4); flatten; linear(2, bias=false) }\ntrain { loss = pairwise_distance }"
IMAGE = "model m { input(1x4x4); conv(1, 1, bias=false) }\ntrain { target = picture; loss = LOSS }"
SEGMENTS = "model m { input(1x4x4); conv(3, 1) }"


def cells() -> np.ndarray[Any, Any]:
    return np.arange(0, 256, 16, dtype=np.uint8).reshape(4, 4)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    Image.fromarray(cells()).save("a.png")
    Image.fromarray(255 - cells()).save("b.png")
    Image.fromarray(cells() // 16 * 15).save("c.png")


def given(spec: str, **weights: torch.Tensor) -> torch.nn.Module:
    """A spec with weights in m.safetensors, and its module."""
    Path("m.arch").write_text(spec, encoding="utf-8")
    module = archdsl.load("m.arch").build()
    save_file({key: weights[key.replace(".", "_")].reshape(t.shape) for key, t in module.state_dict().items()}, "m.st")
    Path("m.st").replace("m.safetensors")
    load_weights(module, "m.safetensors")
    return module


def predicted(*arguments: str, capsys: Capture) -> list[dict[str, Any]]:
    assert main(["predict", "m.arch", *arguments, "--weights", "m.safetensors", "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def table(*arguments: str, capsys: Capture) -> str:
    assert main(["predict", "m.arch", *arguments, "--weights", "m.safetensors"]) == 0
    return capsys.readouterr().out


def test_an_embedding_has_a_norm_and_the_nearest_of_others(capsys: Capture) -> None:
    weight = torch.zeros(2, 16)
    weight[0, 1], weight[1, 15] = 1, 2
    module = given(METRIC, **{"1_weight": weight})
    pixels = {name: np.asarray(Image.open(f"{name}.png")).flatten() / 255 for name in "abc"}
    vectors = {name: np.array([x[1], 2 * x[15]]) for name, x in pixels.items()}
    for one, name in zip(predicted("a.png", "b.png", "c.png", capsys=capsys), "abc", strict=True):
        assert one["kind"] == "embedding"
        assert one["vector"] == pytest.approx(vectors[name].tolist(), abs=1e-6)
        assert one["norm"] == pytest.approx(np.linalg.norm(vectors[name]), abs=1e-6)
    shown = table("a.png", "b.png", "c.png", capsys=capsys)
    assert "%" not in shown
    cosine = vectors["a"] @ vectors["c"] / np.linalg.norm(vectors["a"]) / np.linalg.norm(vectors["c"])
    [line] = [line for line in shown.splitlines() if line.startswith("a.png")]
    assert line.split()[-3:] == ["c.png", f"{np.linalg.norm(vectors['a'] - vectors['c']):.4f}", f"{cosine:.4f}"]
    [found] = archdsl.predict(module, "a.png")
    assert isinstance(found, Embedding)
    assert repr(found).startswith("<Embedding of 2 values")


@pytest.mark.parametrize(
    ("loss", "expected"), [("mse", lambda x: 2 * x - 0.1), ("bce", lambda x: 1 / (1 + np.exp(-2 * x)))]
)
def test_an_image_is_written_as_the_network_gives_it(loss: str, expected: Any, capsys: Capture) -> None:
    """Values beyond 0..1 are cut off, since the network is trained on 0..1; with bce the output is a logit."""
    spec = IMAGE.replace("LOSS", loss)
    weights = {"0_weight": torch.tensor(2.0)}
    if loss == "mse":
        spec, weights = spec.replace(", bias=false", ""), weights | {"0_bias": torch.tensor(-0.1)}
    given(spec, **weights)
    truth = expected(cells() / 255)
    [one] = predicted("a.png", "-o", "out.png", capsys=capsys)
    assert (one["kind"], one["shape"], one["file"]) == ("image", [1, 4, 4], "out.png")
    assert (one["low"], one["high"]) == pytest.approx((truth.min(), truth.max()), abs=1e-5)
    written = np.asarray(Image.open("out.png"))
    assert np.abs(written / 255 - truth.clip(0, 1)).max() < 0.003
    assert ("cut off at 0 and 1" in table("a.png", "-o", "out.png", capsys=capsys)) == (loss == "mse")


def test_an_image_of_unknown_range_is_scaled(capsys: Capture) -> None:
    module = given(IMAGE.partition("train")[0], **{"0_weight": torch.tensor(-4.0)})
    assert "scaled" in table("a.png", "-o", "out.png", capsys=capsys)
    assert np.asarray(Image.open("out.png"))[[0, -1], [0, -1]].tolist() == [255, 0]
    [found] = archdsl.predict(module, "a.png")
    assert isinstance(found, Picture)


def test_a_mask_has_the_class_of_each_pixel(capsys: Capture) -> None:
    """Scores x, 1 - x and 0.4: the second class where x < 0.5 and the first where it is larger."""
    given(SEGMENTS, **{"0_weight": torch.tensor([1.0, -1, 0]), "0_bias": torch.tensor([0, 1, 0.4])})
    truth = np.where(cells() / 255 > 0.5, 0, 1)
    Path("names.txt").write_text("cat\ndog\nnothing\n")
    first, second = predicted("a.png", "b.png", "-o", "masks", "--classes", "names.txt", capsys=capsys)
    assert np.array_equal(np.asarray(Image.open("masks/a.png")), truth)
    assert (first["kind"], first["shape"], first["file"]) == ("segmentation", [4, 4], "masks/a.png")
    assert {one["class"]: one["share"] for one in first["classes"]} == {"dog": 0.5, "cat": 0.5}
    assert second["file"] == "masks/b.png"
    assert "50.00%" in table("a.png", capsys=capsys)
    [found] = archdsl.predict(archdsl.load("m.arch").build(), "a.png")
    assert isinstance(found, Mask)


def test_files_of_the_same_name_are_all_written(capsys: Capture) -> None:
    given(SEGMENTS, **{"0_weight": torch.tensor([1.0, -1, 0]), "0_bias": torch.zeros(3)})
    Path("other").mkdir()
    Image.fromarray(cells()).save("other/a.png")
    found = predicted("a.png", "other/a.png", "-o", "masks", capsys=capsys)
    assert [one["file"] for one in found] == ["masks/a.png", "masks/a-1.png"]


def test_several_outputs_are_told_by_shape_and_range(capsys: Capture) -> None:
    spec = "model m { input(1x4x4); boxes: conv(2, 1) -> boxes; head: conv(3, 2); output(boxes) }"
    weights = {"boxes_weight": torch.tensor([1.0, -1]), "boxes_bias": torch.zeros(2), "head_bias": torch.zeros(3)}
    module = given(spec, **weights, head_weight=torch.zeros(3, 2, 2, 2))
    [one] = predicted("a.png", capsys=capsys)
    assert one["kind"] == "outputs"
    assert set(one["outputs"]) == {"out", "boxes"}
    assert one["outputs"]["boxes"]["shape"] == [2, 4, 4]
    assert (one["outputs"]["boxes"]["low"], one["outputs"]["boxes"]["high"]) == pytest.approx((-240 / 255, 240 / 255))
    [found] = archdsl.predict(module, "a.png")
    assert isinstance(found, Outputs)


def test_scores_that_are_no_probabilities(capsys: Capture) -> None:
    module = given(
        "model m { input(1x4x4); flatten; linear(3) }\ntrain { loss = mse }",
        **{"1_weight": torch.zeros(3, 16), "1_bias": torch.tensor([0.5, -2, 1.5])},
    )
    [one] = predicted("a.png", "--top", "2", capsys=capsys)
    assert one == {
        "image": "a.png",
        "kind": "scores",
        "predictions": [{"class": "2", "index": 2, "score": 1.5}, {"class": "0", "index": 0, "score": 0.5}],
    }
    assert "%" not in table("a.png", capsys=capsys)
    [[best, *_]] = archdsl.predict(module, "a.png")
    assert best == Score(2, "2", 1.5)


def test_independent_logits_are_independent_probabilities(capsys: Capture) -> None:
    spec = "model m { input(1x4x4); flatten; linear(2) }\ntrain { dataset = digits; loss = bce }"
    given(spec, **{"1_weight": torch.zeros(2, 16), "1_bias": torch.tensor([0.0, 3.0])})
    [one] = predicted("a.png", capsys=capsys)
    assert [p["probability"] for p in one["predictions"]] == pytest.approx([1 / (1 + np.exp(-3)), 0.5])


def test_values_have_names(capsys: Capture) -> None:
    spec = 'model m { input(1x4x4); flatten; linear(2) }\ntrain { dataset = arrays("d"); loss = mse }'
    module = given(spec, **{"1_weight": torch.zeros(2, 16), "1_bias": torch.tensor([0.25, -300.5])})
    Path("names.txt").write_text("weight in kg\nheight in cm\n")
    [one] = predicted("a.png", "--classes", "names.txt", capsys=capsys)
    assert one["values"] == [{"name": "weight in kg", "value": 0.25}, {"name": "height in cm", "value": -300.5}]
    assert "%" not in table("a.png", capsys=capsys)
    assert archdsl.predict(module, "a.png") == [Values((0.25, -300.5), ("0", "1"))]


def test_a_run_says_what_its_outputs_are(capsys: Capture) -> None:
    """A run's own recipe counts, not that of the spec which is given with its weights."""
    Path("m.arch").write_text(METRIC + "\n", encoding="utf-8")
    options = ["--dataset", "digits", "--epochs", "1", "--set", "report=false", "--input", "1x8x8"]
    assert main(["train", "m.arch", *options, "--out", "run", "-q"]) == 0
    Path("m.arch").write_text(METRIC.partition("train")[0], encoding="utf-8")
    capsys.readouterr()
    for arguments in (["run", "a.png"], ["m.arch", "a.png", "--weights", "run"]):
        assert main(["predict", *arguments, "--json"]) == 0
        [one] = json.loads(capsys.readouterr().out)
        assert one["kind"] == "embedding"
        facts = json.loads(Path("run/run.json").read_text())
        assert len(one["vector"]) == facts["output"][0] == len(load_file("run/weights.safetensors")["1.weight"])


@pytest.mark.parametrize(
    ("spec", "options", "said"),
    [
        (METRIC, ["--top", "3"], "no classes but an embedding"),
        (METRIC, ["-o", "x.png"], "no image or mask but an embedding"),
        (METRIC, ["--classes", "names.txt"], "E730"),
        (IMAGE.replace("LOSS", "l1"), ["--top", "3"], "no classes but an image"),
        (IMAGE.replace("LOSS", "l1"), ["-o", "x.jpg"], "the extension must be .png"),
    ],
)
def test_options_without_effect(spec: str, options: list[str], said: str, capsys: Capture) -> None:
    Path("m.arch").write_text(spec, encoding="utf-8")
    save_file(archdsl.load("m.arch").build().state_dict(), "m.safetensors")
    Path("names.txt").write_text("x\ny\n")
    assert main(["predict", "m.arch", "a.png", "--weights", "m.safetensors", *options]) != 0
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "kind"),
    [("unet", "segmentation"), ("espcn_x2", "image"), ("yolov3_tiny", "outputs"), ("lenet", "classes")],
)
def test_the_card_of_the_zoo_says_what_it_is(name: str, kind: str) -> None:
    from archdsl.inference.kinds import reading_of

    assert reading_of(archdsl.load(name), None).kind == kind


def test_an_array_for_an_input_that_is_no_image(capsys: Capture) -> None:
    spec = "model m { input(2x5); flatten; linear(2) }"
    given(spec, **{"1_weight": torch.eye(2, 10), "1_bias": torch.zeros(2)})
    np.save("x.npy", np.full((2, 5), 7, np.float32))
    [one] = predicted("x.npy", capsys=capsys)
    assert [p["probability"] for p in one["predictions"]] == [0.5, 0.5]
