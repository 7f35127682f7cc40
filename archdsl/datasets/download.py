"""Data sets that torchvision downloads."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from archdsl.diagnostics import Rejected
from archdsl.diagnostics.codes.data import NoDownload

T = TypeVar("T")


def cache_folder() -> Path:
    """The folder that data sets are downloaded to."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "archdsl" / "data"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress torchvision's progress bars."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def reason(error: Exception) -> str:
    """Why something failed, in one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def download(name: str, action: Callable[[], T]) -> T:
    """The result of `action`, which lets torchvision download a data set. Raises Rejected (E612)."""
    try:
        with quiet():
            return action()
    except (OSError, RuntimeError) as error:
        help = "give the folder of its files with --root, or train on the embedded set with --dataset digits"
        raise Rejected(NoDownload(name, reason(error)), argument="dataset", help=help) from error
