"""Every wrong file is found: exported files with one thing changed, for each thing there is in them.

A change of a node has to show in the outputs with random weights, the same in the file and in the module; a change of
an initializer is seen in its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from torch import nn

import archdsl
from archdsl.diagnostics import SpecError
from tests.backends.onnx.cases import Array, network

#: Between them all layer types with weights, and all combinators.
NETWORKS = {
    "convolutions": (
        "a: conv(6, 3, stride=2, padding=1); n: batchnorm; relu; b: conv(6, (3, 2), dilation=(1, 2), groups=2); prelu; "
        "c: conv_transpose(4, 3, stride=2, padding=1, output_padding=1); m: batchnorm(eps=0.001); silu; "
        "maxpool(3, stride=2, padding=1); avgpool(2, stride=1, padding=1, count_include_pad=false); "
        'd: conv(3, 2, padding=1, padding_mode="reflect"); flatten; e: linear(5)',
        "4x10x11",
    ),
    "norms": (
        "conv(6, 3); instancenorm(affine=true); sigmoid; groupnorm(3); tanh; channel_layernorm(eps=0.01); gelu; "
        "instancenorm(affine=true, track_running_stats=true); leaky_relu(0.2); local_response_norm(3, alpha=0.5); "
        "layernorm; elu(0.7); identity -> t; p: parameter((6, 1, 6)) -> u; mul(t, u); linear(3)",
        "4x8x8",
    ),
    "combinators": (
        "residual { conv(6, 3, padding=1); batchnorm; relu } shortcut { conv(6, 1) } -> low; relu; "
        "inception { conv(2, 1); { maxpool(3, stride=1, padding=1); conv(3, 1) }; tanh }; batchnorm; "
        "sum { conv(4, 1); conv(4, 3, padding=1); conv(4, 1) }; tanh; dense { conv(2, 1); conv(2, 3, padding=1) }; "
        "scale { adaptive_avgpool(1); conv(8, 1); sigmoid }; split(2) { conv(3, 1); { conv(2, 1); relu } }; "
        "aux { flatten; linear(2) }; conv(6, 1); add(low); mul(low); concat(low); adaptive_avgpool(2); output(low)",
        "4x8x8",
    ),
    "attention": (
        "relative_multihead_attention(4); unflatten(2, (3, 3)); flatten(1, 2); "
        "shifted_window_attention(2, window_size=3, shift_size=1); layernorm(8); "
        "shifted_window_attention_v2(2, window_size=2); flatten(1, 2) -> t; "
        "residual { layernorm(8); multihead_attention(2); linear(8) }; add(t) -> v; p: parameter((36, 8)); add(v); "
        "select(1, 0); linear(4)",
        "4x9x8",
    ),
    "shapes": (
        'pad((1, 2, 0, 1)); crop(9); pad_channels(6); upsample(scale_factor=2, mode="bilinear"); pixel_unshuffle(2); '
        "channel_shuffle(3); pixel_shuffle(2); narrow(1, 1, 4); transpose(2, 3); conv(4, 2); glu(1); softmax(1); "
        "flatten(2); linear(3); log_softmax(-1)",
        "4x8x8",
    ),
    "small": ("residual { conv(4, 3, padding=1); batchnorm; relu }; maxpool(2); flatten; linear(3)", "4x6x6"),
}

#: Changes that leave the function as it is, or as it is for all inputs of a usual size, each with its reason.
EQUIVALENT: dict[str, dict[str, str]] = {
    "convolutions": {"pads[3] of a": "the stride does not reach the cell that is added"},
    "shapes": {"drop 4": "a Reshape before another Reshape"},
    "attention": {
        **{
            f"drop {node}": "a Reshape before another Reshape"
            for node in ("0/Reshape:3", "1", "3/Reshape:1", "5/Reshape:1")
        },
        **{f"drop {node}": "one window is as wide as the map" for node in ("3/Transpose", "3/Transpose:8")},
        "drop 5/Max": "the norm of a query is above 1e-12",
        "drop 5/Min": "no scale of the attention is above its limit of 100",
    },
    "combinators": {f"strides[{axis}] of 17": "its input is a single cell" for axis in (0, 1)},
}


class Mutant(NamedTuple):
    """A change of a model, and how it is called."""

    name: str
    apply: Callable[[onnx.ModelProto], None]


def mutants(model: onnx.ModelProto) -> Iterator[Mutant]:
    """Every change of one node."""
    for i, node in enumerate(model.graph.node):
        yield Mutant(f"drop {node.name}", lambda m, i=i: _drop(m, i))  # type: ignore[misc]
        if len(node.input) > 1 and node.op_type not in COMMUTATIVE:
            yield Mutant(f"swap the inputs of {node.name}", lambda m, i=i: _swap_inputs(m.graph.node[i]))  # type: ignore[misc]
        if node.op_type in OTHERS:
            yield Mutant(f"{node.name} as {OTHERS[node.op_type]}", lambda m, i=i: _other(m.graph.node[i]))  # type: ignore[misc]
        if len(node.output) > 1:
            yield Mutant(f"swap the outputs of {node.name}", lambda m, i=i: _swap_outputs(m.graph.node[i]))  # type: ignore[misc]
        for j, attribute in enumerate(node.attribute):
            for k in range(max(1, len(attribute.ints))):
                if attribute.name == "dilations" and _ints(node, "kernel_shape")[k] == 1:
                    continue  # a kernel of one cell has no gaps
                name = f"{attribute.name}[{k}] of {node.name}"
                yield Mutant(name, lambda m, i=i, j=j, k=k: _change(m.graph.node[i].attribute[j], k))  # type: ignore[misc]


def _ints(node: onnx.NodeProto, name: str) -> list[int]:
    return next(list(attribute.ints) for attribute in node.attribute if attribute.name == name)


COMMUTATIVE = {"Add", "Mul", "Sum", "Max", "Min", "Equal"}
OTHERS = {"Relu": "Sigmoid", "MaxPool": "AveragePool", "Add": "Mul", "Mul": "Add", "Sigmoid": "Tanh", "Tanh": "Sigmoid"}


def _drop(model: onnx.ModelProto, i: int) -> None:
    node = model.graph.node[i]
    kept = onnx.helper.make_node("Identity", [node.input[0]], [node.output[0]], name=node.name)
    node.CopyFrom(kept)


def _swap_inputs(node: onnx.NodeProto) -> None:
    node.input[0], node.input[1] = node.input[1], node.input[0]


def _swap_outputs(node: onnx.NodeProto) -> None:
    node.output[0], node.output[1] = node.output[1], node.output[0]


def _other(node: onnx.NodeProto) -> None:
    node.op_type = OTHERS[node.op_type]


def _change(attribute: onnx.AttributeProto, k: int) -> None:
    if attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = attribute.f * 10 if attribute.f else 0.1
    elif attribute.type == onnx.AttributeProto.INT:
        attribute.i += -1 if attribute.i > 0 else 1
    elif attribute.type == onnx.AttributeProto.INTS:
        attribute.ints[k] += 1
    else:
        others = {b"reflect": b"edge", b"tanh": b"none", b"none": b"tanh", b"CRD": b"DCR", b"constant": b"edge"}
        attribute.s = others.get(attribute.s, b"nonsense")


def exported(name: str, folder: Path, *, fold: bool) -> tuple[nn.Module, onnx.ModelProto]:
    module = network(*NETWORKS[name]).build(seed=0).eval()
    archdsl.export_onnx(module, folder / "right.onnx", fold_batchnorm=fold)
    return module, onnx.load(folder / "right.onnx")


def survives(model: onnx.ModelProto, module: nn.Module, path: Path, *, weights: bool) -> bool:
    """Whether a changed file is taken for a right one."""
    onnx.save(model, path)
    try:
        archdsl.verify_onnx(path, module, weights=weights)
    except SpecError:
        return False
    return True


#: The smallest network runs always, the others where the slow tests are asked for.
each_network = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "small" else pytest.mark.slow) for name in NETWORKS]
)
each_folding = pytest.mark.parametrize("fold", [True, False])


@each_folding
@each_network
def test_every_change_of_a_node_shows(name: str, fold: bool, tmp_path: Path) -> None:
    module, right = exported(name, tmp_path, fold=fold)
    assert survives(right, module, tmp_path / "again.onnx", weights=False)
    alive = set()
    for mutant in mutants(right):
        wrong = onnx.ModelProto()
        wrong.CopyFrom(right)
        mutant.apply(wrong)
        if survives(wrong, module, tmp_path / "wrong.onnx", weights=False):
            alive.add(mutant.name)
    assert alive == set(EQUIVALENT.get(name, ()))


@each_folding
@each_network
def test_every_change_of_an_initializer_shows(name: str, fold: bool, tmp_path: Path) -> None:
    module, right = exported(name, tmp_path, fold=fold)
    for i, tensor in enumerate(right.graph.initializer):
        for values in changed(numpy_helper.to_array(tensor)):
            wrong = onnx.ModelProto()
            wrong.CopyFrom(right)
            wrong.graph.initializer[i].CopyFrom(numpy_helper.from_array(values, tensor.name))
            assert not survives(wrong, module, tmp_path / "wrong.onnx", weights=True), tensor.name


def changed(values: Array) -> Iterator[Array]:
    """Other values: all zero, one changed, all a little larger, the first two along each axis exchanged."""
    one = values.copy()
    one.flat[values.size // 2] += 1
    others = [np.zeros_like(values), one, (values * 1.001).astype(values.dtype)]
    others += [np.take(values, [1, 0, *range(2, n)], axis) for axis, n in enumerate(values.shape) if n > 1]
    return (other for other in others if not np.array_equal(other, values))
