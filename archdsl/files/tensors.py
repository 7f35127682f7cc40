"""Atomic writes of safetensors files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from archdsl.files.write import write_atomically


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors as safetensors, atomically. Tensors that share memory are written separately."""
    separate = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}

    def write(temporary: Path) -> None:
        try:
            save_file(separate, temporary, dict(metadata or {}))
        except SafetensorError as error:  # such as a full disk
            raise OSError(str(error)) from error

    write_atomically(path, write)
