"""The lowering: a few lines that run its operations with the layers' own modules compute what the built module does."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import pytest
import torch
from torch import Tensor, nn

import archdsl
from archdsl.backends.torch import build
from archdsl.graph import Aux, same_graph, walk
from archdsl.graph.lower import ALIASES, JOINS, lower
from archdsl.graph.network import Network
from tests.backends.torch.test_forward import BASIC, SEMANTICS, case

SPECS = {name: case(body) for name, (body, _) in SEMANTICS.items()} | {
    "torchvision's block": BASIC,
    "outputs and heads": (
        "block unit(n) { aux { h: { adaptive_avgpool(1); flatten; linear(n) } }; conv(4, 1) -> t; relu; add(t) }\n"
        "model m { input(4x6x6); s: unit(3); side: aux { flatten; linear(2) }\n"
        "tanh -> top; { } -> same; output(top, same) }"
    ),
}
#: The joins, written out by hand.
JOINED: dict[str, Callable[[list[Tensor]], Tensor]] = {
    "concat": lambda tensors: torch.cat(tensors, 1),
    "add": sum,  # type: ignore[dict-item]
    "sub": lambda tensors: reduce(torch.sub, tensors),
    "mul": lambda tensors: reduce(torch.mul, tensors),
}


#: The layers whose modules take their taps as one list.
LISTED = {"add", "sub", "mul", "div", "pow", "concat"}


def run(network: Network, module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """All outputs in training mode, one operation after the other; a tensor is dropped after its last use."""
    program, last = network.program, network.program.last_uses()
    values = {program.input: x}
    outputs: dict[str, Tensor] = {}
    for i, step in enumerate(program.operations):
        inputs = [values[value.source] for value in step.inputs]
        if step.op == "layer":
            taps = [inputs[1:]] if step.node.kind in LISTED and inputs[1:] else inputs[1:]
            results = [module.get_submodule(step.node.name)(inputs[0], *taps)]
        elif step.op == "split":
            results = list(inputs[0].chunk(len(step.outputs), 1))
        elif step.op == "output":
            results = []
            names = (
                [step.node.output_name] if isinstance(step.node, Aux) else ["out", *(t.name for t in network.outputs)]
            )
            outputs |= dict(zip(names, inputs, strict=True))
        else:
            results = [JOINED[step.op](inputs)]
        assert [tuple(result.shape[1:]) for result in results] == [value.shape for value in step.outputs]
        values = {value: tensor for value, tensor in values.items() if last.get(value, -1) > i}
        values |= dict(zip(step.outputs, results, strict=True))
    return outputs


@pytest.mark.parametrize("name", SPECS)
def test_its_operations_compute_what_the_module_does(name: str) -> None:
    network = archdsl.load(SPECS[name])
    module = build(network, seed=0, inplace=False)
    x = torch.randn(2, *network.input_shape)
    expected = module(x)
    found = run(network, module, x)
    outputs = expected if isinstance(expected, dict) else {"out": expected}
    assert found.keys() == outputs.keys()
    for key, tensor in outputs.items():
        torch.testing.assert_close(found[key], tensor)


def test_every_step_is_an_operation_or_another_name_for_a_tensor() -> None:
    for text in SPECS.values():
        for step in archdsl.load(text).program.steps:
            aliases = [value.source is step.inputs[0].source for value in step.outputs]
            assert all(aliases) if step.op in ALIASES else not any(aliases)
            assert step.op in ALIASES or step.op in JOINS or step.op in {"layer", "split", "output"}


def test_a_tensor_is_last_used_by_the_last_operation_that_reads_it_under_any_name() -> None:
    program = archdsl.load(case("a: tanh -> t; residual { b: conv(4, 1); relu }; use(t); c: sigmoid")).program
    last = {step.node.name: program.last_uses().get(step.outputs[0]) for step in program.operations if step.outputs}
    operations = program.operations
    assert [step.node.name for step in operations] == ["a", "b", "2", "", "c", ""]
    assert last["a"] == 4  # through the skip connection, and then the tap
    assert last["b"] == 2
    assert program.last_uses()[program.input] == 0
    assert operations[3].outputs[0] not in program.last_uses()  # dropped by `use`


def test_auxiliary_heads_are_marked() -> None:
    program = archdsl.load(case("tanh; side: aux { h: { flatten; linear(2) } }; relu")).program
    assert [(step.node.name, step.scope) for step in program.steps if step.aux and step.op == "layer"] == [
        ("side.h.0", "side.h"),
        ("side.h.1", "side.h"),
    ]


def test_networks_as_deep_as_allowed_are_walked_from_any_depth() -> None:
    body = "relu"
    for _ in range(45):
        body = f"residual {{ s: {{ {body} }} }}"
    network = archdsl.load(case(body))

    def below(frames: int) -> tuple[int, int, bool]:
        if frames:
            return below(frames - 1)
        steps = lower(network.root).operations
        return len(steps), len(list(walk(network.root))), same_graph(network.root, network.root)

    assert below(0) == below(600) == (47, 137, True)


def test_outputs_may_differ_in_their_axes() -> None:
    network = archdsl.load("model m { input(3x8x8); conv(4, 3) -> map; flatten; linear(5); output(map) }")
    assert [layer.receptive_field for layer in network.layers] == [(3, 3), (3, 3), (8, 8)]
