"""Every node of the checked graph in ONNX Runtime, compared with PyTorch's functions."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from archdsl.backends.onnx import emit, node_count
from archdsl.diagnostics import SpecError
from archdsl.layers.activation import ReLU
from archdsl.layers.conv import Conv
from tests.backends.onnx.cases import Weights, arrays, batch, model_of, network, ops, random_weights, run

Truth = Callable[[Tensor, Weights], Tensor]


def conv(x: Tensor, w: Weights, name: str, padding: int = 1) -> Tensor:
    return F.conv2d(x, w[f"{name}.weight"], w.get(f"{name}.bias"), padding=padding)


def norm(x: Tensor, w: Weights, name: str) -> Tensor:
    mean, var = w[f"{name}.running_mean"], w[f"{name}.running_var"]
    return F.batch_norm(x, mean, var, w.get(f"{name}.weight"), w.get(f"{name}.bias"), eps=1e-5)


def c(name: str, channels: int) -> str:
    return f"{name}: conv({channels}, 3, padding=1)"


def nested(x: Tensor, w: Weights) -> Tensor:
    def branch(y: Tensor) -> Tensor:
        return y + conv(y, w, "b")

    scaled = x * torch.sigmoid(conv(F.adaptive_avg_pool2d(x, 1), w, "s", padding=0))
    parts = scaled.chunk(2, dim=1)
    joined = torch.cat([conv(parts[0], w, "p"), branch(parts[1])], dim=1)
    return torch.cat([joined, F.relu(joined)], dim=1)


def chained(x: Tensor, w: Weights) -> Tensor:
    for name in ("0", "1", "2"):
        x = torch.cat([x, conv(x, w, name)], dim=1)
    return x


CASES: dict[str, tuple[str, list[str], Truth]] = {
    "sequence": (
        f"{c('a', 6)}; relu; {c('b', 2)}",
        ["Conv", "Relu", "Conv"],
        lambda x, w: conv(F.relu(conv(x, w, "a")), w, "b"),
    ),
    "residual": (f"residual {{ {c('a', 4)} }}", ["Conv", "Add"], lambda x, w: x + conv(x, w, "a")),
    "shortcut": (
        f"residual {{ {c('a', 6)} }} shortcut {{ {c('s', 6)} }}",
        ["Conv", "Conv", "Add"],
        lambda x, w: conv(x, w, "s") + conv(x, w, "a"),
    ),
    "empty shortcut": (f"residual {{ {c('a', 4)} }} shortcut {{ }}", ["Conv", "Add"], lambda x, w: x + conv(x, w, "a")),
    "inception": (
        f"inception {{ {c('a', 2)}; {c('b', 3)}; relu }}",
        ["Conv", "Conv", "Relu", "Concat"],
        lambda x, w: torch.cat([conv(x, w, "a"), conv(x, w, "b"), F.relu(x)], dim=1),
    ),
    "one branch": (f"inception {{ {c('a', 2)} }}", ["Conv"], lambda x, w: conv(x, w, "a")),
    "sum of two": (
        f"sum {{ {c('a', 3)}; {c('b', 3)} }}",
        ["Conv", "Conv", "Add"],
        lambda x, w: conv(x, w, "a") + conv(x, w, "b"),
    ),
    "sum of three": (
        f"sum {{ {c('a', 4)}; relu; sigmoid }}",
        ["Conv", "Relu", "Sigmoid", "Sum"],
        lambda x, w: conv(x, w, "a") + F.relu(x) + torch.sigmoid(x),
    ),
    "subtract": (
        f"subtract {{ {c('a', 4)}; relu; sigmoid }}",
        ["Conv", "Relu", "Sigmoid", "Sub", "Sub"],
        lambda x, w: conv(x, w, "a") - F.relu(x) - torch.sigmoid(x),
    ),
    "dense": (
        "dense { conv(2, 3, padding=1); conv(3, 3, padding=1); conv(2, 3, padding=1) }",
        ["Conv", "Concat"] * 3,
        chained,
    ),
    "scale": (
        "scale { adaptive_avgpool(1); a: conv(4, 1); sigmoid }",
        ["GlobalAveragePool", "Conv", "Sigmoid", "Mul"],
        lambda x, w: x * torch.sigmoid(conv(x.mean((2, 3), keepdim=True), w, "a", 0)),
    ),
    "split": (
        f"split(2) {{ {c('a', 3)}; relu }}",
        ["Split", "Conv", "Relu", "Concat"],
        lambda x, w: torch.cat([conv(x[:, :2], w, "a"), F.relu(x[:, 2:])], dim=1),
    ),
    "nested": (
        f"scale {{ adaptive_avgpool(1); s: conv(4, 1); sigmoid }}; split(2) {{ {c('p', 2)}; "
        f"residual {{ {c('b', 2)} }} }}; dense {{ relu }}",
        ["GlobalAveragePool", "Conv", "Sigmoid", "Mul", "Split", "Conv", "Conv", "Add", "Concat", "Relu", "Concat"],
        nested,
    ),
    "tap": (
        f"{c('a', 4)} -> t; relu; concat(t)",
        ["Conv", "Relu", "Concat"],
        lambda x, w: torch.cat([F.relu(conv(x, w, "a")), conv(x, w, "a")], dim=1),
    ),
    "tap of the input": (f"identity -> t; {c('a', 4)}; add(t)", ["Conv", "Add"], lambda x, w: x + conv(x, w, "a")),
    "tap of a combinator": (
        f"residual {{ {c('a', 4)} }} -> t; relu; mul(t)",
        ["Conv", "Add", "Relu", "Mul"],
        lambda x, w: F.relu(x + conv(x, w, "a")) * (x + conv(x, w, "a")),
    ),
    "use": (
        f"{c('a', 4)} -> t; {c('unused', 9)}; use(t); relu",
        ["Conv", "Relu"],
        lambda x, w: F.relu(conv(x, w, "a")),
    ),
    "aux": (
        f"{c('a', 4)}; aux {{ {c('h', 9)}; flatten; linear(5) }}; relu",
        ["Conv", "Relu"],
        lambda x, w: F.relu(conv(x, w, "a")),
    ),
    "nothing in eval": (
        f"dropout; {c('a', 4)}; dropout(0.3); identity; residual {{ {c('b', 4)}; stochastic_depth(0.2) }}",
        ["Conv", "Conv", "Add"],
        lambda x, w: (y := conv(x, w, "a")) + conv(y, w, "b"),
    ),
    "shared layer": (
        "a: conv(4, 3, padding=1); relu; reuse(a)",
        ["Conv", "Relu", "Conv"],
        lambda x, w: conv(F.relu(conv(x, w, "a")), w, "a"),
    ),
    "shared group": (
        "g: { conv(4, 3, padding=1); relu }; reuse(g)",
        ["Conv", "Relu"] * 2,
        lambda x, w: F.relu(conv(F.relu(conv(x, w, "g.0")), w, "g.0")),
    ),
}


@pytest.mark.parametrize("opset", [13, 17, 20, 23])
@pytest.mark.parametrize("case", CASES)
def test_combinators(case: str, opset: int) -> None:
    body, expected_ops, truth = CASES[case]
    net = network(body)
    weights = random_weights(net)
    model = model_of(net, weights, opset=opset)
    assert ops(model) == expected_ops
    for size in (1, 3):
        x = batch(net, size)
        torch.testing.assert_close(run(model, x)["output"], truth(x, weights), rtol=1e-4, atol=1e-4)


def test_names_are_the_specs() -> None:
    net = network(
        """
        stem: conv(4, 3, padding=1)
        layer1: { for i in 0..1 { {i}: { residual { conv1: conv(4, 3, padding=1) }; relu: relu } } }
        mix: inception { left: conv(2, 1); right: conv(2, 1) }
        head: { flatten; linear(5) }
        """
    )
    model = model_of(net, random_weights(net))
    names = [node.name for node in model.graph.node]
    blocks = [f"layer1.{i}{part}" for i in (0, 1) for part in (".conv1", "/Add", ".relu")]
    assert names == ["stem", *blocks, "mix.left", "mix.right", "mix", "head.0", "head.1"]
    assert [list(node.output) for node in model.graph.node] == [[name] for name in [*names[:-1], "output"]]
    assert {array.name for array in model.graph.initializer} == set(net.state)


def test_a_layer_of_several_nodes_has_its_name_on_the_last() -> None:
    net = network('a: conv(4, 3, padding=1, padding_mode="reflect"); relu')
    model = model_of(net, random_weights(net))
    assert [node.name for node in model.graph.node] == ["a/Pad", "a", "1"]
    assert [list(node.output) for node in model.graph.node] == [["a/Pad"], ["a"], ["output"]]


def test_the_input_and_outputs_have_a_dynamic_batch_axis() -> None:
    net = network("conv(6, 3) -> mid; maxpool(2); output(mid)")
    model = model_of(net, random_weights(net))
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"input": ["batch", 4, 8, 8], "output": ["batch", 6, 3, 3], "mid": ["batch", 6, 6, 6]}


def test_several_outputs() -> None:
    net = network("a: conv(4, 3, padding=1) -> low; relu -> high; flatten; output(low, high)")
    weights = random_weights(net)
    found = run(model_of(net, weights), x := batch(net))
    low = conv(x, weights, "a")
    assert list(found) == ["output", "low", "high"]
    torch.testing.assert_close(found["low"], low, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found["high"], F.relu(low), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found["output"], F.relu(low).flatten(1), rtol=1e-4, atol=1e-4)


def test_one_tensor_as_several_outputs_and_the_input_as_output() -> None:
    net = network("identity -> start; relu -> end; output(start, end)")
    found = run(model_of(net, {}), x := batch(net))
    assert torch.equal(found["start"], x)
    assert torch.equal(found["output"], F.relu(x))
    assert torch.equal(found["end"], F.relu(x))


@pytest.mark.parametrize("label", ["input", "output"])
def test_a_layer_may_be_called_as_the_input_or_the_output(label: str) -> None:
    net = network(f"{label}: conv(4, 3, padding=1); b: conv(4, 3, padding=1) -> {label}; relu; output({label})")
    weights = random_weights(net)
    found = list(run(model_of(net, weights), x := batch(net)).values())
    b = conv(conv(x, weights, label), weights, "b")
    torch.testing.assert_close(found[0], F.relu(b), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[1], b, rtol=1e-4, atol=1e-4)


FOLDS: dict[str, tuple[str, list[str], Truth]] = {
    "conv": ("a: conv(6, 3, padding=1); n: batchnorm", ["Conv"], lambda x, w: norm(conv(x, w, "a"), w, "n")),
    "no bias": (
        "a: conv(6, 3, padding=1, bias=false); n: batchnorm",
        ["Conv"],
        lambda x, w: norm(conv(x, w, "a"), w, "n"),
    ),
    "no affine": (
        "a: conv(6, 3, padding=1); n: batchnorm(affine=false)",
        ["Conv"],
        lambda x, w: norm(conv(x, w, "a"), w, "n"),
    ),
    "groups": (
        "a: conv(6, 3, padding=1, groups=2); n: batchnorm",
        ["Conv"],
        lambda x, w: norm(F.conv2d(x, w["a.weight"], w["a.bias"], padding=1, groups=2), w, "n"),
    ),
    "after a dropout": (
        "a: conv(6, 3, padding=1); dropout; n: batchnorm",
        ["Conv"],
        lambda x, w: norm(conv(x, w, "a"), w, "n"),
    ),
    "transposed": (
        "a: conv_transpose(6, 2, stride=2); n: batchnorm",
        ["ConvTranspose"],
        lambda x, w: norm(F.conv_transpose2d(x, w["a.weight"], w["a.bias"], stride=2), w, "n"),
    ),
    "transposed groups": (
        "a: conv_transpose(6, 2, stride=2, groups=2, bias=false); n: batchnorm",
        ["ConvTranspose"],
        lambda x, w: norm(F.conv_transpose2d(x, w["a.weight"], stride=2, groups=2), w, "n"),
    ),
    "linear": (
        "flatten; a: linear(6); n: batchnorm",
        ["Flatten", "Gemm"],
        lambda x, w: norm(F.linear(x.flatten(1), w["a.weight"], w["a.bias"]), w, "n"),
    ),
    "linear without bias": (
        "flatten; a: linear(6, bias=false); n: batchnorm",
        ["Flatten", "Gemm"],
        lambda x, w: norm(F.linear(x.flatten(1), w["a.weight"]), w, "n"),
    ),
    "linear on the last axis": (
        "a: linear(6); n: batchnorm",
        ["MatMul", "Add", "BatchNormalization"],
        lambda x, w: norm(F.linear(x, w["a.weight"], w["a.bias"]), w, "n"),
    ),
    "norm first": (
        "n: batchnorm; a: conv(6, 3, padding=1)",
        ["BatchNormalization", "Conv"],
        lambda x, w: conv(norm(x, w, "n"), w, "a"),
    ),
    "an activation between": (
        "a: conv(6, 3, padding=1); relu; n: batchnorm",
        ["Conv", "Relu", "BatchNormalization"],
        lambda x, w: norm(F.relu(conv(x, w, "a")), w, "n"),
    ),
    "a tap between": (
        "a: conv(4, 3, padding=1) -> t; n: batchnorm; add(t)",
        ["Conv", "BatchNormalization", "Add"],
        lambda x, w: norm(y := conv(x, w, "a"), w, "n") + y,
    ),
    "a residual between": (
        "a: conv(4, 3, padding=1); residual { n: batchnorm }",
        ["Conv", "BatchNormalization", "Add"],
        lambda x, w: (y := conv(x, w, "a")) + norm(y, w, "n"),
    ),
    "two norms": (
        "a: conv(4, 3, padding=1); sum { n: batchnorm; m: batchnorm }",
        ["Conv", "BatchNormalization", "BatchNormalization", "Add"],
        lambda x, w: norm(y := conv(x, w, "a"), w, "n") + norm(y, w, "m"),
    ),
    "norm after norm": (
        "a: conv(4, 3, padding=1); n: batchnorm; m: batchnorm",
        ["Conv", "BatchNormalization"],
        lambda x, w: norm(norm(conv(x, w, "a"), w, "n"), w, "m"),
    ),
    "a shared pair": (
        "g: { a: conv(4, 3, padding=1); n: batchnorm; relu }; reuse(g)",
        ["Conv", "Relu"] * 2,
        lambda x, w: F.relu(norm(conv(F.relu(norm(conv(x, w, "g.a"), w, "g.n")), w, "g.a"), w, "g.n")),
    ),
    "shared weights, two norms": (
        "a: conv(4, 3, padding=1); n: batchnorm; reuse(a); m: batchnorm",
        ["Conv", "BatchNormalization"] * 2,
        lambda x, w: norm(conv(norm(conv(x, w, "a"), w, "n"), w, "a"), w, "m"),
    ),
    "shared weights, one norm": (
        "a: conv(4, 3, padding=1); n: batchnorm; reuse(a)",
        ["Conv", "BatchNormalization", "Conv"],
        lambda x, w: conv(norm(conv(x, w, "a"), w, "n"), w, "a"),
    ),
    "a shared norm": (
        "a: conv(4, 3, padding=1); n: batchnorm; b: conv(4, 3, padding=1); reuse(n)",
        ["Conv", "Conv"],
        lambda x, w: norm(conv(norm(conv(x, w, "a"), w, "n"), w, "b"), w, "n"),
    ),
}


@pytest.mark.parametrize("case", FOLDS)
def test_batchnorm_folding(case: str) -> None:
    body, expected_ops, truth = FOLDS[case]
    net = network(body)
    weights = random_weights(net)
    before = {key: tensor.clone() for key, tensor in weights.items()}
    folded, plain = model_of(net, weights), model_of(net, weights, fold_batchnorm=False)
    assert ops(folded) == expected_ops
    assert ops(plain).count("BatchNormalization") == body.count("batchnorm") + body.count("reuse(g)") + body.count(
        "reuse(n)"
    )
    x = batch(net)
    for model in (folded, plain):
        torch.testing.assert_close(run(model, x)["output"], truth(x, weights), rtol=1e-4, atol=1e-4)
    assert all(torch.equal(weights[key], before[key]) for key in before)


def test_a_bias_that_two_convolutions_share_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    bias = [0.5, -1.0, 2.0, 0.0]
    monkeypatch.setattr(Conv, "onnx", lambda self, x, y, g: g.node("Conv", g.input, g.weight("weight"), g.floats(bias)))
    net = network("a: conv(4, 3, bias=false); n: batchnorm; b: conv(4, 3, bias=false); m: batchnorm")
    weights = random_weights(net)
    both = weights | {"a.bias": torch.tensor(bias), "b.bias": torch.tensor(bias)}
    x = batch(net)
    truth = norm(conv(norm(conv(x, both, "a", 0), both, "n"), both, "b", 0), both, "m")
    torch.testing.assert_close(run(model_of(net, weights), x)["output"], truth, rtol=1e-4, atol=1e-4)


def test_a_tap_that_is_returned_is_not_folded_away() -> None:
    net = network("a: conv(4, 3, padding=1) -> raw; n: batchnorm; output(raw)")
    weights = random_weights(net)
    found = run(model_of(net, weights), x := batch(net))
    torch.testing.assert_close(found["raw"], conv(x, weights, "a"), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found["output"], norm(conv(x, weights, "a"), weights, "n"), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("mean", "std"), [((0.5, 0.4, 0.3, 0.2), (0.1, 0.2, 0.3, 0.4)), ((0.5,), (0.25,))])
def test_normalisation_comes_first(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    net = network("a: conv(4, 3, padding=1)")
    weights = random_weights(net)
    model = model_of(net, weights, normalize=(mean, std))
    assert ops(model) == ["Sub", "Div", "Conv"]
    x = batch(net)
    sizes = (1, -1, 1, 1)
    normalized = (x - torch.tensor(mean).reshape(sizes)) / torch.tensor(std).reshape(sizes)
    torch.testing.assert_close(run(model, x)["output"], conv(normalized, weights, "a"), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("normalize", [((0.5, 0.5), (1, 1)), ((0.5,) * 4, (1, 1, 0, 1)), ((float("nan"),), (1,))])
def test_wrong_normalisation(normalize: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    net = network("relu")
    with pytest.raises(SpecError) as raised:
        emit(net, {}, normalize=normalize)
    assert [one.code for one in raised.value.diagnostics] == ["E710"]


@pytest.mark.parametrize("opset", [-1, 12, 24])
def test_wrong_opset(opset: int) -> None:
    with pytest.raises(SpecError) as raised:
        emit(network("relu"), {}, opset=opset)
    assert [one.code for one in raised.value.diagnostics] == ["E705"]
    assert f"opset {opset}" in raised.value.diagnostics[0].message


def test_the_opset_is_the_one_asked_for() -> None:
    model = emit(network("relu"), {}, opset=17)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]


def test_an_operator_that_is_too_new_is_rejected_at_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReLU, "onnx", lambda self, x, y, g: g.node("Mish", g.input))
    net = network("conv(4, 3); relu")
    weights = arrays(random_weights(net))
    assert ops(emit(net, weights, opset=18)) == ["Conv", "Mish"]
    with pytest.raises(SpecError) as raised:
        emit(net, weights, opset=17)
    [diagnostic] = raised.value.diagnostics
    assert diagnostic.code == "E706"
    assert "Mish requires opset 18" in diagnostic.message
    assert diagnostic.span is not None
    assert diagnostic.span.text == "relu"


def test_whole_numbers_are_floats_where_the_operator_wants_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReLU, "onnx", lambda self, x, y, g: g.node("Elu", g.input, alpha=2))
    net = network("relu")
    x = batch(net)
    torch.testing.assert_close(run(model_of(net, {}), x)["output"], F.elu(x, alpha=2.0))


def test_weights_that_do_not_fit_are_all_named() -> None:
    net = network("a: conv(4, 3); b: conv(4, 3)")
    weights = arrays(random_weights(net))
    del weights["a.bias"]
    weights["b.weight"] = np.zeros((4, 4, 5, 5), np.float32)
    with pytest.raises(SpecError) as raised:
        emit(net, weights)
    assert [one.code for one in raised.value.diagnostics] == ["E702", "E703"]
    assert "a.bias" in raised.value.diagnostics[0].message
    assert "4x4x5x5" in raised.value.diagnostics[1].message
    assert "4x4x3x3" in raised.value.diagnostics[1].message


def test_half_precision_weights_are_written_as_float32() -> None:
    net = network("a: conv(4, 3)")
    weights = {key: array.astype(np.float16) for key, array in arrays(random_weights(net)).items()}
    model = emit(net, weights)
    assert {array.data_type for array in model.graph.initializer} == {onnx.TensorProto.FLOAT}


def test_weights_that_are_equal_keep_their_names() -> None:
    net = network("a: conv(4, 3, padding=1); b: conv(4, 3, padding=1); n: batchnorm")
    weights = random_weights(net)
    weights["b.weight"] = weights["a.weight"].clone()
    weights["n.weight"] = weights["b.bias"].clone()
    model = model_of(net, weights, fold_batchnorm=False)
    assert {array.name for array in model.graph.initializer} == set(net.state) - {"n.num_batches_tracked"}
    x = batch(net)
    truth = norm(conv(conv(x, weights, "a"), weights, "b"), weights, "n")
    torch.testing.assert_close(run(model, x)["output"], truth, rtol=1e-4, atol=1e-4)


def test_equal_tables_of_positions_are_written_once() -> None:
    net = network("for i in 0..1 { shifted_window_attention(4, window_size=2) }", "8x8x8")
    tables = [key for key, tensor in net.state.items() if tensor.dtype == "int64"]
    model = model_of(net, net.build(seed=0).state_dict())
    assert len(tables) == 2
    assert sum(array.name in tables for array in model.graph.initializer) == 1


def test_metadata_tells_the_origin() -> None:
    import archdsl

    text = "model tiny(classes = 3, sizes = [1, 2]) { input(2x4x4); flatten; linear(classes) }"
    net = archdsl.load(text, classes=5)
    model = model_of(net, random_weights(net))
    found = {entry.key: entry.value for entry in model.metadata_props}
    assert found["archdsl.spec"] == text
    assert found["archdsl.model"] == "tiny"
    assert json.loads(found["archdsl.settings"])["classes"] == 5
    assert found["archdsl.version"] == archdsl.__version__
    assert model.producer_name == "archdsl"


def test_node_count_counts_the_bodies_of_functions() -> None:
    make = onnx.helper.make_node
    opset = onnx.helper.make_opsetid("", 20)
    twice = onnx.helper.make_function(
        "local", "Twice", ["x"], ["y"], [make("Relu", ["x"], ["a"]), make("Abs", ["a"], ["y"])], [opset]
    )
    graph = onnx.helper.make_graph(
        [make("Neg", ["i"], ["j"]), make("Twice", ["j"], ["k"], domain="local")], "g", [], []
    )
    assert node_count(onnx.helper.make_model(graph, functions=[twice], opset_imports=[opset])) == 3
