"""Data from arrays, torchvision, other packages and damaged folders; subsets of classes; images as targets."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from archdsl.datasets import sources
from archdsl.datasets.data import Data, load_data
from archdsl.datasets.source import Source, Wanted, read_source
from archdsl.datasets.splits import InMemory, next_of_class
from archdsl.diagnostics import Rejected
from archdsl.recipe import FAMILIES, Recipe
from archdsl.recipe.datasets import Arrays, Digits, External, ImageFolder, Torchvision
from archdsl.shapes import Shape

GREY, COLOUR = Shape((1, 8, 8)), Shape((3, 8, 8))


def code(call: Any) -> str:
    with pytest.raises(Rejected) as rejected:
        call()
    return f"{rejected.value.problem.code}: {rejected.value}"


def read_arrays(path: Path) -> Source:
    return read_source(Arrays(), Wanted(GREY, str(path)))


def images_of(path: Path) -> torch.Tensor:
    train = read_arrays(path).train
    assert isinstance(train, InMemory)
    return train.images


def set_of(count: int = 12, shape: tuple[int, ...] = (8, 8), classes: int = 3) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, *shape), dtype=np.uint8), np.arange(count) % classes


def first(data: Data) -> torch.Tensor:
    assert isinstance(data.train, InMemory)
    return data.train.images


# Arrays


@pytest.mark.parametrize("names", [("x_train", "y_train", "x_test", "y_test"), ("images", "labels", None, None)])
def test_an_npz_file_is_a_set(names: tuple[str, ...], tmp_path: Path) -> None:
    images, labels = set_of()
    path = tmp_path / "set.npz"
    np.savez(path, **{name: array for name, array in zip(names, (images, labels) * 2, strict=True) if name})
    data = load_data(Recipe(dataset=Arrays(root=str(path))), GREY)
    assert (data.name, data.classes) == ("set.npz", ("0", "1", "2"))
    if names[2]:
        assert torch.equal(first(data)[:, 0], torch.from_numpy(images))
        assert len(data.test.labels) == 12
    else:  # a fifth is held back
        assert (len(data.train.labels), len(data.validation.labels)) == (9, 3)


def test_a_folder_of_npy_files_with_names_for_the_classes(tmp_path: Path) -> None:
    images, labels = set_of()
    for name, array in {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels[:, None]}.items():
        np.save(tmp_path / f"{name}.npy", array)
    np.save(tmp_path / "classes.npy", np.array(["cat", "dog", "cow"]))
    assert read_arrays(tmp_path).classes == ("cat", "dog", "cow")


@pytest.mark.parametrize(
    ("shape", "stored"), [((8, 6), (1, 8, 6)), ((8, 6, 3), (3, 8, 6)), ((3, 8, 6), (3, 8, 6)), ((8, 6, 1), (1, 8, 6))]
)
def test_every_order_of_axes(shape: tuple[int, ...], stored: tuple[int, ...], tmp_path: Path) -> None:
    images, labels = set_of(5, shape, 2)
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    found = images_of(tmp_path / "a.npz")
    assert tuple(found.shape[1:]) == stored
    expected = images.transpose(0, 3, 1, 2) if shape == (8, 6, 3) else images.reshape(5, *stored)
    assert np.array_equal(found.numpy(), expected)


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_floating_pictures_become_bytes(scale: float, tmp_path: Path) -> None:
    images, labels = set_of()
    np.savez(tmp_path / "a.npz", images=images / 255 * scale, labels=labels.astype(np.float32))
    assert np.array_equal(images_of(tmp_path / "a.npz")[:, 0].numpy(), images)


@pytest.mark.parametrize(
    ("images", "labels", "reason"),
    [
        (np.zeros((4, 8, 8), np.uint8), np.zeros(3, np.int64), "4 images and 3 labels"),
        (np.zeros((4, 8), np.uint8), np.zeros(4, np.int64), "4x8 is not N x H x W"),
        (np.zeros((4, 8, 8, 2), np.uint8), np.zeros(4, np.int64), "with one or three channels"),
        (np.full((4, 8, 8), 300), np.zeros(4, np.int64), "outside 0..255"),
        (np.full((4, 8, 8), np.nan), np.zeros(4, np.int64), "pixels from nan to nan"),
        (np.zeros((4, 8, 8), np.uint8), np.array([0, 1, -1, 0]), "row 2 has the label -1"),
        (np.zeros((4, 8, 8), np.uint8), np.zeros((4, 2)), "one integer for each image"),
        (np.zeros((0, 8, 8), np.uint8), np.zeros(0, np.int64), "there are no images"),
        (np.array([{}, {}], dtype=object), np.zeros(2, np.int64), "not unpickled"),
    ],
)
def test_arrays_that_are_no_pictures(images: Any, labels: Any, reason: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    found = code(lambda: read_arrays(tmp_path / "a.npz"))
    assert found.startswith("E613")
    assert reason in found


def test_files_that_are_no_set(tmp_path: Path) -> None:
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 cut off")
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    assert code(lambda: read_arrays(tmp_path / "broken.npz")).startswith("E613")
    assert "is a single array" in code(lambda: read_arrays(tmp_path / "one.npy"))
    found = code(lambda: read_arrays(tmp_path / "other.npz"))
    assert "has the arrays weights: images and their labels are needed" in found
    assert code(lambda: read_arrays(tmp_path / "missing.npz")).startswith("E611")


# Other libraries


def test_a_set_of_torchvision_by_its_class() -> None:
    options: dict[str, str | int | bool] = {"size": 20, "num_classes": 4}
    data = load_data(Recipe(dataset=Torchvision(name="FakeData", options=options)), COLOUR)
    assert data.classes == ("0", "1", "2", "3")
    assert data.sample == (3, 224, 224)
    assert len(data.train.labels) + len(data.validation.labels) == 20


def test_what_torchvision_does_not_have() -> None:
    found = code(lambda: load_data(Recipe(dataset=Torchvision(name="SHVN")), COLOUR))
    assert found.startswith("E623")
    with pytest.raises(Rejected) as rejected:
        load_data(Recipe(dataset=Torchvision(name="SHVN")), COLOUR)
    assert rejected.value.help == "did you mean `SVHN`?"


def test_a_torchvision_set_that_is_not_there(tmp_path: Path) -> None:
    found = code(lambda: load_data(Recipe(dataset=Torchvision(name="KMNIST", root=str(tmp_path))), GREY))
    assert found.startswith("E611")


def test_a_set_of_another_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "spots.py").write_text(
        "import numpy as np\n"
        "def load(root):\n"
        "    images = np.arange(8 * 64).reshape(8, 8, 8) % 256\n"
        "    return {'train': (images, np.arange(8) % 2), 'test': None, 'classes': [root, 'b']}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = metadata.EntryPoint("spots", "spots:load", "archdsl.datasets")
    monkeypatch.setattr("archdsl.datasets.sources.external.entry_points", lambda group: [entry])
    data = load_data(Recipe(dataset=External(name="spots", root="there")), GREY)
    assert data.classes == ("there", "b")
    assert code(lambda: load_data(Recipe(dataset=External(name="sports")), GREY)).startswith("E623")
    sys.modules.pop("spots")


def test_a_set_of_another_project_that_returns_nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = metadata.EntryPoint("wrong", "builtins:str", "archdsl.datasets")
    monkeypatch.setattr("archdsl.datasets.sources.external.entry_points", lambda group: [entry])
    assert "it must return" in code(lambda: load_data(Recipe(dataset=External(name="wrong")), GREY))


# Damaged pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("cat", "dog", "cow"):
        (tmp_path / name).mkdir()
        for i in range(6):
            Image.new("RGB", (10, 9), (40 * i, 0, 0)).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_damaged_pictures_are_left_out_and_named_if_asked_for(folder: Path) -> None:
    (folder / "dog" / "3.png").write_bytes(b"no picture")
    found = code(lambda: load_data(Recipe(dataset=ImageFolder(root=str(folder))), COLOUR))
    assert found.startswith("E617")
    assert str(folder / "dog" / "3.png") in found
    data = load_data(Recipe(dataset=ImageFolder(root=str(folder), skip_damaged=True)), COLOUR)
    assert len(data.train.labels) + len(data.validation.labels) == 17
    assert f"1 damaged left out: {folder / 'dog' / '3.png'}" in data.fit.note


def test_damaged_pictures_of_a_large_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "cat" / "0.png").write_bytes(b"")
    monkeypatch.setattr("archdsl.datasets.sources.imagefolder.MEMORY_BYTES", 0)
    data = load_data(Recipe(dataset=ImageFolder(root=str(folder), skip_damaged=True), workers=0), COLOUR)
    rows = torch.arange(len(data.train.labels))
    assert sum(len(labels) for _, labels in data.train.batches([rows])) == len(rows)
    assert "1 damaged left out" in data.fit.note


# Some classes only


def test_two_classes_of_a_folder(folder: Path) -> None:
    data = load_data(Recipe(dataset=ImageFolder(root=str(folder)), classes=("dog", "cat")), COLOUR)
    assert data.classes == ("dog", "cat")
    assert len(data.train.labels) + len(data.validation.labels) == 12


def test_two_digits_are_numbered_in_the_order_asked_for() -> None:
    whole = load_data(Recipe(), GREY)
    chosen = load_data(Recipe(classes=("7", "2")), GREY)
    for number, digit in enumerate((7, 2)):
        assert torch.equal(first(chosen)[chosen.train.labels == number], first(whole)[whole.train.labels == digit])
    assert set(chosen.test.labels.tolist()) == {0, 1}


def test_a_class_that_is_not_there(folder: Path) -> None:
    assert code(lambda: load_data(Recipe(classes=("7", "x")), GREY)).startswith("E624")
    with pytest.raises(Rejected) as rejected:
        load_data(Recipe(dataset=ImageFolder(root=str(folder)), classes=("cat", "dogs")), COLOUR)
    assert rejected.value.help == "did you mean `dog`?"


# Pictures as targets


def test_the_picture_itself_is_the_target() -> None:
    data = load_data(Recipe(target="picture"), Shape((1, 10, 10)))
    assert data.target == (1, 10, 10)
    ((images, targets),) = data.test.batches([torch.tensor([3, 5])])
    assert torch.equal(targets[:, :, 1:9, 1:9], images.float() / 255)
    assert not targets[:, :, 0].any()


def test_targets_of_a_perceptron_are_vectors() -> None:
    data = load_data(Recipe(target="picture"), Shape((64,)))
    ((images, targets),) = data.test.batches([torch.tensor([0])])
    assert data.target == (64,)
    assert torch.equal(targets, images.flatten(1).float() / 255)


def test_the_next_digit_is_the_target() -> None:
    plain, data = load_data(Recipe(dataset=Digits()), GREY), load_data(Recipe(target="next_class"), GREY)
    assert isinstance(plain.test, InMemory)
    pictures, labels = plain.test.images.float() / 255, plain.test.labels
    ((_, targets),) = data.test.batches([torch.arange(len(labels))])
    for label, target in zip(labels.tolist(), targets, strict=True):
        same = (pictures == target).flatten(1).all(1)
        assert ((label + 1) % 10) in labels[same].tolist()


def test_each_row_of_a_class_has_its_own_partner() -> None:
    labels = torch.tensor([0, 1, 0, 2, 1, 0])
    assert next_of_class(labels, 3).tolist() == [1, 3, 4, 0, 3, 1]
    with pytest.raises(ValueError, match="no images"):
        next_of_class(labels, 4)


def test_pairs_survive_validation_and_subsets() -> None:
    data = load_data(Recipe(target="next_class", validation=0.25), GREY)
    part = data.train.subset(torch.tensor([4, 9]))
    ((whole, wanted),) = data.train.batches([torch.tensor([4, 9])])
    ((images, targets),) = part.batches([torch.tensor([0, 1])])
    assert torch.equal(images, whole)
    assert torch.equal(targets, wanted)


def test_each_data_set_of_a_recipe_is_a_file_of_its_name() -> None:
    kinds = set(FAMILIES["dataset"])
    assert {each.name for each in pkgutil.iter_modules(sources.__path__)} == kinds
    for kind in kinds:
        read = importlib.import_module(f"{sources.__name__}.{kind}").read
        assert list(inspect.signature(read).parameters) == ["dataset", "wanted"]
