"""`archdsl predict` and `archdsl.predict` for networks with several inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import archdsl
from archdsl.cli import main

SPEC = """
model m {
  input(image: 1x8x8, time: 4, label: int64)
  flatten; linear(3) -> a
  use(time); linear(3) -> b
  use(label); embedding(5, 3)
  add(a, b)
}
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray[Any, Any]]:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    Path("m.arch").write_text(SPEC)
    module = archdsl.load("m.arch").build(seed=0)
    torch.save(module.state_dict(), "m.pt")
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name in ("a", "b"):
        arrays[f"{name}.png"] = random.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(arrays[f"{name}.png"]).save(f"{name}.png")
        arrays[f"{name}.npy"] = random.standard_normal(4).astype(np.float32)
        np.save(f"{name}.npy", arrays[f"{name}.npy"])
    np.save("label.npy", np.int64(2))
    return arrays


def scores(arrays: dict[str, np.ndarray[Any, Any]], name: str) -> torch.Tensor:
    module = archdsl.load("m.arch").build().eval()
    module.load_state_dict(torch.load("m.pt"))
    image = torch.from_numpy(arrays[f"{name}.png"])[None, None].float() / 255
    found: torch.Tensor = module(image, torch.from_numpy(arrays[f"{name}.npy"])[None], torch.tensor([2]))
    return found.softmax(1)[0].detach()


def test_each_input_has_a_file(files: dict[str, np.ndarray[Any, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    given = [part for name in "ab" for part in (f"image={name}.png", f"time={name}.npy", "label=label.npy")]
    assert main(["predict", "m.arch", *given, "--weights", "m.pt", "--json", "--top", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["image"] for one in found] == ["a.png, a.npy, label.npy", "b.png, b.npy, label.npy"]
    for one, name in zip(found, "ab", strict=True):
        expected = scores(files, name)
        for prediction in one["predictions"]:
            assert prediction["probability"] == pytest.approx(float(expected[prediction["index"]]), rel=1e-4)


def test_in_python_a_dictionary_is_a_sample(files: dict[str, np.ndarray[Any, Any]]) -> None:
    module = archdsl.load("m.arch").build().eval()
    module.load_state_dict(torch.load("m.pt"))
    with pytest.warns(UserWarning, match="how the weights were trained is not known"):
        [[best, *_]] = archdsl.predict(module, {"label": "label.npy", "image": "a.png", "time": Path("a.npy")})
    expected = scores(files, "a")
    assert best.index == int(expected.argmax())
    assert best.probability == pytest.approx(float(expected.max()), rel=1e-4)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (["image=a.png", "time=a.npy"], "E734", "`image`, `time`, `label`"),
        (["a.png"], "E734", "a file without a name"),
        (["a.png"], "E734", "name each file: image=FILE time=FILE label=FILE"),
        (["image=a.png", "time=label.npy", "label=label.npy"], "E732", "takes 4, but it holds int64 scalar"),
        (["image=a.png", "time=a.png", "label=label.npy"], "E732", "no .npy file for the input `time`"),
        (["image=a.npy", "time=a.npy", "label=label.npy"], "E617", "Pillow"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_files_that_do_not_fit_are_reported(
    given: list[str], code: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "m.arch", *given, "--weights", "m.pt"]) == 1
    text = capsys.readouterr().err
    assert code in text
    assert words in text
