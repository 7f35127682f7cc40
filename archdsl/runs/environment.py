"""The environment of a run: versions, machine and threads."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("archdsl", "torch", "torchvision", "numpy", "safetensors", "pydantic")


def environment(device: torch.device) -> dict[str, Any]:
    """The versions, the machine and the threads of a run."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {package: _version(package) for package in PACKAGES},
        "device": str(device),
        "device_name": name,
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    """The name of the CPU; the machine type where that is not known."""
    with contextlib.suppress(OSError, IndexError):
        names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
        return str(names[0])
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
