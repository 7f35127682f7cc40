"""No label of a spec can hide an attribute that the built module needs."""

from __future__ import annotations

import pytest

import archdsl
from archdsl.backends.torch import build
from archdsl.elaborate.names import RESERVED_LABELS


@pytest.mark.parametrize("body", ["linear(2)", "residual { linear(4) }"])
def test_every_attribute_of_a_built_module_is_rejected_as_a_label(body: str) -> None:
    module = build(archdsl.load(f"model m {{ input(4); {body} }}"))
    names = {*dir(module), *vars(module)} - set(module._modules)
    assert {name for name in names if not name.startswith("__")} <= RESERVED_LABELS


@pytest.mark.parametrize("name", ["forward", "training", "_modules", "append", "__deepcopy__", "__definition__"])
def test_they_are_rejected(name: str) -> None:
    with pytest.raises(archdsl.SpecError, match="E209"):
        archdsl.load(f"model m {{ input(4); {name}: linear(2) }}")


@pytest.mark.parametrize("name", ["conv1", "features", "relu", "dropout", "norm", "layer1", "fc", "head", "x", "out"])
def test_names_of_real_models_are_free(name: str) -> None:
    module = build(archdsl.load(f"model m {{ input(4); {name}: linear(2) }}"))
    assert list(module._modules) == [name]
