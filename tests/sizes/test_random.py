"""Random specs: each rule gives the sizes with which the spec can be loaded."""

from __future__ import annotations

from random import Random

import pytest

import archdsl
from archdsl.sizes import input_sizes
from tests.backends.torch.reference import program
from tests.sizes.test_rules import taken

MOST = 24


def wrong_sizes(seed: int) -> list[tuple[str, int]]:
    """The axes and sizes of a random spec at which its rule is wrong; many specs are wrong and have none."""
    spec = program(Random(seed)).text
    try:
        network = archdsl.load(spec)
    except archdsl.SpecError:
        return []
    return [
        (one.axis.name, n)
        for one in input_sizes(network)
        for n in range(1, MOST)
        if one.takes(n) != taken(spec, one, n)
    ]


@pytest.mark.parametrize("seed", range(12))
def test_the_rules_of_random_specs(seed: int) -> None:
    assert wrong_sizes(seed) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 600))
def test_the_rules_of_many_random_specs(seed: int) -> None:
    assert wrong_sizes(seed) == []
