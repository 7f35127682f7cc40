"""Fixtures shared with the tests of training."""

from tests.train.conftest import one_thread, with_curves, without_curves

__all__ = ["one_thread", "with_curves", "without_curves"]
