"""Figures of trained networks, reports of runs, and comparisons of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archdsl.api import Network
    from archdsl.train.loop import AtEnd


def reporter(network: Network) -> AtEnd:
    """A function that writes the report at the end of a run, and imports matplotlib only then."""

    def write(*run: Any) -> None:
        from archdsl.report.page import write_report

        write_report(network, *run)

    return write
