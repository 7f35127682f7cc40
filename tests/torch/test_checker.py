"""The checker against PyTorch, on random specs: accepted, refused, shapes, parameters, multiply-adds, outputs."""

from __future__ import annotations

import os
import warnings

import pytest
import torch
from hypothesis import HealthCheck, given, note, settings
from torch.utils.flop_counter import FlopCounterMode

import archdsl
from archdsl.diagnostics import SpecError
from archdsl.elaborate import check_source
from archdsl.source import Source
from tests.torch.reference import Program, specs

#: The longer run is `pytest -m slow tests/torch/test_checker.py`.
CASES = int(os.environ.get("ARCHDSL_CASES", "10000"))


def cases(count: int) -> settings:
    """That many random cases, however long each takes."""
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


def compare(program: Program) -> None:
    """The checker and the built module against what PyTorch did with the same spec."""
    note(program.text)
    note(f"PyTorch: {program.refused or tuple(program.output.shape)}")  # type: ignore[union-attr]
    if program.output is None:
        with pytest.raises(SpecError):
            archdsl.load(program.text)
        return
    network = archdsl.load(program.text)
    assert check_source(Source("random.arch", program.text)).errors == []
    assert network.output_shape == tuple(program.output.shape[1:])
    assert network.params == sum(p.numel() for module in program.modules for p in module.parameters())

    expected = [tensor for module in program.modules for tensor in module.state_dict().values()]
    module = network.build().eval()
    state = module.state_dict()
    assert {key: (tuple(t.shape), t.dtype) for key, t in network.state.items()} == {
        key: (tuple(t.shape), str(t.dtype).removeprefix("torch.")) for key, t in state.items()
    }
    assert [tuple(t.shape) for t in state.values()] == [tuple(t.shape) for t in expected]
    module.load_state_dict(dict(zip(state, expected, strict=True)), strict=True)
    assert program.x is not None
    with torch.no_grad(), warnings.catch_warnings(), FlopCounterMode(display=False) as counter:
        warnings.simplefilter("ignore")
        output = module(program.x)
    torch.testing.assert_close(output, program.output, equal_nan=True)
    assert network.flops * len(program.x) == counter.get_total_flops()


@cases(300)
@given(specs())
def test_random_specs(program: Program) -> None:
    compare(program)


@pytest.mark.slow
@cases(CASES)
@given(specs(budget=10))
def test_many_random_specs(program: Program) -> None:
    compare(program)
