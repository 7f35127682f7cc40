"""Atomic writes: a file is either the old one or the complete new one, whenever the process stops."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from archdsl.diagnostics import Diagnostic, SpecError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file in the same folder, sync it to the disk and rename it to `path`.

    An existing file keeps its mode; of a link, the target is replaced. Pipes and devices are written to directly.

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
    # Short enough wherever the file's own name is, and unique to the process and thread.
    temporary = path.with_name(f".{path.name[:40]}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        temporary.touch()
        mode = (path if path.exists() else temporary).stat().st_mode
        write(temporary)
        temporary.chmod(mode)  # some writers restrict it to the owner
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Sync a rename to the disk, where the system can open a folder."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, with the line ends of `text`."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline=""))


def remove_parts(folder: Path) -> None:
    """Remove the temporary files of killed processes from a folder."""
    for part in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            part.unlink()


def cannot_write(path: Path, error: Exception) -> SpecError:
    """The error (E708) for a file that cannot be written."""
    from archdsl.diagnostics.codes.commands import CannotWrite

    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return SpecError([Diagnostic(CannotWrite(str(path), reason), path=str(path))])
