"""Data that are not there: the report names the files, their places and what fetches them; what it says works."""

from __future__ import annotations

import gzip
import re
import tarfile
from hashlib import md5
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
from torchvision import datasets
from torchvision.datasets import utils

from archdsl.datasets.data import load_data
from archdsl.datasets.sources import fashion_mnist
from archdsl.diagnostics import Rejected
from archdsl.recipe import Recipe
from archdsl.recipe.datasets import (
    AnyDataSet,
    Arrays,
    Cifar10,
    Cifar100,
    External,
    FashionMnist,
    ImageFolder,
    Mnist,
    Pairs,
    Torchvision,
)
from archdsl.shapes import Shape
from tests.datasets.test_data import write_mnist

COLOUR = Shape((3, 32, 32))


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, an empty cache, no data in the system's folders."""

    def fail(*_: Any, **__: Any) -> None:
        raise URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion_mnist, "SYSTEM_FOLDER", tmp_path / "none")
    monkeypatch.setattr(utils, "_get_redirect_url", fail)
    monkeypatch.setattr("urllib.request.urlopen", fail)


def rejected(dataset: AnyDataSet, inputs: dict[str, Shape] | None = None) -> Rejected:
    with pytest.raises(Rejected) as caught:
        load_data(Recipe(dataset=dataset), COLOUR, inputs)
    return caught.value


def named(found: Rejected) -> list[Path]:
    """The paths of the files that the notes say are missing."""
    pairs = (re.fullmatch(r"(.*) has no (\S+)( \(.*\))?", note) for note in found.notes)
    return [Path(match[1], match[2]) for match in pairs if match]


@pytest.mark.parametrize(
    ("dataset", "files", "size"),
    [
        (Mnist(), 4, "9.9 MB"),
        (FashionMnist(), 4, "26.4 MB"),
        (Cifar10(), 1, "170.5 MB"),
        (Cifar100(), 1, "169.0 MB"),
        (Torchvision(name="SVHN"), 1, "182.0 MB"),
        (Torchvision(name="KMNIST"), 1, "MD5"),
        (Torchvision(name="STL10"), 1, "MD5"),
        (Torchvision(name="Flowers102"), 1, "MD5"),
    ],
    ids=str,
)
def test_what_cannot_be_downloaded(dataset: AnyDataSet, files: int, size: str, tmp_path: Path) -> None:
    found = rejected(dataset)
    assert found.problem.code == "E612"
    assert str(found).endswith("could not be downloaded: Name or service not known")
    missing = named(found)
    assert len(missing) == files
    assert size in found.notes[0]
    assert all(path.is_relative_to(tmp_path / "cache/archdsl/data") for path in missing)
    fetch, put, root, instead = found.helps
    assert all(path.name in fetch for path in missing)
    assert re.search(r"`curl -LO '?https?://\S+`", fetch)
    assert str(missing[0].parent) in put
    assert "--root DIR" in root
    assert "--dataset digits" in instead


def test_files_put_where_the_report_says_are_read(tmp_path: Path) -> None:
    first, *others = named(rejected(Mnist()))
    write_mnist(tmp_path / "elsewhere")
    for path in (first, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        [source] = (tmp_path / "elsewhere").glob(f"{path.stem}*")
        data = source.read_bytes()
        path.write_bytes(data if data[:2] == b"\x1f\x8b" else gzip.compress(data))
    others[-1].unlink()
    assert named(rejected(Mnist())) == others[-1:]
    others[-1].with_suffix("").write_bytes(gzip.decompress((tmp_path / "elsewhere" / others[-1].name).read_bytes()))
    assert load_data(Recipe(dataset=Mnist()), Shape((1, 28, 28))).place == str(first.parents[1])


def test_an_archive_put_where_the_report_says_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = np.zeros((4, 3072), dtype=np.uint8)
    inside = tmp_path / datasets.CIFAR10.base_folder
    inside.mkdir()

    def write(name: str, content: object) -> list[str]:
        (inside / name).write_bytes(__import__("pickle").dumps(content))
        return [name, md5((inside / name).read_bytes()).hexdigest()]

    meta = write("batches.meta", {"label_names": [f"class{i}" for i in range(10)]})
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [write("data_batch_1", {"data": cells, "labels": [3] * 4})])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [write("test_batch", {"data": cells, "labels": [7] * 4})])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {"filename": meta[0], "key": "label_names", "md5": meta[1]})
    archive = tmp_path / "archive.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(inside, inside.name)
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(archive.read_bytes()).hexdigest())
    [place] = named(rejected(Cifar10()))
    place.parent.mkdir(parents=True, exist_ok=True)
    archive.replace(place)
    assert load_data(Recipe(dataset=Cifar10()), COLOUR).test.labels.tolist() == [7] * 4


@pytest.mark.parametrize("dataset", [Mnist, FashionMnist, Cifar10, Cifar100])
def test_a_root_without_the_files(dataset: Any, tmp_path: Path) -> None:
    found = rejected(dataset(root=str(tmp_path)))
    assert found.problem.code == "E611"
    assert str(tmp_path) in str(found)
    assert "curl" in found.helps[0]
    assert str(tmp_path) in found.helps[1]


def test_an_archive_that_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-python.tar.gz").touch()
    unpack, _ = rejected(Cifar10(root=str(tmp_path))).helps
    assert unpack == f"unpack it: `tar -xzf {tmp_path / 'cifar-10-python.tar.gz'} -C {tmp_path}`"


def test_torchvision_with_a_root(tmp_path: Path) -> None:
    found = rejected(Torchvision(name="SVHN", root=str(tmp_path)))
    assert (found.problem.code, str(found)) == ("E611", f"SVHN: {tmp_path} has no train_32x32.mat")
    assert "http://ufldl.stanford.edu/housenumbers/train_32x32.mat" in found.helps[0]
    found = rejected(Torchvision(name="ImageNet", root=str(tmp_path)))
    assert "torchvision does not download this set" in found.helps


def test_folders_and_arrays(tmp_path: Path) -> None:
    found = rejected(ImageFolder(root=str(tmp_path / "none")))
    assert (found.problem.code, str(found)) == ("E611", f"imagefolder: there is no folder {tmp_path / 'none'}")
    assert "a folder of images for each class" in found.helps[0]
    assert "a folder of images for each class" in rejected(ImageFolder(root=str(tmp_path))).helps[0]
    found = rejected(Arrays(root=str(tmp_path / "none.npz")))
    assert "x_train and y_train" in found.helps[0]
    np.save(tmp_path / "pixels.npy", np.zeros(3))
    found = rejected(Arrays(root=str(tmp_path)))
    assert str(found).startswith(f"arrays: {tmp_path} has the arrays pixels")
    assert "images and labels" in found.helps[0]


@pytest.mark.parametrize("dataset", [ImageFolder(), Arrays()], ids=["imagefolder", "arrays"])
def test_the_current_folder_is_not_taken_for_the_data(
    dataset: AnyDataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "needs a root" in str(rejected(dataset))


def test_pairs_say_what_their_images_lack() -> None:
    found = rejected(Pairs(of=Mnist()), {"one": Shape((1, 8, 8)), "other": Shape((1, 8, 8))})
    assert found.problem.code == "E612"
    assert len(named(found)) == 4


def test_another_package_whose_function_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    entry = EntryPoint("mine", "tests.datasets.test_missing:failing", "archdsl.datasets")
    monkeypatch.setattr("archdsl.datasets.sources.external.entry_points", lambda group: [entry])
    found = rejected(External(name="mine"))
    assert (found.problem.code, str(found)) == ("E626", "mine of tests.datasets.test_missing failed: no licence")


def failing(root: str | None) -> None:
    raise RuntimeError("no licence")
