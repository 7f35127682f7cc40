"""docs/interop.md's table of families and tools says what is so. `python -m tests.test_tools FAMILY...` prints rows."""

from __future__ import annotations

import sys

import pytest
import torch

from archdsl import zoo
from tests.families import FAMILIES
from tests.tools import row, rows

#: Input sizes, smaller than the networks' own where they take others.
SIZES = {"Inception v3": 299, "ViT": 224, "MaxViT": 224}


#: The families with a row on the page.
MEASURED = [family for family in FAMILIES if family in rows()]


def row_of(family: str) -> str:
    size = SIZES.get(family, 64)
    network = zoo.load(FAMILIES[family], input=(zoo.load(FAMILIES[family]).input_shape[0], size, size))
    inputs = [torch.randn(2, *network.input_shape, generator=torch.Generator().manual_seed(0))]
    return row(family, network.build(seed=0).eval(), inputs)


def test_the_table_has_rows() -> None:
    assert len(MEASURED) > 16
    assert {family for family in MEASURED if "| no |" in rows()[family]} == {"Swin v2"}


@pytest.mark.slow
@pytest.mark.parametrize("family", MEASURED)
def test_the_row_of_each_family(family: str) -> None:
    assert row_of(family) == rows()[family]


if __name__ == "__main__":
    for family in sys.argv[1:] or FAMILIES:
        print(row_of(family), flush=True)
