"""From what a user typed to a spec: a path first, then a name of the zoo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.source import Source

if TYPE_CHECKING:
    from archdsl.network import Network


def spec_path(spec: str) -> str:
    """The path of a spec that is a file, or a name of the zoo; as it is where it is neither."""
    if Path(spec).exists():
        return spec
    from archdsl import zoo

    return str(zoo.find(spec)[0]) if spec in zoo.names() else spec


def source_of(spec: str) -> Source:
    """The text of a spec; raises SpecError where it cannot be read."""
    from archdsl.elaborate.files import read

    return read(Path(spec_path(spec)))


def other_models(network: Network) -> list[str]:
    """The models of the network's file besides itself."""
    if not network.path or not Path(network.path).is_file():
        return []
    from archdsl.elaborate import models_in
    from archdsl.elaborate.files import read

    return [name for name in models_in(read(Path(network.path))) if name != network.name]
