"""Data sets: the included one compared with scikit-learn, generated files with torchvision, and every error."""

import gzip
import pickle
import struct
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision import datasets
from torchvision.datasets.mnist import read_image_file, read_label_file

from archdsl.datasets.data import load_data
from archdsl.datasets.idx import read_idx
from archdsl.datasets.images import decode
from archdsl.datasets.sources import digits, fashion_mnist, imagefolder
from archdsl.datasets.sources.imagefolder import Streamed
from archdsl.datasets.splits import InMemory, Split
from archdsl.diagnostics import Rejected
from archdsl.recipe import Recipe
from archdsl.recipe.augmentations import HFlip, RandomResizedCrop
from archdsl.recipe.datasets import Cifar10, Digits, FashionMnist, ImageFolder, Mnist
from archdsl.shapes import Shape
from tests.train.stub import save_picture

GREY28, COLOUR8 = Shape((1, 28, 28)), Shape((3, 8, 8))


def rejected(recipe: Recipe, input: Shape = GREY28) -> Rejected:
    with pytest.raises(Rejected) as caught:
        load_data(recipe, input)
    return caught.value


def images_of(split: Split) -> Tensor:
    assert isinstance(split, InMemory)
    return split.images


# Digits


def test_digits_are_scikit_learns_split_by_class() -> None:
    from sklearn.datasets import load_digits

    twin = load_digits()
    found = load_data(Recipe(dataset=Digits()), Shape((1, 8, 8)))
    train, test = images_of(found.train), images_of(found.test)
    assert len(train) + len(test) == len(twin.target)
    both = torch.cat((train, test)).flatten(1).double() * 16 / 255
    labels = torch.cat((found.train.labels, found.test.labels))
    ours = sorted((*cells.round().int().tolist(), label) for cells, label in zip(both, labels.tolist(), strict=True))
    theirs = zip(twin.data.astype(int).tolist(), twin.target.tolist(), strict=True)
    assert ours == sorted((*cells, label) for cells, label in theirs)
    assert found.test.labels.bincount().tolist() == [n // 5 for n in np.bincount(twin.target).tolist()]
    assert found.validation is found.test
    assert found.classes == tuple("0123456789")


def test_digits_without_scikit_learns_file_come_from_its_function(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = digits._table()
    monkeypatch.setattr(digits, "find_spec", lambda name: None)
    assert torch.equal(digits._table(), expected)


def test_a_validation_share_comes_out_of_the_training_part() -> None:
    whole = load_data(Recipe(), Shape((64,)))
    found = load_data(Recipe(validation=0.25), Shape((64,)))
    assert len(found.train.labels) + len(found.validation.labels) == len(whole.train.labels)
    assert abs(len(found.validation.labels) / len(whole.train.labels) - 0.25) < 0.01
    assert torch.equal(images_of(found.test), images_of(whole.test))
    problem = rejected(Recipe(validation=1e-6), Shape((64,)))
    assert (problem.problem.code, problem.argument) == ("E622", "validation")


# IDX files


def write_idx(path: Path, array: Tensor, *, zipped: bool) -> None:
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    content = header + array.numpy().tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    if zipped:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


def write_mnist(root: Path, *, zipped: bool = True) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    arrays = {}
    for part, count in (("train", 30), ("t10k", 10)):
        images = torch.randint(0, 256, (count, 28, 28), dtype=torch.uint8, generator=generator)
        arrays[part] = images
        write_idx(root / f"{part}-images-idx3-ubyte", images, zipped=zipped)
        write_idx(root / f"{part}-labels-idx1-ubyte", torch.arange(count, dtype=torch.uint8) % 10, zipped=zipped)
    return arrays


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("below", ["", "raw", "MNIST/raw"])
def test_idx_files_are_read_where_they_lie(tmp_path: Path, zipped: bool, below: str) -> None:
    arrays = write_mnist(tmp_path / below, zipped=zipped)
    before = sorted(tmp_path.rglob("*"))
    found = load_data(Recipe(dataset=Mnist(root=str(tmp_path))), GREY28)
    assert torch.equal(images_of(found.train)[:, 0], arrays["train"])
    assert torch.equal(images_of(found.test)[:, 0], arrays["t10k"])
    assert torch.equal(found.train.labels, torch.arange(30) % 10)
    assert sorted(tmp_path.rglob("*")) == before


def test_idx_files_are_read_as_torchvision_reads_them(tmp_path: Path) -> None:
    write_mnist(tmp_path, zipped=False)
    images, labels = (tmp_path / f"train-{name}" for name in ("images-idx3-ubyte", "labels-idx1-ubyte"))
    assert torch.equal(read_idx(images, 3), read_image_file(str(images)))
    assert torch.equal(read_idx(labels, 1).long(), read_label_file(str(labels)))


def test_fashion_mnist_is_found_in_the_systems_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = write_mnist(tmp_path)
    monkeypatch.setattr(fashion_mnist, "SYSTEM_FOLDER", tmp_path)
    found = load_data(Recipe(dataset=FashionMnist()), GREY28)
    assert torch.equal(images_of(found.train)[:, 0], arrays["train"])
    assert found.classes[9] == "Ankle boot"


def test_a_set_in_the_cache_is_not_downloaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(datasets.MNIST, "__init__", forbidden)
    arrays = write_mnist(tmp_path / "archdsl/data/MNIST/raw")
    found = load_data(Recipe(dataset=Mnist()), GREY28)
    assert torch.equal(images_of(found.train)[:, 0], arrays["train"])


def forbidden(*args: Any, **kwargs: Any) -> None:
    raise AssertionError("nothing may be downloaded")


@pytest.mark.parametrize("name", ["MNIST", "CIFAR10"])
def test_without_a_network_the_message_says_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(self: object, root: Path, download: bool) -> None:
        assert download
        raise RuntimeError("Error downloading x:\n<urlopen error no route>")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(getattr(datasets, name), "__init__", offline)
    dataset = Mnist() if name == "MNIST" else Cifar10()
    problem = rejected(Recipe(dataset=dataset), Shape((3, 32, 32)))
    assert problem.problem.code == "E612"
    assert str(problem.problem).endswith("could not be downloaded: no route")
    assert "--root" in str(problem.helps)
    assert "--dataset digits" in str(problem.helps)


def cut(content: bytes) -> bytes:
    return content[:-1]


def other_magic(content: bytes) -> bytes:
    return b"\x00\x00\x0d" + content[3:]


def empty(content: bytes) -> bytes:
    return b""


def no_images(content: bytes) -> bytes:
    return struct.pack(">HBBIII", 0, 8, 3, 0, 28, 28)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut, "promises 23,520 bytes, but 23,519 follow"),
        (other_magic, "does not start as an IDX file"),
        (empty, "does not start as an IDX file"),
        (no_images, "it is empty"),
    ],
)
def test_a_damaged_idx_file_is_named(tmp_path: Path, damage: Any, reason: str) -> None:
    write_mnist(tmp_path, zipped=False)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    problem = rejected(Recipe(dataset=Mnist(root=str(tmp_path)))).problem
    assert problem.code == "E613"
    assert str(path) in str(problem)
    assert reason in str(problem)


def test_a_cut_gzip_file_is_named(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    assert rejected(Recipe(dataset=Mnist(root=str(tmp_path)))).problem.code == "E613"


@pytest.mark.parametrize(
    ("labels", "reason"),
    [(torch.full((30,), 10, dtype=torch.uint8), "label 10, but"), (torch.zeros(29, dtype=torch.uint8), "29 labels")],
)
def test_labels_that_cannot_be_are_rejected(tmp_path: Path, labels: Tensor, reason: str) -> None:
    write_mnist(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte", labels, zipped=True)
    problem = rejected(Recipe(dataset=Mnist(root=str(tmp_path)))).problem
    assert problem.code == "E613"
    assert reason in str(problem)


def test_a_missing_folder_or_file_is_named(tmp_path: Path) -> None:
    problem = rejected(Recipe(dataset=Mnist(root=str(tmp_path / "none")))).problem
    assert str(problem) == f"mnist: there is no folder {tmp_path / 'none'}"
    assert problem.code == "E611"
    problem = rejected(Recipe(dataset=Mnist(root=str(tmp_path)))).problem
    assert str(problem) == f"mnist: {tmp_path} has no train-images-idx3-ubyte.gz"
    assert rejected(Recipe(dataset=Cifar10(root=str(tmp_path))), Shape((3, 32, 32))).problem.code == "E611"


# CIFAR-10


def test_cifar_comes_through_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = np.random.default_rng(0).integers(0, 256, (12, 3072), dtype=np.uint8)

    def write(name: str, content: object) -> list[str]:
        path = tmp_path / datasets.CIFAR10.base_folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pickle.dumps(content))
        return [name, md5(path.read_bytes()).hexdigest()]

    train = write("data_batch_1", {"data": cells[:8], "labels": [3] * 8})
    test = write("test_batch", {"data": cells[8:], "labels": [7] * 4})
    meta = write("batches.meta", {"label_names": [f"class{i}" for i in range(10)]})
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [train])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [test])
    facts = {"filename": meta[0], "key": "label_names", "md5": meta[1]}
    monkeypatch.setattr(datasets.CIFAR10, "meta", facts)
    found = load_data(Recipe(dataset=Cifar10(root=str(tmp_path))), Shape((3, 32, 32)))
    assert np.array_equal(images_of(found.train).flatten(1).numpy(), cells[:8])
    assert found.test.labels.tolist() == [7] * 4
    assert found.classes[3] == "class3"
    (tmp_path / datasets.CIFAR10.base_folder / "test_batch").write_bytes(b"damaged")
    assert rejected(Recipe(dataset=Cifar10(root=str(tmp_path))), Shape((3, 32, 32))).problem.code == "E613"
    (tmp_path / datasets.CIFAR10.base_folder / "test_batch").unlink()
    problem = rejected(Recipe(dataset=Cifar10(root=str(tmp_path))), Shape((3, 32, 32)))
    assert problem.problem.code == "E611"
    assert str(problem).endswith("cifar-10-batches-py has no test_batch")


# Folders of pictures


def write_folder(root: Path, counts: dict[str, int], size: tuple[int, int] = (8, 8)) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(len(str(root)))
    written = {}
    for name, count in counts.items():
        for i in range(count):
            cells = torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator)
            save_picture(root / name / f"{i}.png", cells)
            written[f"{name}/{i}"] = cells
    return written


def folder_recipe(root: Path, **more: Any) -> Recipe:
    return Recipe(dataset=ImageFolder(root=str(root)), **more)


def test_a_folder_with_parts(tmp_path: Path) -> None:
    written = write_folder(tmp_path / "train", {"cat": 3, "dog": 2})
    write_folder(tmp_path / "val", {"cat": 1, "dog": 2})
    write_folder(tmp_path / "test", {"dog": 1})
    found = load_data(folder_recipe(tmp_path), COLOUR8)
    assert found.classes == ("cat", "dog")
    assert found.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert torch.equal(images_of(found.train), torch.stack([written[k] for k in sorted(written)]))
    assert found.validation.labels.tolist() == [0, 1, 1]
    assert found.test.labels.tolist() == [1]


def test_a_folder_without_parts_holds_back_a_share(tmp_path: Path) -> None:
    write_folder(tmp_path, {"cat": 10, "dog": 5, ".hidden": 1})
    found = load_data(folder_recipe(tmp_path), COLOUR8)
    assert found.train.labels.bincount().tolist() == [8, 4]
    assert found.validation.labels.bincount().tolist() == [2, 1]
    assert found.test is found.validation
    half = load_data(folder_recipe(tmp_path, validation=0.5), COLOUR8)
    assert half.validation.labels.bincount().tolist() == [5, 2]


def test_grey_networks_read_grey_pictures_and_vectors_square_ones(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 5, "b": 5}, size=(20, 12))
    assert load_data(folder_recipe(tmp_path), Shape((1, 6, 6))).sample == (1, 6, 6)
    assert load_data(folder_recipe(tmp_path), Shape((192,))).sample == (3, 8, 8)
    assert rejected(folder_recipe(tmp_path), Shape((2, 6, 6))).problem.code == "E618"


def test_pictures_are_scaled_to_cover_the_input_and_cut_in_the_centre(tmp_path: Path) -> None:
    cells = torch.zeros(3, 8, 16, dtype=torch.uint8)
    cells[:, :, 4:12] = 200  # the centre square
    save_picture(tmp_path / "a.png", cells)
    found = decode(tmp_path / "a.png", Shape((3, 8, 8)))
    assert isinstance(found, Tensor)
    assert (found == 200).all()


def test_a_random_resized_crop_gets_larger_pictures(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 5, "b": 5}, size=(20, 20))
    recipe = folder_recipe(tmp_path, augment=(RandomResizedCrop(size=(14, 14)), HFlip()))
    found = load_data(recipe, Shape((3, 14, 14)))
    assert found.sample == (3, 16, 16)
    assert found.fit.how == "crop"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_folder_too_large_for_memory_is_streamed_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    write_folder(tmp_path, {"a": 10, "b": 7}, size=(9, 9))
    held = load_data(folder_recipe(tmp_path), COLOUR8)
    monkeypatch.setattr(imagefolder, "MEMORY_BYTES", 0)
    streamed = load_data(folder_recipe(tmp_path, workers=workers), COLOUR8)
    assert isinstance(streamed.train, Streamed)
    order = [torch.tensor([3, 0, 9]), torch.tensor([5])]
    for ours, theirs in zip(held.train.batches(order), streamed.train.batches(order), strict=True):
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_picture_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    write_folder(tmp_path, {"a": 5, "b": 5})
    bad = tmp_path / "a" / "2.png"
    bad.write_bytes(bad.read_bytes()[:60])
    problem = rejected(folder_recipe(tmp_path), COLOUR8).problem
    assert problem.code == "E617"
    assert str(bad) in str(problem)
    monkeypatch.setattr(imagefolder, "MEMORY_BYTES", 0)
    split, _ = imagefolder.read_split([(bad, 0)], COLOUR8, workers)
    with pytest.raises(Rejected) as caught:
        list(split.batches([torch.tensor([0])]))
    assert caught.value.problem.code == "E617"


def test_folders_that_are_no_data_set_are_rejected(tmp_path: Path) -> None:
    assert rejected(folder_recipe(tmp_path / "none"), COLOUR8).problem.code == "E611"
    assert rejected(folder_recipe(tmp_path), COLOUR8).problem.code == "E614"
    (tmp_path / "cat").mkdir()
    assert rejected(folder_recipe(tmp_path), COLOUR8).problem.code == "E615"
    write_folder(tmp_path / "parts/train", {"cat": 2})
    write_folder(tmp_path / "parts/val", {"cow": 1})
    problem = rejected(folder_recipe(tmp_path / "parts"), COLOUR8).problem
    assert problem.code == "E616"
    assert "cow" in str(problem)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["png", "jpg"])
def test_pictures_are_turned_as_the_camera_was_held(tmp_path: Path, form: str, orientation: int) -> None:
    """Pillow's own function turns the other picture; the file is not square, so that a wrong turn changes its size."""
    cells = np.random.default_rng(orientation).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "train" / "a" / f"1.{form}"
    path.parent.mkdir(parents=True)
    Image.fromarray(cells).save(path, exif=exif)
    with Image.open(path) as file:
        expected = np.asarray(ImageOps.exif_transpose(file))
    height, width = expected.shape[:2]
    assert (height, width) == ((12, 20) if orientation < 5 else (20, 12))
    found = decode(path, Shape((3, height, width)))
    assert isinstance(found, Tensor)
    np.testing.assert_array_equal(found.permute(1, 2, 0).numpy(), expected)


def test_exif_data_that_cannot_be_read_turn_nothing(tmp_path: Path) -> None:
    cells = np.zeros((4, 6), dtype=np.uint8)
    Image.fromarray(cells).save(tmp_path / "1.jpg", exif=b"Exif\x00\x00nonsense")
    assert isinstance(decode(tmp_path / "1.jpg", Shape((1, 4, 6))), Tensor)
