"""What other tools do with a built module: trace and script it."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.feature_extraction import get_graph_node_names

import archdsl
from archdsl import zoo
from archdsl.backends.torch import build
from archdsl.graph.network import Network
from tests.backends.torch.test_printed_source import SPECS, tensors

#: A label that Python reserves, which torch.fx writes into its code as it is.
RESERVED = "the same class with other numbers"


def inputs_of(network: Network, batch: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randint(7, (batch, *shape), generator=generator)
        if shape.dtype == "int64"
        else torch.randn(batch, *shape, generator=generator)
        for shape in network.inputs.values()
    ]


def traced(module: nn.Module) -> nn.Module:
    return torch.fx.symbolic_trace(module)


def scripted(module: nn.Module) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        return torch.jit.script(module)


def require_equal(module: nn.Module, other: Any, inputs: list[Tensor]) -> None:
    """Fail unless both give the same outputs from the same random numbers."""
    found = []
    for one in (module, other):
        torch.manual_seed(0)
        found.append(tensors(one(*(x.clone() for x in inputs))))
    assert list(found[0]) == list(found[1])
    for key, tensor in found[0].items():
        torch.testing.assert_close(found[1][key], tensor)


@pytest.mark.parametrize("name", sorted(SPECS.keys() - {RESERVED}))
def test_it_is_traced_and_scripted(name: str) -> None:
    network = archdsl.load(SPECS[name])
    module, inputs = build(network, seed=0), inputs_of(network)
    script = scripted(module)
    for training in (True, False):  # a trace is of one mode
        require_equal(module.train(training), traced(module), inputs)
        require_equal(module, script.train(training), inputs)


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.names())
def test_each_network_of_the_zoo_is_traced_and_scripted(name: str) -> None:
    with torch.device("meta"):
        module = zoo.build(name)
    get_graph_node_names(module)  # in both modes
    scripted(module)
