"""Exceptions inside the elaborator, and how they are collected. None of them leaves it."""

from __future__ import annotations

from collections.abc import Callable

from archdsl.diagnostics import Located


class Unknown(Exception):
    """The result depends on something whose error has been reported."""


class Stop(Located):
    """A limit is exceeded: the walk ends."""


class Reporting:
    """A context that reports an error inside it and ends there; exceeding a limit ends the whole walk."""

    def __init__(self, report: Callable[[Located], None]) -> None:
        self.report = report

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, Located) and not isinstance(error, Stop):
            self.report(error)
            return True
        return isinstance(error, Unknown)
