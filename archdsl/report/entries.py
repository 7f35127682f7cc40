"""The network of a run, and nested entries as rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from archdsl.api import Network, load
from archdsl.runs.folder import RunFolder


def network_of_run(folder: RunFolder) -> Network:
    """The network of a run, from its folder alone."""
    info = folder.read_info()
    return load(folder.spec, model=info.model, input=info.input, settings=info.settings)


def flat(entries: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested entries as rows, `optimizer.lr` and `0.1`; the parts of a list are numbered from 1."""
    rows: list[tuple[str, str]] = []
    for name, value in entries.items():
        if isinstance(value, Mapping) and value:
            rows += flat(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            for number, item in enumerate(value, 1):
                rows += flat(item, f"{prefix}{name}.{number}.")
        else:
            rows.append((f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)))
    return rows
