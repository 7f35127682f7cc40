"""What to do about data that are not there: which files are missing, where they belong, and how to get them.

torchvision knows the addresses and checksums of its data sets; here are the sizes of the usual ones.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from archdsl.datasets.download import quiet
from archdsl.diagnostics import Rejected
from archdsl.diagnostics.codes.data import DataNotFound, NoDownload

#: Bytes by MD5 checksum.
SIZES = {
    "f68b3c2dcbeaaa9fbdd348bbdeb94873": 9_912_422,  # MNIST
    "d53e105ee54ea40749a09fcbcd1e9432": 28_881,
    "9fb629c4189551a2d022fa330f9573f3": 1_648_877,
    "ec29112dd5afa0611ce80d1b7f02629c": 4_542,
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d": 26_421_880,  # Fashion-MNIST
    "25c81989df183df01b3e8a0aad5dffbe": 29_515,
    "bef4ecab320f06d8554ea6380940ec79": 4_422_102,
    "bb300cfdad3c16e7a12a480ee83cd310": 5_148,
    "c58f30108f718f92721af3b95e74349a": 170_498_071,  # CIFAR-10 and CIFAR-100
    "eb9058c3a382ffc7106e4002c42a8d85": 169_001_437,
    "e26dedcc434d2e4c54c9b2d4a06d8373": 182_040_794,  # SVHN
    "eb5a983be6a315427106f1b164d9cef3": 64_275_384,
    "a93ce644f1a588dc4d68dda5feec44a7": 1_329_278_602,
}
#: The data set without files, which most networks for images can be tried on.
INSTEAD = "to try the network without files: `--dataset digits`"


class DataFile(NamedTuple):
    """A file of a data set: its path below the root, its address and its checksum, where these are known."""

    path: str
    url: str = ""
    md5: str | None = None

    def __str__(self) -> str:
        size = SIZES.get(self.md5 or "")
        known = [f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size:,} bytes"] if size else []
        known += [f"MD5 {self.md5}"] if self.md5 else []
        name = Path(self.path).name
        return f"{name} ({', '.join(known)})" if known else name


def fetching(files: Sequence[DataFile]) -> list[str]:
    """The help with the command that fetches files elsewhere."""
    urls = [file.url for file in files if file.url]
    if not urls:
        return []
    if len(urls) == 1:
        return [f"where there is internet access, `curl -LO {quote(urls[0])}` fetches it"]
    start = urls[0].rpartition("/")[0] + "/"
    names = ",".join(url.removeprefix(start) for url in urls)
    return [f"where there is internet access, `curl -LO '{start}{{{names}}}'` fetches them"]


def _them(items: Sequence[object]) -> str:
    return "it" if len(items) == 1 else "them"


def notes_on(files: Sequence[DataFile], folder: Path) -> list[str]:
    """A note for each file that is missing in a folder."""
    return [f"{folder / Path(file.path).parent} has no {file}" for file in files]


def no_download(name: str, reason: str, files: Sequence[DataFile], folder: Path, form: str = "") -> Rejected:
    """The error (E612) for files that cannot be downloaded into a folder; `form` says how else they may be there."""
    places = sorted({str(folder / Path(file.path).parent) for file in files})
    put = [f"then put {_them(files)} into {' and '.join(places)}{form}"] if files else []
    root = f'{"or " if put else ""}give the folder that has the files: `--root DIR`, or `root = "DIR"` in the recipe'
    return Rejected(
        NoDownload(name, reason),
        argument="dataset",
        notes=notes_on(files, folder),
        helps=[*fetching(files), *put, root, INSTEAD],
    )


def not_there(name: str, reason: str, files: Sequence[DataFile], folder: Path, *helps: str) -> Rejected:
    """The error (E611) for files that a folder does not have."""
    notes = notes_on(files, folder) if len(files) > 1 else []
    helped = [*fetching(files), *helps, INSTEAD]
    return Rejected(DataNotFound(name, reason), argument="dataset", notes=notes, helps=helped)


def required_folder(name: str, root: str | None, holds: str) -> Path:
    """The root of a data set that has no usual place; what it `holds` is the help.

    Raises:
        Rejected: none is given (E611).
    """
    if root is None:
        raise not_there(name, "it needs a root, the folder of its files", [], Path(), holds)
    return Path(root).expanduser()


def first_file(make: Callable[[Path], object]) -> list[DataFile]:
    """The first file that a data set of torchvision would download, found without downloading it.

    `make` makes the data set for a root. Empty where it downloads nothing, or not by torchvision's own functions.
    """
    with TemporaryDirectory() as folder, quiet(), contextlib.suppress(Exception):
        try:
            with _recorded():
                make(Path(folder))
        except _Wanted as wanted:
            found = Path(wanted.path).relative_to(folder)
            return [DataFile(str(found), wanted.url, wanted.md5)]
    return []


class _Wanted(Exception):
    """A file that was about to be downloaded."""

    def __init__(self, path: str, md5: str | None, url: str) -> None:
        super().__init__(url)
        self.path, self.md5, self.url = path, md5, url


@contextlib.contextmanager
def _recorded() -> Iterator[None]:
    """Raise _Wanted where torchvision would download a file."""
    from torchvision.datasets import utils

    asked: list[tuple[str, str | None]] = []

    def check(path: Any, md5: str | None = None) -> bool:
        asked.append((str(path), md5))
        return False

    def stop(url: str, *_: Any, **__: Any) -> str:
        raise _Wanted(*asked[-1], url)

    kept = utils.check_integrity, utils._get_redirect_url
    utils.check_integrity, utils._get_redirect_url = check, stop
    try:
        yield
    finally:
        utils.check_integrity, utils._get_redirect_url = kept
