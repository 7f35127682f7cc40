"""Weight files: values are kept, mismatches are named, and loading runs no code."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

import archdsl
from archdsl.backends.torch import build, load_weights, save_weights

SPEC = "model m(width = 4) { input(3x8x8); conv: conv(width, 3); bn: batchnorm; flatten; fc: linear(2) }"


def module_of(seed: int, **settings: Any) -> nn.Module:
    return build(archdsl.load(SPEC, **settings), seed=seed)


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) and x.dtype == y.dtype for (a, x), (b, y) in pairs)


def write_folder(module: nn.Module, path: Path) -> None:
    path.mkdir()
    save_weights(module, path / "weights.safetensors")


WRITERS: dict[str, Callable[[nn.Module, Path], Any]] = {
    "m.safetensors": save_weights,
    "m.pt": lambda module, path: torch.save(module.state_dict(), path),
    "m.pth": lambda module, path: torch.save({"state_dict": module.state_dict(), "epoch": 3}, path),
    "run": write_folder,
}


@pytest.mark.parametrize("name", WRITERS)
def test_round_trip(name: str, tmp_path: Path) -> None:
    trained, fresh = module_of(1), module_of(2)
    trained(torch.randn(4, 3, 8, 8))  # moves the running statistics
    WRITERS[name](trained, tmp_path / name)
    assert not same(trained, fresh)
    load_weights(fresh, tmp_path / name)
    assert same(trained, fresh)


def test_a_module_on_the_meta_device_gets_real_weights(tmp_path: Path) -> None:
    trained = module_of(1)
    save_weights(trained, tmp_path / "m.safetensors")
    with torch.device("meta"):
        empty = module_of(2)
    load_weights(empty, tmp_path / "m.safetensors")
    assert same(trained, empty)


def test_the_file_is_what_safetensors_reads(tmp_path: Path) -> None:
    module = module_of(1)
    save_weights(module, tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", "pt") as file:
        assert set(file.keys()) == set(module.state_dict())
        assert torch.equal(file.get_tensor("fc.weight"), module.state_dict()["fc.weight"])


def test_views_and_tied_weights_are_written_out(tmp_path: Path) -> None:
    module = module_of(1)
    twin = nn.ModuleDict({"a": module, "b": module, "view": nn.Linear(2, 3)})
    view = twin["view"]
    assert isinstance(view, nn.Linear)
    view.weight = nn.Parameter(torch.arange(12.0).reshape(2, 6)[:, ::2].T)
    save_weights(twin, tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", "pt") as file:
        assert torch.equal(file.get_tensor("a.fc.weight"), file.get_tensor("b.fc.weight"))
        assert file.get_tensor("view.weight").tolist() == [[0, 6], [2, 8], [4, 10]]


def codes(error: archdsl.SpecError) -> list[str]:
    return [diagnostic.code for diagnostic in error.diagnostics]


def test_another_width_is_named(tmp_path: Path) -> None:
    save_weights(module_of(1, width=5), tmp_path / "m.safetensors")
    module, untouched = module_of(2), module_of(2)
    with pytest.raises(archdsl.SpecError, match=r"conv\.weight .*5x3x3x3, but the model expects 4x3x3x3") as caught:
        load_weights(module, tmp_path / "m.safetensors")
    assert set(codes(caught.value)) == {"E703"}
    assert same(module, untouched)


def test_missing_and_unexpected_keys_are_named(tmp_path: Path) -> None:
    state = module_of(1).state_dict()
    state["classifier.weight"] = state.pop("fc.weight")
    torch.save(state, tmp_path / "m.pt")
    with pytest.raises(archdsl.SpecError) as caught:
        load_weights(module_of(2), tmp_path / "m.pt")
    assert codes(caught.value) == ["E702", "E704"]
    assert "fc.weight" in str(caught.value)
    assert "classifier.weight" in str(caught.value)


def test_a_long_list_of_differences_is_cut(tmp_path: Path) -> None:
    torch.save({f"layer{i}": torch.zeros(1) for i in range(100)}, tmp_path / "m.pt")
    with pytest.raises(archdsl.SpecError, match="similar errors") as caught:
        load_weights(module_of(2), tmp_path / "m.pt")
    assert len(caught.value.diagnostics) < 12


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("save", [torch.save, lambda thing, path: path.write_bytes(pickle.dumps(thing))])
def test_nothing_is_unpickled_but_tensors(save: Callable[[Any, Path], Any], tmp_path: Path) -> None:
    save({"fc.weight": Trap(tmp_path / "sprung")}, tmp_path / "m.pt")
    with pytest.raises(archdsl.SpecError) as caught:
        load_weights(module_of(2), tmp_path / "m.pt")
    assert codes(caught.value) == ["E721"]
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["m.safetensors", "m.pt"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 half an archive", b"\xff" * 64])
def test_damaged_files(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(archdsl.SpecError) as caught:
        load_weights(module_of(2), tmp_path / name)
    assert codes(caught.value) == ["E721"]


@pytest.mark.parametrize("thing", [torch.zeros(3), [torch.zeros(3)], {"epoch": 3}])
def test_other_things_than_a_state_dict(thing: Any, tmp_path: Path) -> None:
    torch.save(thing, tmp_path / "m.pt")
    with pytest.raises(archdsl.SpecError) as caught:
        load_weights(module_of(2), tmp_path / "m.pt")
    assert codes(caught.value) == ["E721"]


@pytest.mark.parametrize("name", ["none.safetensors", "none.pt", "none", "", "nul\0.pt"])
def test_missing_files(name: str, tmp_path: Path) -> None:
    with pytest.raises(archdsl.SpecError) as caught:
        load_weights(module_of(2), tmp_path / name)
    assert codes(caught.value) == ["E720"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.safetensors"
    save_weights(module_of(1), path)
    before = path.read_bytes()

    def full(tensors: Any, filename: Path, metadata: Any) -> None:
        filename.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("archdsl.files.tensors.save_file", full)
    with pytest.raises(archdsl.SpecError, match="No space left on device") as caught:
        save_weights(module_of(2), path)
    assert codes(caught.value) == ["E708"]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(archdsl.SpecError) as caught:
        save_weights(module_of(1), tmp_path / "none" / "m.safetensors")
    assert codes(caught.value) == ["E708"]
