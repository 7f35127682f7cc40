"""What a trained network looks like: filters, feature maps, activations, mistakes, and the report of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from archdsl.api import Network
    from archdsl.runs.folder import EpochMetrics, RunFolder
    from archdsl.train.evaluation import Evaluation
    from archdsl.train.loop import AtEnd
    from archdsl.train.setup import Setup


def reporter(network: Network) -> AtEnd:
    """What writes the report of a run of this network at its end; matplotlib is not imported before."""

    def write(
        folder: RunFolder, module: nn.Module, setup: Setup, history: Sequence[EpochMetrics], found: Evaluation
    ) -> None:
        from archdsl.report.page import write_report

        write_report(folder, network, module, setup, history, found)

    return write
