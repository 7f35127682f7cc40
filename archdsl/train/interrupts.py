"""Ctrl-C and SIGTERM: the first requests a stop at the end of the step, a second one stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Stop:
    """Whether the run has been asked to stop, and by which signal."""

    signal: int = 0
    is_immediate: bool = False

    @property
    def requested(self) -> bool:
        return self.signal != 0

    @property
    def name(self) -> str:
        """The signal as people call it."""
        return "Ctrl-C" if self.signal == signal.SIGINT else signal.Signals(self.signal).name

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let the first signal interrupt at once too, where nothing incomplete can be left."""
        self.is_immediate = True
        try:
            yield
        finally:
            self.is_immediate = False


@contextmanager
def catching_interrupts() -> Iterator[Stop]:
    """Let the first signal request a stop, and later ones interrupt at once. Works in the main thread only."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def ask(number: int, _: FrameType | None) -> None:
        stop.signal = number
        for each in SIGNALS:
            signal.signal(each, interrupt)
        if stop.is_immediate:
            raise KeyboardInterrupt

    def interrupt(number: int, _: FrameType | None) -> None:
        stop.signal = number
        raise KeyboardInterrupt

    for number in SIGNALS:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
