"""Files that are either the old ones or the new ones, whenever the machine stops."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from archdsl.diagnostics import Diagnostic, SpecError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, bring it to the disk and put it in the place of `path` at once.

    A file that was there keeps its mode; a link stays one, and what it points to is written. Pipes and devices are
    written to as they are.

    Raises SpecError (E708) where the file cannot be written; `path` is then as it was.
    """
    try:
        target = path.resolve() if path.is_symlink() else path
        if target.exists() and not target.is_file():
            write(target)
        else:
            _replace(target, write)
    except OSError as error:
        raise cannot_write(path, error) from error


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    # The name is short enough wherever the file's own is, and no other process or thread has it.
    beside = path.with_name(f".{path.name[:40]}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        beside.touch()
        mode = (path if path.exists() else beside).stat().st_mode
        write(beside)
        beside.chmod(mode)  # some writers let nobody else read the file
        with beside.open("r+b") as file:
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Bring a rename to the disk, where the system lets a folder be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, with the line ends of the text."""
    write_atomically(path, lambda beside: beside.write_text(text, encoding="utf-8", newline=""))


def remove_parts(folder: Path) -> None:
    """Remove what a process that was killed while it wrote has left in a folder."""
    for part in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            part.unlink()


def cannot_write(path: Path, error: Exception) -> SpecError:
    """What to raise for an error of the disk."""
    from archdsl.diagnostics.codes.commands import CannotWrite

    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return SpecError([Diagnostic(CannotWrite(str(path), reason), path=str(path))])
