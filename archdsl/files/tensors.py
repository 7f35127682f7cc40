"""Tensors in files that are either the old ones or the new ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from archdsl.files import write as files


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors as safetensors, atomically. Tensors that share memory are written one by one."""
    separate = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}

    def write(beside: Path) -> None:
        try:
            save_file(separate, beside, dict(metadata or {}))
        except SafetensorError as error:  # such as a full disk
            raise OSError(str(error)) from error

    files.write_atomically(path, write)
