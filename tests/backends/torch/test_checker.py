"""The checker compared with PyTorch and ONNX Runtime on random specs; fuzz.py describes the comparison."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, note, settings

from tests.backends.torch import fuzz
from tests.backends.torch.reference import Program, specs

#: The longer run is `pytest -m slow tests/backends/torch/test_checker.py`, or `python -m tests.backends.torch.fuzz`.
CASES = int(os.environ.get("ARCHDSL_CASES", "10000"))


def cases(count: int) -> settings:
    """That many random cases, however long each takes."""
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


def compare(program: Program) -> None:
    note(f"{program.text}\n{program.settings}")
    note(f"PyTorch: {program.rejected or tuple(program.output.shape)}")  # type: ignore[union-attr]
    fuzz.compare(program)


@cases(300)
@given(specs())
def test_random_specs(program: Program) -> None:
    compare(program)


@pytest.mark.slow
@cases(CASES)
@given(specs(budget=10))
def test_many_random_specs(program: Program) -> None:
    compare(program)


def test_the_long_run_says_how_many_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.main(["--cases", "20", "--seed", "7"]) == 0
    assert "20 agree with PyTorch and ONNX Runtime" in capsys.readouterr().out
