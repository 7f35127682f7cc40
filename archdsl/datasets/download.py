"""Data sets that torchvision downloads."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten

#: The causes in the messages of urllib, and the most characters of another message.
CAUSE = re.compile(r"<urlopen error (?:\[Errno -?\d+\] )?([^>]+)>|(HTTP Error .*?)(?= Tried|$)")
LONGEST = 300


def cache_folder() -> Path:
    """The folder that data sets are downloaded to."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "archdsl" / "data"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress torchvision's progress bars."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def reason(error: Exception) -> str:
    """Why something failed, in one line: of failed connections, only their causes."""
    text = " ".join(str(error).split())
    if causes := [match[1] or match[2] for match in CAUSE.finditer(text)]:
        return "; ".join(dict.fromkeys(causes))
    return shorten(text, LONGEST, placeholder=" ...") or type(error).__name__
