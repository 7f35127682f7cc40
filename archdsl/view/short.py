"""A network as a string: in one line, or as its table."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from archdsl.view.rows import humanised
from archdsl.view.summary import draw_summary

if TYPE_CHECKING:
    from archdsl.graph.network import Network


def line_of(network: Network) -> str:
    """`resnet18: 3x224x224 -> 1000, 11,689,512 parameters, 1.81 GMACs`."""
    several = len(network.inputs) > 1
    inputs = ", ".join(f"{name} {shape}" if several else str(shape) for name, shape in network.inputs.items())
    count, _, unit = humanised(network.macs).partition(" ")
    return f"{network.name}: {inputs} -> {network.output_shape}, {network.params:,} parameters, {count} {unit}MACs"


def table_of(network: Network, width: int, *, partial: bool) -> str:
    """The table of `archdsl summary` as a string; of a `partial` network the layers that are known."""
    file = StringIO()
    draw_summary(network, file=file, width=width, partial=partial)
    return file.getvalue().rstrip("\n")
