"""Settings for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

from tests.zoo_table import pytest_addoption, pytest_terminal_summary

__all__ = ["pytest_addoption", "pytest_terminal_summary"]

# On a change under review the drawn cases are always the same; by hand they are new each time.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
