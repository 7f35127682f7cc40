"""The small trained network of the tests of reports."""

from tests.report.conftest import learned, network, run

__all__ = ["learned", "network", "run"]
