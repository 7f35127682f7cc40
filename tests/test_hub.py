"""Folders and repositories of trained networks: what is saved is loaded again, and nothing else is."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import archdsl
from archdsl import zoo
from archdsl.diagnostics import SpecError
from archdsl.recipe import Recipe
from archdsl.train import run_training

SPEC = """
block unit(width) { conv(width, 3, padding=1); batchnorm; relu }
model pair(classes = 10) {
  input(1x8x8)
  unit(4)
  adaptive_avgpool(1); flatten; head: linear(classes)
}
"""


def saved(folder: Path) -> Any:
    network = archdsl.load(SPEC, input=(1, 12, 12), classes=3)
    module = network.build(seed=0).eval()
    archdsl.save_pretrained(module, folder)
    return module


def test_what_is_saved_is_loaded_again(tmp_path: Path) -> None:
    module, x = saved(tmp_path / "pair"), torch.randn(2, 1, 12, 12)
    assert sorted(path.name for path in (tmp_path / "pair").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    again = archdsl.from_pretrained(tmp_path / "pair")
    assert not again.training
    assert torch.equal(again(x), module(x))
    network = archdsl.network_of(again)
    assert (network.settings["classes"], tuple(network.input_shape)) == (3, (1, 12, 12))
    assert set(load_file(tmp_path / "pair" / "model.safetensors")) == set(module.state_dict())
    assert 'archdsl.from_pretrained("pair")' in (tmp_path / "pair" / "README.md").read_text()


def test_settings_that_json_does_not_have(tmp_path: Path) -> None:
    """A tuple and an import: the folder needs no other file."""
    (tmp_path / "unit.arch").write_text("block unit(width) { conv(width, 3); relu }\n")
    (tmp_path / "net.arch").write_text(
        'import "unit.arch"\nmodel net(sizes = (4, 6)) { input(3x9x9); unit(sizes[1]); flatten }\n'
    )
    module = archdsl.load(tmp_path / "net.arch", settings={"sizes": (4, 5)}).build(seed=0).eval()
    archdsl.save_pretrained(module, tmp_path / "saved")
    (tmp_path / "unit.arch").unlink()
    again = archdsl.from_pretrained(str(tmp_path / "saved"))
    assert archdsl.network_of(again).settings["sizes"] == (4, 5)
    x = torch.randn(2, 3, 9, 9)
    assert torch.equal(again(x), module(x))


def test_shared_weights_and_integers(tmp_path: Path) -> None:
    spec = "model m { input(text: int64(6)); table: embedding(9, 4); a: linear(4); reuse(a); flatten; linear(2) }"
    module = archdsl.load(spec).build(seed=0).eval()
    archdsl.save_pretrained(module, tmp_path)
    x = torch.randint(9, (2, 6))
    assert torch.equal(archdsl.from_pretrained(tmp_path)(x), module(x))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "lenet"
    network = zoo.load("lenet")
    run_training(network, Recipe(max_steps=1, report=False), out=folder, quiet=True)
    return folder


def test_a_run_is_loaded_and_brings_its_preparation(run: Path, tmp_path: Path) -> None:
    from archdsl.inference.inputs import inputs_of

    module = archdsl.from_pretrained(run)
    archdsl.save_pretrained(module, tmp_path)
    again = archdsl.from_pretrained(tmp_path)
    network = archdsl.network_of(again)
    assert inputs_of(again, network, None).classes == inputs_of(module, network, None).classes != ()
    x = torch.randn(2, *network.input_shape)
    assert torch.equal(again(x), module(x))
    # The same weights by the zoo's name, from the run and from a file.
    for weights in (run, str(run), run / "weights.safetensors", tmp_path / "model.safetensors"):
        assert torch.equal(zoo.build("lenet", weights=weights).eval()(x), module(x))


def test_weights_by_path_must_exist_and_fit(run: Path) -> None:
    with pytest.raises(SpecError, match="E720"):
        zoo.build("lenet", weights="nowhere.safetensors")
    with pytest.raises(SpecError, match="E70"):
        zoo.build("lenet", weights=run, classes=4)
    with pytest.raises(SpecError, match="E724"):
        zoo.build("resnet18", weights="IMAGENET1K_V9")


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"E873.*nowhere"):
        archdsl.from_pretrained("nowhere")
    with pytest.raises(SpecError, match=r"(?s)E873.*config\.json"):
        archdsl.from_pretrained(tmp_path)
    saved(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"format": 99}))
    with pytest.raises(SpecError, match=r"E873.*written by archdsl"):
        archdsl.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"format": 1, "model": "pair"}))
    with pytest.raises(SpecError, match=r"E873.*spec"):
        archdsl.from_pretrained(tmp_path)
    with pytest.raises(SpecError, match="E7"):
        archdsl.save_pretrained(torch.nn.Linear(2, 2), tmp_path)


def test_no_code_of_the_folder_runs(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    saved(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(SpecError, match="E721"):
        archdsl.from_pretrained(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a connection: a repository as huggingface_hub would keep it, and what it would be given."""
    uploaded: dict[str, list[str]] = {}

    class HfApi:
        def create_repo(self, name: str, **_: Any) -> None:
            uploaded[name] = []

        def upload_folder(self, repo_id: str, folder_path: str, commit_message: str) -> str:
            uploaded[repo_id] = sorted(path.name for path in Path(folder_path).iterdir())
            assert f'from_pretrained("{repo_id}")' in Path(folder_path, "README.md").read_text()
            return f"https://hub/{repo_id}"

    def snapshot_download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        if name != "me/pair":
            raise OSError("404 Client Error.\n\nRepository Not Found")
        assert revision == "v1"
        return str(tmp_path)

    module = saved(tmp_path)
    monkeypatch.setitem(
        sys.modules, "huggingface_hub", SimpleNamespace(HfApi=HfApi, snapshot_download=snapshot_download)
    )
    x = torch.randn(1, 1, 12, 12)
    assert torch.equal(archdsl.from_pretrained("me/pair", revision="v1")(x), module(x))
    assert archdsl.push_to_hub(module, "me/pair") == "https://hub/me/pair"
    assert uploaded == {"me/pair": ["README.md", "config.json", "model.safetensors"]}
    with pytest.raises(SpecError, match=r"E873.*404 Client Error"):
        archdsl.from_pretrained("me/other")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(SpecError, match=r"E701.*archdsl\[hub\]"):
        archdsl.from_pretrained("me/pair")
