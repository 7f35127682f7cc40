"""Activations run in place where that cannot change a result, and only there."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import archdsl
from archdsl.backends.torch import build


def module_of(body: str) -> Any:
    return build(archdsl.load(f"model m {{ input(4x6x6); {body} }}"), seed=0)


def in_place(module: nn.Module) -> set[str]:
    return {name for name, inner in module.named_modules() if getattr(inner, "inplace", False)}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("conv(4, 1); relu; batchnorm; relu6; linear(6); hardtanh", {"1", "3", "5"}),
        ("residual { conv(4, 1) }; relu", {"1"}),
        ("tanh -> a; conv(4, 1); concat(a); relu", {"3"}),
        ("dense { { n: batchnorm; a: relu; conv(2, 1) } }", {"a"}),
        ("relu", set()),
        ("relu; relu; tanh; relu", set()),
        ("conv(4, 1) -> a; relu; add(a)", set()),
        ("conv(4, 1); residual { relu }", set()),
        ("conv(4, 1); dense { relu }", set()),
        ("conv(4, 1); inception { relu; conv(2, 1) }", set()),
        ("conv(4, 1); scale { relu }", set()),
        ("conv(4, 1); split(2) { relu; conv(2, 1) }", set()),
        ("conv(4, 1); flatten; relu", set()),
        ("conv(4, 1); exp; relu", set()),
        ("conv(4, 1); pow(2); relu", set()),
        ("conv(4, 1); max(1, keepdim=true); relu", set()),
        ('conv(4, 3, padding="same_upper"); relu', {"1"}),
        ("tanh -> a; conv(4, 1); sub(a); relu; mul(0.5); relu", {"3", "5"}),
        ("conv(4, 1) -> a; relu; sub(a)", set()),
        ("conv(4, 1); dropout(0.0); relu", set()),
        ("conv(4, 1) -> a; relu; output(a)", set()),
        ("conv(4, 1); aux { flatten; linear(2) }; relu", set()),
        ("s: { conv(4, 1); batchnorm }; relu", set()),
        ("conv(4, 1); s: { relu; conv(4, 1) }", set()),
        ("conv(4, 1); r: relu; conv(4, 1); tanh; reuse(r)", set()),
        ("conv(4, 1); elu; conv(4, 1); silu; conv(4, 1); leaky_relu(-0.1)", set()),
        ("tanh -> a; relu(inplace=true); add(a)", set()),
        ("conv(4, 1); dropout(inplace=true)", {"1"}),
        ("conv(4, 1); dropout", set()),
    ],
)
def test_which_layers_run_in_place(body: str, expected: set[str]) -> None:
    assert in_place(module_of(body)) == expected


def test_what_a_scope_returned_stays_as_it_was() -> None:
    module = module_of("residual { s: { conv(4, 1); batchnorm } }; relu; t: { conv(4, 1); batchnorm }; relu")
    seen: list[tuple[Tensor, Tensor]] = []
    for scope in (module.s, module.t):
        scope.register_forward_hook(lambda _, __, output: seen.append((output, output.clone())))
    module(torch.randn(2, 4, 6, 6))
    assert len(seen) == 2
    assert all(torch.equal(now, then) for now, then in seen)


LAYERS = ["conv(channels, 1)", "batchnorm", "relu", "relu6", "tanh", "relu(inplace=true)", "sigmoid", "groupnorm(1)"]
LAYERS += ["mul(0.5)", "sub(1)", "div(2)", "add(0.5)", "pow(2)", "exp; clamp(max=9)", "abs; sqrt", "sin", "neg"]
LAYERS += ['conv(4, 3, padding="same_upper")', "scale(0.5) { relu }"]
LAYERS += ["maxpool(3, stride=1, padding=1)", "avgpool(3, stride=1, padding=1)", "leaky_relu(inplace=true)", "gelu"]


@st.composite
def bodies(draw: Any, depth: int = 3, taps: tuple[str, ...] = ()) -> str:
    """Statements that keep the shape 4x6x6, full of values with more than one reader.

    A tap is used only in the sequence that keeps it and inside that sequence.
    """
    lines: list[str] = []
    for i in range(draw(st.integers(1, 5))):
        form = draw(st.sampled_from(["layer"] * 6 + ["tap", "tap", "join", "join"] + ["combinator"] * 3 * (depth > 0)))
        if form == "layer":
            lines.append(draw(st.sampled_from(LAYERS)))
        elif form == "tap":
            name = f"t{depth}{i}{draw(st.integers(0, 99999))}"
            lines.append(f"{draw(st.sampled_from(LAYERS))} -> {name}")
            taps += (name,)
        elif form == "join" and taps:
            tap = draw(st.sampled_from(taps))
            joins = [
                f"add({tap})",
                f"mul({tap})",
                f"sub({tap})",
                f"matmul({tap})",
                f"concat({tap}); conv(4, 1)",
                f"use({tap})",
            ]
            lines.append(draw(st.sampled_from(joins)))
        elif form == "combinator":
            first, second = (draw(bodies(depth - 1, taps)) for _ in range(2))
            label = draw(st.sampled_from(["", f"s{depth}{i}: "]))
            forms = [
                f"{{ {first} }}",
                f"residual {{ {first} }}",
                f"residual {{ {first} }} shortcut {{ {second} }}",
                f"sum {{ {{ {first} }}; {{ {second} }} }}",
                f"inception {{ {{ {first} }}; {{ {second} }} }}; conv(4, 1)",
                f"dense {{ {{ {first} }}; relu }}; relu; conv(4, 1)",
                f"scale {{ {first} }}",
                f"scale {{ {first}; mean((2, 3), keepdim=true) }}",
                "residual { max(1, keepdim=true); norm((2, 3), keepdim=true) }",
                "split(2) { relu; { conv(2, 1); relu } }",
            ]
            lines.append(label + draw(st.sampled_from(forms)))
    return "\n".join(lines)


def outcome(module: nn.Module, x: Tensor) -> list[Tensor | None]:
    """The output and every gradient."""
    leaf = x.clone().requires_grad_()
    output = module(leaf)
    output.square().sum().backward()
    return [output, leaf.grad, *(parameter.grad for parameter in module.parameters())]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(bodies(), st.booleans())
def test_outputs_and_gradients_are_the_same(body: str, training: bool) -> None:
    numbers = itertools.count()
    # The strategy draws labels independently; those of one scope have to differ.
    body = re.sub(r"\bs\d+:", lambda _: f"s{next(numbers)}:", body)
    note(body)
    network = archdsl.load(f"model m {{ input(4x6x6)\n{body}\n}}")
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    plain, fast = (build(network, seed=0, inplace=inplace).train(training) for inplace in (False, True))
    assert not in_place(plain)
    for a, b in zip(outcome(plain, x), outcome(fast, x), strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            torch.testing.assert_close(b, a, rtol=0, atol=0, equal_nan=True)
