"""Pieces of work timed in turns, so that a slow minute of the machine affects all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median


@dataclass
class Timed:
    """A piece of work and the seconds of each of its rounds."""

    work: Callable[[], object]
    seconds: list[float] = field(default_factory=list)

    def run(self) -> None:
        start = time.perf_counter()
        self.work()
        self.seconds.append(time.perf_counter() - start)

    @property
    def median(self) -> float:
        return median(self.seconds)


def interleaved(rounds: int, *pieces: Timed) -> None:
    """Run the pieces in turns, after one round that does not count."""
    for piece in pieces:
        piece.work()
    for number in range(rounds):
        for piece in pieces if number % 2 else pieces[::-1]:
            piece.run()
