"""The shape rules and expressions of joins, against torch on the meta device."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archdsl.combinators import COMBINATORS, Join
from archdsl.shapes import Shape

JOINS = sorted({one.join for one in COMBINATORS.values()}, key=lambda join: join.name)
SIZES = st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=4)


@pytest.mark.parametrize("join", JOINS, ids=lambda join: join.name)
@settings(deadline=None)
@given(x=SIZES, y=SIZES)
def test_the_shape_is_that_of_the_expression(join: Join, x: list[int], y: list[int]) -> None:
    # A batch of 5, so that no axis of a sample is taken for it.
    names: dict[str, Any] = {"torch": torch} | {
        name: torch.empty(5, *sizes, device="meta") for name, sizes in (("x", x), ("y", y))
    }
    try:
        expected = eval(join.expression(["x", "y"]), names).shape
    except (RuntimeError, IndexError):
        expected = None
    if len(x) == len(y):
        shape = join.shape(Shape(x), Shape(y))
        assert (None if shape is None else (5, *shape)) == (None if expected is None else tuple(expected))
    else:
        assert join.shape(Shape(x), Shape(y)) is None
