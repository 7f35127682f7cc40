"""Files that are either the old ones or the new ones, whenever the machine stops."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.runtime import CannotWrite


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, bring it to the disk and put it in the place of `path` at once.

    Raises SpecError (E708) where the disk refuses; `path` is then as it was.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.touch()
        mode = beside.stat().st_mode
        write(beside)
        beside.chmod(mode)  # safetensors would let nobody else read the file
        with beside.open("r+b") as file:
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def remove_parts(folder: Path) -> None:
    """Remove what a process that was killed while it wrote has left in a folder."""
    for part in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            part.unlink()


def cannot_write(path: Path, error: Exception) -> SpecError:
    """What to raise for an error of the disk."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return SpecError([Diagnostic(CannotWrite(str(path), reason), path=str(path))])


def _sync_folder(folder: Path) -> None:
    """Bring a rename to the disk, where the system lets a folder be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    write_atomically(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors as safetensors, atomically. Tensors that share memory are written one by one."""
    separate = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    write_atomically(path, lambda beside: save_file(separate, beside, dict(metadata or {})))
