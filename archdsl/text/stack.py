"""Room for recursion. The limit of the process is left as it is: Python counts frames for each thread by itself."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Frames that a stack may have when a function marked as `deep` is called, of the 1,000 that Python usually allows.
#: The functions between two calls of those that are marked need no more than the rest, whatever the spec.
FRAMES = 480


def deep(function: Callable[P, T]) -> Callable[P, T]:
    """A function that continues in a new thread where the stack of this one has little room left.

    For functions that call themselves once for each level of nesting, which may be called from anywhere.
    """

    @wraps(function)
    def roomy(*args: P.args, **kwargs: P.kwargs) -> T:
        if not _is_deep():
            return function(*args, **kwargs)
        return _in_thread(lambda: function(*args, **kwargs))

    return roomy


def _is_deep() -> bool:
    try:
        sys._getframe(FRAMES)
    except ValueError:
        return False
    return True


def _in_thread(function: Callable[[], T]) -> T:
    """The result of a function that runs on a stack of its own, or its exception."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # it is raised again where it was asked for
            errors.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors.pop()
    return results.pop()
