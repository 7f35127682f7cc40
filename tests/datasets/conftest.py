"""Fixtures shared with the tests of training."""

from tests.train.conftest import one_thread

__all__ = ["one_thread"]
