"""`scale(0.2) { }`: the body's result times a number."""

import pytest
import torch

import archdsl


@pytest.mark.parametrize("head", ["scale(0.2)", "scale(factor=0.2)", "part: scale(1 / 5)", "scale(1 / (channels + 2))"])
def test_it_is_the_body_times_the_number(head: str) -> None:
    scaled = archdsl.load(f"model m {{ input(3x6x6); residual {{ {head} {{ tanh; neg }} }} }}")
    x = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(scaled.build()(x), x - 0.2 * x.tanh())


def test_it_is_written_for_a_group_that_ends_with_mul() -> None:
    scaled, plain = (
        archdsl.load(f"model m {{ input(3x6x6); {text}; conv(2, 1) }}")
        for text in ("scale(0.5) { conv(4, 3) }", "{ conv(4, 3); mul(0.5) }")
    )
    assert list(scaled.state) == list(plain.state) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_a_block_of_that_name_is_not_meant() -> None:
    network = archdsl.load("block mul(n) { conv(n, 1) }\nmodel m { input(3x6x6); scale(2) { relu } }")
    assert network.params == 0


def test_it_can_run_again() -> None:
    text = "model m { input(3x6x6); part: scale(0.5) { conv(3, 1) }; reuse(part) }"
    module = archdsl.load(text).build(seed=0)
    x = torch.randn(2, 3, 6, 6)
    conv = module.get_submodule("part.0")
    torch.testing.assert_close(module(x), 0.5 * conv(0.5 * conv(x)))
