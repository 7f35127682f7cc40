"""Exceptions inside the elaborator. None of them leaves it."""

from __future__ import annotations

from archdsl.diagnostics import Located


class Unknown(Exception):
    """The result depends on something whose error has been reported."""


class Stop(Located):
    """A bound is exceeded: the rest of the file is not checked."""
