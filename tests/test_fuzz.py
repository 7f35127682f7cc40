"""A few seconds of `python -m tests.fuzz`, which can run for hours."""

from __future__ import annotations

import pytest

pytest.importorskip("resource", reason="the limits of a process are POSIX's")

from tests.fuzz import fuzz, mutant, report

SECONDS = 20


def test_no_mutant_crashes_hangs_or_fills_the_memory() -> None:
    counts = fuzz(seed=2, numbers=range(100_000), workers=1, seconds=SECONDS)
    # On a busy machine the same work takes more processor time: only what passes the limit by half counts here.
    counts.faults = [fault for fault in counts.faults if fault.what != "TooSlow"]
    assert not counts.faults, report(counts, 2)
    assert sum(counts.outcomes.values()) >= 200
    assert counts.outcomes["accepted"] > 0


def test_a_mutant_is_the_same_each_time() -> None:
    assert mutant(1, 7) == mutant(1, 7)
    assert len({mutant(1, number) for number in range(50)}) > 45
