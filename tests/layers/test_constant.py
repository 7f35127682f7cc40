"""Constant tensors: their numbers wherever the module is made or moved to, and no entry in the state_dict."""

import copy
import math

import pytest
import torch

import archdsl
from archdsl.backends.torch.arithmetic import Constant

X = torch.zeros(3, 4)
TABLE = """
model m {
  input(4)
  constant([[sin(i / 10000 ** (2 * j / 8)) for j in 0..3] for i in 0..4]); mul(2 * pi)
}
"""


def test_it_has_the_numbers_of_the_spec_for_each_sample() -> None:
    network = archdsl.load(TABLE)
    expected = [[2 * math.pi * math.sin(i / 10000 ** (2 * j / 8)) for j in range(4)] for i in range(5)]
    assert network.output_shape == (5, 4)
    torch.testing.assert_close(network.build()(X), torch.tensor(expected).expand(3, 5, 4))


def test_it_has_no_key_and_no_parameters() -> None:
    network = archdsl.load(TABLE)
    assert (network.params, network.state, dict(network.build().state_dict())) == (0, {}, {})
    [layer] = archdsl.load("model m { input(1x4x4); constant([1]) }").layers
    assert layer.receptive_field == (0, 0)


def test_a_module_made_on_the_meta_device_has_the_numbers_too() -> None:
    network = archdsl.load("model m { input(4) -> x; constant([1, 2, 3, 4]); add(x); linear(2) }")
    trained = network.build(seed=0)
    for moved in (False, True):
        with torch.device("meta"):
            module = network.build()
        if moved:
            module.to_empty(device="cpu")
        module.load_state_dict(trained.state_dict(), assign=True)
        assert torch.equal(module(X), trained(X))
    assert torch.equal(copy.deepcopy(trained)(X), trained(X))


def test_another_type_is_rounded_once() -> None:
    module = Constant([0.1])
    assert module.half()(X).dtype == torch.float16
    assert module.double()(X)[0].item() == 0.1


@pytest.mark.parametrize("value", ["[]", "[[1], []]", "[[1, 2], [3]]", "[1, [2]]", '["a"]', "[[[[[1]]]]]", "3"])
def test_what_is_no_tensor_is_rejected(value: str) -> None:
    with pytest.raises(archdsl.SpecError):
        archdsl.load(f"model m {{ input(4); constant({value}) }}")
