"""Reductions: random axes against PyTorch, and the errors of axes that cannot be reduced."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archdsl.layers.base import TorchForm
from archdsl.layers.reduce import Max, Mean, Norm, Sum
from archdsl.shapes import Shape
from tests.layers.agreement import require_agreement

Kind = type[Mean | Sum | Max | Norm]
shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(Shape)
#: The batch axis is 0, which is not the model's to reduce.
axes = st.integers(-4, 5).filter(bool)


@pytest.mark.parametrize("kind", [Mean, Sum, Max, Norm])
@settings(max_examples=80, deadline=None)
@given(x=shapes, dim=axes | st.lists(axes, min_size=1, max_size=3).map(tuple), keepdim=st.booleans())
def test_shapes_are_torchs(
    kind: type[Mean | Sum | Max | Norm], x: Shape, dim: int | tuple[int, ...], keepdim: bool
) -> None:
    dims = (dim,) if isinstance(dim, int) else dim
    reduced = {one % (len(x) + 1) for one in dims}
    if 0 in reduced or (len(reduced) == len(x) and not keepdim):
        return  # the batch axis, or no axis left
    form = TorchForm(f"modules.{kind.__name__}", (dim,), {"keepdim": True} if keepdim else {})
    require_agreement(kind(dim=dim, keepdim=keepdim), form, x)
